// Subscriptions: who has subscribed to what, and who would receive a message.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api } from "../api/client";
import { type Loaded, type Pages, usePages } from "../api/pages";
import { ApiProblem, messageOf } from "../api/problems";
import type { Receiver, Subscription } from "../api/types";
import { Badge, Button, EmptyState, Failure, Spinner } from "../design/basics";
import { Field } from "../design/fields";
import { Search } from "../design/search";
import { Segments } from "../design/segments";
import { type Column, Table } from "../design/table";
import { Tabs } from "../design/tabs";
import { count } from "../format";
import { go, linkTo, place } from "../router";
import { type Finding, findings, summary, whyNobody } from "./receivers";
import "./subscriptions.css";

const EVERY = 10_000;
const QOS = [
  ["0", "0"],
  ["1", "1"],
  ["2", "2"],
] as const;

export function SubscriptionsPage(): JSX.Element {
  const { query } = place.value;
  const topic = query["topic"];
  const tab = topic !== undefined || query["view"] === "receivers" ? "receivers" : "list";
  return (
    <div class="page subscriptions">
      <header class="head">
        <h1>Subscriptions</h1>
      </header>
      <Tabs
        label="Subscriptions"
        selected={tab}
        onSelect={(key) => go(linkTo(["subscriptions"], key === "list" ? {} : { view: "receivers" }))}
        tabs={[
          { key: "list", title: "All" },
          { key: "receivers", title: "Who would receive?" },
        ]}
      >
        {tab === "list" ? (
          <List search={query["search"] ?? ""} client={query["client"] ?? ""} />
        ) : (
          <Receivers topic={topic ?? ""} qos={QOS.find(([each]) => each === query["qos"])?.[0] ?? "1"} />
        )}
      </Tabs>
    </div>
  );
}

// Who has subscribed to what.

const COLUMNS: readonly Column<Subscription>[] = [
  { key: "filter", title: "Topic filter", cell: (row) => <bdi class="mono">{row.topic_filter}</bdi> },
  {
    key: "client",
    title: "Client",
    width: "30%",
    cell: (row) => (
      <a class="mono" href={linkTo(["clients", row.id])}>
        <bdi>{row.client_id}</bdi>
      </a>
    ),
  },
  { key: "state", title: "State", from: "medium", width: "112px", cell: (row) => <State connected={row.connected} /> },
  { key: "qos", title: "QoS", number: true, width: "56px", cell: (row) => row.qos },
  { key: "options", title: "Options", from: "wide", width: "26%", cell: (row) => options(row) || <None /> },
];

function None(): JSX.Element {
  return <span class="muted">–</span>;
}

function State({ connected }: { connected: boolean }): JSX.Element {
  return <Badge tone={connected ? "good" : "neutral"}>{connected ? "connected" : "away"}</Badge>;
}

function options(row: Subscription): string {
  const parts = [
    row.share !== null && `shared in ${row.share}`,
    row.no_local && "not its own",
    row.retain_as_published && "retain as published",
    row.identifier !== null && `identifier ${row.identifier}`,
  ];
  return parts.filter(Boolean).join(", ");
}

function List({ search, client }: { search: string; client: string }): JSX.Element {
  const list = usePages<Subscription, Loaded<Subscription>>(
    JSON.stringify([search, client]),
    (which, signal) => api.get("/api/v1/subscriptions", { query: { search, client, ...which }, signal }),
    { id: (row) => JSON.stringify([row.id, row.topic_filter]), every: EVERY, kinds: ["connected", "disconnected"] },
  );
  return (
    <>
      <div class="filters" role="search">
        <Search
          label="Search topic filters"
          placeholder="Part of a topic filter"
          value={search}
          onSearch={(next) => go(linkTo(["subscriptions"], { search: next, client }), true)}
        />
        {client && (
          <Button
            onClick={() => go(linkTo(["subscriptions"], { search }))}
            label={`Show all, not only those of ${client}`}
          >
            <span class="cut">only {client}</span> ×
          </Button>
        )}
        {list.changed && <Button onClick={list.reload}>Show what has changed</Button>}
        {list.loaded && <p class="muted number">{count(list.loaded.total)} in all</p>}
      </div>
      <div class="card">
        <Listed list={list} searched={search !== "" || client !== ""} />
      </div>
    </>
  );
}

