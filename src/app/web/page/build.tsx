// Demands beside the workspace; a build while it goes on: its steps, how far it is, learning curves, candidates as they come.
import { useEffect, useState } from "preact/hooks";
import type { Place } from "./app";
import { ApiError, ask, part, post, useLoad } from "./api";
import { Ago, Confirm, Empty, Panel, Problem, State, Title, Waiting, count, figure, seconds } from "./parts";
import { Plot } from "./plot";

interface Demand {
  file: string;
  name: string;
  task: string;
  metric: string;
  target: number | null;
  kind: "demand" | "fleet";
  demands?: number;
  problem: string;
  state: string;
}
interface Step {
  step: string;
  says: string;
  decision: string;
  sentence: string;
  expected_seconds: number;
  state: string; // waiting, running, done, reused, skipped
  seconds?: number;
  when?: string;
  figures?: Record<string, unknown>;
}
interface BuildState {
  name: string;
  begun: string;
  outcome: string;
  sentence: string;
  metric: string;
  target: number;
  steps: Step[];
  progress: { what: string; done: number; total: number; seconds: number; note: string } | null;
  epochs: Record<string, number>[];
  candidates: { name: string; rung: number; value: number; latency_ms?: number; size_mb?: number }[];
  here: boolean;
  problem: string;
}

// The state of a build as the server tells it, until it has ended; `turn` begins to listen anew.
function useBuild(name: string, turn: number): { state: BuildState | null; error: ApiError | null } {
  const [state, setState] = useState<BuildState | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    let source: EventSource | null = null;
    let gone = false;
    const path = `/v1/workspace/builds/${part(name)}`;
    ask<BuildState>(path).then(
      (first) => {
        if (gone) return;
        setState(first);
        setError(null);
        if (first.outcome !== "running" && !first.here) return;
        source = new EventSource(`${path}/events`);
        source.addEventListener("state", (event) => {
          const next = JSON.parse((event as MessageEvent<string>).data) as BuildState;
          setState(next);
          if (next.outcome !== "running" && !next.here) source?.close();
        });
      },
      (problem: ApiError) => !gone && setError(problem),
    );
    return () => {
      gone = true;
      source?.close();
    };
  }, [name, turn]);
  return { state, error };
}

function figures(step: Step): string {
  return Object.entries(step.figures ?? {})
    .filter(([name, value]) => typeof value === "number" && !/bytes/.test(name))
    .slice(0, 6)
    .map(([name, value]) => `${name} ${Number.isInteger(value) ? count(value as number) : (value as number).toPrecision(4)}`)
    .join(", ");
}

function Steps({ state }: { state: BuildState }) {
  const { progress } = state;
  const share = progress && progress.total > 0 ? Math.min(1, progress.done / progress.total) : null;
  return (
    <ol class="build-steps">
      {state.steps.map((step) => (
        <li key={step.step} class={step.state} aria-current={step.state === "running" ? "step" : undefined}>
          <span class="mark" aria-hidden="true">
            {{ done: "✓", reused: "✓", skipped: "–", running: "›" }[step.state] ?? ""}
          </span>
          <div>
            <b>{step.step}</b> <span class="soft">{step.says}</span>
            {step.state === "running" && (
              <div class="progress">
                <progress max={1} value={share ?? undefined} aria-label={`${step.step}: how far it is`} />
                <span class="soft">
                  {share !== null && `${Math.round(100 * share)} %`} {progress?.note}
                </span>
              </div>
            )}
            {step.state === "done" && <span class="under">{figures(step)}</span>}
          </div>
          <span class="soft num" title={step.sentence}>
            {step.state === "reused" ? "reused" : step.state === "skipped" ? "not wanted" : step.seconds !== undefined ? seconds(step.seconds) : step.state === "waiting" && step.expected_seconds > 0 ? `≈ ${seconds(step.expected_seconds)}` : ""}
          </span>
        </li>
      ))}
    </ol>
  );
}

