import { expect, it } from "vitest";
import type { Payload } from "../payload";
import type { LiveTopic } from "./topic-stream";
import { MOST_LIVE, TopicTree } from "./topic-tree";

const live = (topic: string, data: string, more: Partial<LiveTopic> = {}): LiveTopic => ({
  topic,
  messages: 1,
  bytes: data.length,
  at: 0,
  payload: { encoding: "text", data, truncated: false },
  payload_size: data.length,
  qos: 0,
  retain: false,
  origin: null,
  ...more,
});
const report = (...items: LiveTopic[]) => ({ at: 0, seconds: 1, items, tracked: items.length, left_out: 0 });
const on: Payload = { encoding: "text", data: "on", truncated: false };
const shown = (tree: TopicTree) => tree.rows().map((row) => (row.is === "more" ? "…" : row.node.topic));

it("merges levels that are fetched with topics that are published to", () => {
  const tree = new TopicTree(0);
  expect(shown(tree)).toEqual(["…"]);
  tree.take(report(live("home/hall", "1"), live("/odd//", "2")), 1);
  tree.fill(tree.root, [{ level: "home", payload: null, more: true }], "x", true);
  tree.fill(tree.root, [{ level: "zoo", payload: on, more: false }], null, false);
  expect(shown(tree)).toEqual(["", "home", "zoo"]);
  const home = tree.find("home");
  expect(home?.opens).toBe(true);
  tree.toggle(home!, true);
  expect(shown(tree)).toEqual(["", "home", "home/hall", "…", "zoo"]);
  tree.fill(home!, [{ level: "attic", payload: on, more: false }], null, true);
  expect(shown(tree)).toEqual(["", "home", "home/attic", "home/hall", "zoo"]);
  expect(tree.find("/odd//")?.seen?.last.payload.data).toBe("2");
  const row = tree.rows()[2];
  expect(row?.is === "topic" && [row.depth, row.place, row.of]).toEqual([2, 1, 2]);
});

it("sorts numbers by their value", () => {
  const tree = new TopicTree(0);
  tree.fill(
    tree.root,
    ["10", "9", "a"].map((level) => ({ level, payload: on, more: false })),
    null,
    true,
  );
  expect(shown(tree)).toEqual(["9", "10", "a"]);
});

it("adds rates up along the levels, and forgets", () => {
  const tree = new TopicTree(0);
  for (let second = 1; second <= 100; second += 1) tree.take(report(live("a/b", "1"), live("a/c", "1")), second);
  expect(tree.find("a/b")?.rate(0, 100)).toBeCloseTo(1, 0);
  expect(tree.find("a")?.rate(0, 100)).toBeCloseTo(2, 0);
  expect(tree.find("a")?.rate(0, 200)).toBe(0);
});

it("knows what is retained from what is published", () => {
  const tree = new TopicTree(0);
  tree.take(report(live("a", "on", { retain: true })), 1);
  expect(tree.find("a")?.retained?.data).toBe("on");
  tree.take(report(live("a", "", { retain: true })), 2);
  expect(tree.find("a")?.retained).toBeNull();
});

it("keeps numbers", () => {
  const tree = new TopicTree(0);
  for (let value = 0; value < 100; value += 1) tree.take(report(live("a", String(value))), value);
  tree.take(report(live("a", "word")), 100);
  expect(tree.find("a")?.seen?.values).toHaveLength(60);
  expect(tree.find("a")?.seen?.values.at(-1)).toBe(99);
});

it("drops what is deleted, and the levels that were above only that", () => {
  const tree = new TopicTree(0);
  tree.setRetained("a/b/c", on);
  tree.setRetained("a/d", on);
  tree.setRetained("a/b/c", null);
  expect(tree.find("a/b")).toBeNull();
  expect(tree.find("a/d")).not.toBeNull();
  tree.setRetained("a/d", null);
  expect(tree.root.children.size).toBe(0);
});

it("opens all that was searched for, and shows nothing else", () => {
  const tree = new TopicTree(0, (topic) => topic.includes("hall"), true);
  tree.found([{ topic: "home/hall/light", payload: on }]);
  tree.take(report(live("home/attic", "1"), live("home/hall", "1")), 1);
  expect(shown(tree)).toEqual(["home", "home/hall", "home/hall/light"]);
});

it("shows what is opened by a link as soon as it is there", () => {
  const tree = new TopicTree(0);
  tree.reveal("a/b/c");
  tree.fill(tree.root, [{ level: "a", payload: null, more: true }], null, true);
  tree.fill(tree.find("a")!, [{ level: "b", payload: null, more: true }], null, true);
  expect(shown(tree)).toEqual(["a", "a/b", "…"]);
});

it("has room for so many topics", () => {
  const tree = new TopicTree(0);
  const many = Array.from({ length: MOST_LIVE + 5 }, (_, index) => live(`t/${index}`, ""));
  tree.take(report(...many), 1);
  expect([tree.live, tree.leftOut]).toEqual([MOST_LIVE, 5]);
});
