// What the settings page says of listeners, limits, certificates and changes. No components.
import type { AuditEntry, Limit, ListenerInfo } from "../../api/types";
import { bytes, count, duration } from "../../format";

type Tone = "neutral" | "good" | "warn" | "bad";
export type Value = string | number | boolean | null;

// Listeners.

const LOOPBACK = /^(127\.|::1$|localhost$)/;
const ANY = new Set(["0.0.0.0", "::", ""]);

export interface ConnectLine {
  what: string;
  text: string;
}

/** How to connect. `page` is the host of this page, for listeners on all addresses. */
export function connectLines(listener: ListenerInfo, page: string): ConnectLine[] {
  if (listener.proxy_protocol) return [];
  return listener.addresses.flatMap(({ host, port }) => {
    if (port === 0) {
      const path = quoted(host);
      return listener.type === "unix" ? [{ what: "command", text: `mosquitto_sub --unix ${path} -t '#' -v` }] : [];
    }
    const name = ANY.has(host) ? page.replace(/^\[|\]$/g, "") : host;
    const place = `${name.includes(":") ? `[${name}]` : name}:${port}`;
    if (listener.type === "websocket") {
      return [{ what: "address", text: `${listener.tls ? "wss" : "ws"}://${place}${listener.path}` }];
    }
    const tls = listener.tls ? " --cafile ca.pem" : "";
    return [
      { what: "address", text: `${listener.tls ? "mqtts" : "mqtt"}://${place}` },
      { what: "command", text: `mosquitto_sub -h ${name} -p ${port}${tls} -t '#' -v` },
    ];
  });
}

export function onlyThisMachine(listener: ListenerInfo): boolean {
  return listener.addresses.every(({ host, port }) => port === 0 || LOOPBACK.test(host));
}

export function addressText({ host, port }: { host: string; port: number }): string {
  if (port === 0) return host;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

// Limits.

export function limitText(value: Value, unit: string): string {
  if (value === null) return "no limit";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value === "" ? "none" : value.replaceAll("_", " ");
  if (unit === "bytes") return bytes(value);
  if (unit === "seconds") return duration(value);
  return count(value) + (unit ? ` ${unit}` : "");
}

/** How much of a limit is used, from 0 to 1; null where that says nothing. */
export function partUsed(limit: Limit): number | null {
  if (limit.used === null || typeof limit.value !== "number") return null;
  if (limit.value <= 0) return limit.used > 0 ? 1 : 0;
  return Math.min(1, limit.used / limit.value);
}

export function usedTone(part: number): Tone {
  return part >= 0.95 ? "bad" : part >= 0.8 ? "warn" : "good";
}

export function percent(part: number): string {
  if (part > 0 && part < 0.01) return "under 1 %";
  return `${Math.floor(part * 100)} %`;
}

// Certificates.

const DAY = 86_400;

export function expiry(secondsLeft: number): { tone: Tone; text: string } {
  if (secondsLeft <= 0) return { tone: "bad", text: `ran out ${duration(-secondsLeft)} ago` };
  const days = Math.floor(secondsLeft / DAY);
  const text = days === 0 ? `${duration(secondsLeft)} left` : `${count(days)} day${days === 1 ? "" : "s"} left`;
  return { tone: days < 7 ? "bad" : days < 21 ? "warn" : "good", text };
}

// Changes.

export interface Difference {
  key: string;
  before: string | null;
  after: string | null;
}

/** What differs between two states of the audit log, key by key; of values that are no objects, the values. */
export function differences(before: unknown, after: unknown): Difference[] {
  const [old, now] = [flat(before), flat(after)];
  return [...new Set([...old.keys(), ...now.keys()])]
    .map((key) => ({ key, before: old.get(key) ?? null, after: now.get(key) ?? null }))
    .filter((each) => each.before !== each.after);
}

const DEEPEST = 4;

function flat(value: unknown, key = "", into = new Map<string, string>()): Map<string, string> {
  const deep = key.split(".").length > DEEPEST;
  if (typeof value === "object" && value !== null && !Array.isArray(value) && !deep) {
    for (const [name, each] of Object.entries(value)) flat(each, key ? `${key}.${name}` : name, into);
  } else if (value !== undefined && !(value === null && key === "")) {
    into.set(key, plain(value));
  }
  return into;
}

/** A value as people read it. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return "not set";
  if (value === "") return "empty";
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.length === 0) return "none";
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value.join(", ");
  return JSON.stringify(value);
}

const ACTIONS: Record<string, string> = {
  put_account: "set account",
  purge_queue: "purge queue of",
  disconnect_client: "disconnect",
  end_session: "end session of",
  change_password: "change own password",
  reload_files: "reload files",
};

/** The name of an operation as people read it. */
export function words(name: string): string {
  return ACTIONS[name] ?? name.replaceAll("_", " ");
}

/** What a change was about: what its path names, or its topic, or who has tried to log in. */
export function subject(entry: Pick<AuditEntry, "path" | "request">): string {
  const named = Object.values(entry.path).join(" ");
  if (named) return named;
  const { query, body } = entry.request as { query?: Record<string, unknown>; body?: Record<string, unknown> };
  const found = query?.["topic"] ?? body?.["topic"] ?? body?.["filter"] ?? body?.["name"] ?? body?.["level"];
  return typeof found === "string" ? found : "";
}