function Listed({ list, searched }: { list: Pages<Loaded<Subscription>>; searched: boolean }): JSX.Element {
  const { loaded, error, reload, more } = list;
  if (!loaded) {
    return error ? <Failure error={error} retry={reload} /> : <Spinner what="subscriptions" retry={reload} />;
  }
  if (loaded.items.length === 0 && loaded.next === null) {
    return searched ? (
      <EmptyState title="No subscription matches">
        <p>Topic filters are searched as they are written, capital letters and all.</p>
        <Button onClick={() => go(linkTo(["subscriptions"]))}>Show all subscriptions</Button>
      </EmptyState>
    ) : (
      <EmptyState title="Nobody has subscribed to anything">
        <p>Messages go to those clients only that have subscribed to a topic filter which matches the topic.</p>
      </EmptyState>
    );
  }
  return (
    <>
      <Table
        label="Subscriptions"
        columns={COLUMNS}
        rows={loaded.items}
        rowKey={(row) => JSON.stringify([row.id, row.topic_filter])}
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

// Who would receive a message.

function Receivers(props: { topic: string; qos: "0" | "1" | "2" }): JSX.Element {
  const [topic, setTopic] = useState(props.topic);
  const [qos, setQos] = useState(props.qos);
  const [empty, setEmpty] = useState(false);
  useEffect(() => setTopic(props.topic), [props.topic]);
  const ask = (next: string): void => {
    setEmpty(topic === "");
    if (topic) go(linkTo(["subscriptions"], { topic, qos: next }));
  };
  return (
    <>
      <form
        class="filters ask"
        onSubmit={(event) => {
          event.preventDefault();
          ask(qos);
        }}
      >
        <Field
          label="Topic of the message"
          value={topic}
          onInput={setTopic}
          placeholder="home/hall/light"
          {...(empty ? { wrong: "Give the topic of a message." } : {})}
        />
        <Segments
          label="QoS"
          value={qos}
          options={QOS}
          onChange={(next) => {
            setQos(next);
            if (props.topic) ask(next);
          }}
        />
        <Button type="submit" look="primary">
          Who would receive it?
        </Button>
      </form>
      {props.topic ? (
        <Answer key={`${props.topic} ${props.qos}`} topic={props.topic} qos={Number(props.qos)} />
      ) : (
        <div class="card">
          <EmptyState title="Which message?">
            <p>
              For a topic you see which clients would be sent a message now, which would get it later, which would not,
              and the rule that decides. Nothing is published.
            </p>
          </EmptyState>
        </div>
      )}
    </>
  );
}

type Found = Loaded<Receiver> & { local: number };

function Answer({ topic, qos }: { topic: string; qos: number }): JSX.Element {
  const list = usePages<Receiver, Found>(
    JSON.stringify([topic, qos]),
    (which, signal) => api.get("/api/v1/receivers", { query: { topic, qos, ...which }, signal }),
    { id: (row) => JSON.stringify([row.id, row.share]), every: EVERY, kinds: ["connected", "disconnected"] },
  );
  const { loaded, error, reload, more } = list;
  if (!loaded && error instanceof ApiProblem && error.field !== null) {
    return (
      <p class="notice bad" role="alert">
        No message can have this topic: {messageOf(error)}
      </p>
    );
  }
  if (!loaded) {
    return error ? <Failure error={error} retry={reload} /> : <Spinner what="the receivers" retry={reload} />;
  }
  const found = findings(loaded.items, qos);
  const local = loaded.local > 0 && (
    <p class="notice plain">
      {count(loaded.local)} {loaded.local === 1 ? "subscription" : "subscriptions"} within the broker’s own process
      would get it, too.
    </p>
  );
  if (found.length === 0) {
    return (
      <>
        {local}
        <div class="card">
          <EmptyState title="No client would receive it">
            <ul class="hints">
              {whyNobody(topic).map((each) => (
                <li key={each}>{each}</li>
              ))}
            </ul>
            <a class="button" href={linkTo(["subscriptions"])}>
              See what there is
            </a>
          </EmptyState>
        </div>
      </>
    );
  }
  return (
    <>
      <p class="summary" role="status">
        {summary(found)}
        {loaded.next !== null && ` These are the first ${count(found.length)} of ${count(loaded.total)}.`}{" "}
        <a href={linkTo(["topics"], { topic })}>Look at the topic</a>
      </p>
      {local}
      <ul class="receivers card" aria-label="Receivers">
        {found.map((each) => (
          <One key={each.key} finding={each} />
        ))}
      </ul>
      {loaded.next !== null && (
        <div class="more">
          <Button onClick={more}>Load more</Button>
        </div>
      )}
    </>
  );
}

function One({ finding }: { finding: Finding }): JSX.Element {
  const { receiver } = finding;
  return (
    <li>
      <div class="line">
        <a class="mono" href={linkTo(["clients", receiver.id])}>
          <bdi>{receiver.client_id}</bdi>
        </a>
        <Badge tone={finding.tone}>{finding.title}</Badge>
        {finding.gets && <span class="muted number">QoS {finding.qos}</span>}
      </div>
      <p>{finding.because}</p>
      <p class="muted">
        By{" "}
        {receiver.filters.map((each, index) => (
          <span key={each}>
            {index > 0 && ", "}
            <bdi class="mono">{each}</bdi>
          </span>
        ))}
        {receiver.username !== null && ` · user ${receiver.username}`} · rule: {receiver.rule}
      </p>
    </li>
  );
}
