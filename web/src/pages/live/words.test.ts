import { describe, expect, it } from "vitest";
import type { ListenerInfo } from "../../api/types";
import { addressesOf, KEPT, payloadOf, reason, userProperties, wrongAddress } from "./words";

it("tells reasons in words, and what the broker adds", () => {
  expect(reason(0x87, "rule 3 of rules.acl")).toBe("the rules do not allow it (0x87): rule 3 of rules.acl");
  expect(reason(5)).toBe("the rules do not allow it (0x05)");
  expect(reason(0xff)).toBe("reason code 255 (0xFF)");
});

it("finds listeners by the name that the page was opened with", () => {
  const listener = (type: string, tls: boolean, ...ports: number[]) =>
    ({
      name: "web",
      type,
      tls,
      path: "/mqtt",
      addresses: ports.map((port) => ({ host: "0.0.0.0", port })),
    }) as ListenerInfo;
  const listeners = [
    listener("tcp", false, 1883),
    listener("websocket", false, 8083, 8083),
    listener("websocket", true, 8084),
  ];
  expect(addressesOf(listeners, "[::1]").map(([url]) => url)).toEqual([
    "ws://[::1]:8083/mqtt",
    "wss://[::1]:8084/mqtt",
  ]);
});

it("lets nobody try what the browser would forbid", () => {
  expect(wrongAddress("ws://broker.example:8083/mqtt", "broker.example", ["8083"])).toBe("");
  expect(wrongAddress("ws://other.example:8083/mqtt", "broker.example", ["8083"])).toContain("port 8083");
  expect(wrongAddress("ws://broker.example:1/mqtt", "broker.example", ["8083", "8084"])).toContain("8083 or 8084");
  expect(wrongAddress("http://broker.example:8083/", "broker.example", ["8083"])).toContain("ws://");
  expect(wrongAddress("broker", "broker.example", [])).toContain("Expected an address");
});

describe("payloads", () => {
  it("are text where they can be", () => {
    expect(payloadOf(new TextEncoder().encode("é"))).toEqual({ encoding: "text", data: "é", truncated: false });
    expect(payloadOf(new Uint8Array([0xff, 0]))).toEqual({ encoding: "base64", data: "/wA=", truncated: false });
    expect(payloadOf(new Uint8Array([0])).encoding).toBe("base64");
  });

  it("are kept up to a size, which may be within a character", () => {
    const text = payloadOf(new TextEncoder().encode("x" + "é".repeat(KEPT)));
    expect([text.encoding, text.data.length, text.truncated]).toEqual(["text", KEPT / 2, true]);
  });
});

it("reads user properties", () => {
  expect(userProperties("a=1\n\n b = x=y \n")).toEqual([
    ["a", "1"],
    ["b", "x=y"],
  ]);
  expect(userProperties("a")).toBeNull();
  expect(userProperties("=a")).toBeNull();
  expect(userProperties("")).toEqual([]);
});
