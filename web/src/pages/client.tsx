import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api } from "../api/client";
import { live } from "../api/live";
import { useResource } from "../api/resource";
import { isAdmin } from "../api/session";
import type { Client, ClientDetail, Session, Subscription } from "../api/types";
import { ApiProblem } from "../api/problems";
import { Badge, Button, Card, EmptyState, Failure, Field, Spinner } from "../design/basics";
import { ConfirmDialog } from "../design/dialog";
import { type Column, Table } from "../design/table";
import { Tabs } from "../design/tabs";
import { toast } from "../design/toast";
import { ago, bytes, clock, count, duration } from "../format";
import { linkTo } from "../router";
import { EventList } from "./events";

const EVERY = 5_000;

export function ClientPage({ id }: { id: string }): JSX.Element {
  const { data, error, refresh } = useResource(
    `client ${id}`,
    (signal) => api.get("/api/v1/clients/{client_id}", { path: { client_id: id }, signal }),
    EVERY,
  );
  const [tab, setTab] = useState("session");
  useEffect(() => live.listen((event) => event.client === id && refresh()), [id]);
  const gone = error instanceof ApiProblem && error.status === 404;
  return (
    <div class="page">
      <a class="back" href={linkTo(["clients"])}>
        ← Clients
      </a>
      <header class="head">
        <h1 class="title">{data?.session.client_id ?? id}</h1>
        {data && !gone && <State detail={data} changed={refresh} />}
        {gone && <Badge>gone</Badge>}
      </header>
      {gone && <p class="notice">The broker has nothing of this client any more but what happened to it.</p>}
      {!data && error && !gone ? (
        <Failure error={error} retry={refresh} />
      ) : !data && !gone ? (
        <Spinner what="the client" retry={refresh} />
      ) : gone || !data ? (
        <Timeline id={id} />
      ) : (
        <Tabs
          label="About this client"
          selected={tab}
          onSelect={setTab}
          tabs={[
            { key: "session", title: "Session" },
            { key: "subscriptions", title: `Subscriptions (${count(data.session.subscriptions)})` },
            { key: "timeline", title: "Timeline" },
          ]}
        >
          {tab === "session" && <Facts detail={data} />}
          {tab === "subscriptions" && <Subscriptions id={id} />}
          {tab === "timeline" && <Timeline id={id} />}
        </Tabs>
      )}
    </div>
  );
}

function State({ detail, changed }: { detail: ClientDetail; changed: () => void }): JSX.Element {
  const [asking, setAsking] = useState(false);
  const connection = detail.connection;
  return (
    <>
      <Badge tone={connection ? "good" : "neutral"}>{connection ? "connected" : "away"}</Badge>
      {connection?.congested && <Badge tone="warn">slow</Badge>}
      {connection && isAdmin.value && (
        <div class="push">
          <Button look="danger" onClick={() => setAsking(true)}>
            Disconnect …
          </Button>
        </div>
      )}
      {asking && (
        <Disconnect
          id={detail.session.id}
          name={detail.session.client_id}
          changed={changed}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}

function Disconnect(props: { id: string; name: string; changed: () => void; onClose: () => void }): JSX.Element {
  const [reason, setReason] = useState("");
  const confirm = async (): Promise<void> => {
    await api.post("/api/v1/clients/{client_id}/disconnect", { path: { client_id: props.id }, body: { reason } });
    toast(`${props.name} was disconnected.`);
    props.changed();
  };
  return (
    <ConfirmDialog title={`Disconnect ${props.name}?`} action="Disconnect" onConfirm={confirm} onClose={props.onClose}>
      <p class="muted">Its session stays, and it may connect again at once. Most clients do.</p>
      <Field label="Reason (told to clients of MQTT 5.0)" value={reason} onInput={setReason} />
    </ConfirmDialog>
  );
}

type Fact = readonly [string, ComponentChildren];

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
              ["Delay", duration(will.delay)],
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
    ["Keep alive", connection.keep_alive ? duration(connection.keep_alive) : "never"],
    ["Waiting to be taken", bytes(connection.waiting_bytes)],
    ["Actions refused", count(detail.refusals)],
    ...(detail.certificate_name ? [["Certificate", detail.certificate_name] as const] : []),
  ];
}

function sessionFacts(session: Session): Fact[] {
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
    ["Bytes of both", bytes(session.owed_bytes)],
    ["QoS 2 not released", count(session.incoming)],
    ["Messages lost", drops.length ? "" : "0"],
    ...drops.map(([cause, value]) => [cause.replaceAll("_", " "), <Badge tone="warn">{count(value)}</Badge>] as const),
  ];
}

function Away({ detail }: { detail: ClientDetail }): JSX.Element {
  const last = detail.last_disconnect;
  return (
    <EmptyState title="Not connected">
      {last && (
        <p>
          Gone since {clock(last.at)}
          {last.details["reason"] ? `: ${String(last.details["reason"])}` : ""}
        </p>
      )}
    </EmptyState>
  );
}

function Pairs({ facts }: { facts: readonly Fact[] }): JSX.Element {
  return (
    <dl class="pairs body">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="number">{value}</dd>
        </div>
      ))}
    </dl>
  );
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
