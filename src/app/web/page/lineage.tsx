// The steps that a release came from, as a graph from left to right: a step stands to the right of those whose outputs it read.
import { seconds } from "./parts";

export interface MadeStep {
  step: string;
  seconds: number;
  sentence: string;
  started: string;
  figures: Record<string, unknown>;
  inputs: Record<string, string>;
}

const width = 118;
const height = 40;
const gapX = 34;
const gapY = 14;

export function Lineage({ steps, name, version }: { steps: MadeStep[]; name: string; version: number }) {
  const places = new Map<string, number>(steps.map((each, i) => [each.step, i]));
  const depth: number[] = [];
  steps.forEach((each, i) => {
    const before = Object.values(each.inputs)
      .map((from) => places.get(from))
      .filter((from): from is number => from !== undefined && from < i);
    depth[i] = before.length ? Math.max(...before.map((from) => depth[from])) + 1 : 0;
  });
  const rows = new Map<number, number>();
  const at = steps.map((_, i) => {
    const row = rows.get(depth[i]) ?? 0;
    rows.set(depth[i], row + 1);
    return { x: depth[i] * (width + gapX), y: row * (height + gapY) };
  });
  const total = { x: (Math.max(0, ...depth) + 1) * (width + gapX), y: Math.max(1, ...rows.values()) * (height + gapY) };
  const edges = steps.flatMap((each, i) =>
    [...new Set(Object.values(each.inputs))]
      .map((from) => places.get(from))
      .filter((from): from is number => from !== undefined && from < i)
      .map((from) => ({ from, to: i })),
  );
  return (
    <div class="scroll">
      <svg class="lineage" width={total.x - gapX + 4} height={total.y} role="img" aria-label={`How ${name} version ${version} came about: ${steps.map((each) => each.step).join(", ")}`}>
        {edges.map(({ from, to }) => {
          const x1 = at[from].x + width + 2;
          const x2 = at[to].x + 2;
          const y1 = at[from].y + height / 2 + 2;
          const y2 = at[to].y + height / 2 + 2;
          const bend = Math.min(60, (x2 - x1) / 2);
          return <path key={`${from}-${to}`} d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`} />;
        })}
        {steps.map((each, i) => (
          <g key={each.step} transform={`translate(${at[i].x + 2} ${at[i].y + 2})`} class={each.step === "release" ? "last" : ""}>
            <title>{`${each.step}: ${each.sentence}`}</title>
            <rect width={width} height={height} rx="6" />
            <text x="10" y="17">
              {each.step === "release" ? `release v${version}` : each.step}
            </text>
            <text x="10" y="32" class="soft">
              {seconds(each.seconds)}
            </text>
          </g>
        ))}
      </svg>
    </div>
  );
}
