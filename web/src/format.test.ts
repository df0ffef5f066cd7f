import { expect, it } from "vitest";
import { ago, bytes, count, duration, latency, rate } from "./format";

it.each([
  [0, "0 s"],
  [59, "59 s"],
  [60, "1 min"],
  [3_725, "1 h 2 min"],
  [90_000, "1 d 1 h"],
  [86_460, "1 d"],
])("duration(%d)", (seconds, text) => expect(duration(seconds)).toBe(text));

it.each([
  [0, "0 B"],
  [1_023, "1,023 B"],
  [1_536, "1.5 KiB"],
  [200 * 1024 * 1024, "200 MiB"],
])("bytes(%d)", (value, text) => expect(bytes(value)).toBe(text));

it("short times", () => {
  expect([0, 0.0004, 0.0123, 0.9, 1.26].map(latency)).toEqual(["0 ms", "0.4 ms", "12 ms", "900 ms", "1.3 s"]);
});

it("counts and rates", () => {
  expect(count(1_234_567)).toBe("1,234,567");
  expect([0, 0.25, 14.5, 1_234.5].map(rate)).toEqual(["0", "0.3", "14.5", "1,235"]);
});

it("tells how long ago in one unit", () => {
  expect([100, 95, 100 - 3_725].map((at) => ago(at, 100))).toEqual(["just now", "5 s ago", "1 h ago"]);
});
