import { expect, it } from "vitest";
import { appended, load, type Loaded } from "../api/pages";
import type { Happened } from "../api/types";
import { sentence } from "./events";

interface Row {
  id: string;
}
const page = (ids: string[], next: string | null): Loaded<Row> => ({
  items: ids.map((id) => ({ id })),
  next,
  total: 9,
});

it("goes on where a page of a search is empty", async () => {
  const answers: Record<string, Loaded<Row>> = { "": page([], "1"), "1": page([], "2"), "2": page(["a"], null) };
  const ask = ({ after }: { after: string | null }) => Promise.resolve(answers[after ?? ""] ?? page([], null));
  const found = await load(ask, null, new AbortController().signal);
  expect(found.items.map((each) => each.id)).toEqual(["a"]);
});

it("shows nobody twice", () => {
  const all = appended(page(["a", "b"], "1"), page(["b", "c"], null), (each: Row) => each.id);
  expect(all.items.map((each) => each.id)).toEqual(["a", "b", "c"]);
  expect(all.next).toBeNull();
});

it("tells events in words", () => {
  const event = (kind: string, details: Happened["details"]) => sentence({ kind, details } as Happened);
  expect(event("connected", { address: "::1", version: "V311", session_present: true })).toBe(
    "from ::1 · MQTT 3.1.1 · session resumed",
  );
  expect(event("dropped", { cause: "queue_full", count: 1200 })).toBe("1,200 messages · queue full");
  expect(event("alarm", { state: "raised", text: "The disk is full." })).toBe("raised · The disk is full.");
  expect(event("unheard-of", {})).toBe("");
});
