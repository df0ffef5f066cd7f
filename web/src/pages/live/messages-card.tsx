import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Badge, Button, Card, EmptyState } from "../../design/basics";
import { type Column, Table } from "../../design/table";
import { bytes, clock, count, duration } from "../../format";
import { briefly } from "../../payload";
import { type Fact, MessageDialog } from "../message";
import { type Connection, type Message, MOST } from "./connection";

const COLUMNS: readonly Column<Message>[] = [
  { key: "at", title: "Time", width: "96px", cell: (row) => <span class="number muted">{clock(row.at)}</span> },
  { key: "topic", title: "Topic", cell: (row) => <span class="mono">{row.topic}</span> },
  {
    key: "payload",
    title: "Payload",
    width: "38%",
    cell: (row) => <span class="mono muted">{briefly(row.payload, row.size)}</span>,
  },
  {
    key: "qos",
    title: "QoS",
    from: "medium",
    width: "120px",
    cell: (row) => (
      <span class="number">
        {row.qos} {row.retain && <Badge>retained</Badge>}
      </span>
    ),
  },
];

export function MessagesCard({ connection }: { connection: Connection }): JSX.Element {
  const messages = connection.messages.value;
  const received = connection.received.value;
  const paused = connection.paused.value;
  const [open, setOpen] = useState<Message | null>(null);
  return (
    <Card
      title="Messages"
      aside={
        <div class="tools">
          <span class="muted number">{count(received)}</span>
          <Button look="quiet" onClick={() => connection.pause(!paused)}>
            {paused ? "Go on" : "Pause"}
          </Button>
          <Button look="quiet" onClick={() => connection.clear()} disabled={received === 0}>
            Clear
          </Button>
        </div>
      }
    >
      {messages.length ? (
        <Table
          label="Messages"
          columns={COLUMNS}
          rows={messages}
          rowKey={(row) => String(row.number)}
          onOpen={setOpen}
        />
      ) : (
        <EmptyState title={paused ? "Paused" : "No messages yet"}>
          <p>{hint(connection)}</p>
        </EmptyState>
      )}
      {received > messages.length && messages.length === MOST && (
        <p class="more muted">The last {count(MOST)} are kept.</p>
      )}
      {open && (
        <MessageDialog
          topic={open.topic}
          payload={open.payload}
          size={open.size}
          facts={factsOf(open)}
          onClose={() => setOpen(null)}
        />
      )}
    </Card>
  );
}

function hint(connection: Connection): string {
  if (connection.state.value.is !== "connected") return "Connect, and subscribe to a topic.";
  if (connection.subscriptions.value.length === 0) return "Subscribe to a topic: # is all that you may read.";
  return "Messages are shown here as soon as they come.";
}

function factsOf(row: Message): Fact[] {
  const { contentType, responseTopic, correlationData, messageExpiryInterval, subscriptionIdentifier } = row.properties;
  const user = Object.entries(row.properties.userProperties ?? {}).flatMap(([name, values]) =>
    [values].flat().map((value) => [name, value] as const),
  );
  const flags = [`${row.qos}`, row.retain && "retained", row.dup && "sent again"].filter(Boolean).join(", ");
  return [
    ["Received", clock(row.at)],
    ["QoS", flags],
    ["Payload", bytes(row.size)],
    ...(contentType ? [["Content type", contentType] as const] : []),
    ...(responseTopic ? [["Response topic", <span class="mono">{responseTopic}</span>] as const] : []),
    ...(correlationData ? [["Correlation data", <span class="mono">{hex(correlationData)}</span>] as const] : []),
    ...(messageExpiryInterval === undefined ? [] : [["Expires in", duration(messageExpiryInterval)] as const]),
    ...(subscriptionIdentifier ? [["Subscription identifier", String(subscriptionIdentifier)] as const] : []),
    ...user.map(([name, value]) => [`User property ${name}`, value] as const),
  ];
}

function hex(data: Uint8Array): string {
  return [...data.subarray(0, 64)].map((each) => each.toString(16).padStart(2, "0")).join(" ");
}
