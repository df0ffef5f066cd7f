import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { freshness } from "../api/freshness";
import { live } from "../api/live";
import { isOutage } from "../api/problems";
import type { Client } from "../api/types";
import { Badge, Button, EmptyState, Failure, Field, Spinner } from "../design/basics";
import { type Column, Table } from "../design/table";
import { ago, bytes, count } from "../format";
import { go, linkTo, place } from "../router";
import { appended, type Asked, type Loaded, loadClients, reloadable, reloadClients, SORTS } from "./client-list";

const TYPING = 250;
const SETTLE = 1_000;
/** Figures such as queues change without an event. */
const EVERY = 10_000;
const SOURCE = "clients";

const COLUMNS: readonly Column<Client>[] = [
  { key: "client_id", title: "Client", sorts: true, cell: (row) => <Name row={row} /> },
  { key: "username", title: "User", from: "medium", width: "14%", cell: (row) => row.username ?? <None /> },
  { key: "address", title: "Address", from: "medium", width: "17%", cell: (row) => row.address },
  { key: "version", title: "MQTT", from: "wide", width: "72px", cell: (row) => row.version },
  {
    key: "connected_at",
    title: "Connected",
    sorts: true,
    number: true,
    width: "104px",
    cell: (row) => ago(row.connected_at, Date.now() / 1000),
  },
  {
    key: "subscriptions",
    title: "Subscr.",
    sorts: true,
    number: true,
    from: "wide",
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
  const list = useClients(asked);
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
        <Search value={asked.search} onSearch={(search) => ask({ search })} />
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

function Search(props: { value: string; onSearch: (value: string) => void }): JSX.Element {
  const [text, setText] = useState(props.value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => setText(props.value), [props.value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <Field
      label="Search clients"
      hideLabel
      type="search"
      placeholder="Search identifier, user or address"
      value={text}
      onInput={(value) => {
        setText(value);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => props.onSearch(value), TYPING);
      }}
    />
  );
}

interface Clients {
  loaded: Loaded | null;
  error: unknown;
  /** Whether clients have come or gone, and the list is too long to be fetched anew unasked. */
  changed: boolean;
  reload: () => void;
  more: () => void;
}

function useClients(asked: Asked): Clients {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [changed, setChanged] = useState(false);
  const now = useRef<{ loaded: Loaded | null; control: AbortController; busy: boolean }>({
    loaded: null,
    control: new AbortController(),
    busy: false,
  });
  now.current.loaded = loaded;

  /** Only the last request counts. */
  const run = (work: (signal: AbortSignal) => Promise<Loaded>): void => {
    now.current.control.abort();
    const control = new AbortController();
    now.current.control = control;
    now.current.busy = true;
    work(control.signal)
      .then((next) => {
        if (control.signal.aborted) return;
        freshness.good(SOURCE);
        setLoaded(next);
        setError(null);
      })
      .catch((problem: unknown) => {
        if (control.signal.aborted) return;
        if (isOutage(problem)) freshness.bad(SOURCE);
        setError(problem);
      })
      .finally(() => {
        if (!control.signal.aborted) now.current.busy = false;
      });
  };
  const reload = (): void => {
    setChanged(false);
    run((signal) => reloadClients(asked, now.current.loaded?.items.length ?? 0, signal));
  };
  const more = (): void => {
    const before = now.current.loaded;
    if (now.current.busy || !before || before.next === null) return;
    run(async (signal) => appended(before, await loadClients(asked, before.next, signal)));
  };

  const { search, sort, descending } = asked;
  useEffect(() => {
    setChanged(false);
    run((signal) => loadClients(asked, null, signal));
  }, [search, sort, descending]);
  useEffect(
    () => () => {
      now.current.control.abort();
      freshness.good(SOURCE);
    },
    [],
  );

  const latest = useRef(reload);
  latest.current = reload;
  const missed = live.missed.value;
  useEffect(() => {
    if (missed) latest.current();
  }, [missed]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const fits = (): boolean => reloadable(now.current.loaded?.items.length ?? 0);
    const soon = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined;
        if (now.current.busy) soon();
        else latest.current();
      }, SETTLE);
    };
    const regularly = setInterval(() => {
      if (document.visibilityState === "visible" && fits()) soon();
    }, EVERY);
    const leave = live.listen(({ kind }) => {
      if (kind !== "connected" && kind !== "disconnected") return;
      if (fits()) soon();
      else setChanged(true);
    });
    return () => {
      leave();
      clearTimeout(timer);
      clearInterval(regularly);
    };
  }, []);
  return { loaded, error, changed, reload, more };
}
