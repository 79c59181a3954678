// What was measured of one release, a panel for each thing.
import { useState } from "preact/hooks";
import { part } from "./api";
import { Picture } from "./confusion";
import { type MadeStep } from "./lineage";
import { Bar, Panel, bytes, count, figure, milliseconds, percent } from "./parts";
import { Plot } from "./plot";

interface Bin {
  confidence: number;
  accuracy: number;
  count: number;
}
interface Curve {
  title: string;
  x: string;
  y: string;
  lines: { name: string; x: number[]; y: number[] }[];
}
interface Point {
  number: number;
  name: string;
  value: number;
  latency_ms: number;
  size_mb: number;
  memory_mb: number;
  chosen: boolean;
  standard: boolean;
}
interface Evaluation {
  task: string;
  split: string;
  classes: string[];
  pictures: number;
  figures: { metric: string; value: number; low: number | null; high: number | null; description: string }[];
  per_class: { name: string; count: number; values: Record<string, number> }[];
  curves: Curve[];
  confusions: { given: string; answered: string; count: number }[];
  confusion: number[][];
  temperature: number;
  calibration_error_before: number;
  reliability: Bin[];
  latency: { p50: number; p95: number; p99: number; count: number; threads: number };
  size_bytes: number;
  images_per_second: number;
  decisions: string[];
  worst: { path: string; number: number | null; given: number; predicted: number; probability: number }[];
  shown: { path: string; number: number | null; wrongness: number }[];
  pairs: { first: string; second: string; same: boolean; score: number; numbers: (number | null)[] }[];
}
export interface Release {
  name: string;
  version: number;
  created: string;
  in_force: boolean;
  package: string;
  lineage: Record<string, unknown>;
  card: string;
  evaluation: Evaluation;
  steps: MadeStep[];
  manifest?: string | null;
  target?: { metric: string; at_least: number } | null;
  limits?: { latency_ms: number | null; size_mb: number | null } | null;
  verdict?: { release: boolean; sentence: string; lines: { what: string; passed: boolean; sentence: string }[] };
  history?: { epochs?: Record<string, number>[] } | null;
  compression?: { sentence: string; candidates: { precision: string; metric: number; loss: number; latency_ms: number; size_bytes: number; kept: boolean; sentence: string }[] } | null;
  search?: { metric: string; points: Point[]; others: Point[]; sentences: string[] } | null;
}

export function Tiles({ release }: { release: Release }) {
  const { evaluation, target, limits } = release;
  const figures = [...evaluation.figures].sort((a, b) => Number(b.metric === target?.metric) - Number(a.metric === target?.metric));
  return (
    <dl class="tiles">
      {figures.slice(0, 6).map((each) => {
        const least = target && target.metric === each.metric && target.at_least > 0 ? target.at_least : null;
        const low = Math.min(each.low ?? each.value, least ?? each.value, each.value);
        return (
          <div key={each.metric} title={each.description} class={least !== null ? "lead" : ""}>
            <dt>{each.metric}</dt>
            <dd>
              <b>{figure(each.value)}</b>
              {each.low !== null && (
                <>
                  <span class="under">
                    95 % {figure(each.low)} – {figure(each.high)}
                  </span>
                  {each.value <= 1 && !/loss|error/.test(each.metric) && <Bar value={each.value} low={each.low} high={each.high} target={least} least={Math.floor(low * 10) / 10} most={1} />}
                </>
              )}
              {least !== null && <span class="under">target {least} {each.value >= least ? "met" : "missed"}</span>}
            </dd>
          </div>
        );
      })}
      <div>
        <dt>latency p95</dt>
        <dd>
          <b>{milliseconds(evaluation.latency.p95)}</b>
          <span class="under">p50 {milliseconds(evaluation.latency.p50)}</span>
          <span class="under">{limits?.latency_ms ? `limit ${limits.latency_ms} ms` : `batch 1, ${evaluation.latency.threads} threads`}</span>
        </dd>
      </div>
      <div>
        <dt>size</dt>
        <dd>
          <b>{bytes(evaluation.size_bytes)}</b>
          <span class="under">{limits?.size_mb ? `limit ${limits.size_mb} MB` : "as shipped"}</span>
          <span class="under">{count(Math.round(evaluation.images_per_second))} images/s</span>
        </dd>
      </div>
    </dl>
  );
}

