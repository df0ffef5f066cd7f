import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api } from "../../api/client";
import { useResource } from "../../api/resource";
import type { AuditEntry } from "../../api/types";
import { Badge, Button, EmptyState, Failure, Spinner } from "../../design/basics";
import { Field } from "../../design/fields";
import { clock, count } from "../../format";
import { go, linkTo, place } from "../../router";
import { differences, subject, words } from "./words";

const EVERY = 10_000;
const STEP = 100;

export function Audit(): JSX.Element {
  const { data, error, refresh } = useResource("audit", (signal) => api.get("/api/v1/audit", { signal }), EVERY);
  const [shown, setShown] = useState(STEP);
  const search = place.value.query["search"] ?? "";
  const ask = (value: string): void => go(linkTo(["settings", "audit"], { search: value }), true);
  if (!data)
    return error ? <Failure error={error} retry={refresh} /> : <Spinner what="the audit log" retry={refresh} />;
  const text = search.trim().toLowerCase();
  const found = data.entries.filter((each) => !text || haystack(each).includes(text));
  return (
    <>
      <div class="filters" role="search">
        <Field
          label="Search the audit log"
          hideLabel
          type="search"
          placeholder="Search who, what and where"
          value={search}
          onInput={ask}
        />
      </div>
      <div class="card">
        {found.length === 0 ? (
          <EmptyState title={search ? `Nothing matches “${search}”` : "Nobody has changed anything yet"}>
            {search ? (
              <Button onClick={() => ask("")}>Show everything</Button>
            ) : (
              <p>Whatever is changed by this console or the HTTP API is shown here, with who did it.</p>
            )}
          </EmptyState>
        ) : (
          <ol class="audit" aria-label="Changes, the newest first">
            {found.slice(0, shown).map((each) => (
              <Entry key={`${each.time} ${each.action} ${each.who}`} entry={each} />
            ))}
          </ol>
        )}
        {found.length > shown && (
          <div class="more">
            <Button onClick={() => setShown(shown + STEP)}>Show more</Button>
          </div>
        )}
      </div>
      <p class="muted hint number">
        {count(found.length)} of the last 1,000 changes since the start. The file of the audit log has all of them.
      </p>
    </>
  );
}

function Entry({ entry }: { entry: AuditEntry }): JSX.Element {
  const good = entry.status < 400;
  const about = subject(entry);
  // Who logs in is nobody yet.
  const who = entry.who || (entry.action === "log_in" && about) || "nobody";
  const changes = differences(entry.before, entry.after);
  const asked = differences(null, entry.request);
  return (
    <li>
      <details>
        <summary>
          <time class="number muted" dateTime={new Date(entry.time * 1000).toISOString()}>
            {clock(entry.time)}
          </time>
          <span class="by">{who}</span>
          <span class="what">
            {words(entry.action)}
            {about && about !== who && <span class="mono"> {about}</span>}
          </span>
          {good ? <Badge tone="good">done</Badge> : <Badge tone="warn">refused {entry.status}</Badge>}
        </summary>
        <div class="changes">
          <p class="muted">
            {entry.role ? `${entry.role}, by ${entry.by}, ` : ""}from <span class="mono">{entry.address}</span>
          </p>
          {changes.length > 0 && (
            <dl>
              {changes.map((each) => (
                <div key={each.key}>
                  <dt class="mono">{each.key || "value"}</dt>
                  <dd>
                    {each.before !== null && <del>{each.before}</del>}
                    {each.after !== null && <ins>{each.after}</ins>}
                  </dd>
                </div>
              ))}
            </dl>
          )}
          {changes.length === 0 && asked.length > 0 && (
            <dl>
              {asked.map((each) => (
                <div key={each.key}>
                  <dt class="mono">{each.key}</dt>
                  <dd>{each.after}</dd>
                </div>
              ))}
            </dl>
          )}
          {changes.length === 0 && asked.length === 0 && <p class="muted">There is nothing more to tell.</p>}
        </div>
      </details>
    </li>
  );
}

function haystack(entry: AuditEntry): string {
  return [entry.who, entry.address, words(entry.action), subject(entry)].join(" ").toLowerCase();
}
