import { expect, it } from "vitest";
import type { FigureHistory } from "../api/types";
import { joined, rows, told, withGaps } from "./history";

const history = (at: number[], received: (number | null)[], step = 1): FigureHistory => ({
  step,
  at,
  series: { received },
});

it("joins what is new, and lets go of what is too old", () => {
  const all = joined(history([1, 2, 3], [10, 20, 30]), history([4, 5], [40, 50]), 2);
  expect(all.at).toEqual([3, 4, 5]);
  expect(all.series["received"]).toEqual([30, 40, 50]);
});

it("joins nothing", () => {
  expect(joined(history([1], [10]), history([], []), 900)).toEqual(history([1], [10]));
  expect(joined(history([], []), history([], []), 900)).toEqual(history([], []));
});

it("knows of a series from when it is there", () => {
  const all = joined(history([1], [10]), { step: 1, at: [2], series: { sent: [5] } }, 900);
  expect(all.series).toEqual({ received: [10, null], sent: [null, 5] });
});

it("draws no line across a time of which nothing is known", () => {
  expect(withGaps(history([1, 2, 60, 61], [1, 2, 3, 4]), ["received"])).toEqual([
    [1, 2, 3, 60, 61],
    [1, 2, null, 3, 4],
  ]);
});

it("sums up", () => {
  expect(told([null, 1, 3, null])).toEqual({ last: 3, mean: 2, most: 3 });
  expect(told([null])).toEqual({ last: null, mean: null, most: null });
});

it("has a row for each part of the time of which something is known", () => {
  const found = rows(history([10, 20, 70, 80, 200], [1, 3, 5, 7, 9]), ["received"], 240, 4);
  expect(found.map((each) => [each.to, each.means[0]])).toEqual([
    [200, 9],
    [80, 6],
    [20, 2],
  ]);
});
