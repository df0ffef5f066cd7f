// Packets of one client, of a topic or from an address, as they come. Also a tab of the page of a client.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiProblem, messageOf } from "../api/problems";
import { isAdmin } from "../api/session";
import { Badge, Button, Card, EmptyState } from "../design/basics";
import { Field, Select } from "../design/fields";
import { PayloadView } from "../design/payload-view";
import { rowsInSight } from "../design/window";
import { bytes, count, duration } from "../format";
import type { Payload } from "../payload";
import { go, linkTo, place } from "../router";
import { Pairs } from "./message";
import {
  type Kind,
  milliseconds,
  pairsOf,
  type PacketLine,
  type Row,
  summary,
  type Target,
  typeOf,
} from "./trace-lines";
import { TraceRun } from "./trace-run";
import "./trace.css";

const KINDS: readonly (readonly [Kind, string])[] = [
  ["client", "Client"],
  ["topic", "Topic filter"],
  ["address", "Address"],
];
const EXAMPLES: Record<Kind, string> = { client: "sensor-1", topic: "plant/+/state", address: "192.0.2.0/24" };
const HINTS: Record<Kind, string> = {
  client: "Everything that one client sends and is sent, from its CONNECT on. It need not be connected yet.",
  topic:
    "Messages whose topic the filter matches, what acknowledges them, and subscriptions. Every connection is read along for it, which costs some of the broker's time.",
  address: "Every connection from an address or a network, also one that is refused.",
};
const TIMES: readonly (readonly [string, string])[] = [
  ["60", "1 minute"],
  ["300", "5 minutes"],
  ["900", "15 minutes"],
  ["3600", "1 hour"],
];
const PREVIEWS: readonly (readonly [string, string])[] = [
  ["0", "none"],
  ["256", "256 bytes"],
  ["4096", "4 KiB"],
  ["65536", "64 KiB"],
];
/** Pixels, as `--trace-row` of the style sheet. */
const ROW = 32;

export function TracePage(): JSX.Element {
  const { query } = place.value;
  const given = KINDS.map(([kind]) => kind).find((kind) => query[kind]);
  const [kind, setKind] = useState<Kind>(given ?? "client");
  const [value, setValue] = useState(given === undefined ? "" : (query[given] ?? ""));
  const [wrong, setWrong] = useState("");
  const label = KINDS.find(([each]) => each === kind)?.[1] ?? "";
  return (
    <div class="page">
      <header class="head">
        <h1>Trace</h1>
        <p class="muted">Packets as they are on the wire. Passwords are never shown.</p>
      </header>
      {isAdmin.value ? (
        <TraceView
          target={{ kind, value: value.trim() }}
          onStart={() => go(linkTo(["trace"], { [kind]: value.trim() }), true)}
          onWrong={setWrong}
          hint={HINTS[kind]}
        >
          <Select
            label="Trace"
            value={kind}
            options={KINDS}
            onChange={(next) => {
              setKind(next);
              setWrong("");
            }}
          />
          <div class="target">
            <Field label={label} value={value} placeholder={EXAMPLES[kind]} wrong={wrong} onInput={setValue} />
          </div>
        </TraceView>
      ) : (
        <div class="card">
          <EmptyState title="Only admins may trace">
            <p>A trace shows what is in messages.</p>
          </EmptyState>
        </div>
      )}
    </div>
  );
}

/** The tab of one client. */
export function ClientTrace({ id }: { id: string }): JSX.Element {
  return (
    <div class="page">
      <TraceView target={{ kind: "client", value: id }} hint={HINTS.client} />
    </div>
  );
}

