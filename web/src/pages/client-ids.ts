// Client identifiers as the broker knows them: below a mount point with that and U+0000 before them.

const FORM = "base64:";

/** What stands for a client in paths, as the API makes it. */
export function pathId(known: string): string {
  if (known !== "" && known !== "." && known !== ".." && !known.includes("\0") && !known.startsWith(FORM)) return known;
  const binary = [...new TextEncoder().encode(known)].map((each) => String.fromCharCode(each)).join("");
  return FORM + btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** As the client gave it. */
export function shownId(known: string): string {
  return known.slice(known.indexOf("\0") + 1);
}
