// Users, rules, and who was refused. Each part has an address: #/access/rules.
import type { JSX } from "preact";
import { api } from "../api/client";
import { useResource } from "../api/resource";
import { isAdmin } from "../api/session";
import type { AccessSets } from "../api/types";
import { EmptyState, Failure, Spinner } from "../design/basics";
import { Tabs } from "../design/tabs";
import { count } from "../format";
import { go, linkTo } from "../router";
import { Refusals } from "./access/refusals";
import { Rules } from "./access/rules";
import { Users } from "./access/users";
import { WhatIf } from "./access/what-if";
import { stateOf } from "./access/words";
import "./access.css";

const EVERY = 10_000;
const PARTS = ["users", "rules", "what-if", "refusals"] as const;

export function AccessPage({ part = "users" }: { part?: string | undefined }): JSX.Element {
  return isAdmin.value ? <Parts part={part} /> : <OnlyRefusals />;
}

function Parts({ part }: { part: string }): JSX.Element {
  const { data, error, refresh } = useResource("access", (signal) => api.get("/api/v1/access", { signal }), EVERY);
  const known = PARTS.find((each) => each === part);
  const users = data?.users.reduce((sum, each) => sum + each.users, 0) ?? 0;
  const rules = data?.rules.reduce((sum, each) => sum + each.rules, 0) ?? 0;
  return (
    <div class="page access">
      <header class="head">
        <h1>Access</h1>
      </header>
      {data && <State sets={data} />}
      <Tabs
        label="Access"
        selected={known ?? "users"}
        onSelect={(key) => go(linkTo(["access", key]))}
        tabs={[
          { key: "users", title: data ? `Users (${count(users)})` : "Users" },
          { key: "rules", title: data ? `Rules (${count(rules)})` : "Rules" },
          { key: "what-if", title: "What if?" },
          { key: "refusals", title: "Refusals" },
        ]}
      >
        {known === undefined ? (
          <EmptyState title="There is no such page" />
        ) : known === "refusals" ? (
          <Refusals />
        ) : !data ? (
          error ? (
            <Failure error={error} retry={refresh} />
          ) : (
            <Spinner what="users and rules" retry={refresh} />
          )
        ) : known === "users" ? (
          <Users sets={data} changed={refresh} />
        ) : known === "rules" ? (
          <Rules sets={data} changed={refresh} />
        ) : (
          <WhatIf sets={data} />
        )}
      </Tabs>
    </div>
  );
}

/** In a sentence, how open the broker is. */
function State({ sets }: { sets: AccessSets }): JSX.Element {
  const { open, text } = stateOf(sets);
  return <p class={open ? "notice" : "muted hint"}>{text}</p>;
}

function OnlyRefusals(): JSX.Element {
  return (
    <div class="page access">
      <header class="head">
        <h1>Access</h1>
        <p class="muted">Users and rules are shown to admins.</p>
      </header>
      <Refusals />
    </div>
  );
}
