// The confusion matrix of a classifier; a cell shows its pictures. Arrow keys walk through the cells.
import { useRef, useState } from "preact/hooks";
import { part, useLoad } from "./api";
import { Panel, Problem, Waiting, count, percent } from "./parts";

interface Cell {
  manifest: string;
  total: number;
  pictures: { number: number; path: string; given: number; predicted: number; probability: number }[];
}

export function Picture({ manifest, number, alt, side = 160 }: { manifest: string; number: number | null; alt: string; side?: number }) {
  if (number === null) return <span class="picture missing">not in the manifest</span>;
  return <img class="picture" loading="lazy" decoding="async" alt={alt} src={`/v1/workspace/manifests/${manifest}/pictures/${number}?side=${side}`} />;
}

function CellPictures({ base, classes, cell, onClose }: { base: string; classes: string[]; cell: [number, number]; onClose: () => void }) {
  const { data, error } = useLoad<Cell>(`${base}/cells?given=${cell[0]}&predicted=${cell[1]}`);
  const right = cell[0] === cell[1];
  return (
    <div class="cell-pictures" aria-live="polite">
      <header>
        <h3>
          {right ? (
            <>
              {classes[cell[0]]}, answered right
            </>
          ) : (
            <>
              {classes[cell[0]]} taken for {classes[cell[1]]}
            </>
          )}
          {data && <span class="soft"> · {count(data.total)}</span>}
        </h3>
        <button type="button" class="link" onClick={onClose}>
          close
        </button>
      </header>
      {error && <Problem error={error} />}
      {!data && !error && <Waiting>the model is looking at its test pictures</Waiting>}
      {data && data.pictures.length === 0 && <p class="soft">No picture.</p>}
      {data && (
        <ul class="thumbs">
          {data.pictures.map((picture) => (
            <li key={picture.number} title={picture.path}>
              <Picture manifest={data.manifest} number={picture.number} alt={picture.path} />
              <span>{percent(picture.probability, 0)}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

export function Confusion({ model, version, classes, counts }: { model: string; version: number; classes: string[]; counts: number[][] }) {
  const [chosen, setChosen] = useState<[number, number] | null>(null);
  const [at, setAt] = useState<[number, number]>([0, 0]);
  const grid = useRef<HTMLDivElement>(null);
  const size = classes.length;
  const totals = counts.map((row) => row.reduce((sum, n) => sum + n, 0));
  const wide = size > 24;
  const move = (event: KeyboardEvent) => {
    const step = ({ ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] } as Record<string, [number, number]>)[event.key];
    if (!step) return;
    event.preventDefault();
    const to: [number, number] = [Math.min(size - 1, Math.max(0, at[0] + step[0])), Math.min(size - 1, Math.max(0, at[1] + step[1]))];
    setAt(to);
    grid.current?.querySelector<HTMLButtonElement>(`[data-cell="${to[0]},${to[1]}"]`)?.focus();
  };
  return (
    <Panel
      title="Confusion"
      note="Each row is a given class, each column what the model answered. The deeper the colour, the larger the share of the row. Choose a cell to see its pictures."
    >
      <div class="confusion-split">
        <div class="scroll">
          <div
            class={`confusion ${wide ? "fine" : ""}`}
            role="grid"
            aria-label="Confusion matrix"
            ref={grid}
            onKeyDown={move}
            style={{ gridTemplateColumns: `minmax(60px, max-content) repeat(${size}, minmax(${wide ? 10 : 34}px, ${wide ? 16 : 52}px))` }}
          >
            <div role="row" class="contents">
              <span role="columnheader" class="corner">
                given ↓ answered →
              </span>
              {classes.map((name, j) => (
                <span role="columnheader" key={j} class="column" title={name}>
                  <span>{name}</span>
                </span>
              ))}
            </div>
            {counts.map((row, i) => (
              <div role="row" class="contents" key={i}>
                <span role="rowheader" class="label" title={classes[i]}>
                  {classes[i]}
                </span>
                {row.map((n, j) => {
                  const share = totals[i] ? n / totals[i] : 0;
                  const picked = chosen !== null && chosen[0] === i && chosen[1] === j;
                  return (
                    <span role="gridcell" key={j} aria-selected={picked}>
                      <button
                        type="button"
                        data-cell={`${i},${j}`}
                        tabIndex={at[0] === i && at[1] === j ? 0 : -1}
                        class={`${i === j ? "right" : "wrong"} ${share > 0.5 ? "deep" : ""} ${picked ? "picked" : ""}`}
                        style={{ "--share": String(n === 0 ? 0 : Math.round(100 * Math.max(0.06, Math.sqrt(share)))) + "%" } as never}
                        aria-label={`${classes[i]} answered as ${classes[j]}: ${n} of ${totals[i]}`}
                        title={`${classes[i]} → ${classes[j]}: ${n} (${percent(share)})`}
                        onClick={() => (setAt([i, j]), setChosen([i, j]))}
                      >
                        {wide ? "" : n || ""}
                      </button>
                    </span>
                  );
                })}
              </div>
            ))}
          </div>
        </div>
        {chosen ? (
          <CellPictures
            key={chosen.join()}
            base={`/v1/workspace/models/${part(model)}/releases/${version}`}
            classes={classes}
            cell={chosen}
            onClose={() => setChosen(null)}
          />
        ) : (
          <Frequent classes={classes} counts={counts} totals={totals} onChoose={setChosen} />
        )}
      </div>
    </Panel>
  );
}

function Frequent(props: { classes: string[]; counts: number[][]; totals: number[]; onChoose: (cell: [number, number]) => void }) {
  const all: { i: number; j: number; n: number }[] = [];
  props.counts.forEach((row, i) => row.forEach((n, j) => i !== j && n > 0 && all.push({ i, j, n })));
  all.sort((a, b) => b.n - a.n);
  return (
    <div class="frequent">
      <h3>Most frequent</h3>
      {all.length === 0 && <p class="soft">Every answer was right.</p>}
      <table>
        <tbody>
          {all.slice(0, 12).map(({ i, j, n }) => (
            <tr key={`${i},${j}`}>
              <td>
                <button type="button" class="link" onClick={() => props.onChoose([i, j])}>
                  {props.classes[i]} → {props.classes[j]}
                </button>
              </td>
              <td class="num">{count(n)}</td>
              <td class="num soft">{percent(n / (props.totals[i] || 1))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