function timeLeft(state: BuildState): string {
  if (state.outcome !== "running") return "";
  let left = 0;
  for (const step of state.steps) if (step.state === "waiting" && step.decision !== "reuse") left += step.expected_seconds;
  const { progress } = state;
  if (progress && progress.done > 0 && progress.total >= progress.done) left += (progress.seconds * (progress.total - progress.done)) / progress.done;
  else if (left === 0) return "";
  return `about ${seconds(Math.max(1, Math.round(left)))} left`;
}

function Epochs({ state }: { state: BuildState }) {
  const epochs = state.epochs.filter((each) => typeof each.epoch === "number");
  if (epochs.length === 0) return null;
  const names = [...new Set(epochs.flatMap((each) => Object.keys(each)))].filter((name) => typeof epochs[epochs.length - 1][name] === "number" && !/^(epoch|step|steps|seconds|learning_rate|images_per_second)$/.test(name));
  const series = (wanted: string[]) => wanted.map((name) => ({ name: name.replaceAll("_", " "), values: epochs.map((each) => (typeof each[name] === "number" ? each[name] : null)) }));
  const losses = names.filter((name) => name.endsWith("loss"));
  const scores = names.filter((name) => !name.endsWith("loss"));
  const x = epochs.map((each) => each.epoch);
  return (
    <Panel title="Learning curves">
      <div class="plots">
        {losses.length > 0 && <Plot title="Loss" xName="epoch" whole x={x} series={series(losses)} />}
        {scores.length > 0 && <Plot title="Score" xName="epoch" whole x={x} series={series(scores)} />}
      </div>
    </Panel>
  );
}

function Candidates({ state }: { state: BuildState }) {
  const known = state.candidates.filter((each) => each.latency_ms !== undefined);
  if (state.candidates.length === 0) return null;
  const sorted = [...known].sort((a, b) => a.latency_ms! - b.latency_ms!);
  let best = -Infinity;
  const front = sorted.map((each) => (each.value > best ? (best = each.value) : null));
  return (
    <Panel title="Candidates" note={`${state.metric} on validation pictures against p95 latency, as they are judged; the line is the front so far.`}>
      {sorted.length > 0 && (
        <Plot
          title={`${count(sorted.length)} judged`}
          xName="p95 ms"
          x={sorted.map((each) => each.latency_ms!)}
          series={[
            { name: "front", values: front },
            { name: "judged", values: sorted.map((each) => each.value), kind: "points", colour: "--soft" },
          ]}
        />
      )}
      <ol class="candidates">
        {[...state.candidates]
          .reverse()
          .slice(0, 8)
          .map((each, i) => (
            <li key={state.candidates.length - i}>
              <span>{each.name}</span>
              <span class="num">{figure(each.value)}</span>
              <span class="num soft">{each.latency_ms !== undefined ? `${each.latency_ms.toFixed(2)} ms` : ""}</span>
            </li>
          ))}
      </ol>
    </Panel>
  );
}

