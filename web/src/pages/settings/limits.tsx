import type { JSX } from "preact";
import { api } from "../../api/client";
import { useResource } from "../../api/resource";
import type { Limit } from "../../api/types";
import { Badge, Card, Failure, Spinner } from "../../design/basics";
import { limitText, partUsed, percent, usedTone, type Value } from "./words";

const EVERY = 5_000;

export function Limits(): JSX.Element {
  const { data, error, refresh } = useResource("limits", (signal) => api.get("/api/v1/limits", { signal }), EVERY);
  if (!data) return error ? <Failure error={error} retry={refresh} /> : <Spinner what="limits" retry={refresh} />;
  const whole = data.limits.filter((each) => !each.listener);
  const own = data.limits.filter((each) => each.listener);
  return (
    <>
      <Group title="How much is used" limits={whole.filter((each) => each.used !== null)} />
      <Group title="Others" limits={whole.filter((each) => each.used === null && each.unit)} />
      <Group title="What is offered" limits={whole.filter((each) => each.used === null && !each.unit)} />
      {[...new Set(own.map((each) => each.listener))].map((name) => (
        <Group key={name} title={`Of the listener ${name}`} limits={own.filter((each) => each.listener === name)} />
      ))}
    </>
  );
}

function Group({ title, limits }: { title: string; limits: readonly Limit[] }): JSX.Element | null {
  if (limits.length === 0) return null;
  return (
    <Card title={title}>
      <ul class="rows">
        {limits.map((each) => (
          <LimitRow key={each.name} limit={each} />
        ))}
      </ul>
    </Card>
  );
}

function LimitRow({ limit }: { limit: Limit }): JSX.Element {
  const value = limit.value as Value;
  const part = partUsed(limit);
  const changed = limit.value !== limit.default;
  return (
    <li class="row">
      <div>
        <p class="mono name">{limit.name}</p>
        <p class="muted">{limit.about}</p>
      </div>
      <div class="value number">
        <p>
          {part !== null && (
            <span class="muted">{limitText(limit.used, limit.unit === "bytes" ? "bytes" : "")} of </span>
          )}
          {limitText(value, limit.unit)}
        </p>
        {part !== null && <Bar part={part} />}
        {changed && (
          <p>
            <Badge>set; by default {limitText(limit.default as Value, limit.unit)}</Badge>
          </p>
        )}
      </div>
    </li>
  );
}

function Bar({ part }: { part: number }): JSX.Element {
  return (
    <div class={`bar ${usedTone(part)}`} role="img" aria-label={`${percent(part)} used`}>
      <span style={{ width: `${Math.max(part * 100, part > 0 ? 1 : 0)}%` }} />
    </div>
  );
}
