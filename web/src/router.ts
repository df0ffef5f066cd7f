// Where we are, in the hash of the address: the server needs to know one page only, and every place can be linked to.
import { signal } from "@preact/signals";

export interface Place {
  /** Decoded segments: `#/clients/a%2Fb` is ["clients", "a/b"]. */
  path: readonly string[];
  query: Readonly<Record<string, string>>;
}

export function parse(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  return {
    path: path
      .split("/")
      .filter((each) => each !== "")
      .map(decoded),
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

export function linkTo(path: readonly string[], query: Record<string, string | undefined> = {}): string {
  const given = Object.entries(query).filter((each): each is [string, string] => Boolean(each[1]));
  const text = new URLSearchParams(given).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

export const place = signal<Place>({ path: [], query: {} });

export function startRouter(): void {
  const read = (): void => {
    place.value = parse(location.hash);
  };
  window.addEventListener("hashchange", read);
  read();
}

/** Go somewhere; with `replace`, without a new entry of the history. */
export function go(link: string, replace = false): void {
  if (!replace) {
    location.hash = link;
    return;
  }
  history.replaceState(null, "", link);
  place.value = parse(link);
}
