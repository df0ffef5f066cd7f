// Who was refused what, as it happens, and why.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api } from "../../api/client";
import { live } from "../../api/live";
import { useResource } from "../../api/resource";
import { isAdmin } from "../../api/session";
import type { Happened } from "../../api/types";
import { Badge, Card, EmptyState, Failure, Spinner } from "../../design/basics";
import { clock, count } from "../../format";
import { linkTo } from "../../router";
import { decidedBy, questionOf } from "./words";

const SHOWN = 100;

export function Refusals(): JSX.Element {
  const { data, error, refresh } = useResource("refusals", (signal) =>
    api.get("/api/v1/events/recent", { query: { kind: ["refused"], limit: SHOWN }, signal }),
  );
  const [since, setSince] = useState<readonly Happened[]>([]);
  useEffect(
    () =>
      live.listen((event) => {
        if (event.kind === "refused") setSince((before) => [event, ...before].slice(0, SHOWN));
      }),
    [],
  );
  const missed = live.missed.value;
  useEffect(() => {
    if (missed) refresh();
  }, [missed]);
  const known = new Set(since.map((each) => each.id));
  const events = [...since, ...(data?.items ?? []).filter((each) => !known.has(each.id))].slice(0, SHOWN);
  return (
    <Card title="Lately refused" aside={<span class="muted hint">as it happens</span>}>
      {!data && error ? (
        <Failure error={error} retry={refresh} />
      ) : !data ? (
        <Spinner what="refusals" retry={refresh} />
      ) : events.length === 0 ? (
        <EmptyState title="Nobody was refused">
          <p>Clients that may not connect, publish or subscribe are shown here with the rule that decided.</p>
        </EmptyState>
      ) : (
        <ol class="refusals">
          {events.map((each) => (
            <Refusal key={each.id} event={each} />
          ))}
        </ol>
      )}
    </Card>
  );
}

function Refusal({ event }: { event: Happened }): JSX.Element {
  const said = (key: string): string => String(event.details[key] ?? "");
  const question = isAdmin.value ? questionOf(event) : null;
  const times = Number(event.details["count"] ?? 0);
  return (
    <li>
      <time class="number muted" dateTime={new Date(event.at * 1000).toISOString()}>
        {clock(event.at)}
      </time>
      <div class="what">
        <p>
          <Badge tone="bad">{said("action")}</Badge> <span class="mono">{said("topic")}</span>
          {times > 1 && <span class="muted"> {count(times)} times</span>}
        </p>
        <p class="muted">
          {event.client === null ? (
            said("address")
          ) : (
            <a class="mono" href={linkTo(["clients", event.client])}>
              {event.client_id}
            </a>
          )}
          {said("user") && (
            <>
              {" "}
              as <span class="mono">{said("user")}</span>
            </>
          )}
          {" · "}
          <span title={said("rule")}>{decidedBy(said("rule"))}</span>
        </p>
      </div>
      {question && (
        <a
          class="button"
          href={linkTo(["access", "what-if"], question)}
          aria-label={`Why was ${said("topic")} refused?`}
        >
          Why?
        </a>
      )}
    </li>
  );
}
