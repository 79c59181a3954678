// Live traffic of the server that gives this page: requests, errors, latency, memory of each model. Read from /metrics and /v2/models/stats.
import { useEffect, useState } from "preact/hooks";
import { useLoad, useRoutes } from "./api";
import { Empty, Panel, Problem, Title, Waiting, bytes, count, milliseconds } from "./parts";
import { Plot } from "./plot";

interface Stats {
  model_stats: {
    name: string;
    version: string;
    inference_count: number;
    execution_count: number;
    inference_stats?: Record<string, { count: number; ns: number }>;
  }[];
}
interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}
const kept = 120; // samples of the plots, one every two seconds

// Prometheus' text: NAME{label="value",…} NUMBER
export function parseMetrics(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!found) continue;
    const labels: Record<string, string> = {};
    for (const [, key, value] of (found[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[key] = value;
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}
const sum = (samples: Sample[], test: (each: Sample) => boolean) => samples.filter(test).reduce((total, each) => total + each.value, 0);

interface Moment {
  at: number;
  requests: number;
  errors: number;
  seconds: number;
  timed: number;
}

export function Serving() {
  const routes = useRoutes();
  const serves = routes?.has("/v2/models/stats");
  const stats = useLoad<Stats>(serves ? "/v2/models/stats" : "", 2000);
  const [samples, setSamples] = useState<Sample[] | null>(null);
  const [moments, setMoments] = useState<Moment[]>([]);
  const answers = stats.data !== null;
  useEffect(() => {
    if (!answers) return undefined;
    const look = () =>
      fetch("/metrics")
        .then((response) => (response.ok ? response.text() : ""))
        .then((text) => {
          const read = parseMetrics(text);
          setSamples(read);
          const asks = (each: Sample) => /infer|predict/.test(each.labels.route ?? "");
          const of = (name: string) => (each: Sample) => each.name === name && asks(each);
          setMoments((old) =>
            [
              ...old,
              {
                at: Date.now() / 1000,
                requests: sum(read, of("sightline_http_requests_total")),
                errors: sum(read, (each) => of("sightline_http_requests_total")(each) && /^[45]/.test(each.labels.status ?? "")),
                seconds: sum(read, of("sightline_http_request_seconds_sum")),
                timed: sum(read, of("sightline_http_request_seconds_count")),
              },
            ].slice(-kept),
          );
        })
        .catch(() => setSamples([]));
    void look();
    const timer = setInterval(() => document.visibilityState === "visible" && look(), 2000);
    return () => clearInterval(timer);
  }, [answers]);

  if (routes && !serves)
    return (
      <>
        <Title text="Serving" />
        <Empty>
          This server answers no requests of models: it shows the workspace alone. <code>sightline serve</code> gives this page as well.
        </Empty>
      </>
    );
  if (!stats.data) return stats.error ? <Problem error={stats.error} /> : <Waiting />;
  const steps = moments.slice(1).map((now, i) => {
    const before = moments[i];
    const span = Math.max(0.001, now.at - before.at);
    const timed = now.timed - before.timed;
    return { at: now.at - moments[0].at, rate: (now.requests - before.requests) / span, errors: (now.errors - before.errors) / span, ms: timed > 0 ? (1000 * (now.seconds - before.seconds)) / timed : null };
  });
  const memory = new Map((samples ?? []).filter((each) => each.name === "sightline_model_bytes").map((each) => [`${each.labels.model}:${each.labels.version}`, each.value]));
  const gauge = (name: string) => samples?.find((each) => each.name === name)?.value ?? null;
  const limit = gauge("sightline_models_limit_bytes");
  return (
    <>
      <Title text="Serving" />
      <dl class="tiles">
        {[
          ["answers", count(stats.data.model_stats.reduce((total, each) => total + each.inference_count, 0)), "since the start"],
          ["waiting", count(gauge("sightline_queue") ?? 0), "for a batch"],
          ["models' memory", bytes(gauge("sightline_models_bytes")), limit ? `limit ${bytes(limit)}` : "no limit"],
          ["process", bytes(gauge("sightline_resident_bytes")), "resident"],
        ].map(([name, value, note]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <b>{value}</b>
              <span class="under">{note}</span>
            </dd>
          </div>
        ))}
      </dl>
      <div class="columns">
        <Panel title="Requests a second">
          {steps.length < 2 ? (
            <Waiting>watching</Waiting>
          ) : (
            <Plot title="all models" xName="seconds" x={steps.map((each) => each.at)} digits={1} series={[{ name: "requests", values: steps.map((each) => each.rate) }, { name: "errors", values: steps.map((each) => each.errors), colour: "--bad" }]} />
          )}
        </Panel>
        <Panel title="Latency">{steps.length < 2 ? <Waiting>watching</Waiting> : <Plot title="mean of what was answered" xName="seconds" x={steps.map((each) => each.at)} digits={2} series={[{ name: "ms", values: steps.map((each) => each.ms) }]} />}</Panel>
      </div>
      <Panel title="Models">
        {stats.data.model_stats.length === 0 ? (
          <Empty>No model has been asked yet.</Empty>
        ) : (
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">model</th>
                  <th scope="col" class="num">version</th>
                  <th scope="col" class="num">answers</th>
                  <th scope="col" class="num">batches</th>
                  <th scope="col" class="num">failed</th>
                  <th scope="col" class="num">mean</th>
                  <th scope="col" class="num">queue</th>
                  <th scope="col" class="num">memory</th>
                </tr>
              </thead>
              <tbody>
                {stats.data.model_stats.map((each) => {
                  const mean = (key: string) => {
                    const one = each.inference_stats?.[key];
                    return one && one.count > 0 ? milliseconds(one.ns / one.count / 1e6) : "–";
                  };
                  return (
                    <tr key={each.name + each.version}>
                      <th scope="row">{each.name}</th>
                      <td class="num">{each.version}</td>
                      <td class="num">{count(each.inference_count)}</td>
                      <td class="num">{count(each.execution_count)}</td>
                      <td class="num">{count(each.inference_stats?.fail?.count ?? 0)}</td>
                      <td class="num">{mean("success")}</td>
                      <td class="num">{mean("queue")}</td>
                      <td class="num">{memory.has(`${each.name}:${each.version}`) ? bytes(memory.get(`${each.name}:${each.version}`)!) : "–"}</td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        )}
      </Panel>
    </>
  );
}