function TraceView(props: {
  target: Target;
  /** Fields that say what to trace. */
  children?: ComponentChildren;
  hint: string;
  onStart?: () => void;
  onWrong?: (text: string) => void;
}): JSX.Element {
  const { target, onWrong } = props;
  const run = useMemo(() => new TraceRun(), []);
  const [seconds, setSeconds] = useState("300");
  const [preview, setPreview] = useState("256");
  const [types, setTypes] = useState<ReadonlySet<string>>(new Set());
  const [follow, setFollow] = useState(true);
  const [chosen, setChosen] = useState<Row | null>(null);
  useEffect(() => () => run.stop(), []);

  const busy = run.state.value === "starting" || run.state.value === "running";
  const all = run.shown.value;
  const rows = useMemo(
    () => run.rows.filter((row) => types.size === 0 || types.has(typeOf(row))),
    [run.rows, all, types],
  );
  const error = run.error.value;
  const field = error instanceof ApiProblem && error.status === 400 ? error.message : "";
  useEffect(() => onWrong?.(field && messageOf(error)), [field]);

  const start = (): void => {
    if (target.value === "") {
      onWrong?.("Say what to trace.");
      return;
    }
    onWrong?.("");
    setTypes(new Set());
    setChosen(null);
    setFollow(true);
    props.onStart?.();
    void run.start(target, Number(seconds), Number(preview));
  };
  return (
    <>
      <form
        class="card trace-asks"
        onSubmit={(event) => {
          event.preventDefault();
          if (busy) run.stop();
          else start();
        }}
      >
        {props.children}
        <Select label="For" value={seconds} options={TIMES} onChange={setSeconds} disabled={busy} />
        <Select label="Payloads" value={preview} options={PREVIEWS} onChange={setPreview} disabled={busy} />
        <Button type="submit" look={busy ? "danger" : "primary"}>
          {busy ? "Stop" : "Start"}
        </Button>
      </form>
      {error !== null && !(field && onWrong) && (
        <p class="notice bad" role="alert">
          {messageOf(error)}
        </p>
      )}
      {run.state.value === "idle" ? (
        <div class="card">
          <EmptyState title="Nothing is traced yet">
            <p>{props.hint}</p>
          </EmptyState>
        </div>
      ) : (
        <div class={chosen ? "trace-result open" : "trace-result"}>
          <section class="card trace-list" aria-label="Packets">
            <Head run={run} busy={busy} shown={rows.length} follow={follow} setFollow={setFollow} target={target} />
            <Types rows={run.rows} shown={all} types={types} setTypes={setTypes} />
            <List
              rows={rows}
              shown={all}
              many={target.kind !== "client"}
              follow={follow}
              setFollow={setFollow}
              chosen={chosen}
              choose={setChosen}
              waiting={busy ? `Waiting for packets …` : "There were no packets."}
            />
          </section>
          {chosen && <Detail row={chosen} onClose={() => setChosen(null)} />}
        </div>
      )}
    </>
  );
}

function Head(props: {
  run: TraceRun;
  busy: boolean;
  shown: number;
  follow: boolean;
  setFollow: (follow: boolean) => void;
  target: Target;
}): JSX.Element {
  const { run, busy, shown, follow } = props;
  const all = run.shown.value;
  return (
    <header>
      <p class="trace-state">
        <span role="status">{busy ? <Badge tone="good">tracing</Badge> : <Badge>ended</Badge>}</span>{" "}
        <span class="number">
          {shown === all ? `${count(all)} packets` : `${count(shown)} of ${count(all)} packets`}
        </span>{" "}
        <span class="muted">{busy ? <Left until={run.endsAt} /> : run.ended.value}</span>
      </p>
      <div class="trace-actions">
        {busy && (
          <Button look="quiet" onClick={() => props.setFollow(!follow)}>
            {follow ? "Pause" : "Follow"}
          </Button>
        )}
        {all > 0 && (
          <>
            <Button look="quiet" onClick={() => download(run.rows)}>
              Download
            </Button>
            <Button look="quiet" onClick={() => run.clear()}>
              Clear
            </Button>
          </>
        )}
      </div>
    </header>
  );
}

function Left({ until }: { until: number }): JSX.Element {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return <>{duration((until - now) / 1000)} left</>;
}

