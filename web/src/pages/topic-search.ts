/** Topics with retained messages that one search shows. */
export const MOST_FOUND = 1_000;

/** What is asked of the broker for what somebody typed: a topic filter, or a part of topics. */
export function askedFor(text: string): { filter: string; search: string } {
  if (text === "") return { filter: "#", search: "" };
  if (/[#+]/.test(text)) return { filter: text, search: "" };
  // Filters that begin with a wildcard leave these topics out.
  if (text.startsWith("$")) return { filter: `${text.replace(/\/+$/, "")}/#`, search: "" };
  return { filter: "#", search: text.toLowerCase() };
}
