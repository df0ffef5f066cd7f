import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { api } from "./client";
import { Freshness, freshness } from "./freshness";
import { Live, waitBefore } from "./live";

class Source extends EventTarget {
  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  close(): void {
    this.readyState = 2;
  }
  tell(kind: string, id: string, at: number): void {
    this.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify({ id, kind, at }) }));
  }
}

let sources: Source[];
let live: Live;

beforeEach(() => {
  vi.useFakeTimers();
  sources = [];
  live = new Live(() => {
    const source = new Source();
    sources.push(source);
    return source as unknown as EventSource;
  });
  vi.spyOn(api, "get").mockResolvedValue({ items: [], next: null, logged_in: true } as never);
});

afterEach(() => {
  live.stop();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it("has the newest event first, and each one once", () => {
  live.start();
  sources[0]?.tell("connected", "r-1", 1);
  sources[0]?.tell("disconnected", "r-2", 2);
  sources[0]?.tell("connected", "r-1", 1);
  expect(live.recent.value.map((each) => each.id)).toEqual(["r-2", "r-1"]);
});

it("is stale from the first error until the stream is open again", () => {
  live.start();
  sources[0]?.onerror?.();
  expect(freshness.staleSince.value).not.toBeNull();
  sources[0]?.onopen?.();
  expect(freshness.staleSince.value).toBeNull();
});

it("opens a new stream where the browser has given up", async () => {
  live.start();
  sources[0]?.close();
  sources[0]?.onerror?.();
  await vi.advanceTimersByTimeAsync(waitBefore(0));
  expect(sources).toHaveLength(2);
  expect(live.missed.value).toBe(1);
});

it("asks for a login where the session has ended meanwhile", async () => {
  vi.mocked(api.get).mockResolvedValue({ logged_in: false, me: null } as never);
  const loggedOut = vi.spyOn(api, "onLoggedOut");
  live.start();
  sources[0]?.close();
  sources[0]?.onerror?.();
  await vi.advanceTimersByTimeAsync(waitBefore(0));
  expect(loggedOut).toHaveBeenCalledOnce();
  expect(sources).toHaveLength(1);
});

it("comes not again after it was stopped", async () => {
  live.start();
  sources[0]?.close();
  sources[0]?.onerror?.();
  live.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sources).toHaveLength(1);
});

it("waits ever longer, up to a limit", () => {
  expect([0, 1, 2, 9].map(waitBefore)).toEqual([1_000, 2_000, 4_000, 30_000]);
});

it("is as old as the oldest failure", () => {
  const fresh = new Freshness();
  fresh.bad("a", 10);
  fresh.bad("b", 5);
  fresh.bad("b", 20);
  expect(fresh.staleSince.value).toBe(5);
  fresh.good("b");
  expect(fresh.staleSince.value).toBe(10);
});
