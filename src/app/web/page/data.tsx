// The pictures of a model: by class and split, suspected label errors, problems side by side, what was rejected, what was corrected.
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Place } from "./app";
import { ApiError, part, post, useLoad, type Overview } from "./api";
import { Picture } from "./confusion";
import { Ago, Empty, Panel, Problem, Title, Waiting, count } from "./parts";

interface About {
  name: string;
  manifest: string;
  format: string;
  licence: string;
  origin: string;
  classes: string[];
  labelled: boolean;
  pictures: number[];
  counts: number[][];
  findings: { kind: string; title: string; meaning: string; count: number }[];
  suspects: number;
  likely: number;
  rejected: number;
  rejections: { path: string; reason: string }[];
  corrections: number;
}
interface Sample {
  number: number;
  path: string;
  label: string;
  split: string;
  width: number;
  height: number;
  corrected: string | null;
}
interface Suspect extends Sample {
  given: string;
  suggested: string;
  score: number;
  likely: boolean;
}
interface Revision {
  revision: number;
  path: string;
  from: string;
  to: string;
  when: string;
  who: string;
  undoes: number;
}
const splits = ["train", "validation", "test"];

interface Corrector {
  fix: (number: number, label: string) => Promise<void>;
  undo: (revision?: number) => Promise<Revision | null>;
  error: ApiError | null;
  told: string;
}
// Corrects and takes back; `changed` is called after either.
function useCorrector(about: About, changed: () => void): Corrector {
  const [error, setError] = useState<ApiError | null>(null);
  const [told, setTold] = useState("");
  const base = `/v1/workspace/data/${part(about.name)}/corrections`;
  const run = async (path: string, body: unknown, say: (revision: Revision) => string) => {
    try {
      const revision = await post<Revision>(path, body);
      setError(null);
      setTold(say(revision));
      changed();
      return revision;
    } catch (problem) {
      setError(problem as ApiError);
      return null;
    }
  };
  return {
    fix: async (number, label) => {
      await run(base, { manifest: about.manifest, number, label }, (r) => `${r.path}: ${r.from} → ${r.to} (revision ${r.revision})`);
    },
    undo: (revision) => run(`${base}:undo`, revision ? { revision } : {}, (r) => `${r.path} is ${r.from} again (revision ${r.revision} undoes ${r.undoes})`),
    error,
    told,
  };
}

function Caption({ sample }: { sample: Sample }) {
  return (
    <>
      {sample.corrected && sample.corrected !== sample.label ? (
        <>
          <s>{sample.label}</s> <b>{sample.corrected}</b>
        </>
      ) : (
        sample.label
      )}
      <span class="soft"> {sample.split}</span>
    </>
  );
}

