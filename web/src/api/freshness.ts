// Since when what is shown may be out of date. Each source (the stream of events, each request that is repeated) says
// when it failed and when it works again; the data are as old as the oldest failure.
import { computed, signal } from "@preact/signals";

export class Freshness {
  private readonly failed = signal<ReadonlyMap<string, number>>(new Map());

  /** Milliseconds since the epoch; null where everything is fresh. */
  readonly staleSince = computed<number | null>(() => {
    const times = [...this.failed.value.values()];
    return times.length ? Math.min(...times) : null;
  });

  good(source: string): void {
    if (!this.failed.peek().has(source)) return;
    const next = new Map(this.failed.peek());
    next.delete(source);
    this.failed.value = next;
  }

  bad(source: string, now: number = Date.now()): void {
    if (this.failed.peek().has(source)) return;
    this.failed.value = new Map(this.failed.peek()).set(source, now);
  }
}

export const freshness = new Freshness();
