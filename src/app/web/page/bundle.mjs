// The page as it goes into the program: types checked, bundled, minified, gzip-compressed.
//   node bundle.mjs OUT_DIR
// Writes OUT_DIR/{index.html,app.js,app.css,icon.svg}.gz. Fails when a first load would be more than kMost bytes.
import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const kMost = 100_000;
const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out) throw new Error("usage: node bundle.mjs OUT_DIR");
mkdirSync(out, { recursive: true });

execFileSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "--noEmit", "-p", here], { stdio: "inherit" });
const bundled = await build({
  entryPoints: { app: join(here, "app.tsx") },
  outdir: out,
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome100", "firefox100", "safari15"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  write: false,
  logLevel: "warning",
});
const files = bundled.outputFiles.map((file) => [file.path.split("/").pop(), file.contents]);
for (const name of ["index.html", "icon.svg"]) files.push([name, readFileSync(join(here, name))]);
let total = 0;
for (const [name, contents] of files) {
  const packed = gzipSync(contents, { level: 9 });
  packed[9] = 255; // the byte that names the operating system: the same bytes wherever this runs
  total += packed.length;
  writeFileSync(join(out, name + ".gz"), packed);
}
if (total > kMost) throw new Error(`the page is ${total} bytes compressed, more than the ${kMost} that a first load may be`);
