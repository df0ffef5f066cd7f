import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { api } from "../api/client";
import { live } from "../api/live";
import { ApiProblem } from "../api/problems";
import { useResource } from "../api/resource";
import { isAdmin } from "../api/session";
import type { Client, ClientDetail, Happened, Session, Subscription } from "../api/types";
import { Badge, Card, EmptyState, Failure, Spinner } from "../design/basics";
import { type Column, Table } from "../design/table";
import { Tabs } from "../design/tabs";
import { ago, bytes, clock, count, duration } from "../format";
import { go, linkTo, place } from "../router";
import { EventList } from "./events";
import { type Fact, Pairs } from "./message";
import { Queue } from "./queue";
import { SessionActions } from "./session-actions";
import { ClientTrace } from "./trace";

const EVERY = 5_000;
/** Milliseconds of which a rate is made. */
const SHORTEST = 1_000;

interface Shown {
  key: string;
  title: string;
  show: JSX.Element;
}

/** What there is to see of a client; each line is a tab. Of one that is gone there is no `detail`. */
function tabsOf(id: string, detail: ClientDetail | null): Shown[] {
  const timeline = { key: "timeline", title: "Timeline", show: <Timeline id={id} /> };
  if (detail === null) return [timeline];
  const { session } = detail;
  const owed = session.queued + session.inflight;
  return [
    { key: "session", title: "Session", show: <Facts detail={detail} /> },
    { key: "subscriptions", title: `Subscriptions (${count(session.subscriptions)})`, show: <Subscriptions id={id} /> },
    { key: "queue", title: `Queue (${count(owed)})`, show: <Queue session={session} /> },
    timeline,
    ...(isAdmin.value ? [{ key: "trace", title: "Trace", show: <ClientTrace id={id} /> }] : []),
  ];
}

/** A client, connected, away or gone. `from` is the page to go back to. */
export function ClientPage({ id, from = "clients" }: { id: string; from?: "clients" | "sessions" }): JSX.Element {
  const { data, error, refresh } = useResource(
    `client ${id}`,
    (signal) => api.get("/api/v1/clients/{client_id}", { path: { client_id: id }, signal }),
    EVERY,
  );
  useEffect(() => live.listen((event) => event.client === id && refresh()), [id]);
  const gone = error instanceof ApiProblem && error.status === 404;
  const detail = gone ? null : data;
  const tabs = tabsOf(id, detail);
  const wanted = place.value.query["tab"] ?? (from === "sessions" ? "queue" : "session");
  const tab = tabs.find((each) => each.key === wanted) ?? tabs[0];
  return (
    <div class="page">
      <a class="back" href={linkTo([from])}>
        {from === "clients" ? "← Clients" : "← Sessions & queues"}
      </a>
      <header class="head">
        <h1 class="title">{data?.session.client_id ?? id}</h1>
        {detail && <State detail={detail} />}
        {gone && <Badge>gone</Badge>}
        {detail && isAdmin.value && (
          <div class="push">
            <SessionActions session={detail.session} changed={refresh} />
          </div>
        )}
      </header>
      {gone && (
        <p class="notice">There is no such client now, and nothing is kept for it. What happened to it is here.</p>
      )}
      {!data && !gone ? (
        error ? (
          <Failure error={error} retry={refresh} />
        ) : (
          <Spinner what="the client" retry={refresh} />
        )
      ) : (
        tab && (
          <Tabs
            label="About this client"
            selected={tab.key}
            onSelect={(key) => go(linkTo([from, id], { tab: key }), true)}
            tabs={tabs}
          >
            {tab.show}
          </Tabs>
        )
      )}
    </div>
  );
}

function State({ detail: { session, connection } }: { detail: ClientDetail }): JSX.Element {
  return (
    <>
      <Badge tone={connection ? "good" : "neutral"}>{connection ? "connected" : "away"}</Badge>
      {connection?.congested && <Badge tone="warn">slow</Badge>}
      {session.username !== null && <span class="muted cut">{session.username}</span>}
    </>
  );
}

function Facts({ detail }: { detail: ClientDetail }): JSX.Element {
  const { session, connection, will } = detail;
  return (
    <div class="columns even">
      <Card title="Connection">
        {connection ? <Pairs facts={connectionFacts(detail, connection)} /> : <Away detail={detail} />}
      </Card>
      <Card title="Session">
        <Pairs facts={sessionFacts(session)} />
      </Card>
      {will && (
        <Card title="Will">
          <Pairs
            facts={[
              ["Topic", <span class="mono">{will.topic}</span>],
              ["Payload", bytes(will.size)],
              ["QoS", `${will.qos}${will.retain ? ", retained" : ""}`],
              ["Delay", will.delay ? duration(will.delay) : "none"],
              ...(will.due_at === null ? [] : [["Is published", clock(will.due_at)] as const]),
            ]}
          />
        </Card>
      )}
    </div>
  );
}

