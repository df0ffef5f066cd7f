// The clients that are connected, page by page, as far as somebody has looked.
import { api } from "../api/client";
import type { Client } from "../api/types";

export interface Asked {
  search: string;
  sort: ClientSort;
  descending: boolean;
}

export const SORTS = ["client_id", "connected_at", "last_received", "subscriptions", "queued", "dropped"] as const;
export type ClientSort = (typeof SORTS)[number];

export interface Loaded {
  items: readonly Client[];
  next: string | null;
  total: number;
  ordered: boolean;
}

const PAGE = 200;
/** The most that the API gives at once. */
const MOST = 1_000;
/** Pages that a search may find empty before it is shown what there is. */
const EMPTY_PAGES = 10;

/** The entries after a cursor; goes on where a page of a search is empty. */
export async function loadClients(
  asked: Asked,
  after: string | null,
  signal: AbortSignal,
  limit = PAGE,
  client: Pick<typeof api, "get"> = api,
): Promise<Loaded> {
  let cursor = after;
  for (let pages = 1; ; pages += 1) {
    const page = await client.get("/api/v1/clients", { query: { ...asked, limit, after: cursor }, signal });
    if (page.items.length > 0 || page.next === null || pages >= EMPTY_PAGES) return page;
    cursor = page.next;
  }
}

/** As many entries as there were before, from the beginning. */
export function reloadClients(asked: Asked, loaded: number, signal: AbortSignal): Promise<Loaded> {
  return loadClients(asked, null, signal, Math.min(MOST, Math.max(PAGE, loaded)));
}

/** Whether all of what is loaded comes with one request. */
export function reloadable(loaded: number): boolean {
  return loaded <= MOST;
}

/** Entries after those that are there; who has come anew in between is not shown twice. */
export function appended(before: Loaded, page: Loaded): Loaded {
  const known = new Set(before.items.map((each) => each.id));
  return { ...page, items: [...before.items, ...page.items.filter((each) => !known.has(each.id))] };
}
