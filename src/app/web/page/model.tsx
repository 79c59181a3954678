// One model: the figures of a release, what it confuses, how it learned, where it comes from; another release beside it; which one is in
// force.
import { useState } from "preact/hooks";
import type { Place } from "./app";
import { ApiError, part, post, useLoad, type ModelRow, type Run } from "./api";
import { Compare } from "./compare";
import { Confusion } from "./confusion";
import { Lineage } from "./lineage";
import { Ago, Confirm, Empty, Panel, Problem, Spark, State, Title, Waiting, bytes, count, figure, seconds } from "./parts";
import { Cases, CurvePlot, Learning, Reliability, Search, Slices, Tiles, Verdict, type Release } from "./release_panels";

interface ReleaseRow {
  version: number;
  created: string;
  in_force: boolean;
  figures: Record<string, number>;
  package: string;
  report: boolean;
  sentence: string;
}
interface About {
  row: ModelRow;
  releases: ReleaseRow[];
  runs: Run[];
}function ReleaseView({ release }: { release: Release }) {
  const { evaluation } = release;
  const squared = evaluation.confusion.length > 0 && evaluation.confusion.length <= 60;
  const curves = evaluation.curves.slice(0, 8);
  return (
    <>
      <Tiles release={release} />
      {squared && <Confusion model={release.name} version={release.version} classes={evaluation.classes} counts={evaluation.confusion} />}
      <div class="columns">
        <Verdict release={release} />
        <Slices evaluation={evaluation} />
        <Reliability evaluation={evaluation} />
        <Learning history={release.history} />
        {!squared && evaluation.confusions.length > 0 && (
          <Panel title="What is taken for what">
            <table>
              <tbody>
                {evaluation.confusions.slice(0, 14).map((each) => (
                  <tr key={each.given + each.answered}>
                    <td>{each.given || "(nothing)"}</td>
                    <td>→ {each.answered || "(nothing)"}</td>
                    <td class="num">{count(each.count)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Panel>
        )}
        {curves.length > 0 && (
          <Panel title="Curves">
            <div class="plots">
              {curves.map((curve) => (
                <CurvePlot key={curve.title} curve={curve} />
              ))}
            </div>
          </Panel>
        )}
      </div>
      <Cases release={release} />
      {release.search && <Search search={release.search} />}
      {release.compression && release.compression.candidates.length > 0 && (
        <Panel title="Precision" note={release.compression.sentence}>
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">precision</th>
                  <th scope="col" class="num">metric</th>
                  <th scope="col" class="num">lost, points</th>
                  <th scope="col" class="num">ms</th>
                  <th scope="col" class="num">size</th>
                  <th scope="col">why</th>
                </tr>
              </thead>
              <tbody>
                {release.compression.candidates.map((each) => (
                  <tr key={each.precision} class={each.kept ? "chosen" : ""}>
                    <th scope="row">{each.precision}</th>
                    <td class="num">{figure(each.metric)}</td>
                    <td class="num">{each.loss.toFixed(2)}</td>
                    <td class="num">{each.latency_ms.toFixed(2)}</td>
                    <td class="num">{bytes(each.size_bytes)}</td>
                    <td>{each.sentence}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </Panel>
      )}
      {release.steps.length > 0 && (
        <Panel title="Lineage" note="Every step that this release came from; point at one for why it ran.">
          <Lineage steps={release.steps} name={release.name} version={release.version} />
          <details>
            <summary>Why each step ran, and what it left</summary>
            <div class="scroll">
              <table class="steps">
                <tbody>
                  {release.steps.map((each) => (
                    <tr key={each.step}>
                      <th scope="row">{each.step}</th>
                      <td class="num">{seconds(each.seconds)}</td>
                      <td>{each.sentence}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </details>
          <details>
            <summary>Data, weights, recipe and seed</summary>
            <pre>{JSON.stringify(release.lineage, null, 2)}</pre>
          </details>
        </Panel>
      )}
      {release.card && (
        <Panel title="Card">
          <details>
            <summary>The model card that lies in the package</summary>
            <pre class="card">{release.card}</pre>
          </details>
        </Panel>
      )}
    </>
  );
}

export function Model({ name, at }: { name: string; at: Place }) {
  const about = useLoad<About>(`/v1/workspace/models/${part(name)}`, 10000);
  const asked = Number(at.query.get("version")) || 0;
  const version = asked || about.data?.row.version || about.data?.releases[0]?.version || 0;
  const against = Number(at.query.get("compare")) || 0;
  const release = useLoad<Release>(version ? `/v1/workspace/models/${part(name)}/releases/${version}` : "");
  const [confirming, setConfirming] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [told, setTold] = useState("");

  const go = (query: Record<string, number>) => {
    const kept = Object.entries(query).filter(([, value]) => value);
    location.hash = `#/model/${part(name)}${kept.length ? "?" + kept.map(([key, value]) => `${key}=${value}`).join("&") : ""}`;
  };
  const putInForce = () => {
    setConfirming(false);
    post<{ version: number; before: number }>(`/v1/workspace/models/${part(name)}/releases/${version}:put_in_force`).then(
      (done) => {
        setProblem(null);
        setTold(`Version ${done.version} is in force now${done.before ? `; it was version ${done.before}` : ""}.`);
        about.reload();
      },
      (error: ApiError) => setProblem(error),
    );
  };

  if (!about.data) return about.error ? <><Title text={name} /><Problem error={about.error} /></> : <Waiting />;
  const { row, releases } = about.data;
  const chosen = releases.find((each) => each.version === version);
  return (
    <>
      <div class="model-head">
        <div>
          <Title text={name} />
          <p class="soft">
            {row.task || "no release yet"}
            {row.group && ` · ${row.group}`} · <State state={row.state} /> · <Ago when={row.when} />
          </p>
        </div>
        <Spark values={row.values} target={row.target} />
        {releases.length > 0 && (
          <div class="choice">
            <label>
              Release{" "}
              <select value={version} onChange={(e) => go({ version: Number(e.currentTarget.value), compare: against })}>
                {releases.map((each) => (
                  <option key={each.version} value={each.version}>
                    v{each.version}
                    {each.in_force ? " (in force)" : ""}
                  </option>
                ))}
              </select>
            </label>
            {releases.length > 1 && (
              <label>
                against{" "}
                <select value={against} onChange={(e) => go({ version, compare: Number(e.currentTarget.value) })}>
                  <option value={0}>none</option>
                  {releases
                    .filter((each) => each.version !== version)
                    .map((each) => (
                      <option key={each.version} value={each.version}>
                        v{each.version}
                      </option>
                    ))}
                </select>
              </label>
            )}
            <button type="button" disabled={!chosen || chosen.in_force} onClick={() => setConfirming(true)}>
              {chosen && row.version > 0 && chosen.version < row.version ? "Roll back to" : "Put in force"} v{version}
            </button>
            <a class="button" href={`#/data/${part(name)}`}>
              Data
            </a>
            <a class="button" href={`#/try/${part(name)}`}>
              Try
            </a>
          </div>
        )}
      </div>
      {row.state !== "released" && row.sentence && <p class={`banner ${row.state}`}>{row.sentence}</p>}
      {problem && <Problem error={problem} />}
      <p role="status" class={told ? "told" : "hidden"}>
        {told}
      </p>
      {confirming && (
        <Confirm title={`Put version ${version} of ${name} in force?`} yes={`Put v${version} in force`} onYes={putInForce} onNo={() => setConfirming(false)}>
          <p>
            {row.version > 0 ? `Version ${row.version} answers now. ` : ""}Who asks for {name} without a version gets version {version} from then on. Nothing is deleted.
          </p>
        </Confirm>
      )}
      {releases.length === 0 && <Empty>Nothing was released yet. {row.sentence}</Empty>}
      {against > 0 && version > 0 && against !== version && <Compare model={name} a={against} b={version} />}
      {release.error && <Problem error={release.error} />}
      {version > 0 && !release.data && !release.error && <Waiting />}
      {release.data && <ReleaseView key={release.data.version} release={release.data} />}
    </>
  );
}
