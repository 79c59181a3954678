// The HTTP API as the page asks it (/openapi.json describes it; docs/web.md).
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface ModelRow {
  name: string;
  task: string;
  fleet: string;
  group: string;
  state: string;
  sentence: string;
  metric: string;
  target: number | null;
  value: number | null;
  low: number | null;
  high: number | null;
  p95_ms: number | null;
  size_bytes: number | null;
  version: number;
  versions: number[];
  values: number[];
  when: string;
}
export interface Run {
  id: number;
  demand: string;
  started: string;
  finished: string;
  outcome: string;
  sentence: string;
}
export interface Overview {
  name: string;
  program: string;
  models: ModelRow[];
  runs: Run[];
  fleets: { name: string; rows: number }[];
}

export class ApiError extends Error {
  constructor(
    public status: number,
    message: string,
  ) {
    super(message);
  }
}

export async function ask<T>(path: string, options: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(0, "the server does not answer");
  }
  const text = await response.text();
  let json: unknown = null;
  try {
    json = JSON.parse(text);
  } catch {
    /* an answer that is no JSON is told by its status */
  }
  if (!response.ok) throw new ApiError(response.status, (json as { error?: string } | null)?.error ?? `the server answered ${response.status}`);
  return json as T;
}

export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return ask<T>(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

export const part = encodeURIComponent;

export interface Loaded<T> {
  data: T | null;
  error: ApiError | null;
  reload: () => void;
}
// Asks for `path` now, again when it or `turn` changes, and every `every` milliseconds while the page is looked at. "" asks for nothing.
export function useLoad<T>(path: string, every = 0, turn = 0): Loaded<T> {
  const [state, setState] = useState<{ path: string; data: T | null; error: ApiError | null }>({ path, data: null, error: null });
  const current = useRef(path);
  current.current = path;
  const load = useCallback(() => {
    if (!path) return;
    ask<T>(path).then(
      (data) => current.current === path && setState({ path, data, error: null }),
      (error: ApiError) => current.current === path && setState((old) => ({ path, data: old.path === path ? old.data : null, error })),
    );
  }, [path]);
  useEffect(() => {
    load();
    if (!every) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && load(), every);
    return () => clearInterval(timer);
  }, [load, every, turn]);
  const own = state.path === path;
  return { data: own ? state.data : null, error: own ? state.error : null, reload: load };
}

let described: Promise<Set<string>> | null = null;
// The paths that this server has, as its description lists them; null until that is known.
export function useRoutes(): Set<string> | null {
  const [paths, setPaths] = useState<Set<string> | null>(null);
  useEffect(() => {
    described ??= ask<{ paths: Record<string, unknown> }>("/openapi.json").then((document) => new Set(Object.keys(document.paths)));
    described.then(setPaths, () => {
      described = null;
      setPaths(new Set());
    });
  }, []);
  return paths;
}
