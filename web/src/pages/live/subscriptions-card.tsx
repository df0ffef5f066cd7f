import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Badge, Button, Card } from "../../design/basics";
import { Field, Select } from "../../design/fields";
import { Check } from "../../design/check";
import { count } from "../../format";
import type { Connection, Subscription } from "./connection";

export type Qos = "0" | "1" | "2";
export const QOS = [
  ["0", "0: at most once"],
  ["1", "1: at least once"],
  ["2", "2: exactly once"],
] as const;

export function qosOf(value: Qos): 0 | 1 | 2 {
  return value === "0" ? 0 : value === "1" ? 1 : 2;
}

export function SubscriptionsCard({ connection }: { connection: Connection }): JSX.Element {
  const subscriptions = connection.subscriptions.value;
  const connected = connection.state.value.is === "connected";
  const [filter, setFilter] = useState("#");
  const [qos, setQos] = useState<Qos>("0");
  const [noLocal, setNoLocal] = useState(false);
  const [retainAsPublished, setRetainAsPublished] = useState(true);
  const [handling, setHandling] = useState<Qos>("0");
  const five = connection.settings.value?.version !== 4;
  const submit = (event: Event): void => {
    event.preventDefault();
    connection.subscribe({ filter, qos: qosOf(qos), noLocal, retainAsPublished, retainHandling: qosOf(handling) });
  };
  return (
    <Card
      title="Subscriptions"
      aside={subscriptions.length > 0 && <span class="muted number">{count(subscriptions.length)}</span>}
    >
      {subscriptions.length > 0 && (
        <ul class="list" aria-label="Subscriptions">
          {subscriptions.map((each) => (
            <li key={each.filter}>
              <span class="mono filter">{each.filter}</span>
              <Granted subscription={each} connected={connected} />
              <Button
                look="quiet"
                label={`Unsubscribe ${each.filter}`}
                onClick={() => connection.unsubscribe(each.filter)}
              >
                ×
              </Button>
              {each.state.is === "refused" && (
                <span class="why" role="alert">
                  Refused: {each.state.why}
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
      <form class="body" onSubmit={submit}>
        <Field label="Topic filter" value={filter} onInput={setFilter} required />
        <Select label="Highest QoS" value={qos} options={QOS} onChange={setQos} />
        {five && (
          <details>
            <summary>Options of MQTT 5.0</summary>
            <div>
              <Check label="Not what this client publishes itself" value={noLocal} onChange={setNoLocal} />
              <Check
                label="Retain flag as it was published"
                value={retainAsPublished}
                onChange={setRetainAsPublished}
              />
              <Select
                label="Retained messages"
                value={handling}
                options={[
                  ["0", "Always"],
                  ["1", "If the subscription is new"],
                  ["2", "Never"],
                ]}
                onChange={setHandling}
              />
            </div>
          </details>
        )}
        <div class="row">
          <span class="hint">{connected ? "" : "It is asked for as soon as there is a connection."}</span>
          <Button type="submit">Subscribe</Button>
        </div>
      </form>
    </Card>
  );
}

function Granted({ subscription, connected }: { subscription: Subscription; connected: boolean }): JSX.Element {
  const { state } = subscription;
  if (state.is === "refused") return <Badge tone="bad">refused</Badge>;
  if (!connected || state.is === "asked") return <Badge>waiting</Badge>;
  return <Badge tone={state.qos === subscription.qos ? "good" : "warn"}>QoS {state.qos}</Badge>;
}
