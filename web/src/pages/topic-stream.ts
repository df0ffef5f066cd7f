// What is published now, as the broker tells it while somebody looks: not while the page is out of sight, since the
// broker counts for every watch, and browsers have few connections.
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api/client";
import { freshness } from "../api/freshness";
import { waitBefore } from "../api/live";
import type { Payload } from "../payload";

export interface LiveTopic {
  topic: string;
  messages: number;
  bytes: number;
  /** Seconds since the epoch. */
  at: number;
  payload: Payload;
  payload_size: number;
  qos: number;
  retain: boolean;
  origin: string | null;
}

export interface LiveTopics {
  at: number;
  seconds: number;
  items: LiveTopic[];
  tracked: number;
  left_out: number;
}

const SOURCE = "live topics";

/**
 * Watch a topic filter, with whole payloads of the topic `closely`; an empty filter watches nothing. Tells whether the
 * watch is open.
 */
export function useLiveTopics(filter: string, closely: string, take: (report: LiveTopics) => void): boolean {
  const [open, setOpen] = useState(false);
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    if (!filter) return undefined;
    let source: EventSource | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let attempt = 0;
    let ended = false;

    const close = (): void => {
      clearTimeout(timer);
      source?.close();
      source = null;
    };
    const lost = (): void => {
      setOpen(false);
      freshness.bad(SOURCE);
      // A browser comes again by itself, unless it was answered with an error.
      if (source?.readyState !== EventSource.CLOSED) return;
      close();
      timer = setTimeout(() => {
        api.get("/api/v1/session", {}).then(
          ({ logged_in }) => (logged_in ? begin() : api.onLoggedOut()),
          () => begin(),
        );
      }, waitBefore(attempt++));
    };
    const begin = (): void => {
      close();
      if (ended || document.visibilityState !== "visible") return;
      const query = new URLSearchParams({ filter, ...(closely ? { closely } : {}) });
      source = new EventSource(`/api/v1/topics/live?${query.toString()}`);
      source.onopen = () => {
        attempt = 0;
        setOpen(true);
        freshness.good(SOURCE);
      };
      source.onerror = lost;
      source.addEventListener("topics", (message: MessageEvent<string>) =>
        latest.current(JSON.parse(message.data) as LiveTopics),
      );
    };
    document.addEventListener("visibilitychange", begin);
    begin();
    return () => {
      ended = true;
      document.removeEventListener("visibilitychange", begin);
      close();
      freshness.good(SOURCE);
    };
  }, [filter, closely]);
  return open;
}
