// A small workspace: pictures of two shapes with one wrong label and one duplicate, two releases of a model of them.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// A picture as binary PPM would not be read; BMP is.
function bmp(side, pixel) {
  const row = side * 3 + ((4 - ((side * 3) % 4)) % 4);
  const bytes = Buffer.alloc(54 + row * side);
  bytes.write("BM");
  bytes.writeUInt32LE(bytes.length, 2);
  bytes.writeUInt32LE(54, 10);
  bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(side, 18);
  bytes.writeInt32LE(side, 22);
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(24, 28);
  for (let y = 0; y < side; ++y)
    for (let x = 0; x < side; ++x) bytes.set(pixel(x, side - 1 - y), 54 + y * row + 3 * x);
  return bytes;
}

export function makeWorkspace(program, work) {
  let state = 7;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const draw = (round) => {
    const [cx, cy, r, light] = [20 + 8 * random(), 20 + 8 * random(), 8 + 6 * random(), 120 + 120 * random()];
    return bmp(48, (x, y) => {
      const within = round ? Math.hypot(x - cx, y - cy) < r : Math.max(Math.abs(x - cx), Math.abs(y - cy)) < r * 0.9;
      const grey = (within ? light : 40) + 20 * random();
      return [grey * 0.6, grey * (round ? 0.9 : 0.7), grey];
    });
  };
  for (const shape of ["round", "square"]) {
    mkdirSync(join(work, "data", shape), { recursive: true });
    for (let i = 0; i < 60; ++i) writeFileSync(join(work, "data", shape, `${String(i).padStart(3, "0")}.bmp`), draw(shape === "round"));
  }
  const twin = draw(true);
  writeFileSync(join(work, "data/round/twin.bmp"), twin);
  writeFileSync(join(work, "data/round/twin2.bmp"), twin);
  for (let i = 0; i < 2; ++i) writeFileSync(join(work, `data/square/wrong${i}.bmp`), draw(true)); // round ones
  for (const seed of [3, 5]) {
    writeFileSync(
      join(work, "shapes.yaml"),
      `name: shapes\ntask: classify\ndata: {path: data, licence: CC0-1.0, origin: drawn}\ntarget: {metric: top1, at_least: 0.5}\nbackbone: {name: sight-s, freeze: backbone}\nseed: ${seed}\n`,
    );
    execFileSync(program, ["build", "shapes.yaml", "--json"], { cwd: work, stdio: ["ignore", "ignore", "inherit"] });
  }
}