function Pictures({ about, corrector, turn }: { about: About; corrector: Corrector; turn: number }) {
  const [label, setLabel] = useState("");
  const [split, setSplit] = useState("");
  const [search, setSearch] = useState("");
  const [corrected, setCorrected] = useState(false);
  const [from, setFrom] = useState(0);
  const [chosen, setChosen] = useState<Sample | null>(null);
  const query = new URLSearchParams({ label, split, search, corrected: corrected ? "1" : "", from: String(from) });
  for (const [key, value] of [...query]) if (!value) query.delete(key);
  const { data, error } = useLoad<{ total: number; samples: Sample[] }>(`/v1/workspace/data/${part(about.name)}/samples?${query}`, 0, turn);
  const last = useRef(data);
  if (data) last.current = data;
  const shown = data ?? last.current;
  const now = shown?.samples.find((each) => each.number === chosen?.number) ?? chosen;
  return (
    <>
      <div class="filters">
        <input type="search" aria-label="Search paths" placeholder="Search paths" value={search} onInput={(e) => (setSearch(e.currentTarget.value), setFrom(0))} />
        <select aria-label="Split" value={split} onChange={(e) => (setSplit(e.currentTarget.value), setFrom(0))}>
          <option value="">all splits</option>
          {splits.map((each, i) => (
            <option key={each} value={each}>
              {each} ({count(about.pictures[i])})
            </option>
          ))}
        </select>
        {about.labelled && (
          <select aria-label="Class" value={label} onChange={(e) => (setLabel(e.currentTarget.value), setFrom(0))}>
            <option value="">all classes</option>
            {about.classes.map((each, i) => (
              <option key={each} value={String(i)}>
                {each} ({count(about.counts.reduce((sum, row) => sum + row[i], 0))})
              </option>
            ))}
          </select>
        )}
        {about.corrections > 0 && (
          <button type="button" aria-pressed={corrected} onClick={() => (setCorrected(!corrected), setFrom(0))}>
            corrected
          </button>
        )}
        <span class="soft shown" role="status">
          {shown ? `${count(shown.total)} pictures` : ""}
        </span>
      </div>
      {error && <Problem error={error} />}
      {!shown && !error && <Waiting />}
      <div class={now ? "with-detail" : ""}>
        {shown && (
          <ul class="thumbs">
            {shown.samples.map((sample) => (
              <li key={sample.number}>
                <button type="button" class={`pick ${now?.number === sample.number ? "picked" : ""}`} title={sample.path} aria-label={`${sample.path}, ${sample.label}`} onClick={() => setChosen(sample)}>
                  <Picture manifest={about.manifest} number={sample.number} alt="" />
                </button>
                <span>{about.labelled ? <Caption sample={sample} /> : sample.split}</span>
              </li>
            ))}
          </ul>
        )}
        {now && (
          <aside class="detail panel" aria-label="The chosen picture">
            <Picture manifest={about.manifest} number={now.number} alt={now.path} side={640} />
            <p class="path">{now.path}</p>
            <p class="soft">
              {now.width} × {now.height}, {now.split}
            </p>
            {about.labelled && (
              <label>
                Class{" "}
                <select value={now.corrected ?? now.label} onChange={(e) => corrector.fix(now.number, e.currentTarget.value)}>
                  {about.classes.map((each) => (
                    <option key={each} value={each}>
                      {each}
                    </option>
                  ))}
                </select>
              </label>
            )}
            {now.corrected && <p class="soft">was {now.label}; the next build takes {now.corrected}</p>}
            <button type="button" onClick={() => setChosen(null)}>
              Close
            </button>
          </aside>
        )}
      </div>
      {shown && shown.total > 120 && (
        <div class="pager">
          <button type="button" disabled={from === 0} onClick={() => (setFrom(Math.max(0, from - 120)), scrollTo(0, 0))}>
            ← before
          </button>
          <span class="soft">
            {count(from + 1)} – {count(Math.min(shown.total, from + 120))}
          </span>
          <button type="button" disabled={from + 120 >= shown.total} onClick={() => (setFrom(from + 120), scrollTo(0, 0))}>
            next →
          </button>
        </div>
      )}
    </>
  );
}

function Suspects({ about, corrector, turn }: { about: About; corrector: Corrector; turn: number }) {
  const { data, error } = useLoad<{ total: number; suspects: Suspect[] }>(`/v1/workspace/data/${part(about.name)}/suspects`, 0, turn);
  const last = useRef(data);
  if (data) last.current = data;
  const suspects = (data ?? last.current)?.suspects;
  const [at, setAt] = useState(0);
  const list = useRef<HTMLOListElement>(null);
  const now = suspects?.[at];
  const step = useCallback((by: number) => setAt((old) => Math.min((suspects?.length ?? 1) - 1, Math.max(0, old + by))), [suspects?.length]);
  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) || !now) return;
      const key = event.key.toLowerCase();
      const digit = /^[1-9]$/.test(key) ? about.classes[Number(key) - 1] : undefined;
      if (key === "y") corrector.fix(now.number, now.suggested).then(() => step(1));
      else if (digit) corrector.fix(now.number, digit).then(() => step(1));
      else if (key === "n" || key === "arrowright") step(1);
      else if (key === "arrowleft") step(-1);
      else if (key === "z") {
        corrector.undo().then((undone) => {
          const place = undone ? suspects!.findIndex((each) => each.path === undone.path) : -1;
          if (place >= 0) setAt(place);
        });
      } else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [now, corrector, suspects]);
  if (error) return <Problem error={error} />;
  if (!suspects) return <Waiting />;
  if (!now) return <Empty>No label is suspected to be wrong.</Empty>;
  return (
    <div class="suspects">
      <section class="panel" aria-label="The suspected picture" aria-live="polite">
        <Picture manifest={about.manifest} number={now.number} alt={now.path} side={640} />
        <p class="path">{now.path}</p>
        <p class="question">
          Labelled <b>{now.given}</b>. {now.corrected ? <>Corrected to <b>{now.corrected}</b>.</> : <>Is it <b>{now.suggested}</b>?</>}
        </p>
        <p class="soft">
          {at + 1} of {count(last.current?.total ?? suspects.length)}
          {now.likely ? ", likely wrong" : ", ranked only"}; suspicion {now.score.toFixed(3)}
        </p>
        <div class="actions">
          <button type="button" class="primary" onClick={() => corrector.fix(now.number, now.suggested).then(() => step(1))}>
            It is {now.suggested} <kbd>Y</kbd>
          </button>
          <button type="button" onClick={() => step(1)}>
            Keep {now.given} <kbd>N</kbd>
          </button>
          <button type="button" onClick={() => corrector.undo()}>
            Undo <kbd>Z</kbd>
          </button>
        </div>
        <label>
          Another class{" "}
          <select value="" onChange={(e) => e.currentTarget.value && corrector.fix(now.number, e.currentTarget.value).then(() => step(1))}>
            <option value="">…</option>
            {about.classes.map((each, i) => (
              <option key={each} value={each}>
                {i < 9 ? `${i + 1}  ` : ""}
                {each}
              </option>
            ))}
          </select>
        </label>
      </section>
      <ol class="thumbs named" ref={list} aria-label="Suspected pictures, most suspect first">
        {suspects.map((each, i) => (
          <li key={each.number}>
            <button type="button" class={`pick ${i === at ? "picked" : ""} ${each.corrected ? "done" : ""}`} aria-current={i === at} aria-label={`${each.path}: ${each.given}, suggested ${each.suggested}`} onClick={() => setAt(i)}>
              <Picture manifest={about.manifest} number={each.number} alt="" />
            </button>
            <span>
              {each.corrected ? (
                <>
                  <s>{each.given}</s> <b>{each.corrected}</b>
                </>
              ) : (
                <>
                  {each.given} → {each.suggested}
                </>
              )}
            </span>
          </li>
        ))}
      </ol>
    </div>
  );
}

