// What people see of the bytes of a message: text, JSON, a number, or hex; and the way back, for what they enter.

export interface Payload {
  encoding: "text" | "base64";
  data: string;
  truncated: boolean;
}

export const FORMS = ["number", "json", "text", "hex"] as const;
export type Form = (typeof FORMS)[number];

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** Characters that no text has, but tabs and ends of lines. */
const CONTROLS = /[\x00-\x08\x0e-\x1f\x7f]/;
const LONGEST_NUMBER = 40;
const ROW = 8;
const encoder = new TextEncoder();

/** The number that a payload is, and nothing else. */
export function numberOf(payload: Payload): number | null {
  if (payload.encoding !== "text" || payload.truncated || payload.data.length > LONGEST_NUMBER) return null;
  const text = payload.data.trim();
  const value = Number(text);
  return NUMBER.test(text) && Number.isFinite(value) ? value : null;
}

/** JSON with lines and indents. Numbers and names stay as they were written; null for what is no JSON. */
export function prettyJson(text: string): string | null {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  let out = "";
  let depth = 0;
  const line = (): string => `\n${"  ".repeat(depth)}`;
  for (const token of text.match(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s"[\]{},:]+/g) ?? []) {
    if (token === "{" || token === "[") {
      depth += 1;
      out += token + line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      // Nothing stands between the brackets.
      out = /[[{]\s*$/.test(out.slice(-2 * depth - 4)) ? out.trimEnd() + token : out + line() + token;
    } else if (token === ",") out += `,${line()}`;
    else if (token === ":") out += ": ";
    else out += token;
  }
  return out;
}

/** The forms that a payload can be shown in, the best one first. */
export function formsOf(payload: Payload): Form[] {
  if (payload.encoding === "base64") return ["hex"];
  if (CONTROLS.test(payload.data)) return ["hex", "text"];
  if (numberOf(payload) !== null) return ["number", "text", "hex"];
  if (/^\s*[[{"]/.test(payload.data) && !payload.truncated && prettyJson(payload.data) !== null) {
    return ["json", "text", "hex"];
  }
  return ["text", "hex"];
}

export function bytesOf(payload: Payload): Uint8Array {
  if (payload.encoding === "text") return encoder.encode(payload.data);
  return Uint8Array.from(atob(payload.data), (each) => each.charCodeAt(0));
}

/** Eight bytes in a line: where they are, what they are, and what of them is ASCII. */
export function hexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += ROW) {
    const row = [...bytes.subarray(at, at + ROW)];
    const hex = row
      .map(twoDigits)
      .join(" ")
      .padEnd(ROW * 3 - 1);
    const text = row.map((each) => (each >= 0x20 && each < 0x7f ? String.fromCharCode(each) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex}  ${text}`);
  }
  return lines.join("\n");
}

function twoDigits(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** One line that fits into a list. */
export function briefly(payload: Payload, size: number): string {
  if (size === 0) return "(empty)";
  if (payload.encoding === "text" && !CONTROLS.test(payload.data))
    return payload.data.slice(0, 120).replace(/\s+/g, " ");
  return [...bytesOf({ ...payload, data: payload.data.slice(0, 64) })].map(twoDigits).join(" ");
}

// What people enter.

export const ENCODINGS = ["text", "json", "base64", "hex"] as const;
export type Encoding = (typeof ENCODINGS)[number];
export type Entered = { payload: string; encoding: "text" | "base64" } | { wrong: string };

/** What is sent to the API for what was entered. */
export function entered(text: string, encoding: Encoding): Entered {
  if (encoding === "text") return { payload: text, encoding };
  if (encoding === "json") {
    try {
      JSON.parse(text);
    } catch (error) {
      return { wrong: `This is no JSON: ${error instanceof Error ? error.message : "it ends too early"}` };
    }
    // As it was written: large numbers would lose digits.
    return { payload: text, encoding: "text" };
  }
  const dense = text.replace(/\s+/g, "");
  if (encoding === "base64") {
    const good = /^[A-Za-z0-9+/]*={0,2}$/.test(dense) && dense.length % 4 === 0;
    return good
      ? { payload: dense, encoding }
      : { wrong: "This is no base64: groups of four of A–Z, a–z, 0–9, + and /." };
  }
  if (!/^([0-9a-f]{2})*$/i.test(dense)) return { wrong: "Expected two hexadecimal digits for each byte." };
  const bytes = (dense.match(/../g) ?? []).map((each) => String.fromCharCode(parseInt(each, 16)));
  return { payload: btoa(bytes.join("")), encoding: "base64" };
}

/** A payload as it is put into a field, and the encoding that is for it. */
export function editable(payload: Payload): { text: string; encoding: Encoding } {
  if (payload.encoding === "base64" || CONTROLS.test(payload.data)) {
    const text = [...bytesOf(payload)].map(twoDigits).join(" ");
    return { text, encoding: "hex" };
  }
  if (formsOf(payload)[0] === "json") return { text: prettyJson(payload.data) ?? payload.data, encoding: "json" };
  return { text: payload.data, encoding: "text" };
}
