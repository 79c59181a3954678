// Every model of the workspace: target against measured value, state, releases; and what ran last. Thousands of rows: only those in sight
// are in the document.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { part, useLoad, type ModelRow, type Overview as Answer, type Run } from "./api";
import { Ago, Bar, Empty, Problem, Spark, State, Title, Waiting, bytes, count, figure, milliseconds } from "./parts";

const rowHeight = 44;
const spare = 8; // rows beyond either edge

type Key = "name" | "state" | "value" | "p95_ms" | "size_bytes" | "when";
const columns: { key: Key | null; title: string; class: string }[] = [
  { key: "name", title: "Model", class: "c-name" },
  { key: "state", title: "State", class: "c-state" },
  { key: "value", title: "Measured", class: "c-value" },
  { key: null, title: "Against target", class: "c-bar" },
  { key: null, title: "Releases", class: "c-spark" },
  { key: "p95_ms", title: "p95", class: "c-p95" },
  { key: "size_bytes", title: "Size", class: "c-size" },
  { key: "when", title: "Last", class: "c-when" },
];
const states = ["running", "released", "refused", "failed", "interrupted", "new"];

function compare(a: ModelRow, b: ModelRow, key: Key): number {
  const x = a[key];
  const y = b[key];
  if (x === null || y === null) return (x === null ? 1 : 0) - (y === null ? 1 : 0);
  if (typeof x === "number" && typeof y === "number") return x - y;
  return String(x).localeCompare(String(y), "en", { numeric: true });
}

// The scale of the bars, one for each metric, so that rows can be compared by eye.
function scales(models: ModelRow[]): Map<string, [number, number]> {
  const found = new Map<string, [number, number]>();
  for (const model of models) {
    const [least, most] = found.get(model.metric) ?? [Infinity, -Infinity];
    const all = [model.value, model.low, model.high, model.target].filter((x): x is number => x !== null);
    found.set(model.metric, [Math.min(least, ...all), Math.max(most, ...all)]);
  }
  for (const [metric, [least, most]] of found) found.set(metric, most <= 1 ? [Math.floor(least * 10) / 10, 1] : [Math.floor(least), Math.ceil(most)]);
  return found;
}

function Row(props: { model: ModelRow; scale: [number, number]; index: number; active: boolean; onMove: (to: number) => void }) {
  const { model, scale, index } = props;
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    if (props.active) link.current?.focus({ preventScroll: true });
  }, [props.active]);
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12 }[event.key];
    if (!step) return;
    event.preventDefault();
    props.onMove(index + step);
  };
  return (
    <div role="row" aria-rowindex={index + 2} class="row" title={model.sentence} style={{ transform: `translateY(${index * rowHeight}px)` }}>
      <div role="rowheader" class="c-name">
        <a ref={link} href={`#/model/${part(model.name)}`} onKeyDown={onKeyDown}>
          {model.name}
        </a>
        <span class="under">
          <span class="narrow">
            <State state={model.state} /> ·{" "}
          </span>
          {model.task || "–"}
          {model.group ? ` · ${model.group}` : ""}
        </span>
      </div>
      <div role="cell" class="c-state">
        <State state={model.state} />
        {model.version > 0 && <span class="soft version">v{model.version}</span>}
      </div>
      <div role="cell" class="c-value">
        <span>{figure(model.value)}</span>
        <span class="under">{model.metric}</span>
      </div>
      <div role="cell" class="c-bar">
        {model.value !== null ? (
          <>
            <Bar value={model.value} low={model.low} high={model.high} target={model.target} least={scale[0]} most={scale[1]} />
            <span class="under">
              {model.target === null ? "no target" : `target ${model.target}${model.value >= model.target ? " met" : " missed"}`}
            </span>
          </>
        ) : (
          <span class="soft words">{model.sentence}</span>
        )}
      </div>
      <div role="cell" class="c-spark">
        <Spark values={model.values} target={model.target} />
      </div>
      <div role="cell" class="c-p95">
        {milliseconds(model.p95_ms)}
      </div>
      <div role="cell" class="c-size">
        {bytes(model.size_bytes)}
      </div>
      <div role="cell" class="c-when">
        <Ago when={model.when} />
      </div>
    </div>
  );
}