function Problems({ about }: { about: About }) {
  const kinds = about.findings;
  const [kind, setKind] = useState(kinds[0]?.kind ?? "");
  const { data, error } = useLoad<{ total: number; findings: { sentence: string; count: number; samples: Sample[] }[] }>(
    kind ? `/v1/workspace/data/${part(about.name)}/findings?kind=${kind}` : "",
  );
  if (!kinds.length) return <Empty>The audit found no duplicates, leaks, blank, tiny or blurred pictures.</Empty>;
  const chosen = kinds.find((each) => each.kind === kind);
  return (
    <>
      <div class="chips" role="group" aria-label="Kind of problem">
        {kinds.map((each) => (
          <button type="button" key={each.kind} aria-pressed={each.kind === kind} onClick={() => setKind(each.kind)}>
            {each.title} <b>{count(each.count)}</b>
          </button>
        ))}
      </div>
      {chosen && <p class="note">{chosen.meaning}</p>}
      {error && <Problem error={error} />}
      {!data && !error && <Waiting />}
      <ul class="findings">
        {data?.findings.map((finding, i) => (
          <li key={i} class="panel">
            <p>{finding.sentence}</p>
            <ul class="side-by-side">
              {finding.samples.map((sample) => (
                <li key={sample.number} title={sample.path}>
                  <Picture manifest={about.manifest} number={sample.number} alt={sample.path} />
                  <span class="under">{about.labelled ? <Caption sample={sample} /> : sample.split}</span>
                  <span class="under path">{sample.path}</span>
                </li>
              ))}
            </ul>
            {finding.count > finding.samples.length && <p class="soft">and {count(finding.count - finding.samples.length)} more</p>}
          </li>
        ))}
      </ul>
      {data && data.total > data.findings.length && <p class="soft">The first {data.findings.length} of {count(data.total)}.</p>}
    </>
  );
}

