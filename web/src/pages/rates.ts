// Rates of counters, from one answer to the next.
import type { Overview } from "../api/types";

export interface Sample {
  in: number;
  out: number;
  bytesIn: number;
  bytesOut: number;
}

/** Per second between two answers; null where the broker was started anew in between, or no time has passed. */
export function ratesBetween(before: Overview, after: Overview): Sample | null {
  const seconds = after.now - before.now;
  if (seconds <= 0 || before.started !== after.started) return null;
  const per = (name: string): number =>
    Math.max(0, (after.counters[name] ?? 0) - (before.counters[name] ?? 0)) / seconds;
  return {
    in: per("messages_received"),
    out: per("packets_sent"),
    bytesIn: per("bytes_received"),
    bytesOut: per("bytes_sent"),
  };
}
