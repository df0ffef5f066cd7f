import type { ComponentChildren, JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { api } from "../api/client";
import { live } from "../api/live";
import { useResource } from "../api/resource";
import type { FigureHistory, Overview } from "../api/types";
import { Badge, Button, Card, EmptyState, Failure, Spinner, Stat } from "../design/basics";
import { Meter } from "../design/meter";
import { type Line, Plot } from "../design/plot";
import { Segments } from "../design/segments";
import { ago, bytes, clock, count, duration, latency, rate } from "../format";
import { go, linkTo, place } from "../router";
import { Alarms } from "./alarms";
import { EventList } from "./events";
import { FirstClient } from "./first-client";
import { rows, type Span, SPANS, told, useHistory, withGaps } from "./history";
import "./overview.css";

const EVERY = 2_000;
const EVENTS = 12;
const [QUARTER, DAY] = SPANS;

const MESSAGES = ["received", "sent"] as const;
const MESSAGE_LINES: readonly Line[] = [
  { name: "Received", tone: "first", show: rate },
  { name: "Sent", tone: "second", show: rate },
];
const CONNECTION_LINES: readonly Line[] = [{ name: "Open", tone: "first", show: (value) => count(Math.round(value)) }];

const COUNTERS: readonly [string, string, boolean][] = [
  ["connections_accepted", "Connections accepted", false],
  ["connections_refused", "Connections refused", true],
  ["takeovers", "Sessions taken over", false],
  ["publish_denied", "Publications denied", true],
  ["subscribe_denied", "Subscriptions denied", true],
  ["packets_malformed", "Malformed packets", true],
  ["messages_unrouted", "Messages nobody wanted", false],
  ["wills_published", "Wills published", false],
  ["sessions_expired", "Sessions expired", false],
];

/** Causes of drops, and whether they are a fault. */
const DROPS: readonly [string, string, boolean][] = [
  ["queue_full", "The queue was full", true],
  ["congested", "The client took too little", true],
  ["too_large", "Larger than the client takes", true],
  ["expired", "Expired while waiting", false],
  ["session_ended", "The session ended", false],
  ["purged", "Purged by hand", false],
];

export function OverviewPage(): JSX.Element {
  const { data, error, refresh } = useResource("broker", (signal) => api.get("/api/v1/broker", { signal }), EVERY);
  const recent = useHistory(QUARTER);
  if (!data) return error ? <Failure error={error} retry={refresh} /> : <Spinner what="the overview" retry={refresh} />;
  const unused = data.counters["clients_connected"] === 0 && data.sessions === 0;
  return (
    <div class="page">
      <header class="head">
        <h1>Overview</h1>
        <WellOrNot data={data} />
        <p class="muted number">
          Version {data.version}
          {data.compiled && ", compiled"} · up {duration(data.uptime)} · since {clock(data.started, data.now)}
        </p>
      </header>
      <Alarms alarms={data.alarms} now={data.now} />
      {unused && <FirstClient />}
      <Now data={data} history={recent.data} />
      <Plots recent={recent.data} error={recent.error} retry={recent.refresh} />
      <div class="figures">
        <Machine data={data} />
        <Dropped data={data} history={recent.data} />
        <Since data={data} />
      </div>
      <LastEvents />
    </div>
  );
}

function WellOrNot({ data }: { data: Overview }): JSX.Element {
  const alarms = data.alarms.length;
  if (!alarms) return <Badge tone="good">No alarms</Badge>;
  const critical = data.alarms.some((each) => each.severity === "critical");
  return <Badge tone={critical ? "bad" : "warn"}>{alarms === 1 ? "1 alarm" : `${alarms} alarms`}</Badge>;
}

function Now({ data, history }: { data: Overview; history: FigureHistory | null }): JSX.Element {
  const last = (name: string): number | null => history?.series[name]?.at(-1) ?? null;
  const shown = (name: string): string => {
    const value = last(name);
    return value === null ? "–" : rate(value);
  };
  const traffic = (name: string): string => {
    const value = last(name);
    return value === null ? "measuring …" : `${bytes(value)}/s`;
  };
  return (
    <dl class="stats now">
      <Stat
        name="Connections"
        value={count(data.connections)}
        note={data.sessions === 1 ? "1 session" : `${count(data.sessions)} sessions`}
      />
      <Stat name="Messages received" value={shown("received")} unit="/s" note={traffic("received_bytes")} />
      <Stat name="Messages sent" value={shown("sent")} unit="/s" note={traffic("sent_bytes")} />
      <Stat name="Waiting for clients" value={count(data.messages.queued)} note={bytes(data.messages.queued_bytes)} />
    </dl>
  );
}

interface HistoryState {
  recent: FigureHistory | null;
  error: unknown;
  retry: () => void;
}

function Plots({ recent, error, retry }: HistoryState): JSX.Element {
  const span = place.value.query["range"] === DAY.key ? DAY : QUARTER;
  const choose = (key: Span["key"]): void =>
    go(linkTo(["overview"], { range: key === DAY.key ? key : undefined }), true);
  const aside = (
    <Segments
      label="How far back"
      hideLabel
      value={span.key}
      options={SPANS.map((each) => [each.key, each.title] as const)}
      onChange={choose}
    />
  );
  return span === DAY ? (
    <DayPlots aside={aside} />
  ) : (
    <BothPlots key={span.key} span={span} history={recent} error={error} retry={retry} aside={aside} />
  );
}

function DayPlots({ aside }: { aside: ComponentChildren }): JSX.Element {
  const { data, error, refresh } = useHistory(DAY);
  return <BothPlots key={DAY.key} span={DAY} history={data} error={error} retry={refresh} aside={aside} />;
}

function BothPlots(props: {
  span: Span;
  history: FigureHistory | null;
  error: unknown;
  retry: () => void;
  aside: ComponentChildren;
}): JSX.Element {
  const { span, history } = props;
  const messages = useMemo(() => history && withGaps(history, MESSAGES), [history]);
  const connections = useMemo(() => history && withGaps(history, ["connections"]), [history]);
  if (!history || !messages || !connections) {
    return (
      <Card title="History" aside={props.aside}>
        {props.error ? (
          <Failure error={props.error} retry={props.retry} />
        ) : (
          <Spinner what="the history" retry={props.retry} />
        )}
      </Card>
    );
  }
  const where = `in the last ${span.key === "day" ? "24 hours" : "15 minutes"}`;
  const inWords = (name: string, title: string, show: (value: number) => string): string => {
    const { last, mean, most } = told(history.series[name] ?? []);
    if (last === null || mean === null || most === null) return `${title}: nothing is known yet.`;
    return `${title}: ${show(last)} at last, ${show(mean)} on average, ${show(most)} at most ${where}.`;
  };
  const whole = (value: number): string => count(Math.round(value));
  return (
    <>
      <div class="plots">
        <Card title="Messages per second" aside={props.aside}>
          <Plot
            lines={MESSAGE_LINES}
            data={messages}
            seconds={span.seconds}
            group="overview"
            summary={`${inWords("received", "Messages received per second", rate)} ${inWords("sent", "Sent", rate)}`}
          />
          {span.key === "day" && history.at.length === 0 && (
            <p class="muted early">A day is told by minutes. The first one is not over yet.</p>
          )}
        </Card>
        <Card title="Connections">
          <Plot
            lines={CONNECTION_LINES}
            data={connections}
            seconds={span.seconds}
            group="overview"
            whole
            summary={inWords("connections", "Open connections", whole)}
          />
        </Card>
      </div>
      <HistoryTable history={history} span={span} />
    </>
  );
}

function HistoryTable({ history, span }: { history: FigureHistory; span: Span }): JSX.Element {
  const [open, setOpen] = useState(false);
  const found = open ? rows(history, [...MESSAGES, "connections"], span.seconds, span.rows) : [];
  return (
    <div class="as-table">
      <Button look="quiet" onClick={() => setOpen(!open)} expanded={open}>
        {open ? "Hide the table" : "Show as a table"}
      </Button>
      {open && (
        <div class="card">
          <table class="table narrow">
            <caption class="unseen">Averages in the last {span.key === "day" ? "24 hours" : "15 minutes"}</caption>
            <thead>
              <tr>
                <th scope="col">Until</th>
                <th scope="col" class="end">
                  Received/s
                </th>
                <th scope="col" class="end">
                  Sent/s
                </th>
                <th scope="col" class="end">
                  Connections
                </th>
              </tr>
            </thead>
            <tbody>
              {found.map(({ to, means: [received, sent, connections] }) => (
                <tr key={to}>
                  <td class="number">{clock(to)}</td>
                  <td class="number end">{known(received, rate)}</td>
                  <td class="number end">{known(sent, rate)}</td>
                  <td class="number end">{known(connections, (value) => count(Math.round(value)))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function known(value: number | null | undefined, show: (value: number) => string): string {
  return value === null || value === undefined ? "–" : show(value);
}

function LastEvents(): JSX.Element {
  const events = live.recent.value.slice(0, EVENTS);
  return (
    <Card title="What has happened lately">
      {events.length ? (
        <EventList events={events} />
      ) : (
        <EmptyState title="Nothing yet">
          <p>Connections, refusals and lost messages are told here as they happen.</p>
        </EmptyState>
      )}
    </Card>
  );
}

function Machine({ data }: { data: Overview }): JSX.Element {
  const { memory, store, loop_lag: lag } = data;
  return (
    <Card title="Memory and disk">
      <div class="body machine">
        <Meter
          name="Memory"
          value={memory.used}
          most={memory.ceiling}
          text={memory.ceiling ? `${bytes(memory.used)} of ${bytes(memory.ceiling)}` : bytes(memory.used)}
          note={memory.ceiling ? `The ceiling is the ${memory.ceiling_by}'s` : undefined}
        />
        {store && store.disk_free !== null && store.disk_size !== null && (
          <Meter
            name="Disk"
            value={store.disk_size - store.disk_free}
            most={store.disk_size}
            high={0.9}
            text={`${bytes(store.disk_free)} free of ${bytes(store.disk_size)}`}
          />
        )}
        <dl class="pairs">
          {store ? (
            <>
              <Pair name="Store" value={bytes(store.size)} />
              <Pair name="In use" value={bytes(store.used)} />
              <Pair
                name="Last commit"
                value={store.last_commit_age === null ? "none yet" : ago(-store.last_commit_age, 0)}
              />
              <Pair name="Commits" value={count(store.commits)} />
              <Pair name="A commit takes" value={known(store.mean_commit_latency, latency)} note="on average" />
              <Pair name="The last one took" value={known(store.last_commit_latency, latency)} />
            </>
          ) : (
            <Pair name="Store" value="in memory only" />
          )}
          <Pair name="Event loop lag" value={latency(lag.last)} />
          <Pair name="Subscriptions" value={count(data.subscriptions)} />
          <Pair name="Retained messages" value={count(data.retained_messages)} />
        </dl>
      </div>
    </Card>
  );
}

function Pair({ name, value, note }: { name: string; value: string; note?: string }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">
        {value}
        {note && <span class="muted"> {note}</span>}
      </dd>
    </div>
  );
}

function Dropped({ data, history }: { data: Overview; history: FigureHistory | null }): JSX.Element {
  const now = history?.series["dropped"]?.at(-1) ?? 0;
  return (
    <Card title="Messages dropped" aside={now > 0 && <Badge tone="warn">{rate(now)} per second</Badge>}>
      <dl class="pairs body">
        {DROPS.map(([key, name, bad]) => (
          <Total key={key} name={name} value={data.messages.dropped[key] ?? 0} bad={bad} />
        ))}
      </dl>
    </Card>
  );
}

function Since({ data }: { data: Overview }): JSX.Element {
  return (
    <Card title="Since the start">
      <dl class="pairs body">
        <Total name="Messages received" value={data.messages.received} />
        <Total name="Messages sent" value={data.messages.sent} />
        {COUNTERS.map(([key, name, bad]) => (
          <Total key={key} name={name} value={data.counters[key] ?? 0} bad={bad} />
        ))}
      </dl>
    </Card>
  );
}

function Total({ name, value, bad = false }: { name: string; value: number; bad?: boolean }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">{bad && value > 0 ? <Badge tone="bad">{count(value)}</Badge> : count(value)}</dd>
    </div>
  );
}