function Corrections({ about, corrector, turn }: { about: About; corrector: Corrector; turn: number }) {
  const { data, error } = useLoad<{ revisions: Revision[]; in_force: Revision[]; left_out: string[] }>(`/v1/workspace/data/${part(about.name)}/corrections`, 0, turn);
  if (error) return <Problem error={error} />;
  if (!data) return <Waiting />;
  const counts = new Set(data.in_force.map((each) => each.revision));
  return (
    <>
      <p class="note">
        The data themselves stay as they are. The <a href="#/build">next build</a> takes what is in force, and <code>sightline explain</code> lists it.
      </p>
      {data.left_out.length > 0 && (
        <Panel title="Left out by the last build">
          <ul>
            {data.left_out.map((each) => (
              <li key={each}>{each}</li>
            ))}
          </ul>
        </Panel>
      )}
      {data.revisions.length === 0 ? (
        <Empty>Nothing was corrected yet.</Empty>
      ) : (
        <div class="panel scroll">
          <table>
            <thead>
              <tr>
                <th scope="col" class="num">revision</th>
                <th scope="col">picture</th>
                <th scope="col">change</th>
                <th scope="col">when</th>
                <th scope="col">
                  <span class="hidden">undo</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {[...data.revisions].reverse().map((each) => (
                <tr key={each.revision}>
                  <td class="num">{each.revision}</td>
                  <td class="path">{each.path}</td>
                  <td>{each.undoes ? `takes revision ${each.undoes} back` : `${each.from} → ${each.to}`}</td>
                  <td>
                    <Ago when={each.when} />
                    {each.who && ` by ${each.who}`}
                  </td>
                  <td>
                    {counts.has(each.revision) && (
                      <button type="button" class="link" aria-label={`Undo revision ${each.revision}`} onClick={() => corrector.undo(each.revision)}>
                        undo
                      </button>
                    )}
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

function Rejections({ about }: { about: About }) {
  return (
    <div class="panel scroll">
      <table>
        <tbody>
          {about.rejections.map((each) => (
            <tr key={each.path}>
              <td class="path">{each.path}</td>
              <td>{each.reason}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {about.rejected > about.rejections.length && <p class="soft">The first {about.rejections.length} of {count(about.rejected)}.</p>}
    </div>
  );
}

function Pages({ about, tab, reload }: { about: About; tab: string; reload: () => void }) {
  const [turn, setTurn] = useState(0);
  const corrector = useCorrector(about, () => (setTurn((old) => old + 1), reload()));
  const tabs = [
    { name: "", title: "Pictures", note: count(about.pictures.reduce((a, b) => a + b, 0)) },
    ...(about.suspects ? [{ name: "suspects", title: "Label errors", note: `${count(about.likely)} likely` }] : []),
    { name: "problems", title: "Problems", note: count(about.findings.reduce((sum, each) => sum + each.count, 0)) },
    ...(about.rejected ? [{ name: "rejected", title: "Rejected", note: count(about.rejected) }] : []),
    ...(about.labelled ? [{ name: "corrections", title: "Corrections", note: count(about.corrections) }] : []),
  ];
  return (
    <>
      <nav class="tabs" aria-label="Parts of the data">
        {tabs.map((each) => (
          <a key={each.name} href={`#/data/${part(about.name)}${each.name && "/" + each.name}`} aria-current={each.name === tab ? "page" : undefined}>
            {each.title} <span class="soft">{each.note}</span>
          </a>
        ))}
      </nav>
      {corrector.error && <Problem error={corrector.error} />}
      <p role="status" class={corrector.told ? "told" : "hidden"}>
        {corrector.told}
      </p>
      {tab === "" && <Pictures about={about} corrector={corrector} turn={turn} />}
      {tab === "suspects" && <Suspects about={about} corrector={corrector} turn={turn} />}
      {tab === "problems" && <Problems about={about} />}
      {tab === "rejected" && <Rejections about={about} />}
      {tab === "corrections" && <Corrections about={about} corrector={corrector} turn={turn} />}
    </>
  );
}

export function Data({ at }: { at: Place }) {
  const overview = useLoad<Overview>("/v1/workspace");
  const names = useMemo(() => (overview.data?.models ?? []).map((each) => each.name), [overview.data]);
  const name = at.parts[1] ?? names[0] ?? "";
  const about = useLoad<About>(name ? `/v1/workspace/data/${part(name)}` : "");
  return (
    <>
      <div class="model-head">
        <Title text="Data">{name ? `Data of ${name}` : "Data"}</Title>
        {about.data && (
          <p class="soft">
            {count(about.data.classes.length)} classes · {about.data.licence} · {about.data.origin}
          </p>
        )}
        <div class="choice">
          {names.length > 0 && (
            <select aria-label="Model" value={name} onChange={(e) => (location.hash = `#/data/${part(e.currentTarget.value)}`)}>
              {names.map((each) => (
                <option key={each} value={each}>
                  {each}
                </option>
              ))}
            </select>
          )}
          {name && (
            <a class="button" href={`#/model/${part(name)}`}>
              Model
            </a>
          )}
        </div>
      </div>
      {about.error && <Problem error={about.error} />}
      {!name && overview.data && <Empty>There are no models in this workspace yet.</Empty>}
      {name && !about.data && !about.error && <Waiting />}
      {about.data && <Pages key={about.data.name} about={about.data} tab={at.parts[2] ?? ""} reload={about.reload} />}
    </>
  );
}
