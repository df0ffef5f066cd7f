// One topic: what is published to it now, and what is retained.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api } from "../api/client";
import { ApiProblem } from "../api/problems";
import { useResource } from "../api/resource";
import { isAdmin } from "../api/session";
import type { Retained } from "../api/types";
import { Badge, Button, Card, EmptyState, Failure, Spinner } from "../design/basics";
import { PayloadView } from "../design/payload-view";
import { ago, bytes, clock, rate } from "../format";
import type { Payload } from "../payload";
import { linkTo } from "../router";
import { DeleteOne, SetRetained } from "./topic-changes";
import { pathId, shownId } from "./client-ids";
import type { Seen, TopicNode } from "./topic-tree";

/** Milliseconds; a message may also expire or be deleted, of which nobody tells. */
const EVERY = 10_000;

/** Characters of a topic that scrolls by itself. */
const LONG = 200;

type Fact = readonly [string, ComponentChildren];

export function TopicDetail(props: {
  topic: string;
  /** Its place in the tree, if it has one. */
  node: TopicNode | null;
  since: number;
  /** What is retained has been changed here. */
  changed: (payload: Payload | null) => void;
  onBack: () => void;
}): JSX.Element {
  const { topic, node, since } = props;
  const seen = node?.seen ?? null;
  const own = topic.startsWith("$");
  const { data, error, refresh } = useResource(
    `retained ${topic}`,
    async (signal) => ({ message: own ? null : await retainedUnder(topic, signal) }),
    EVERY,
  );
  const replaced = seen?.last.retain ? seen.last.at : 0;
  useEffect(() => {
    if (replaced) refresh();
  }, [replaced]);
  const changed = (payload: Payload | null): void => {
    props.changed(payload);
    refresh();
  };
  return (
    <>
      <header class="about">
        <button type="button" class="back link" onClick={props.onBack}>
          ← Topics
        </button>
        <h2 class="mono" tabIndex={topic.length > LONG ? 0 : undefined}>
          <bdi>{topic}</bdi>
        </h2>
        <a href={linkTo(["subscriptions"], { topic })}>Who would receive it?</a>
      </header>
      {seen && (
        <Card
          title="Last message"
          aside={
            <span class="muted number small">{rate(node?.rate(since, performance.now() / 1000) ?? 0)} per second</span>
          }
        >
          <Message seen={seen} />
        </Card>
      )}
      {!own && (
        <Card
          title="Retained"
          aside={isAdmin.value && data && <Actions topic={topic} message={data.message} changed={changed} />}
        >
          {data ? (
            data.message ? (
              <Kept message={data.message} />
            ) : (
              <EmptyState title="Nothing is retained">
                <p>Whoever subscribes gets the next message that is published, and none at once.</p>
              </EmptyState>
            )
          ) : error ? (
            <Failure error={error} retry={refresh} />
          ) : (
            <Spinner what="the retained message" retry={refresh} />
          )}
        </Card>
      )}
      {!seen && (
        <p class="muted small">Nothing was published to this topic since you look. What comes is shown at once.</p>
      )}
    </>
  );
}

async function retainedUnder(topic: string, signal: AbortSignal): Promise<Retained | null> {
  // Most topics have none, which browsers would write down as errors.
  const { items } = await api.get("/api/v1/retained/topics", {
    query: { filter: topic, search: "", limit: 1 },
    signal,
  });
  if (items.length === 0) return null;
  try {
    return await api.get("/api/v1/retained", { query: { topic }, signal });
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 404) return null;
    throw error;
  }
}

function Message({ seen }: { seen: Seen }): JSX.Element {
  const { last, values } = seen;
  return (
    <div class="body message">
      <PayloadView label="the last message" payload={last.payload} size={last.payload_size} values={values} />
      <Facts
        facts={[
          ["Published", `${clock(last.at)} (${ago(last.at, Date.now() / 1000)})`],
          ["QoS", last.qos],
          ["Retain", last.retain ? "yes" : "no"],
          ["Size", bytes(last.payload_size)],
          ["Publisher", <Publisher origin={last.origin} />],
        ]}
      />
    </div>
  );
}

function Kept({ message }: { message: Retained }): JSX.Element {
  const { properties } = message;
  // Properties that are not there are left out of the answer.
  const more: [string, ComponentChildren][] = [];
  if (properties.content_type) more.push(["Content type", properties.content_type]);
  if (properties.payload_format_indicator) more.push(["Marked as", "text"]);
  if (properties.response_topic) more.push(["Response topic", <span class="mono">{properties.response_topic}</span>]);
  if (properties.correlation_data) {
    more.push(["Correlation data", <span class="mono">{properties.correlation_data}</span>]);
  }
  const user = properties.user_properties ?? [];
  return (
    <div class="body message">
      <PayloadView label="the retained message" payload={message.payload} size={message.payload_size} />
      <Facts
        facts={[
          ["QoS", message.qos],
          ["Size", bytes(message.payload_size)],
          ["Expires", message.expires_at === null ? "never" : clock(message.expires_at)],
          ["Publisher", <Publisher origin={message.origin} />],
          ...more,
        ]}
      />
      {user.length > 0 && (
        <div>
          <h3 class="small muted">User properties</h3>
          <dl class="pairs">
            {user.map(([name, value], index) => (
              <div key={index}>
                <dt class="mono">{name}</dt>
                <dd class="mono">{value}</dd>
              </div>
            ))}
          </dl>
        </div>
      )}
    </div>
  );
}

function Publisher({ origin }: { origin: string | null }): JSX.Element {
  if (origin === null) return <span class="muted">the broker or its API</span>;
  return (
    <a class="mono" href={linkTo(["clients", pathId(origin)])}>
      <bdi>{shownId(origin)}</bdi>
    </a>
  );
}

function Facts({ facts }: { facts: readonly Fact[] }): JSX.Element {
  return (
    <dl class="pairs">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="number">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Actions(props: {
  topic: string;
  message: Retained | null;
  changed: (payload: Payload | null) => void;
}): JSX.Element {
  const { topic, message, changed } = props;
  const [asking, setAsking] = useState<"set" | "delete" | null>(null);
  const close = (): void => setAsking(null);
  return (
    <div class="actions">
      {message?.payload.truncated ? (
        <Badge>too long to edit here</Badge>
      ) : (
        <Button onClick={() => setAsking("set")}>{message ? "Edit …" : "Set …"}</Button>
      )}
      {message && (
        <Button look="danger" onClick={() => setAsking("delete")}>
          Delete …
        </Button>
      )}
      {asking === "set" && (
        <SetRetained
          topic={topic}
          {...(message ? { message } : {})}
          done={(_, payload) => changed(payload)}
          onClose={close}
        />
      )}
      {asking === "delete" && <DeleteOne topic={topic} done={() => changed(null)} onClose={close} />}
    </div>
  );
}