/** What is in the list, as JSON lines. */
function download(rows: readonly Row[]): void {
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  link.download = `trace-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-")}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function Types(props: {
  rows: readonly Row[];
  shown: number;
  types: ReadonlySet<string>;
  setTypes: (types: ReadonlySet<string>) => void;
}): JSX.Element | null {
  const { rows, types } = props;
  const counts = useMemo(() => {
    const found = new Map<string, number>();
    for (const row of rows) found.set(typeOf(row), (found.get(typeOf(row)) ?? 0) + 1);
    return found;
  }, [rows, props.shown]);
  if (counts.size < 2 && types.size === 0) return null;
  const toggle = (type: string): void => {
    const next = new Set(types);
    if (!next.delete(type)) next.add(type);
    props.setTypes(next);
  };
  return (
    <div class="trace-types" role="group" aria-label="Show only these types">
      {[...counts].map(([type, number]) => (
        <button key={type} type="button" aria-pressed={types.has(type)} onClick={() => toggle(type)}>
          {type} <span class="number muted">{count(number)}</span>
        </button>
      ))}
    </div>
  );
}

function List(props: {
  rows: readonly Row[];
  shown: number;
  /** Whether packets are of several clients. */
  many: boolean;
  follow: boolean;
  setFollow: (follow: boolean) => void;
  chosen: Row | null;
  choose: (row: Row | null) => void;
  waiting: string;
}): JSX.Element {
  const { rows, chosen } = props;
  const box = useRef<HTMLDivElement>(null);
  const [sight, setSight] = useState({ first: 0, last: 40 });
  const focus = useRef(false);
  const look = (): void => {
    const element = box.current;
    if (!element) return;
    const next = rowsInSight(rows.length, ROW, -element.scrollTop, element.clientHeight);
    setSight((now) => (now.first === next.first && now.last === next.last ? now : next));
  };
  const settle = (): void => {
    const element = box.current;
    if (element && props.follow) element.scrollTop = element.scrollHeight;
    look();
  };
  const latest = useRef(settle);
  latest.current = settle;
  useEffect(settle, [props.shown, rows, props.follow]);
  useEffect(() => {
    const observer = new ResizeObserver(() => latest.current());
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (!focus.current) return;
    focus.current = false;
    box.current?.querySelector<HTMLElement>("[aria-pressed='true']")?.focus({ preventScroll: true });
  });
  const before = useRef({ top: 0, height: 0 });
  const scrolled = (): void => {
    const element = box.current;
    if (!element) return;
    const { scrollTop: top, scrollHeight: height } = element;
    // Somebody scrolls up; where the list has become shorter, it was the browser.
    if (top < before.current.top && height === before.current.height) props.setFollow(false);
    before.current = { top, height };
    look();
  };
  const press = (event: KeyboardEvent): void => {
    const at = chosen === null ? -1 : rows.indexOf(chosen);
    const moves: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 };
    const move = moves[event.key];
    const next = move === undefined ? undefined : rows[move];
    if (move === undefined || next === undefined) return;
    event.preventDefault();
    props.setFollow(false);
    props.choose(next);
    focus.current = true;
    const element = box.current;
    if (!element) return;
    if (move * ROW < element.scrollTop) element.scrollTop = move * ROW;
    else if ((move + 1) * ROW > element.scrollTop + element.clientHeight)
      element.scrollTop = (move + 1) * ROW - element.clientHeight;
    look();
  };
  const first = Math.min(sight.first, rows.length);
  const last = Math.min(sight.last, rows.length);
  return (
    <div
      ref={box}
      class={props.many ? "trace-rows many" : "trace-rows"}
      onScroll={scrolled}
      onKeyDown={press}
      tabIndex={0}
      role="region"
      aria-label="List of packets"
    >
      {rows.length === 0 ? (
        <p class="muted trace-waiting">{props.waiting}</p>
      ) : (
        <ol style={{ height: `${rows.length * ROW}px` }}>
          {rows.slice(first, last).map((row, offset) => (
            <li
              key={first + offset}
              style={{ top: `${(first + offset) * ROW}px` }}
              aria-setsize={rows.length}
              aria-posinset={first + offset + 1}
            >
              <Line row={row} many={props.many} chosen={row === chosen} choose={props.choose} />
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}

const TONES: Record<string, string> = { lost: "warn", closed: "end" };

function Line(props: { row: Row; many: boolean; chosen: boolean; choose: (row: Row | null) => void }): JSX.Element {
  const { row } = props;
  const direction = row.kind === "packet" ? row.direction : "";
  const failed = row.kind === "packet" && (row.error !== null || refusal(row));
  return (
    <button
      type="button"
      class={["trace-row", direction, TONES[row.kind] ?? "", failed ? "bad" : ""].filter(Boolean).join(" ")}
      aria-pressed={props.chosen}
      onClick={() => props.choose(props.chosen ? null : row)}
    >
      <time class="number muted">{milliseconds(row.time)}</time>
      <span class="way">
        <span aria-hidden="true">{direction === "in" ? "→" : direction === "out" ? "←" : ""}</span>
        <span class="unseen">
          {direction === "in" ? "from the client" : direction === "out" ? "to the client" : ""}
        </span>
      </span>
      {props.many && <span class="mono cut who">{row.kind === "lost" ? "" : row.client_id || row.address}</span>}
      <span class="type">{typeOf(row)}</span>
      <span class="cut what">{summary(row)}</span>
      <span class="number muted size">{row.kind === "packet" ? bytes(row.bytes) : ""}</span>
    </button>
  );
}

/** Whether a packet says no. */
function refusal(row: PacketLine): boolean {
  const { reason_code: one, reason_codes: several } = row.fields;
  const all = [one, ...(Array.isArray(several) ? several : [])];
  return all.some(
    (each) => each !== null && typeof each === "object" && !Array.isArray(each) && isBad(row, each["code"]),
  );
}

function isBad(row: PacketLine, code: unknown): boolean {
  const least = row.packet === "CONNACK" && row.version !== "5.0" ? 1 : 0x80;
  return typeof code === "number" && code >= least;
}

function Detail({ row, onClose }: { row: Row; onClose: () => void }): JSX.Element {
  const packet = row.kind === "packet" ? row : null;
  const payload = payloadOf(packet);
  return (
    <Card
      title={typeOf(row)}
      aside={
        <Button look="quiet" label="Close" onClick={onClose}>
          ✕
        </Button>
      }
    >
      <div class="trace-detail">
        {row.kind !== "packet" && <p class="body">{summary(row)}</p>}
        {packet?.error && <p class="notice bad">{packet.error}</p>}
        <Pairs
          facts={[
            ["Time", milliseconds(row.time)],
            ...(row.kind === "lost" ? [] : whose(row)),
            ...(packet ? facts(packet) : []),
            ...(packet
              ? pairsOf(packet.fields).map(([name, value]) => [name, <span class="mono">{value}</span>] as const)
              : []),
          ]}
        />
        {payload && (
          <div class="body">
            <PayloadView
              key={`${row.time} ${payload.data.length}`}
              label="the payload"
              payload={payload.payload}
              size={payload.size}
            />
          </div>
        )}
      </div>
    </Card>
  );
}

function whose(row: Exclude<Row, { kind: "lost" }>): [string, ComponentChildren][] {
  return [
    [
      "Client",
      row.client ? (
        <a class="mono" href={linkTo(["clients", row.client])}>
          {row.client_id}
        </a>
      ) : (
        "not known yet"
      ),
    ],
    ["Address", <span class="mono">{row.address}</span>],
  ];
}

function facts(packet: PacketLine): [string, ComponentChildren][] {
  return [
    ["Direction", packet.direction === "in" ? "from the client" : "to the client"],
    ["MQTT", packet.version],
    ["Size", bytes(packet.bytes)],
    ["Flags", `0b${packet.flags.toString(2).padStart(4, "0")}`],
    ...(packet.topic === null || packet.topic === packet.fields["topic"]
      ? []
      : [["About", <span class="mono">{packet.topic}</span>] as [string, ComponentChildren]]),
  ];
}

function payloadOf(packet: PacketLine | null): { payload: Payload; size: number; data: string } | null {
  const holder = packet?.packet === "CONNECT" ? packet.fields["will"] : packet?.fields;
  if (holder === null || typeof holder !== "object" || Array.isArray(holder)) return null;
  const payload = holder["payload"] as unknown as Payload | undefined;
  return payload === undefined ? null : { payload, size: Number(holder["payload_size"]), data: payload.data };
}
