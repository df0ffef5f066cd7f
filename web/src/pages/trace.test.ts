import { describe, expect, it } from "vitest";
import { ApiProblem, Unreachable } from "../api/problems";
import { addressOfTrace, type Line, type PacketLine, pairsOf, readTrace, summary } from "./trace-lines";
import { TraceRun } from "./trace-run";

function packet(kind: string, fields: PacketLine["fields"], more: Partial<PacketLine> = {}): PacketLine {
  return {
    kind: "packet",
    time: 1_700_000_000,
    direction: "in",
    client: "a",
    client_id: "a",
    address: "192.0.2.1:9",
    version: "5.0",
    packet: kind,
    flags: 0,
    bytes: 10,
    topic: null,
    fields,
    error: null,
    ...more,
  };
}

function answering(...pieces: string[]): typeof fetch {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
      controller.close();
    },
  });
  return () => Promise.resolve(new Response(body));
}

const never = new AbortController().signal;

describe("reading", () => {
  it("asks for JSON lines", () => {
    const address = addressOfTrace({ kind: "topic", value: "a/#" }, 60, 0);
    expect(address).toBe("/api/v1/trace?topic=a%2F%23&seconds=60&payload=0&packets=10000&format=jsonl");
  });

  it("takes lines however they are cut", async () => {
    const found: Line[] = [];
    const lines = `{"kind":"lost","time":1,"count":2}\n{"kind":"end","time":2,"reason":"time","packets":0}\n`;
    await readTrace(
      "",
      (each) => found.push(...each),
      never,
      answering(lines.slice(0, 5), lines.slice(5, 40), lines.slice(40)),
    );
    expect(found.map((each) => each.kind)).toEqual(["lost", "end"]);
  });

  it("tells what the broker does not do, and that there is none", async () => {
    const problem = new Response(`{"title":"Bad Request","detail":"no"}`, {
      status: 400,
      headers: { "Content-Type": "application/problem+json" },
    });
    await expect(
      readTrace(
        "",
        () => undefined,
        never,
        () => Promise.resolve(problem),
      ),
    ).rejects.toThrow(ApiProblem);
    await expect(
      readTrace(
        "",
        () => undefined,
        never,
        () => Promise.reject(new TypeError("no")),
      ),
    ).rejects.toThrow(Unreachable);
  });
});

describe("summary", () => {
  it.each([
    [
      packet("CONNECT", { username: "u", clean_start: true, keep_alive: 30 }),
      "MQTT 5.0 · user u · clean start · keep alive 30 s",
    ],
    [
      packet(
        "PUBLISH",
        {
          qos: 1,
          retain: true,
          dup: false,
          packet_id: 7,
          payload_size: 2,
          payload: { encoding: "text", data: "on", truncated: false },
        },
        { topic: "a/b" },
      ),
      "a/b · QoS 1 · retain · #7 · 2 B · on",
    ],
    [
      packet("SUBACK", { packet_id: 1, reason_codes: [{ code: 135, name: "Not authorized" }] }),
      "#1 · Not authorized (0x87)",
    ],
    [packet("SUBSCRIBE", { packet_id: 1, subscriptions: [{ topic_filter: "a", qos: 2 }] }), "#1 · a QoS 2"],
    [packet("UNSUBSCRIBE", { packet_id: 1, topic_filters: ["a", "b"] }), "#1 · a, b"],
    [packet("PUBACK", { packet_id: 1 }, { topic: "a/b" }), "#1 · a/b"],
    [packet("CONNECT", {}, { error: "Malformed Packet" }), "Malformed Packet"],
    [packet("PINGREQ", {}), ""],
  ])("%o", (row, text) => {
    expect(summary(row)).toBe(text);
  });

  it("is there for other lines, too", () => {
    expect(summary({ kind: "closed", time: 0, client: "", client_id: "", address: "", reason: "" })).toBe(
      "without a reason",
    );
    expect(summary({ kind: "lost", time: 0, count: 5 })).toContain("5 packets are missing");
  });
});

it("names all fields but the payload", () => {
  const fields: PacketLine["fields"] = {
    topic: "a",
    retain: false,
    payload: { encoding: "text", data: "x", truncated: false },
    payload_size: 1,
    reason_code: { code: 0, name: "Success" },
    will: { topic: "w", payload: null },
    subscriptions: [{ topic_filter: "f", qos: 1, no_local: true }],
    properties: { receive_maximum: 10, user_properties: [["k", "v"]] },
  };
  expect(pairsOf(fields)).toEqual([
    ["Topic", "a"],
    ["Retain", "no"],
    ["Payload size", "1"],
    ["Reason code", "Success"],
    ["Will topic", "w"],
    ["f", "QoS 1 · not its own"],
    ["Receive maximum", "10"],
    ["“k”", "v"],
  ]);
});

describe("a run", () => {
  const target = { kind: "client", value: "a" } as const;

  it("gathers rows until the end", async () => {
    const run = new TraceRun((_address, take) => {
      take([{ kind: "begin", time: 0, ends_at: 1, packets: 1 }, packet("PINGREQ", {})]);
      expect(run.state.value).toBe("running");
      take([{ kind: "end", time: 1, reason: "time", packets: 1 }]);
      return Promise.resolve();
    });
    await run.start(target, 60, 256);
    expect([run.state.value, run.shown.value, run.ended.value]).toEqual(["ended", 1, "Its time is over."]);
  });

  it("is stopped, and takes nothing more", () => {
    let late: (lines: Line[]) => void = () => undefined;
    const run = new TraceRun((_address, take) => {
      late = take;
      return new Promise(() => undefined);
    });
    void run.start(target, 60, 256);
    run.stop();
    late([packet("PINGREQ", {})]);
    expect([run.state.value, run.rows.length, run.ended.value]).toEqual(["ended", 0, "You have stopped it."]);
  });

  it("tells what went wrong", async () => {
    const run = new TraceRun(() => Promise.reject(new Unreachable(null)));
    await run.start(target, 60, 256);
    expect([run.state.value, run.error.value]).toEqual(["ended", expect.any(Unreachable)]);
  });
});
