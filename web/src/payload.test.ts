import { describe, expect, it } from "vitest";
import { briefly, bytesOf, editable, entered, formsOf, hexDump, numberOf, type Payload, prettyJson } from "./payload";

const text = (data: string, truncated = false): Payload => ({ encoding: "text", data, truncated });

describe("forms", () => {
  it.each([
    ["21.5", 21.5],
    [" -3e2\n", -300],
    [".5", 0.5],
    ["0x10", null],
    ["", null],
    ["1,5", null],
    ["Infinity", null],
    ["1e999", null],
  ])("takes %j for %j", (data, value) => {
    expect(numberOf(text(data))).toBe(value);
  });

  it("chooses", () => {
    expect(formsOf(text("1"))[0]).toBe("number");
    expect(formsOf(text('{"a": 1}'))[0]).toBe("json");
    expect(formsOf(text('{"a": 1'))[0]).toBe("text");
    expect(formsOf(text("[1", true))[0]).toBe("text");
    expect(formsOf({ encoding: "base64", data: "/w==", truncated: false })).toEqual(["hex"]);
  });

  it("indents JSON and changes nothing else of it", () => {
    expect(prettyJson('{"a":[1,{}, [ ]],"b\\"{":12345678901234567890}')).toBe(
      '{\n  "a": [\n    1,\n    {},\n    []\n  ],\n  "b\\"{": 12345678901234567890\n}',
    );
    expect(prettyJson("{")).toBeNull();
    expect(prettyJson("true")).toBe("true");
  });

  it("shows bytes", () => {
    expect(hexDump(bytesOf(text("Hällo")))).toBe("000000  48 c3 a4 6c 6c 6f        H..llo");
    expect(hexDump(new Uint8Array(9)).split("\n")).toHaveLength(2);
    expect(briefly({ encoding: "base64", data: "AP8=", truncated: false }, 2)).toBe("00 ff");
    expect(briefly(text("a\n  b"), 5)).toBe("a b");
    expect(briefly(text("\u0001a"), 2)).toBe("01 61");
    expect(formsOf(text("\u0001a"))).toEqual(["hex", "text"]);
    expect(briefly(text(""), 0)).toBe("(empty)");
  });
});

describe("what is entered", () => {
  it("becomes bytes", () => {
    expect(entered("on", "text")).toEqual({ payload: "on", encoding: "text" });
    expect(entered("[1.0]", "json")).toEqual({ payload: "[1.0]", encoding: "text" });
    expect(entered("00 FF\n", "hex")).toEqual({ payload: "AP8=", encoding: "base64" });
    expect(entered("AP 8=", "base64")).toEqual({ payload: "AP8=", encoding: "base64" });
  });

  it.each([
    ["{", "json"],
    ["abc", "hex"],
    ["zz", "hex"],
    ["abc", "base64"],
  ] as const)("is wrong: %j as %s", (data, encoding) => {
    expect(entered(data, encoding)).toHaveProperty("wrong");
  });

  it("comes from what is there", () => {
    expect(editable(text("on"))).toEqual({ text: "on", encoding: "text" });
    expect(editable(text('{"a":1}')).encoding).toBe("json");
    expect(editable({ encoding: "base64", data: "AP8=", truncated: false })).toEqual({
      text: "00 ff",
      encoding: "hex",
    });
  });
});
