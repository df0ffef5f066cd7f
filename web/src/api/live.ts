// The stream of events. A browser comes again by itself after an error of the network, with Last-Event-ID; not so when
// it was answered with an error. Then this does, ever more slowly, after asking whether there still is a session.
import { signal } from "@preact/signals";
import { api } from "./client";
import { freshness } from "./freshness";
import type { Happened } from "./types";

export const KINDS = [
  "connected",
  "disconnected",
  "takeover",
  "refused",
  "dropped",
  "slow",
  "alarm",
  "omitted",
] as const;
export type Kind = (typeof KINDS)[number];
export type Listener = (event: Happened) => void;

const SOURCE = "events";
const REMEMBERED = 200;
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;

export function waitBefore(attempt: number): number {
  return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempt);
}

export class Live {
  /** The last events, the newest first. */
  readonly recent = signal<readonly Happened[]>([]);
  /** Counts up when events were missed, so that pages fetch anew what they show. */
  readonly missed = signal(0);
  private source: EventSource | null = null;
  private again: ReturnType<typeof setTimeout> | null = null;
  private attempt = 0;
  private readonly listeners = new Set<Listener>();

  constructor(private readonly open: (url: string) => EventSource = (url) => new EventSource(url)) {}

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  start(): void {
    if (this.source === null) this.connect();
    void this.fill();
  }

  stop(): void {
    if (this.again !== null) clearTimeout(this.again);
    this.again = null;
    this.source?.close();
    this.source = null;
    this.attempt = 0;
    this.recent.value = [];
    freshness.good(SOURCE);
  }

  private connect(): void {
    const source = this.open("/api/v1/events");
    this.source = source;
    source.onopen = () => {
      this.attempt = 0;
      freshness.good(SOURCE);
    };
    source.onerror = () => {
      freshness.bad(SOURCE);
      if (source.readyState === 2) this.comeAgain();
    };
    for (const kind of KINDS) source.addEventListener(kind, (message) => this.take(message as MessageEvent<string>));
    source.addEventListener("missed", () => this.lost());
    source.addEventListener("overrun", () => this.lost());
  }

  private comeAgain(): void {
    this.source?.close();
    if (this.again !== null) clearTimeout(this.again);
    this.again = setTimeout(() => {
      this.again = null;
      api.get("/api/v1/session", {}).then(
        ({ logged_in }) => (logged_in ? this.reconnect() : api.onLoggedOut()),
        () => this.source !== null && this.comeAgain(),
      );
    }, waitBefore(this.attempt++));
  }

  private reconnect(): void {
    if (this.source === null) return;
    this.connect();
    this.lost();
  }

  private lost(): void {
    this.missed.value += 1;
    void this.fill();
  }

  private async fill(): Promise<void> {
    try {
      const page = await api.get("/api/v1/events/recent", { query: { limit: REMEMBERED } });
      this.merge(page.items);
    } catch {
      // The stream tells what is wrong.
    }
  }

  private take(message: MessageEvent<string>): void {
    const event = JSON.parse(message.data) as Happened;
    this.merge([event]);
    for (const listener of this.listeners) listener(event);
  }

  private merge(events: readonly Happened[]): void {
    const known = new Set(events.map((each) => each.id));
    const all = [...events, ...this.recent.peek().filter((each) => !known.has(each.id))];
    this.recent.value = all.sort((a, b) => b.at - a.at).slice(0, REMEMBERED);
  }
}

export const live = new Live();
