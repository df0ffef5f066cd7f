// What a session is owed, message by message.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api } from "../api/client";
import { type Loaded, usePages } from "../api/pages";
import type { Queued, Session } from "../api/types";
import { Badge, Button, EmptyState, Failure, Spinner } from "../design/basics";
import { type Column, Table } from "../design/table";
import { ago, bytes, clock, count, duration } from "../format";
import { briefly } from "../payload";
import { linkTo } from "../router";
import { MessageDialog } from "./message";

const EVERY = 5_000;

function inFlight(row: Queued): boolean {
  return row.packet_id !== null;
}

function age(row: Queued): string {
  return row.came_at === null ? "–" : ago(row.came_at, Date.now() / 1000);
}

function expiry(row: Queued): string {
  if (row.expires_at === null) return "never";
  const left = row.expires_at - Date.now() / 1000;
  return left > 0 ? `in ${duration(left)}` : "has expired";
}

const COLUMNS: readonly Column<Queued>[] = [
  {
    key: "topic",
    title: "Topic",
    cell: (row) => (
      <>
        <span class="mono">{row.topic}</span> {inFlight(row) && <Badge tone="good">in flight</Badge>}
      </>
    ),
  },
  {
    key: "payload",
    title: "Payload",
    from: "medium",
    width: "32%",
    cell: (row) => <span class="mono muted">{briefly(row.payload, row.payload_size)}</span>,
  },
  { key: "qos", title: "QoS", number: true, width: "60px", cell: (row) => row.qos },
  { key: "size", title: "Size", number: true, from: "medium", width: "88px", cell: (row) => bytes(row.size) },
  { key: "age", title: "Came", number: true, width: "112px", cell: age },
  { key: "expiry", title: "Expires", number: true, from: "wide", width: "128px", cell: expiry },
];

export function Queue({ session }: { session: Session }): JSX.Element {
  const { loaded, error, reload, more } = usePages<Queued, Loaded<Queued>>(
    session.id,
    (which, signal) =>
      api.get("/api/v1/sessions/{client_id}/queue", { path: { client_id: session.id }, query: which, signal }),
    { id: (row) => row.sequence, every: EVERY },
  );
  const [open, setOpen] = useState<Queued | null>(null);
  if (!loaded) return error ? <Failure error={error} retry={reload} /> : <Spinner what="the queue" retry={reload} />;
  return (
    <div class="card">
      {loaded.items.length === 0 ? (
        <EmptyState title="Nothing waits for this client">
          <p>Messages of QoS 1 and 2 wait here while it is away, or takes them more slowly than they come.</p>
        </EmptyState>
      ) : (
        <Table
          label="Messages"
          columns={COLUMNS}
          rows={loaded.items}
          rowKey={(row) => String(row.sequence)}
          onOpen={setOpen}
          onEnd={more}
        />
      )}
      {loaded.next !== null && (
        <div class="more">
          <p class="muted number">
            {count(loaded.items.length)} of {count(loaded.total)}
          </p>
          <Button onClick={more}>Load more</Button>
        </div>
      )}
      {open && (
        <MessageDialog
          topic={open.topic}
          payload={open.payload}
          size={open.payload_size}
          facts={factsOf(open)}
          onClose={() => setOpen(null)}
        />
      )}
    </div>
  );
}

function factsOf(row: Queued): [string, JSX.Element | string][] {
  const state = row.released ? "taken over, not released yet" : inFlight(row) ? "in flight" : "waits";
  return [
    ["State", row.packet_id === null ? state : `${state}, packet identifier ${row.packet_id}`],
    ["QoS", `${row.qos}${row.retain ? ", retained" : ""}`],
    ["Bytes with topic and properties", bytes(row.size)],
    ["Came about", row.came_at === null ? "not known" : `${clock(row.came_at)} (${age(row)})`],
    ["Expires", row.expires_at === null ? "never" : `${clock(row.expires_at)} (${expiry(row)})`],
    [
      "Published by",
      row.origin === null ? (
        "–"
      ) : (
        <a class="mono" href={linkTo(["clients", row.origin])}>
          {row.origin}
        </a>
      ),
    ],
    ...(row.share === null
      ? []
      : [["Shared subscription", <span class="mono">{row.share}</span>] as [string, JSX.Element]]),
  ];
}