function One({ name }: { name: string }) {
  const [turn, setTurn] = useState(0);
  const { state, error } = useBuild(name, turn);
  const demands = useLoad<Demand[]>("/v1/workspace/demands");
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [asking, setAsking] = useState(false);
  const [stopping, setStopping] = useState(false);
  const demand = demands.data?.find((each) => each.name === name && each.kind === "demand");
  const goes = state !== null && (state.outcome === "running" || state.here);
  useEffect(() => {
    if (!goes) setStopping(false);
  }, [goes]);
  const run = (request: Promise<unknown>) =>
    request.then(
      () => (setProblem(null), setTurn((old) => old + 1)),
      (failed: ApiError) => setProblem(failed),
    );
  return (
    <>
      <div class="model-head">
        <div>
          <Title text={`Build of ${name}`} />
          {state && (
            <p class="soft">
              <State state={state.outcome} word={state.outcome === "released" ? "released" : stopping ? "stopping" : undefined} />
              {state.begun && (
                <>
                  {" "}
                  · begun <Ago when={state.begun} />
                </>
              )}{" "}
              {timeLeft(state) && `· ${timeLeft(state)}`}
            </p>
          )}
        </div>
        <div class="choice">
          {goes ? (
            <button type="button" class="danger" disabled={stopping || !state.here} title={state.here ? "" : "it was started elsewhere"} onClick={() => setAsking(true)}>
              Stop
            </button>
          ) : (
            demand && (
              <button type="button" class="primary" onClick={() => run(post("/v1/workspace/builds", { file: demand.file }))}>
                {state?.outcome === "interrupted" ? "Go on" : "Build again"}
              </button>
            )
          )}
          <a class="button" href={`#/model/${part(name)}`}>
            Model
          </a>
          <a class="button" href="#/build">
            All demands
          </a>
        </div>
      </div>
      {asking && (
        <Confirm title={`Stop the build of ${name}?`} yes="Stop it" onYes={() => (setAsking(false), setStopping(true), run(post(`/v1/workspace/builds/${part(name)}:cancel`)))} onNo={() => setAsking(false)}>
          <p>It stops at the next safe point. What is done stays done, and building again goes on from there.</p>
        </Confirm>
      )}
      {problem && <Problem error={problem} />}
      {error && <Problem error={error} />}
      {!state && !error && <Waiting />}
      {state?.problem && !goes && <p class="banner failed">{state.problem}</p>}
      {state && state.sentence && !state.problem && !goes && <p class={`banner ${state.outcome}`}>{state.sentence}</p>}
      {state && (
        <div class="columns build">
          <Panel title="Steps">{state.steps.length === 0 ? goes ? <Waiting>looking at what there is to do</Waiting> : <Empty>There was nothing to do.</Empty> : <Steps state={state} />}</Panel>
          <Epochs state={state} />
          <Candidates state={state} />
        </div>
      )}
    </>
  );
}

export function Build({ at }: { at: Place }) {
  const { data, error } = useLoad<Demand[]>("/v1/workspace/demands", 5000);
  const [problem, setProblem] = useState<ApiError | null>(null);
  if (at.parts[1]) return <One key={at.parts[1]} name={at.parts[1]} />;
  const start = (demand: Demand) =>
    post<{ name: string }>("/v1/workspace/builds", { file: demand.file }).then(
      (started) => (location.hash = `#/build/${part(started.name)}`),
      (failed: ApiError) => setProblem(failed),
    );
  return (
    <>
      <Title text="Build" />
      {problem && <Problem error={problem} />}
      {error && <Problem error={error} />}
      {!data && !error && <Waiting />}
      {data && data.length === 0 && (
        <Empty>
          There is no demand beside this workspace. <code>sightline init FOLDER</code> writes one from a folder of pictures.
        </Empty>
      )}
      {data && data.length > 0 && (
        <div class="panel scroll">
          <table class="demands">
            <thead>
              <tr>
                <th scope="col">demand</th>
                <th scope="col">task</th>
                <th scope="col">target</th>
                <th scope="col">last build</th>
                <th scope="col">
                  <span class="hidden">start</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {data.map((each) => (
                <tr key={each.file}>
                  <th scope="row">
                    {each.state ? <a href={`#/build/${part(each.name)}`}>{each.name}</a> : each.name || each.file}
                    <span class="under">{each.file}</span>
                  </th>
                  {each.problem ? (
                    <td colSpan={3} class="bad">
                      {each.problem}
                    </td>
                  ) : (
                    <>
                      <td>{each.kind === "fleet" ? `fleet of ${count(each.demands ?? 0)}` : each.task}</td>
                      <td>{each.kind === "demand" && `${each.metric}${each.target ? ` ≥ ${each.target}` : ""}`}</td>
                      <td>{each.state && <State state={each.state} word={each.state === "released" ? "released" : undefined} />}</td>
                    </>
                  )}
                  <td class="num">
                    {each.kind === "demand" && !each.problem && (
                      <button type="button" disabled={each.state === "running"} aria-label={`Build ${each.name} (${each.file})`} onClick={() => start(each)}>
                        {each.state === "interrupted" ? "Go on" : "Build"}
                      </button>
                    )}
                    {each.kind === "fleet" && <code class="soft">sightline fleet {each.file}</code>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
