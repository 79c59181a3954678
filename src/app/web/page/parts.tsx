// What several pages draw: badges, bars with an interval, sparklines, messages; numbers, sizes and times in words.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "./api";

export const figure = (value: number | null | undefined, digits = 4): string =>
  value === null || value === undefined ? "–" : value.toFixed(digits);
export const count = (value: number): string => value.toLocaleString("en");
export const percent = (value: number, digits = 1): string => (100 * value).toFixed(digits) + " %";
export function bytes(value: number | null): string {
  if (value === null) return "–";
  if (value < 1e3) return `${value} B`;
  if (value < 1e6) return `${(value / 1e3).toFixed(0)} kB`;
  if (value < 1e9) return `${(value / 1e6).toFixed(1)} MB`;
  return `${(value / 1e9).toFixed(1)} GB`;
}
export function milliseconds(value: number | null): string {
  if (value === null) return "–";
  return `${value < 1 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`;
}
export function seconds(value: number): string {
  if (value < 1) return `${(1000 * value).toFixed(0)} ms`;
  if (value < 60) return `${value.toFixed(1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${String(Math.round(value % 60)).padStart(2, "0")} s`;
  return `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`;
}
// "3 min ago"; the whole moment stands in the title.
export function Ago({ when }: { when: string }) {
  if (!when) return <span class="soft">–</span>;
  const date = new Date(when);
  const past = Math.max(0, (Date.now() - date.getTime()) / 1000);
  const text =
    past < 60 ? "just now" : past < 3600 ? `${Math.floor(past / 60)} min ago` : past < 86400 ? `${Math.floor(past / 3600)} h ago` : `${Math.floor(past / 86400)} d ago`;
  return (
    <time dateTime={when} title={date.toLocaleString()}>
      {text}
    </time>
  );
}

const words: Record<string, [string, string]> = {
  released: ["good", "in force"],
  unchanged: ["plain", "unchanged"],
  refused: ["warn", "refused"],
  failed: ["bad", "failed"],
  interrupted: ["plain", "interrupted"],
  running: ["busy", "building"],
  new: ["plain", "not built"],
};
export function State({ state, word }: { state: string; word?: string }) {
  const [kind, text] = words[state] ?? ["plain", state];
  return <span class={`state ${kind}`}>{word ?? text}</span>;
}

// A value in its interval against its target, on a scale from `least` to `most`. The row says the numbers; this is for the eye.
export function Bar(props: { value: number; low: number | null; high: number | null; target: number | null; least: number; most: number }) {
  const { value, low, high, target, least, most } = props;
  const at = (x: number) => 2 + (96 * (Math.min(most, Math.max(least, x)) - least)) / (most - least || 1);
  const met = target === null || value >= target;
  return (
    <svg class={`bar ${met ? "met" : "missed"}`} viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">
      <line class="rail" x1="0" y1="8" x2="100" y2="8" />
      {low !== null && high !== null && <rect class="interval" x={at(low)} y="5" width={Math.max(0.8, at(high) - at(low))} height="6" />}
      <rect class="value" x={at(value) - 0.8} y="3" width="1.6" height="10" />
      {target !== null && <rect class="target" x={at(target) - 0.4} y="0" width="0.8" height="16" />}
    </svg>
  );
}

export function Spark({ values, target }: { values: number[]; target: number | null }) {
  if (values.length < 2) return null;
  const all = target === null ? values : [...values, target];
  const least = Math.min(...all);
  const most = Math.max(...all);
  const y = (v: number) => 17 - (14 * (v - least)) / (most - least || 1);
  const x = (i: number) => 3 + (i * 64) / (values.length - 1);
  const last = values.length - 1;
  return (
    <svg class="spark" viewBox="0 0 70 20" role="img" aria-label={`releases: ${values.map((v) => v.toFixed(3)).join(", ")}`}>
      {target !== null && <line class="target" x1="0" x2="70" y1={y(target)} y2={y(target)} />}
      <polyline points={values.map((v, i) => `${x(i)},${y(v)}`).join(" ")} />
      <circle cx={x(last)} cy={y(values[last])} r="2.2" />
    </svg>
  );
}

export function Problem({ error, what }: { error: ApiError; what?: string }) {
  return (
    <p class="problem" role="alert">
      {what ? `${what}: ` : ""}
      {error.message}
    </p>
  );
}
export function Waiting({ children }: { children?: ComponentChildren }) {
  return (
    <p class="waiting" role="status">
      <span class="dots" aria-hidden="true" />
      {children ?? "loading"}
    </p>
  );
}
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Panel(props: { title: string; note?: ComponentChildren; aside?: ComponentChildren; class?: string; id?: string; children: ComponentChildren }) {
  const id = props.id ?? props.title.toLowerCase().replace(/[^a-z]+/g, "-");
  return (
    <section class={`panel ${props.class ?? ""}`} aria-labelledby={`${id}-title`}>
      <header>
        <h2 id={`${id}-title`}>{props.title}</h2>
        {props.aside && <div class="aside">{props.aside}</div>}
      </header>
      {props.note && <p class="note">{props.note}</p>}
      {props.children}
    </section>
  );
}

// A question before something is changed. Escape and the click beside it mean no.
export function Confirm(props: { title: string; children: ComponentChildren; yes: string; onYes: () => void; onNo: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onCancel={props.onNo} onClick={(event) => event.target === dialog.current && props.onNo()}>
      <h2 id="confirm-title">{props.title}</h2>
      <div>{props.children}</div>
      <div class="actions">
        <button type="button" onClick={props.onNo}>
          Cancel
        </button>
        <button type="button" class="primary" onClick={props.onYes}>
          {props.yes}
        </button>
      </div>
    </dialog>
  );
}

let titleIsDue = false;
// The title that comes next gets the focus: the page has changed, and who listens shall hear to what.
export function focusNextTitle(): void {
  titleIsDue = true;
}
// The title of the page, for the tab and for who listens.
export function Title({ children, text }: { children?: ComponentChildren; text: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${text} · Sightline`;
    if (titleIsDue) heading.current?.focus({ preventScroll: true });
    titleIsDue = false;
  }, [text]);
  return (
    <h1 tabIndex={-1} id="title" ref={heading}>
      {children ?? text}
    </h1>
  );
}