export function Verdict({ release }: { release: Release }) {
  if (!release.verdict) return null;
  return (
    <Panel title="The gate">
      <ul class="checks">
        {release.verdict.lines.map((line) => (
          <li key={line.what} class={line.passed ? "passed" : "missed"}>
            <span class={`state ${line.passed ? "good" : "bad"}`}>{line.passed ? "passed" : "failed"}</span>
            <span>{line.sentence}</span>
          </li>
        ))}
        {release.evaluation.decisions.map((sentence) => (
          <li key={sentence}>
            <span class="state plain">decides</span>
            <span>{sentence}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

export function Reliability({ evaluation }: { evaluation: Evaluation }) {
  const bins = evaluation.reliability.filter((bin) => bin.count > 0);
  if (!bins.length) return null;
  const error = evaluation.figures.find((each) => each.metric === "calibration_error")?.value;
  return (
    <Panel title="How sure it may be" note={`Accuracy by confidence; on the dashed line the model knows how sure it may be. Expected calibration error ${figure(error)}, ${figure(evaluation.calibration_error_before)} before temperature ${evaluation.temperature.toPrecision(3)}.`}>
      <Plot
        title="Reliability"
        xName="confidence"
        x={bins.map((bin) => bin.confidence)}
        xRange={[0, 1]}
        yRange={[0, 1]}
        series={[
          { name: "accuracy", values: bins.map((bin) => bin.accuracy), kind: "points" },
          { name: "ideal", values: bins.map((bin) => bin.confidence), kind: "dashed", colour: "--soft" },
        ]}
      />
    </Panel>
  );
}

export function Learning({ history }: { history: Release["history"] }) {
  const epochs = history?.epochs;
  if (!epochs || epochs.length < 2) return null;
  const x = epochs.map((each, i) => each.epoch ?? i + 1);
  const values = (name: string) => epochs.map((each) => (typeof each[name] === "number" ? each[name] : null));
  const names = [...new Set(epochs.flatMap((each) => Object.keys(each)))].filter((name) => name !== "epoch");
  const losses = names.filter((name) => name.endsWith("loss"));
  const scores = names.filter((name) => !name.endsWith("loss") && name !== "learning_rate" && name !== "seconds");
  return (
    <Panel title="How it learned">
      <div class="plots">
        {losses.length > 0 && <Plot title="Loss" xName="epoch" whole x={x} series={losses.map((name) => ({ name: name === "loss" ? "training" : name.replaceAll("_", " "), values: values(name), kind: name === "loss" ? "dashed" : "line" }))} />}
        {scores.length > 0 && <Plot title="Score" xName="epoch" whole x={x} series={scores.map((name) => ({ name: name.replaceAll("_", " "), values: values(name), kind: name.startsWith("train") ? "dashed" : "line" }))} />}
      </div>
    </Panel>
  );
}

// Lines of a curve on one x: where a line has no value there, it is drawn through.
export function CurvePlot({ curve }: { curve: Curve }) {
  const lines = curve.lines.slice(0, 6);
  const x = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
  const place = new Map(x.map((value, i) => [value, i]));
  const series = lines.map((line) => {
    const values: (number | null)[] = x.map(() => null);
    line.x.forEach((value, i) => (values[place.get(value)!] = line.y[i]));
    return { name: line.name || curve.y, values };
  });
  return x.length < 2 ? null : <Plot title={curve.title} xName={curve.x} x={x} series={series} />;
}

export function Slices({ evaluation }: { evaluation: Evaluation }) {
  const [all, setAll] = useState(false);
  const names = [...new Set(evaluation.per_class.flatMap((each) => Object.keys(each.values)))];
  if (!names.length) return null;
  const lead = names.includes("f1") ? "f1" : names[0];
  const rows = [...evaluation.per_class].sort((a, b) => (a.values[lead] ?? 2) - (b.values[lead] ?? 2));
  return (
    <Panel title="Slices" note="The weakest come first.">
      <div class="scroll">
        <table class="slices">
          <thead>
            <tr>
              <th scope="col">class</th>
              <th scope="col" class="num">
                count
              </th>
              {names.map((name) => (
                <th scope="col" class="num" key={name}>
                  {name}
                </th>
              ))}
              <th scope="col">
                <span class="hidden">{lead} as a bar</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, all ? rows.length : 12).map((row) => (
              <tr key={row.name}>
                <th scope="row">{row.name}</th>
                <td class="num">{count(row.count)}</td>
                {names.map((name) => (
                  <td class="num" key={name}>
                    {figure(row.values[name], 3)}
                  </td>
                ))}
                <td>
                  <meter min={0} max={1} value={row.values[lead] ?? 0} aria-label={`${row.name}: ${lead}`} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > 12 && (
        <button type="button" class="link" onClick={() => setAll(!all)}>
          {all ? "fewer" : `all ${rows.length}`}
        </button>
      )}
    </Panel>
  );
}

export function Cases({ release }: { release: Release }) {
  const { evaluation, manifest } = release;
  const base = `/v1/workspace/models/${part(release.name)}/releases/${release.version}/cases`;
  const [most, setMost] = useState(6);
  return (
    <>
      {evaluation.shown.length > 0 && (
        <Panel title="Answers" note="The worst come first. Left what people say, right what the model answers.">
          <ul class="cases">
            {evaluation.shown.slice(0, most).map((shown, i) => (
              <li key={shown.path}>
                <div>
                  <img loading="lazy" alt={`${shown.path}, as labelled`} src={`${base}/${i}?side=420&truth=1`} />
                  <img loading="lazy" alt={`${shown.path}, as answered`} src={`${base}/${i}?side=420`} />
                </div>
                <span class="under">
                  {shown.path} · {percent(shown.wrongness, 0)} wrong
                </span>
              </li>
            ))}
          </ul>
          {most < evaluation.shown.length && (
            <button type="button" onClick={() => setMost(evaluation.shown.length)}>
              show all {evaluation.shown.length}
            </button>
          )}
        </Panel>
      )}
      {evaluation.worst.length > 0 && manifest && (
        <Panel title="Surest mistakes" note="Wrong, and sure of it: look for wrong labels here first.">
          <ul class="thumbs named">
            {evaluation.worst.slice(0, 24).map((mistake) => (
              <li key={mistake.path} title={mistake.path}>
                <Picture manifest={manifest} number={mistake.number} alt={mistake.path} />
                <span>
                  {evaluation.classes[mistake.given]} → <b>{evaluation.classes[mistake.predicted]}</b> {percent(mistake.probability, 0)}
                </span>
              </li>
            ))}
          </ul>
        </Panel>
      )}
      {evaluation.pairs.length > 0 && manifest && (
        <Panel title="Pairs told apart most wrongly">
          <ul class="thumbs named">
            {evaluation.pairs.slice(0, 24).map((pair) => (
              <li key={pair.first + pair.second}>
                <div class="pair">
                  <Picture manifest={manifest} number={pair.numbers[0]} alt={pair.first} />
                  <Picture manifest={manifest} number={pair.numbers[1]} alt={pair.second} />
                </div>
                <span>
                  {pair.same ? "one identity" : "two identities"}, cosine {pair.score.toFixed(3)}
                </span>
              </li>
            ))}
          </ul>
        </Panel>
      )}
    </>
  );
}

export function Search({ search }: { search: NonNullable<Release["search"]> }) {
  const all = [...search.points.map((p) => ({ ...p, front: true })), ...search.others.map((p) => ({ ...p, front: false }))].sort((a, b) => a.latency_ms - b.latency_ms);
  return (
    <Panel title="What the search found" note={`${search.metric} on validation pictures against p95 latency; nobody beats a point of the front in accuracy, latency and size at once.`}>
      <Plot
        title="Pareto front"
        xName="p95 ms"
        x={all.map((p) => p.latency_ms)}
        series={[
          { name: "front", values: all.map((p) => (p.front ? p.value : null)), kind: "line" },
          { name: "others", values: all.map((p) => (p.front ? null : p.value)), kind: "points", colour: "--soft" },
          { name: "taken", values: all.map((p) => (p.chosen ? p.value : null)), kind: "points", colour: "--good" },
        ]}
      />
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">point</th>
              <th scope="col">model</th>
              <th scope="col" class="num">{search.metric}</th>
              <th scope="col" class="num">p95 ms</th>
              <th scope="col" class="num">MB</th>
            </tr>
          </thead>
          <tbody>
            {search.points.map((p) => (
              <tr key={p.name} class={p.chosen ? "chosen" : ""}>
                <td>{p.number || ""}{p.chosen ? " taken" : ""}</td>
                <td>{p.name}</td>
                <td class="num">{figure(p.value)}</td>
                <td class="num">{p.latency_ms.toFixed(2)}</td>
                <td class="num">{p.size_mb.toFixed(2)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
