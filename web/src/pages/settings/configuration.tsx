import type { JSX } from "preact";
import { api } from "../../api/client";
import { useResource } from "../../api/resource";
import type { ConfigEntry } from "../../api/types";
import { Badge, Button, Card, EmptyState, Failure, Spinner } from "../../design/basics";
import { Field } from "../../design/fields";
import { count } from "../../format";
import { go, linkTo, place } from "../../router";
import { plain } from "./words";

export function Configuration(): JSX.Element {
  const { data, error, refresh } = useResource("config", (signal) => api.get("/api/v1/config/entries", { signal }));
  const { query } = place.value;
  const search = query["search"] ?? "";
  const changed = query["only"] === "changed";
  const ask = (next: { search?: string; changed?: boolean }): void => {
    const only = (next.changed ?? changed) ? "changed" : undefined;
    go(linkTo(["settings", "configuration"], { search: next.search ?? search, only }), true);
  };
  if (!data) {
    return error ? <Failure error={error} retry={refresh} /> : <Spinner what="the configuration" retry={refresh} />;
  }
  const found = data.entries.filter((each) => (!changed || each.changed) && matches(each, search));
  const all = [...new Set(found.map((each) => each.table))];
  // Of tables in which nothing stands, their names are enough, unless somebody looks for something.
  const empty = search ? [] : all.filter((table) => found.every((each) => each.table !== table || each.value === null));
  const tables = all.filter((table) => !empty.includes(table));
  return (
    <>
      <div class="filters" role="search">
        <Field
          label="Search the configuration"
          hideLabel
          type="search"
          placeholder="Search keys and values"
          value={search}
          onInput={(value) => ask({ search: value })}
        />
        <label class="check">
          <input
            type="checkbox"
            checked={changed}
            onChange={(event) => ask({ changed: event.currentTarget.checked })}
          />
          Only what is set ({count(data.entries.filter((each) => each.changed).length)})
        </label>
      </div>
      {all.length === 0 && (
        <div class="card">
          <EmptyState title={search ? `Nothing matches “${search}”` : "Everything is as it is by default"}>
            <Button onClick={() => ask({ search: "", changed: false })}>Show everything</Button>
          </EmptyState>
        </div>
      )}
      {tables.map((table) => (
        <Card key={table} title={table ? `[${table}]` : "At the top"}>
          <ul class="rows config">
            {found
              .filter((each) => each.table === table)
              .map((each) => (
                <Entry key={each.key} entry={each} />
              ))}
          </ul>
        </Card>
      ))}
      {empty.length > 0 && (
        <p class="muted hint">
          Nothing is set in{" "}
          {empty.map((table, index) => (
            <>
              {index > 0 && ", "}
              <span class="mono">[{table}]</span>
            </>
          ))}
          .
        </p>
      )}
      <p class="muted hint">
        It is in the file, the environment and the options of the command, and read when the broker starts. Secrets are
        in files of their own, which are named and not shown.
      </p>
    </>
  );
}

function Entry({ entry }: { entry: ConfigEntry }): JSX.Element {
  return (
    <li class="row">
      <p class="mono name">{entry.key}</p>
      <div class="value">
        <p class={entry.value === null ? "muted" : "mono"}>{plain(entry.value)}</p>
        {entry.changed && (
          <p>
            <Badge>set; by default {plain(entry.default)}</Badge>
          </p>
        )}
      </div>
    </li>
  );
}

function matches(entry: ConfigEntry, search: string): boolean {
  const text = `${entry.table}.${entry.key} = ${plain(entry.value)}`.toLowerCase();
  return text.includes(search.trim().toLowerCase());
}
