// Two releases side by side.
import { part, useLoad } from "./api";
import { Panel, Problem, Waiting, count } from "./parts";

interface Interval {
  low: number;
  high: number;
}
interface Comparison {
  a: string;
  b: string;
  figures: { metric: string; a: number; b: number; difference: number; a_interval?: Interval; b_interval?: Interval }[];
  paired: { metric: string; pictures: number; better: number; worse: number; difference: number; low: number; high: number } | null;
  same_pictures: boolean;
  lineage_differs: { key: string; a: unknown; b: unknown }[];
}
const signed = (value: number, digits = 4) => (value >= 0 ? "+" : "−") + Math.abs(value).toFixed(digits);
const told = (value: unknown) => (value === null ? "–" : typeof value === "string" ? value : JSON.stringify(value));

export function Compare({ model, a, b }: { model: string; a: number; b: number }) {
  const { data, error } = useLoad<Comparison>(`/v1/workspace/compare?a=${part(`${model}:${a}`)}&b=${part(`${model}:${b}`)}`);
  return (
    <Panel title={`Version ${a} against version ${b}`} id="compare">
      {error && <Problem error={error} />}
      {!data && !error && <Waiting>both models are looking at the test pictures</Waiting>}
      {data && (
        <>
          {data.paired && (
            <p class="paired">
              On the same {count(data.paired.pictures)} pictures version {b} is right where {a} is wrong {count(data.paired.better)} times, and the other way round{" "}
              {count(data.paired.worse)} times: {data.paired.metric} <b>{signed(data.paired.difference)}</b>, 95 % interval {signed(data.paired.low)} to {signed(data.paired.high)}
              {data.paired.low > 0 ? ": better." : data.paired.high < 0 ? ": worse." : ": no difference is shown."}
            </p>
          )}
          {!data.same_pictures && <p class="problem">The test sets differ in size: the figures cannot be compared.</p>}
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">figure</th>
                  <th scope="col" class="num">
                    v{a}
                  </th>
                  <th scope="col" class="num">
                    v{b}
                  </th>
                  <th scope="col" class="num">
                    difference
                  </th>
                </tr>
              </thead>
              <tbody>
                {data.figures.map((row) => (
                  <tr key={row.metric}>
                    <th scope="row">{row.metric}</th>
                    <td class="num" title={row.a_interval && `95 %: ${row.a_interval.low.toFixed(4)} to ${row.a_interval.high.toFixed(4)}`}>
                      {row.a.toFixed(4)}
                    </td>
                    <td class="num" title={row.b_interval && `95 %: ${row.b_interval.low.toFixed(4)} to ${row.b_interval.high.toFixed(4)}`}>
                      {row.b.toFixed(4)}
                    </td>
                    <td class="num">{signed(row.difference)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <details>
            <summary>{data.lineage_differs.length === 0 ? "The lineage is the same" : `${data.lineage_differs.length} differences in the lineage`}</summary>
            <table class="lineage-differs">
              <tbody>
                {data.lineage_differs.map((row) => (
                  <tr key={row.key}>
                    <th scope="row">{row.key.replace(/^\//, "").replaceAll("/", " / ")}</th>
                    <td>{told(row.a)}</td>
                    <td>{told(row.b)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        </>
      )}
    </Panel>
  );
}