function Rows({ models }: { models: ModelRow[] }) {
  const body = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<[number, number]>([0, 30]);
  const [active, setActive] = useState(-1);
  const scale = useMemo(() => scales(models), [models]);
  useLayoutEffect(() => {
    const look = () => {
      if (!body.current) return;
      const top = -body.current.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(top / rowHeight) - spare);
      const last = Math.ceil((top + innerHeight) / rowHeight) + spare;
      setRange((old) => (old[0] === first && old[1] === last ? old : [first, last]));
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [models]);
  const onMove = (to: number) => {
    const wanted = Math.min(models.length - 1, Math.max(0, to));
    const box = body.current?.getBoundingClientRect();
    if (box) {
      const y = box.top + wanted * rowHeight;
      if (y < 120) scrollBy(0, y - 120);
      else if (y > innerHeight - 2 * rowHeight) scrollBy(0, y - innerHeight + 2 * rowHeight);
    }
    setActive(wanted);
  };
  const shown = models.slice(range[0], range[1]);
  return (
    <div role="rowgroup" class="rows" ref={body} style={{ height: `${models.length * rowHeight}px` }}>
      {shown.map((model, i) => (
        <Row key={model.name} model={model} scale={scale.get(model.metric)!} index={range[0] + i} active={active === range[0] + i} onMove={onMove} />
      ))}
    </div>
  );
}

function Runs({ runs }: { runs: Run[] }) {
  return (
    <ol class="runs">
      {runs.map((run) => (
        <li key={run.id}>
          <div>
            <a href={`#/model/${part(run.demand)}`}>{run.demand}</a>
            <State state={run.outcome} word={run.outcome === "released" ? "released" : undefined} />
            <span class="soft when">
              <Ago when={run.finished || run.started} />
            </span>
          </div>
          {run.sentence && <p>{run.sentence.replace(/^(released|refused): /, "")}</p>}
        </li>
      ))}
    </ol>
  );
}

export function Overview() {
  const { data, error } = useLoad<Answer>("/v1/workspace", 5000);
  const [search, setSearch] = useState("");
  const [state, setState] = useState("");
  const [group, setGroup] = useState("");
  const [sort, setSort] = useState<{ key: Key; down: boolean }>({ key: "name", down: false });
  const models = data?.models;
  const groups = useMemo(() => [...new Set((models ?? []).map((m) => (m.fleet ? `${m.fleet} / ${m.group}` : "")))].filter(Boolean).sort(), [models]);
  const counts = useMemo(() => {
    const found = new Map<string, number>();
    for (const model of models ?? []) found.set(model.state, (found.get(model.state) ?? 0) + 1);
    return found;
  }, [models]);
  const shown = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = (models ?? []).filter(
      (m) =>
        (!state || m.state === state) &&
        (!group || `${m.fleet} / ${m.group}` === group) &&
        words.every((word) => `${m.name} ${m.task} ${m.group} ${m.fleet}`.toLowerCase().includes(word)),
    );
    return kept.sort((a, b) => (sort.down ? -1 : 1) * compare(a, b, sort.key) || a.name.localeCompare(b.name));
  }, [models, search, state, group, sort]);

  if (!data) return error ? <Problem error={error} /> : <Waiting />;
  return (
    <>
      <Title text="Overview" />
      {error && <Problem error={error} what="these are the last figures that came" />}
      {data.models.length === 0 ? (
        <Empty>
          Nothing was built in this workspace yet. Start with a demand on the <a href="#/build">build page</a>.
        </Empty>
      ) : (
        <div class="overview">
          <div class="models">
            <div class="filters" role="search">
              <input type="search" aria-label="Search models" placeholder="Search models" value={search} onInput={(e) => setSearch(e.currentTarget.value)} />
              {groups.length > 0 && (
                <select aria-label="Group" value={group} onChange={(e) => setGroup(e.currentTarget.value)}>
                  <option value="">all groups</option>
                  {groups.map((each) => (
                    <option key={each} value={each}>
                      {each}
                    </option>
                  ))}
                </select>
              )}
              <div class="chips" role="group" aria-label="State">
                <button type="button" aria-pressed={state === ""} onClick={() => setState("")}>
                  all <b>{count(data.models.length)}</b>
                </button>
                {states
                  .filter((each) => counts.has(each))
                  .map((each) => (
                    <button type="button" key={each} aria-pressed={state === each} onClick={() => setState(state === each ? "" : each)}>
                      <State state={each} /> <b>{count(counts.get(each)!)}</b>
                    </button>
                  ))}
              </div>
              <span class="soft shown" role="status">
                {shown.length === data.models.length ? "" : `${count(shown.length)} of ${count(data.models.length)}`}
              </span>
            </div>
            <div class="table" role="table" aria-label="Models" aria-rowcount={shown.length + 1}>
              <div role="rowgroup" class="head">
                <div role="row" aria-rowindex={1}>
                  {columns.map(({ key, title, class: name }) => (
                    <div
                      key={title}
                      role="columnheader"
                      class={name}
                      aria-sort={key === sort.key ? (sort.down ? "descending" : "ascending") : undefined}
                    >
                      {key ? (
                        <button type="button" onClick={() => setSort({ key, down: key === sort.key ? !sort.down : key === "when" })}>
                          {title}
                          <span aria-hidden="true">{key === sort.key ? (sort.down ? " ↓" : " ↑") : ""}</span>
                        </button>
                      ) : (
                        title
                      )}
                    </div>
                  ))}
                </div>
              </div>
              <Rows models={shown} />
            </div>
            {shown.length === 0 && <Empty>No model is like that.</Empty>}
          </div>
          <aside aria-label="Last runs">
            <h2>Last runs</h2>
            <Runs runs={data.runs.slice(0, 14)} />
          </aside>
        </div>
      )}
    </>
  );
}
