import { expect, it } from "vitest";
import { linkTo, parse } from "./router";

it.each([
  [["clients", "a/b c%#?"], {}],
  [["clients"], { search: "a&b=c?d", sort: "queued" }],
  [[], {}],
])("finds again what it links to: %j %j", (path, query) => {
  expect(parse(linkTo(path, query))).toEqual({ path, query });
});

it("leaves out what is empty", () => {
  expect(linkTo(["clients"], { search: "", sort: undefined })).toBe("#/clients");
});

it("takes an address that somebody has spoiled", () => {
  expect(parse("#/clients/%E0%A4%A")).toEqual({ path: ["clients", "%E0%A4%A"], query: {} });
});
