import { expect, it } from "vitest";
import { rowsInSight } from "./window";

it("shows what is in sight and a little beyond", () => {
  expect(rowsInSight(10_000, 44, -44_000, 880, 8)).toEqual({ first: 992, last: 1_028 });
});

it("stays within the list", () => {
  expect(rowsInSight(5, 44, 200, 880)).toEqual({ first: 0, last: 5 });
  expect(rowsInSight(0, 44, 200, 880)).toEqual({ first: 0, last: 0 });
  expect(rowsInSight(10, 44, -99_999, 880)).toEqual({ first: 10, last: 10 });
});
