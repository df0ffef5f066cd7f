import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api } from "../api/client";
import { type Loaded, type Pages, usePages } from "../api/pages";
import { isAdmin } from "../api/session";
import type { Owed, Session } from "../api/types";
import { Badge, Button, EmptyState, Failure, Spinner, Stat } from "../design/basics";
import { Select } from "../design/fields";
import { Search } from "../design/search";
import { type Column, Table } from "../design/table";
import { ago, bytes, count, duration } from "../format";
import { go, linkTo, place } from "../router";
import { Purge } from "./session-actions";
import "./sessions.css";

const SORTS = ["client_id", "queued", "oldest_at", "owed_bytes", "inflight", "subscriptions", "expires_at"] as const;
const SHOWN = ["all", "connected", "away"] as const;
const EVERY = 10_000;
const KINDS = ["connected", "disconnected"];

interface Asked {
  search: string;
  sort: (typeof SORTS)[number];
  descending: boolean;
  shown: (typeof SHOWN)[number];
}

type Sessions = Pages<Loaded<Session> & { ordered: boolean; owed: Owed }>;

/** The oldest first is the natural direction of a click on the header, as the greatest is of numbers. */
const RISING = ["client_id", "oldest_at", "expires_at"];

const COLUMNS: readonly Column<Session>[] = [
  {
    key: "client_id",
    title: "Client",
    sorts: true,
    cell: (row) => (
      <a class="mono" href={linkTo(["sessions", row.id])} tabIndex={-1}>
        {row.client_id}
      </a>
    ),
  },
  {
    key: "connected",
    title: "State",
    from: "medium",
    width: "116px",
    cell: (row) => (row.connected ? <Badge tone="good">connected</Badge> : <Badge>away</Badge>),
  },
  { key: "queued", title: "Queued", sorts: true, number: true, width: "96px", cell: (row) => count(row.queued) },
  { key: "oldest_at", title: "Oldest", sorts: true, number: true, width: "88px", cell: oldest },
  {
    key: "owed_bytes",
    title: "Bytes",
    sorts: true,
    number: true,
    from: "medium",
    width: "88px",
    cell: (row) => bytes(row.owed_bytes),
  },
  {
    key: "inflight",
    title: "In flight",
    sorts: true,
    number: true,
    from: "widest",
    width: "88px",
    cell: (row) => count(row.inflight),
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
  { key: "last_seen", title: "Last seen", number: true, from: "medium", width: "108px", cell: seen },
  { key: "expires_at", title: "Ends", sorts: true, number: true, from: "wide", width: "124px", cell: ends },
];

function oldest(row: Session): JSX.Element | string {
  if (row.queued === 0) return "–";
  if (row.oldest_at === null) return <span title="From before the broker was started">before start</span>;
  return duration(Date.now() / 1000 - row.oldest_at)
    .split(" ")
    .slice(0, 2)
    .join(" ");
}

function seen(row: Session): string {
  return row.last_seen === null ? "–" : ago(row.last_seen, Date.now() / 1000);
}

function ends(row: Session): string {
  if (row.connected) return row.expiry_interval === 0 ? "when it goes" : "–";
  return row.expires_at === null ? "never" : `in ${duration(row.expires_at - Date.now() / 1000)}`;
}

export function SessionsPage(): JSX.Element {
  const { query } = place.value;
  const asked: Asked = {
    search: query["search"] ?? "",
    sort: SORTS.find((each) => each === query["sort"]) ?? "queued",
    descending: query["sort"] === undefined || query["order"] === "down",
    shown: SHOWN.find((each) => each === query["show"]) ?? "all",
  };
  const { search, sort, descending, shown } = asked;
  const connected = shown === "all" ? {} : { connected: shown === "connected" };
  const list: Sessions = usePages(
    JSON.stringify(asked),
    (which, signal) =>
      api.get("/api/v1/sessions", { query: { search, sort, descending, ...connected, ...which }, signal }),
    { id: (row: Session) => row.id, every: EVERY, kinds: KINDS },
  );
  const ask = (next: Partial<Asked>): void => {
    const wanted = { ...asked, ...next };
    go(
      linkTo(["sessions"], {
        search: wanted.search,
        sort: wanted.sort,
        ...(wanted.descending ? { order: "down" } : {}),
        ...(wanted.shown === "all" ? {} : { show: wanted.shown }),
      }),
      true,
    );
  };
  return (
    <div class="page">
      <header class="head">
        <h1>Sessions &amp; queues</h1>
        <p class="muted number">{list.loaded ? sessionCount(list.loaded.total) : " "}</p>
      </header>
      {list.loaded && <Totals owed={list.loaded.owed} />}
      <div class="filters" role="search">
        <Search
          label="Search sessions"
          placeholder="Search identifier or user"
          value={search}
          onSearch={(text) => ask({ search: text })}
        />
        <Select
          label="Show"
          hideLabel
          value={shown}
          options={[
            ["all", "All sessions"],
            ["connected", "Connected"],
            ["away", "Away"],
          ]}
          onChange={(value) => ask({ shown: value })}
        />
        {list.changed && <Button onClick={list.reload}>Show what has changed</Button>}
      </div>
      <div class="card">
        <List list={list} asked={asked} ask={ask} />
      </div>
    </div>
  );
}

function sessionCount(number: number): string {
  return number === 1 ? "1 session" : `${count(number)} sessions`;
}

function Totals({ owed }: { owed: Owed }): JSX.Element {
  return (
    <dl class="stats three">
      <Stat name="Messages owed" value={count(owed.messages)} note={bytes(owed.bytes)} />
      <Stat
        name="Sessions owed some"
        value={count(owed.sessions)}
        note={owed.sessions ? "in flight or waiting" : "everybody has got everything"}
      />
      <Stat name="Largest queue" value={count(owed.longest)} note={owed.longest === 1 ? "message" : "messages"} />
    </dl>
  );
}

function List(props: { list: Sessions; asked: Asked; ask: (next: Partial<Asked>) => void }): JSX.Element {
  const { list, asked, ask } = props;
  const { loaded, error, reload, more } = list;
  const [purging, setPurging] = useState<Session | null>(null);
  if (!loaded) return error ? <Failure error={error} retry={reload} /> : <Spinner what="sessions" retry={reload} />;
  if (loaded.items.length === 0 && loaded.next === null) return <Nothing asked={asked} ask={ask} />;
  const columns: readonly Column<Session>[] = isAdmin.value
    ? [
        ...COLUMNS,
        {
          key: "actions",
          title: <span class="unseen">Actions</span>,
          from: "wide",
          width: "116px",
          number: true,
          cell: (row) =>
            row.queued > 0 && (
              <button
                type="button"
                class="button quiet small"
                aria-label={`Purge the queue of ${row.client_id}`}
                onClick={() => setPurging(row)}
              >
                Purge …
              </button>
            ),
        },
      ]
    : COLUMNS;
  return (
    <>
      {!loaded.ordered && <p class="notice">There are too many sessions to sort them. Search for fewer.</p>}
      <Table
        label="Sessions"
        columns={columns}
        rows={loaded.items}
        rowKey={(row) => row.id}
        order={{ key: asked.sort, descending: asked.descending }}
        onOrder={({ key, descending }) => {
          const first = key !== asked.sort;
          ask({
            sort: SORTS.find((each) => each === key) ?? "queued",
            descending: first ? !RISING.includes(key) : descending,
          });
        }}
        onOpen={(row) => go(linkTo(["sessions", row.id]))}
        onEnd={more}
      />
      {loaded.next !== null && (
        <div class="more">
          <Button onClick={more}>Load more</Button>
        </div>
      )}
      {purging && <Purge session={purging} changed={reload} onClose={() => setPurging(null)} />}
    </>
  );
}

function Nothing({ asked, ask }: { asked: Asked; ask: (next: Partial<Asked>) => void }): JSX.Element {
  if (asked.search || asked.shown !== "all") {
    return (
      <EmptyState title={asked.search ? `No session matches “${asked.search}”` : `No session is ${asked.shown}`}>
        <p>The client identifier and the user name are searched.</p>
        <Button onClick={() => ask({ search: "", shown: "all" })}>Show all sessions</Button>
      </EmptyState>
    );
  }
  return (
    <EmptyState title="There are no sessions">
      <p>
        A session holds the subscriptions of a client, and the messages that wait for it. It may outlive the connection,
        if the client asks for that.
      </p>
    </EmptyState>
  );
}
