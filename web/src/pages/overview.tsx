import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api/client";
import { live } from "../api/live";
import { useResource } from "../api/resource";
import type { Overview } from "../api/types";
import { Badge, Card, EmptyState, Failure, Spinner, Stat } from "../design/basics";
import { Sparkline } from "../design/sparkline";
import { bytes, clock, count, duration, rate } from "../format";
import { EventList } from "./events";
import { ratesBetween, type Sample } from "./rates";

const EVERY = 2_000;
/** Three minutes. */
const LENGTH = 90;
const EVENTS = 12;

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

export function OverviewPage(): JSX.Element {
  const { data, error, refresh } = useResource("broker", (signal) => api.get("/api/v1/broker", { signal }), EVERY);
  const samples = useSamples(data);
  if (!data) return error ? <Failure error={error} retry={refresh} /> : <Spinner what="the overview" retry={refresh} />;
  const last = samples.at(-1);
  return (
    <div class="page">
      <header class="head">
        <h1>Overview</h1>
        <p class="muted number">
          Version {data.version}
          {data.compiled && ", compiled"} · up {duration(data.uptime)} · since {clock(data.started, data.now)}
        </p>
      </header>
      <dl class="stats">
        <Stat name="Clients connected" value={count(data.connections)} />
        <Stat name="Sessions" value={count(data.sessions)} />
        <Stat name="Subscriptions" value={count(data.subscriptions)} />
        <Stat name="Retained" value={count(data.retained_messages)} />
      </dl>
      <dl class="stats two">
        <Stat
          name="Messages received"
          value={last ? rate(last.in) : "–"}
          unit="per second"
          note={<span class="number">{last ? `${bytes(last.bytesIn)}/s` : "measuring …"}</span>}
        >
          <Sparkline values={samples.map((each) => each.in)} length={LENGTH} />
        </Stat>
        <Stat
          name="Packets sent"
          value={last ? rate(last.out) : "–"}
          unit="per second"
          note={<span class="number">{last ? `${bytes(last.bytesOut)}/s` : "measuring …"}</span>}
        >
          <Sparkline values={samples.map((each) => each.out)} length={LENGTH} />
        </Stat>
      </dl>
      <div class="columns">
        <LastEvents />
        <Counters data={data} />
      </div>
    </div>
  );
}

/** The rates of the last minutes. */
function useSamples(data: Overview | null): readonly Sample[] {
  const [samples, setSamples] = useState<readonly Sample[]>([]);
  const before = useRef<Overview | null>(null);
  useEffect(() => {
    if (!data) return;
    const sample = before.current && ratesBetween(before.current, data);
    before.current = data;
    if (sample) setSamples((now) => [...now.slice(1 - LENGTH), sample]);
  }, [data]);
  return samples;
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

function Counters({ data }: { data: Overview }): JSX.Element {
  return (
    <Card title="Since the start">
      <dl class="pairs body">
        {COUNTERS.map(([key, name, bad]) => {
          const value = data.counters[key] ?? 0;
          return (
            <div key={key}>
              <dt>{name}</dt>
              <dd class="number">{bad && value > 0 ? <Badge tone="bad">{count(value)}</Badge> : count(value)}</dd>
            </div>
          );
        })}
      </dl>
    </Card>
  );
}
