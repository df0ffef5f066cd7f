import type { JSX } from "preact";
import { api } from "../api/client";
import { type Loaded, type Pages, usePages } from "../api/pages";
import type { Client } from "../api/types";
import { Badge, Button, EmptyState, Failure, Spinner } from "../design/basics";
import { Search } from "../design/search";
import { type Column, Table } from "../design/table";
import { ago, bytes, count } from "../format";
import { go, linkTo, place } from "../router";

const SORTS = [
  "client_id",
  "connected_at",
  "last_received",
  "received_bytes",
  "sent_bytes",
  "subscriptions",
  "queued",
  "dropped",
] as const;
/** Figures such as queues change without an event. */
const EVERY = 10_000;
const KINDS = ["connected", "disconnected"];

interface Asked {
  search: string;
  sort: (typeof SORTS)[number];
  descending: boolean;
}

type Clients = Pages<Loaded<Client> & { ordered: boolean }>;

const COLUMNS: readonly Column<Client>[] = [
  { key: "client_id", title: "Client", sorts: true, cell: (row) => <Name row={row} /> },
  { key: "username", title: "User", from: "medium", width: "12%", cell: (row) => row.username ?? <None /> },
  { key: "address", title: "Address", from: "medium", width: "158px", cell: (row) => row.address },
  { key: "version", title: "MQTT", from: "widest", width: "64px", cell: (row) => row.version },
  {
    key: "connected_at",
    title: "Connected",
    sorts: true,
    number: true,
    width: "104px",
    cell: (row) => ago(row.connected_at, Date.now() / 1000),
  },
  {
    key: "received_bytes",
    title: "Received",
    sorts: true,
    number: true,
    from: "wide",
    width: "106px",
    cell: (row) => <span title={`${count(row.messages_received)} messages`}>{bytes(row.received_bytes)}</span>,
  },
  {
    key: "sent_bytes",
    title: "Sent",
    sorts: true,
    number: true,
    from: "wide",
    width: "84px",
    cell: (row) => bytes(row.sent_bytes),
  },
  {
    key: "subscriptions",
    title: "Subscr.",
    sorts: true,
    number: true,
    from: "widest",
    width: "88px",
    cell: (row) => count(row.subscriptions),
  },
  {
    key: "queued",
    title: "Queued",
    sorts: true,
    number: true,
    from: "medium",
    width: "88px",
    cell: (row) => <span title={bytes(row.owed_bytes)}>{count(row.queued)}</span>,
  },
  {
    key: "dropped",
    title: "Lost",
    sorts: true,
    number: true,
    from: "wide",
    width: "88px",
    cell: (row) => (row.dropped ? <Badge tone="warn">{count(row.dropped)}</Badge> : "0"),
  },
];

function Name({ row }: { row: Client }): JSX.Element {
  return (
    <a class="mono" href={linkTo(["clients", row.id])} tabIndex={-1}>
      {row.client_id}
    </a>
  );
}

function None(): JSX.Element {
  return <span class="muted">–</span>;
}

export function ClientsPage(): JSX.Element {
  const { query } = place.value;
  const asked: Asked = {
    search: query["search"] ?? "",
    sort: SORTS.find((each) => each === query["sort"]) ?? "client_id",
    descending: query["order"] === "down",
  };
  const list: Clients = usePages(
    JSON.stringify(asked),
    (which, signal) => api.get("/api/v1/clients", { query: { ...asked, ...which }, signal }),
    { id: (row: Client) => row.id, every: EVERY, kinds: KINDS },
  );
  const ask = (next: Partial<Asked>): void => {
    const { search, sort, descending } = { ...asked, ...next };
    go(linkTo(["clients"], { search, sort, ...(descending ? { order: "down" } : {}) }), true);
  };
  return (
    <div class="page">
      <header class="head">
        <h1>Clients</h1>
        <p class="muted number">{list.loaded ? `${count(list.loaded.total)} connected` : " "}</p>
      </header>
      <div class="filters" role="search">
        <Search
          label="Search clients"
          placeholder="Search identifier, user or address"
          value={asked.search}
          onSearch={(search) => ask({ search })}
        />
        {list.changed && <Button onClick={list.reload}>Show what has changed</Button>}
      </div>
      <div class="card">
        <List list={list} asked={asked} ask={ask} />
      </div>
    </div>
  );
}

function List(props: { list: Clients; asked: Asked; ask: (next: Partial<Asked>) => void }): JSX.Element {
  const { list, asked, ask } = props;
  const { loaded, error, reload, more } = list;
  if (!loaded) return error ? <Failure error={error} retry={reload} /> : <Spinner what="clients" retry={reload} />;
  if (loaded.items.length === 0 && loaded.next === null) {
    return asked.search ? (
      <EmptyState title={`No client matches “${asked.search}”`}>
        <p>The client identifier, the user name and the address are searched.</p>
        <Button onClick={() => ask({ search: "" })}>Show all clients</Button>
      </EmptyState>
    ) : (
      <EmptyState title="Nobody is connected">
        <p>Clients are shown here as soon as they connect to one of the listeners.</p>
      </EmptyState>
    );
  }
  return (
    <>
      {!loaded.ordered && <p class="notice">There are too many clients to sort them. Search for fewer.</p>}
      <Table
        label="Clients"
        columns={COLUMNS}
        rows={loaded.items}
        rowKey={(row) => row.id}
        order={{ key: asked.sort, descending: asked.descending }}
        onOrder={({ key, descending }) => ask({ sort: SORTS.find((each) => each === key) ?? "client_id", descending })}
        onOpen={(row) => go(linkTo(["clients", row.id]))}
        onEnd={more}
      />
      {loaded.next !== null && (
        <div class="more">
          <Button onClick={more}>Load more</Button>
        </div>
      )}
    </>
  );
}
