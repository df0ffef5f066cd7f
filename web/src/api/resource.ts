// Data of the API that a page shows, fetched at once and again every so often, as long as the page is there and seen.
import { useEffect, useRef, useState } from "preact/hooks";
import { freshness } from "./freshness";
import { isOutage } from "./problems";

export interface Resource<T> {
  data: T | null;
  error: unknown;
  refresh: () => void;
}

/** `key` names what is fetched: with another key it is fetched anew. `every` is in milliseconds; 0: once. */
export function useResource<T>(key: string, fetch: (signal: AbortSignal) => Promise<T>, every = 0): Resource<T> {
  const [state, setState] = useState<{ key: string; data: T | null; error: unknown }>({ key, data: null, error: null });
  const latest = useRef(fetch);
  latest.current = fetch;
  const again = useRef<() => void>(() => undefined);

  useEffect(() => {
    const source = `resource ${key}`;
    const control = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let running = false;
    const run = async (): Promise<void> => {
      if (running) return;
      clearTimeout(timer);
      running = true;
      try {
        const data = await latest.current(control.signal);
        if (control.signal.aborted) return;
        freshness.good(source);
        setState({ key, data, error: null });
      } catch (error) {
        if (control.signal.aborted) return;
        if (isOutage(error)) freshness.bad(source);
        setState((before) => ({ key, data: before.key === key ? before.data : null, error }));
      } finally {
        running = false;
      }
      if (every > 0 && document.visibilityState === "visible") timer = setTimeout(() => void run(), every);
    };
    const seen = (): void => {
      if (every > 0 && document.visibilityState === "visible") void run();
    };
    again.current = () => void run();
    document.addEventListener("visibilitychange", seen);
    void run();
    return () => {
      control.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
      freshness.good(source);
    };
  }, [key, every]);

  const current = state.key === key;
  return { data: current ? state.data : null, error: current ? state.error : null, refresh: () => again.current() };
}
