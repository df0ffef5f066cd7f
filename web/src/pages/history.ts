// The figures of the broker over time, as the page keeps them: fetched once, and from then on only what is new.
import { api } from "../api/client";
import { useRef } from "preact/hooks";
import { type Resource, useResource } from "../api/resource";
import type { FigureHistory } from "../api/types";

export type Values = readonly (number | null)[];

export interface Span {
  key: "quarter" | "day";
  title: string;
  seconds: number;
  /** Milliseconds between two requests. */
  every: number;
  /** For the table: rows, and what they are. */
  rows: number;
}

export const SPANS: readonly [Span, Span] = [
  { key: "quarter", title: "15 min", seconds: 900, every: 2_000, rows: 15 },
  { key: "day", title: "24 h", seconds: 86_400, every: 30_000, rows: 24 },
];

export function useHistory(span: Span): Resource<FigureHistory> {
  const held = useRef<{ key: string; data: FigureHistory } | null>(null);
  return useResource(
    `history ${span.key}`,
    async (signal) => {
      const before = held.current?.key === span.key ? held.current.data : null;
      const after = before?.at.at(-1) ?? 0;
      const fresh = await api.get("/api/v1/history", { query: { seconds: span.seconds, after }, signal });
      const data = before ? joined(before, fresh, span.seconds) : fresh;
      held.current = { key: span.key, data };
      return data;
    },
    span.every,
  );
}

/** What was there and what is new, of the last so many seconds. */
export function joined(before: FigureHistory, fresh: FigureHistory, seconds: number): FigureHistory {
  const at = [...before.at, ...fresh.at];
  const oldest = (at.at(-1) ?? 0) - seconds;
  const from = Math.max(
    0,
    at.findIndex((each) => each >= oldest),
  );
  const series: Record<string, (number | null)[]> = {};
  for (const name of new Set([...Object.keys(before.series), ...Object.keys(fresh.series)])) {
    const old = before.series[name] ?? before.at.map(() => null);
    const added = fresh.series[name] ?? fresh.at.map(() => null);
    series[name] = [...old, ...added].slice(from);
  }
  return { step: fresh.step, at: at.slice(from), series };
}

/** For drawing: a time without values where the broker did not look for a while, so that no line goes across it. */
export function withGaps(history: FigureHistory, names: readonly string[]): (number | null)[][] {
  const columns = names.map((name) => history.series[name] ?? []);
  const drawn: (number | null)[][] = [[], ...names.map(() => [])];
  history.at.forEach((time, index) => {
    const before = history.at[index - 1];
    if (before !== undefined && time - before > history.step * 5) {
      drawn.forEach((column, place) => column.push(place === 0 ? before + history.step : null));
    }
    drawn.forEach((column, place) => column.push(place === 0 ? time : (columns[place - 1]?.[index] ?? null)));
  });
  return drawn;
}

export interface Told {
  last: number | null;
  mean: number | null;
  most: number | null;
}

export function told(values: Values): Told {
  const known = values.filter((each) => each !== null);
  const total = known.reduce((sum, each) => sum + each, 0);
  return {
    last: known.at(-1) ?? null,
    mean: known.length ? total / known.length : null,
    most: known.length ? known.reduce((most, each) => Math.max(most, each)) : null,
  };
}

export interface Row {
  from: number;
  to: number;
  /** One for each of the names. */
  means: (number | null)[];
}

/** The history in so many rows at most, the newest first. */
export function rows(history: FigureHistory, names: readonly string[], seconds: number, most: number): Row[] {
  const length = seconds / most;
  const end = history.at.at(-1);
  if (end === undefined) return [];
  const found: Row[] = [];
  for (let number = 0; number < most; number += 1) {
    const to = end - number * length;
    const from = to - length;
    const inside = history.at.flatMap((each, index) => (each > from && each <= to ? [index] : []));
    if (!inside.length) continue;
    const means = names.map((name) => told(inside.map((index) => history.series[name]?.[index] ?? null)).mean);
    found.push({ from, to, means });
  }
  return found;
}
