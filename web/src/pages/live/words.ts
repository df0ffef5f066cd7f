// What the live client tells in words: reason codes, addresses, payloads.
import type { ListenerInfo } from "../../api/types";
import type { Payload } from "../../payload";

/** Of CONNACK, SUBACK, PUBACK and DISCONNECT, those that a broker may send. */
const REASONS: Record<number, string> = {
  0x80: "the broker refuses without saying why",
  0x81: "the packet was malformed",
  0x82: "the broker sees a violation of the protocol",
  0x83: "the broker cannot do that",
  0x84: "the broker does not speak this version of MQTT",
  0x85: "the client identifier is not accepted",
  0x86: "user name or password is wrong",
  0x87: "the rules do not allow it",
  0x88: "the broker is not available",
  0x89: "the broker is busy",
  0x8a: "this client is banned",
  0x8b: "the broker is shutting down",
  0x8c: "the method of authentication is not accepted",
  0x8d: "nothing was heard of this page for too long",
  0x8e: "another client has connected with the same identifier",
  0x8f: "the topic filter is not valid",
  0x90: "the topic is not accepted",
  0x93: "more messages were sent at once than the broker takes",
  0x95: "the packet is too large",
  0x97: "a quota is used up, or there is no room",
  0x98: "somebody who looks after the broker has ended the connection",
  0x99: "the payload is not what was announced",
  0x9a: "the broker keeps no retained messages",
  0x9b: "the broker does not take this QoS",
  0x9c: "another broker is to be used",
  0x9e: "the broker has no shared subscriptions",
  0x9f: "connections come too fast",
  0xa1: "the broker has no subscription identifiers",
  0xa2: "the broker has no subscriptions with wildcards",
};
/** Of CONNACK in MQTT 3.1.1. */
const OLD_REASONS: Record<number, string> = {
  1: "the broker does not speak this version of MQTT",
  2: "the client identifier is not accepted",
  3: "the broker is not available",
  4: "user name or password is wrong",
  5: "the rules do not allow it",
};
/** Bytes of a payload that are kept. */
export const KEPT = 16_384;

/** A sentence about a reason code, with what the broker adds. */
export function reason(code: number, added?: string): string {
  const words = REASONS[code] ?? OLD_REASONS[code] ?? `reason code ${code}`;
  const number = `0x${code.toString(16).toUpperCase().padStart(2, "0")}`;
  return added ? `${words} (${number}): ${added}` : `${words} (${number})`;
}

/** Where the page finds a listener: by the name that it has been opened with, as nothing else may be connected to. */
export function addressesOf(listeners: readonly ListenerInfo[], hostname: string): [string, string][] {
  return listeners
    .filter((each) => each.type === "websocket")
    .flatMap((each) =>
      [...new Set(each.addresses.map(({ port }) => port).filter((port) => port > 0))].map((port): [string, string] => {
        const url = `${each.tls ? "wss" : "ws"}://${hostname}:${port}${each.path}`;
        return [url, `${each.name}: ${url}`];
      }),
    );
}

/** What is wrong with an address that somebody has entered; empty for nothing. */
export function wrongAddress(text: string, hostname: string, ports: readonly string[]): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return `Expected an address like ws://${hostname}:8083/mqtt`;
  }
  if (url.protocol !== "ws:" && url.protocol !== "wss:") return "Expected ws:// or wss://";
  const own = url.hostname === hostname && ports.includes(url.port);
  return own ? "" : `This page may connect to listeners of this broker only: ${hostname}, port ${ports.join(" or ")}`;
}

export function payloadOf(bytes: Uint8Array): Payload {
  const kept = bytes.subarray(0, KEPT);
  const truncated = bytes.length > KEPT;
  try {
    // The end of what is kept may be within a character.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(kept, { stream: truncated });
    if (!text.includes("\0")) return { encoding: "text", data: text, truncated };
  } catch {
    // It is no text.
  }
  return { encoding: "base64", data: btoa(String.fromCharCode(...kept)), truncated };
}

/** User properties from lines `name=value`; null where a line is none. */
export function userProperties(text: string): [string, string][] | null {
  const lines = text.split("\n").filter((each) => each.trim() !== "");
  const pairs = lines.map((each): [string, string] => {
    const at = each.indexOf("=");
    return [each.slice(0, at).trim(), each.slice(at + 1).trim()];
  });
  return lines.every((each) => each.indexOf("=") > 0) ? pairs : null;
}
