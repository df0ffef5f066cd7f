// Lines of a trace: how they come from the broker, and what is said of each in a list.
import { problemOf, Unreachable } from "../api/problems";
import { formsOf, type Payload } from "../payload";

export type Kind = "client" | "topic" | "address";

export interface Target {
  kind: Kind;
  /** The `id` of a client, a topic filter, or an address. */
  value: string;
}

type Value = string | number | boolean | null | Value[] | { [key: string]: Value };
export type Fields = Record<string, Value>;

export interface Reason {
  code: number;
  name: string;
}

export interface BeginLine {
  kind: "begin";
  time: number;
  ends_at: number;
  packets: number;
}

export interface PacketLine {
  kind: "packet";
  time: number;
  direction: "in" | "out";
  client: string;
  client_id: string;
  address: string;
  version: string;
  packet: string;
  flags: number;
  bytes: number;
  topic: string | null;
  fields: Fields;
  error: string | null;
}

export interface ClosedLine {
  kind: "closed";
  time: number;
  client: string;
  client_id: string;
  address: string;
  reason: string;
}

export interface LostLine {
  kind: "lost";
  time: number;
  count: number;
}

export interface EndLine {
  kind: "end";
  time: number;
  reason: string;
  packets: number;
}

export type Line = BeginLine | PacketLine | ClosedLine | LostLine | EndLine;
/** What is in the list. */
export type Row = PacketLine | ClosedLine | LostLine;

/** As many packets as a page keeps. */
export const MOST = 10_000;

export function addressOfTrace({ kind, value }: Target, seconds: number, preview: number): string {
  const query = new URLSearchParams({ [kind]: value, seconds: String(seconds), payload: String(preview) });
  query.set("packets", String(MOST));
  query.set("format", "jsonl");
  return `/api/v1/trace?${query.toString()}`;
}

/** Read a trace until it ends; `take` is given what has come in one piece. */
export async function readTrace(
  address: string,
  take: (lines: Line[]) => void,
  signal: AbortSignal,
  fetcher: typeof fetch = (input, init) => fetch(input, init),
): Promise<void> {
  let response: Response;
  try {
    response = await fetcher(address, { credentials: "same-origin", signal });
  } catch (error) {
    throw signal.aborted ? error : new Unreachable(error);
  }
  if (!response.ok) throw await problemOf(response);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done) return;
      const parts = (rest + (value ?? "")).split("\n");
      rest = parts.pop() ?? "";
      if (parts.length) take(parts.map((each) => JSON.parse(each) as Line));
    }
  } catch (error) {
    throw signal.aborted ? error : new Unreachable(error);
  }
}

export const ENDS: Readonly<Record<string, string>> = {
  time: "Its time is over.",
  packets: "That was as many packets as a trace shows.",
  bytes: "That was as much as one trace may hold.",
  stopped: "It was stopped.",
  login: "You are no longer logged in.",
  failed: "The broker could not go on with it; its log says why.",
};

/** The type of a row, by which rows are chosen. */
export function typeOf(row: Row): string {
  return row.kind === "packet" ? row.packet : row.kind;
}

export function milliseconds(at: number): string {
  const date = new Date(at * 1000);
  return `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

export function reasonText({ code, name }: Reason): string {
  return code ? `${name} (0x${code.toString(16).padStart(2, "0")})` : name;
}

/** What is of interest in a packet, in one line. */
export function summary(row: Row): string {
  if (row.kind === "lost") return `${row.count} packets are missing here: they came faster than they were read.`;
  if (row.kind === "closed") return row.reason || "without a reason";
  if (row.error !== null) return row.error;
  const { fields, topic, version } = row;
  const number = "packet_id" in fields ? `#${text(fields["packet_id"])}` : "";
  switch (row.packet) {
    case "CONNECT": {
      const user = "username" in fields ? `user ${text(fields["username"])}` : "no user";
      const will = "will" in fields ? `will to ${text((fields["will"] as Fields)["topic"])}` : "";
      const clean = fields["clean_start"] ? "clean start" : "";
      return join(`MQTT ${version}`, user, clean, `keep alive ${text(fields["keep_alive"])} s`, will);
    }
    case "CONNACK":
      return join(reason(fields), fields["session_present"] ? "session present" : "");
    case "PUBLISH": {
      const options = ["retain", "dup"].filter((each) => fields[each]).join(" ");
      const payload = fields["payload"] as unknown as Payload;
      const shown = formsOf(payload)[0] === "hex" ? "" : payload.data.slice(0, 200);
      const size = `${text(fields["payload_size"])} B`;
      return join(topic ?? "unknown topic", `QoS ${text(fields["qos"])}`, options, number, size, shown);
    }
    case "SUBSCRIBE":
      return join(
        number,
        list(fields["subscriptions"], (each) => `${text(each["topic_filter"])} QoS ${text(each["qos"])}`),
      );
    case "UNSUBSCRIBE":
      return join(number, (fields["topic_filters"] as string[]).join(", "));
    case "SUBACK":
    case "UNSUBACK":
      return join(
        number,
        list(fields["reason_codes"], (each) => reasonText(each as unknown as Reason)),
      );
    default:
      return join(number, topic ?? "", reason(fields));
  }
}

function reason(fields: Fields): string {
  const given = fields["reason_code"] as unknown as Reason | undefined;
  return given === undefined ? "" : reasonText(given);
}

function list(value: Value | undefined, write: (each: Fields) => string): string {
  return Array.isArray(value) ? value.map((each) => write(each as Fields)).join(", ") : "";
}

function join(...parts: string[]): string {
  return parts.filter(Boolean).join(" · ");
}

function text(value: Value | undefined): string {
  return value === undefined || value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
}

const NAMES: Readonly<Record<string, string>> = { qos: "QoS", packet_id: "Packet identifier", dup: "Duplicate" };

function titleOf(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** The fields of a packet, and those within them, as pairs of name and text. The payload is shown apart. */
export function pairsOf(fields: Fields, prefix = ""): [string, string][] {
  return Object.entries(fields).flatMap(([key, value]): [string, string][] => {
    const name = titleOf(prefix + (NAMES[key] ?? key.replaceAll("_", " ")));
    if (key === "payload") return [];
    if (key === "reason_code") return [[name, reasonText(value as unknown as Reason)]];
    if (key === "reason_codes") return [[name, list(value, (each) => reasonText(each as unknown as Reason))]];
    if (key === "user_properties") return (value as [string, string][]).map(([own, said]) => [`“${own}”`, said]);
    if (key === "subscriptions") return (value as Fields[]).map((each) => [text(each["topic_filter"]), options(each)]);
    if (key === "properties") return pairsOf(value as Fields, prefix);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return pairsOf(value, `${name} `);
    if (Array.isArray(value)) return [[name, value.map(text).join(", ")]];
    return [[name, typeof value === "boolean" ? (value ? "yes" : "no") : text(value)]];
  });
}

function options(request: Fields): string {
  return join(
    `QoS ${text(request["qos"])}`,
    request["no_local"] ? "not its own" : "",
    request["retain_as_published"] ? "retain as published" : "",
    request["retain_handling"] ? `retain handling ${text(request["retain_handling"])}` : "",
  );
}
