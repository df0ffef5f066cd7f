// Long lists, page by page, as far as somebody has looked.
import { useEffect, useRef, useState } from "preact/hooks";
import { freshness } from "./freshness";
import { live } from "./live";
import { isOutage } from "./problems";

export interface Loaded<T> {
  items: readonly T[];
  next: string | null;
  total: number;
}

export interface Which {
  limit: number;
  after: string | null;
}

/** Asks for one page. */
export type Ask<L> = (which: Which, signal: AbortSignal) => Promise<L>;

const PAGE = 200;
/** The most that the API gives at once. */
const MOST = 1_000;
/** Pages that a search may find empty before it is shown what there is. */
const EMPTY_PAGES = 25;
const SETTLE = 1_000;

/** The entries after a cursor; goes on where a page of a search is empty. */
export async function load<L extends Loaded<unknown>>(
  ask: Ask<L>,
  after: string | null,
  signal: AbortSignal,
  limit = PAGE,
): Promise<L> {
  let cursor = after;
  for (let pages = 1; ; pages += 1) {
    const page = await ask({ limit, after: cursor }, signal);
    if (page.items.length > 0 || page.next === null || pages >= EMPTY_PAGES) return page;
    cursor = page.next;
  }
}

/** Entries after those that are there; what has come anew in between is not shown twice. */
export function appended<T, L extends Loaded<T>>(before: L, page: L, id: (item: T) => string | number): L {
  const known = new Set(before.items.map(id));
  return { ...page, items: [...before.items, ...page.items.filter((each) => !known.has(id(each)))] };
}

/** Whether all of what is loaded comes with one request. */
function reloadable(loaded: number): boolean {
  return loaded <= MOST;
}

export interface Pages<L> {
  loaded: L | null;
  error: unknown;
  /** Whether something has come or gone, and the list is too long to be fetched anew unasked. */
  changed: boolean;
  reload: () => void;
  more: () => void;
}

/**
 * A list that is kept up to date: fetched anew every so often (`every`, in milliseconds), and soon after each event of
 * these kinds, as long as it is short enough. `key` names what is fetched: with another key it begins anew.
 */
export function usePages<T, L extends Loaded<T>>(
  key: string,
  ask: Ask<L>,
  given: { id: (item: T) => string | number; every: number; kinds?: readonly string[] },
): Pages<L> {
  const [loaded, setLoaded] = useState<L | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [changed, setChanged] = useState(false);
  const now = useRef<{ loaded: L | null; control: AbortController; busy: boolean }>({
    loaded: null,
    control: new AbortController(),
    busy: false,
  });
  now.current.loaded = loaded;
  const source = `pages ${key}`;

  /** Only the last request counts. */
  const run = (work: (signal: AbortSignal) => Promise<L>): void => {
    now.current.control.abort();
    const control = new AbortController();
    now.current.control = control;
    now.current.busy = true;
    work(control.signal)
      .then((next) => {
        if (control.signal.aborted) return;
        freshness.good(source);
        setLoaded(next);
        setError(null);
      })
      .catch((problem: unknown) => {
        if (control.signal.aborted) return;
        if (isOutage(problem)) freshness.bad(source);
        setError(problem);
      })
      .finally(() => {
        if (!control.signal.aborted) now.current.busy = false;
      });
  };
  const reload = (): void => {
    setChanged(false);
    const count = now.current.loaded?.items.length ?? 0;
    run((signal) => load(ask, null, signal, Math.min(MOST, Math.max(PAGE, count))));
  };
  const more = (): void => {
    const before = now.current.loaded;
    if (now.current.busy || !before || before.next === null) return;
    run(async (signal) => appended(before, await load(ask, before.next, signal), given.id));
  };

  useEffect(() => {
    setChanged(false);
    run((signal) => load(ask, null, signal));
    return () => {
      now.current.control.abort();
      freshness.good(source);
    };
  }, [key]);

  const latest = useRef(reload);
  latest.current = reload;
  const missed = live.missed.value;
  useEffect(() => {
    if (missed) latest.current();
  }, [missed]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const fits = (): boolean => reloadable(now.current.loaded?.items.length ?? 0);
    const soon = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined;
        if (now.current.busy) soon();
        else latest.current();
      }, SETTLE);
    };
    const whileSeen = (): void => {
      if (document.visibilityState === "visible" && fits()) soon();
    };
    const regularly = setInterval(whileSeen, given.every);
    document.addEventListener("visibilitychange", whileSeen);
    const leave = live.listen(({ kind }) => {
      if (!given.kinds?.includes(kind)) return;
      if (fits()) soon();
      else setChanged(true);
    });
    return () => {
      leave();
      clearTimeout(timer);
      clearInterval(regularly);
      document.removeEventListener("visibilitychange", whileSeen);
    };
  }, []);
  return { loaded, error, changed, reload, more };
}