function connectionFacts(detail: ClientDetail, connection: Client): Fact[] {
  const now = Date.now() / 1000;
  return [
    ["User", connection.username ?? "–"],
    ["Address", <span class="mono">{connection.address}</span>],
    ["Listener", connection.listener],
    ["MQTT", connection.version],
    ["Connected", `${clock(connection.connected_at, now)} (${ago(connection.connected_at, now)})`],
    ["Last heard of", ago(connection.last_received, now)],
    ["Messages from it", count(connection.messages_received)],
    ["Received", <Traffic key={connection.connected_at} total={connection.received_bytes} asOf={connection} />],
    ["Sent", <Traffic key={connection.connected_at} total={connection.sent_bytes} asOf={connection} />],
    ["Keep alive", connection.keep_alive ? duration(connection.keep_alive) : "never"],
    ["May be in flight", `${count(detail.receive_maximum)}, now ${count(connection.inflight)}`],
    ["Largest packet it takes", detail.maximum_packet_size ? bytes(detail.maximum_packet_size) : "any"],
    ["Topic aliases", detail.topic_alias_maximum ? count(detail.topic_alias_maximum) : "none"],
    ["Waiting to be taken", bytes(connection.waiting_bytes)],
    ["Actions refused", count(detail.refusals)],
    ...(detail.certificate_name ? [["Certificate", detail.certificate_name] as const] : []),
    ...(detail.process_id === null ? [] : [["Process", String(detail.process_id)] as const]),
    ...(detail.last_disconnect ? [["Last time it went", lastEnd(detail.last_disconnect)] as const] : []),
  ];
}

/** Bytes since it connected, and each second between the last two answers, of which `asOf` is the newer one. */
function Traffic({ total, asOf }: { total: number; asOf: Client }): JSX.Element {
  const last = useRef({ asOf, total, at: performance.now(), rate: NaN });
  const { at, total: before } = last.current;
  const now = performance.now();
  if (last.current.asOf !== asOf && now - at > SHORTEST) {
    last.current = { asOf, total, at: now, rate: (total - before) / ((now - at) / 1000) };
  }
  const { rate } = last.current;
  return <>{Number.isNaN(rate) ? bytes(total) : `${bytes(total)}, now ${bytes(rate)}/s`}</>;
}

function sessionFacts(session: Session): Fact[] {
  const now = Date.now() / 1000;
  const drops = Object.entries(session.dropped);
  const kept =
    session.expiry_interval === null
      ? "for ever"
      : session.expiry_interval === 0
        ? "no longer than the connection"
        : duration(session.expiry_interval);
  return [
    ["Outlives a restart", session.persistent ? "yes" : "no"],
    ["Kept", kept],
    ...(session.expires_at === null ? [] : [["Ends", clock(session.expires_at)] as const]),
    ["In flight", count(session.inflight)],
    ["Queued", count(session.queued)],
    ...(session.queued
      ? [["Oldest of them", session.oldest_at ? ago(session.oldest_at, now) : "from before the start"] as const]
      : []),
    ["Bytes of both", bytes(session.owed_bytes)],
    ["QoS 2 not released", count(session.incoming)],
    ["Messages lost", drops.length ? "" : "0"],
    ...drops.map(([cause, value]) => [cause.replaceAll("_", " "), <Badge tone="warn">{count(value)}</Badge>] as const),
  ];
}

function Away({ detail }: { detail: ClientDetail }): JSX.Element {
  const { session, last_disconnect: last } = detail;
  return (
    <EmptyState title="Not connected">
      {last ? (
        <p>Gone since {lastEnd(last)}</p>
      ) : session.last_seen === null ? (
        <p>It has not been here since the broker was started.</p>
      ) : (
        <p>Last seen {clock(session.last_seen)}</p>
      )}
    </EmptyState>
  );
}

function lastEnd(last: Happened): string {
  const reason = last.details["reason"];
  return `${clock(last.at)}${reason ? `: ${String(reason)}` : ""}`;
}

const SUBSCRIPTIONS: readonly Column<Subscription>[] = [
  { key: "filter", title: "Topic filter", cell: (row) => <span class="mono">{row.topic_filter}</span> },
  { key: "qos", title: "QoS", number: true, width: "64px", cell: (row) => row.qos },
  {
    key: "options",
    title: "Options",
    from: "medium",
    width: "40%",
    cell: (row) =>
      [
        row.share !== null && `shared in ${row.share}`,
        row.no_local && "not its own",
        row.retain_as_published && "retain as published",
        row.identifier !== null && `identifier ${row.identifier}`,
      ]
        .filter(Boolean)
        .join(", "),
  },
];

function Subscriptions({ id }: { id: string }): JSX.Element {
  const { data, error, refresh } = useResource(
    `subscriptions ${id}`,
    (signal) => api.get("/api/v1/subscriptions", { query: { client: id, limit: 1_000 }, signal }),
    EVERY,
  );
  if (!data)
    return error ? <Failure error={error} retry={refresh} /> : <Spinner what="subscriptions" retry={refresh} />;
  return (
    <div class="card">
      {data.items.length ? (
        <Table label="Subscriptions" columns={SUBSCRIPTIONS} rows={data.items} rowKey={(row) => row.topic_filter} />
      ) : (
        <EmptyState title="It has subscribed to nothing">
          <p>A client is sent messages only for topics that it has subscribed to.</p>
        </EmptyState>
      )}
      {data.next !== null && <p class="more muted">These are the first {count(data.items.length)}.</p>}
    </div>
  );
}

function Timeline({ id }: { id: string }): JSX.Element {
  const { data, error, refresh } = useResource(
    `history ${id}`,
    (signal) => api.get("/api/v1/clients/{client_id}/history", { path: { client_id: id }, query: {}, signal }),
    EVERY,
  );
  if (!data) return error ? <Failure error={error} retry={refresh} /> : <Spinner what="the timeline" retry={refresh} />;
  return (
    <div class="card">
      {data.items.length ? (
        <EventList events={data.items} ofOne />
      ) : (
        <EmptyState title="Nothing is remembered of this client">
          <p>The last 50 events of each client are kept until the broker is restarted.</p>
        </EmptyState>
      )}
    </div>
  );
}
