import { expect, it } from "vitest";
import type { Limit, ListenerInfo } from "../../api/types";
import {
  connectLines,
  differences,
  expiry,
  limitText,
  onlyThisMachine,
  partUsed,
  percent,
  plain,
  subject,
  words,
} from "./words";

const listener = (changes: Partial<ListenerInfo>): ListenerInfo => ({
  name: "x",
  type: "tcp",
  addresses: [{ host: "127.0.0.1", port: 1883 }],
  tls: false,
  mount_point: "",
  proxy_protocol: false,
  path: "",
  client_certificates: "none",
  ...changes,
});
const lines = (changes: Partial<ListenerInfo>, page = "broker.example"): string[] =>
  connectLines(listener(changes), page).map((each) => each.text);

it("says how to connect", () => {
  expect(lines({})).toEqual(["mqtt://127.0.0.1:1883", "mosquitto_sub -h 127.0.0.1 -p 1883 -t '#' -v"]);
  expect(lines({ addresses: [{ host: "0.0.0.0", port: 8883 }], tls: true })).toEqual([
    "mqtts://broker.example:8883",
    "mosquitto_sub -h broker.example -p 8883 --cafile ca.pem -t '#' -v",
  ]);
  expect(lines({ type: "websocket", path: "/mqtt", addresses: [{ host: "::", port: 80 }] }, "[::1]")).toEqual([
    "ws://[::1]:80/mqtt",
  ]);
  expect(lines({ type: "unix", addresses: [{ host: "/run/a b.sock", port: 0 }] })).toEqual([
    "mosquitto_sub --unix '/run/a b.sock' -t '#' -v",
  ]);
  expect(lines({ proxy_protocol: true })).toEqual([]);
});

it("knows which listeners are for this machine only", () => {
  expect(onlyThisMachine(listener({}))).toBe(true);
  expect(onlyThisMachine(listener({ addresses: [{ host: "0.0.0.0", port: 1883 }] }))).toBe(false);
});

it("writes limits and their use", () => {
  const limit = (value: Limit["value"], used: number | null) => partUsed({ value, used } as Limit);
  expect(limitText(null, "seconds")).toBe("no limit");
  expect(limitText(8_388_608, "bytes")).toBe("8.0 MiB");
  expect(limitText(true, "")).toBe("yes");
  expect(limitText("drop_oldest", "")).toBe("drop oldest");
  expect(limitText(100_000, "messages")).toBe("100,000 messages");
  expect([limit(10, 5), limit(10, 50), limit(0, 0), limit(null, 3), limit(10, null)]).toEqual([0.5, 1, 0, null, null]);
  expect([percent(0), percent(0.001), percent(0.999), percent(1)]).toEqual(["0 %", "under 1 %", "99 %", "100 %"]);
});

it("says when certificates run out", () => {
  const day = 86_400;
  expect(expiry(90 * day)).toEqual({ tone: "good", text: "90 days left" });
  expect(expiry(20 * day).tone).toBe("warn");
  expect(expiry(1.5 * day)).toEqual({ tone: "bad", text: "1 day left" });
  expect(expiry(3_600)).toEqual({ tone: "bad", text: "1 h left" });
  expect(expiry(-2 * day).text).toBe("ran out 2 d ago");
});

it("finds what differs", () => {
  expect(differences({ role: "viewer", a: 1 }, { role: "admin", a: 1 })).toEqual([
    { key: "role", before: "viewer", after: "admin" },
  ]);
  expect(differences(null, { name: "x", tags: ["a", "b"] })).toEqual([
    { key: "name", before: null, after: "x" },
    { key: "tags", before: null, after: "a, b" },
  ]);
  expect(differences({ a: { b: null } }, null)).toEqual([{ key: "a.b", before: "not set", after: null }]);
  expect(differences(null, null)).toEqual([]);
  expect([plain([]), plain(""), plain({ a: 1 })]).toEqual(["none", "empty", '{"a":1}']);
});

it("says what a change was about", () => {
  expect(subject({ path: { name: "eve" }, request: {} })).toBe("eve");
  expect(subject({ path: {}, request: { query: { topic: "a/b" }, body: { payload: "x" } } })).toBe("a/b");
  expect(subject({ path: {}, request: { body: { name: "admin" } } })).toBe("admin");
  expect(subject({ path: {}, request: {} })).toBe("");
  expect([words("put_account"), words("make_backup")]).toEqual(["set account", "make backup"]);
});
