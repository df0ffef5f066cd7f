// Who may connect with which password.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api } from "../../api/client";
import { useResource } from "../../api/resource";
import type { AccessSets, RuleSet, User, UserSet } from "../../api/types";
import { Button, Card, EmptyState, Failure, Spinner } from "../../design/basics";
import { Field, Select } from "../../design/fields";
import { ConfirmDialog } from "../../design/dialog";
import { FormDialog } from "../../design/form-dialog";
import { type Column, Table } from "../../design/table";
import { toast } from "../../design/toast";
import { count } from "../../format";
import { DEFAULT, listed, randomPassword, sentenceCase, STARTER } from "./words";

type Asking = { what: "add" } | { what: "change" | "remove"; user: User };

const EVERY = 10_000;
const PAGE = 200;

export function Users({ sets, changed }: { sets: AccessSets; changed: () => void }): JSX.Element {
  const [id, setId] = useState(DEFAULT);
  const set = sets.users.find((each) => each.id === id) ?? sets.users[0];
  if (!set) return <EmptyState title="No listener asks for users" />;
  const rules = sets.rules.filter((each) => each.listeners.some((name) => set.listeners.includes(name)));
  return (
    <div class="part">
      {sets.users.length > 1 && (
        <Select
          label="Users of"
          value={set.id}
          options={sets.users.map((each) => [each.id, `${listed(each.listeners) || "no listener"} — ${each.file}`])}
          onChange={setId}
        />
      )}
      <List key={set.id} set={set} rules={rules} changed={changed} />
    </div>
  );
}

function List({ set, rules, changed }: { set: UserSet; rules: RuleSet[]; changed: () => void }): JSX.Element {
  const [search, setSearch] = useState("");
  const [limit, setLimit] = useState(PAGE);
  const [asking, setAsking] = useState<Asking | null>(null);
  const { data, error, refresh } = useResource(
    `users ${set.id} ${search} ${limit}`,
    (signal) => api.get("/api/v1/users", { query: { set: set.id, search, limit }, signal }),
    EVERY,
  );
  const done = (): void => {
    refresh();
    changed();
  };
  const add = set.editable && (
    <Button look="primary" onClick={() => setAsking({ what: "add" })}>
      Add a user
    </Button>
  );
  return (
    <>
      <Card title={set.in_force ? "Users" : "Nobody is asked for a password"} aside={add}>
        {!set.editable && <p class="notice inside">They cannot be changed here: {set.reason}.</p>}
        {!data ? (
          error ? (
            <Failure error={error} retry={refresh} />
          ) : (
            <Spinner what="users" retry={refresh} />
          )
        ) : !data.total ? (
          <EmptyState title="There are no users yet">
            <p>
              As soon as there is one, clients must come with a user name and its password
              {set.anonymous_later.length > 0 && `, but for those at ${listed(set.anonymous_later)}`}.
            </p>
          </EmptyState>
        ) : (
          <>
            {(data.total > 10 || search) && (
              <div class="inside">
                <Field
                  label="Search users"
                  hideLabel
                  type="search"
                  placeholder="Search"
                  value={search}
                  onInput={setSearch}
                />
              </div>
            )}
            {data.items.length === 0 ? (
              <EmptyState title={`No user matches “${search}”`} />
            ) : (
              <Table
                label="Users"
                columns={columns(set, setAsking)}
                rows={data.items}
                rowKey={(row) => row.id}
                onEnd={() => data.next !== null && limit < 1_000 && setLimit(Math.min(1_000, limit + PAGE))}
              />
            )}
            {data.next !== null && limit >= 1_000 && <p class="notice inside">There are more. Search for them.</p>}
          </>
        )}
      </Card>
      {set.file !== null && (
        <p class="muted hint">
          In the file {set.file}, for {listed(set.listeners)}.
        </p>
      )}
      {asking?.what === "add" && <AddUser set={set} rules={rules} done={done} close={() => setAsking(null)} />}
      {asking?.what === "change" && (
        <ChangePassword set={set} user={asking.user} done={done} close={() => setAsking(null)} />
      )}
      {asking?.what === "remove" && (
        <RemoveUser set={set} user={asking.user} done={done} close={() => setAsking(null)} />
      )}
    </>
  );
}

function columns(set: UserSet, ask: (asking: Asking) => void): readonly Column<User>[] {
  const all: Column<User>[] = [
    { key: "name", title: "Name", cell: (row) => <span class="mono">{row.name}</span> },
    {
      key: "connected",
      title: "Clients",
      number: true,
      from: "medium",
      width: "96px",
      cell: (row) => count(row.connected),
    },
  ];
  if (!set.editable) return all;
  return [
    ...all,
    {
      key: "actions",
      title: "Change",
      width: "200px",
      cell: (row) => (
        <span class="actions">
          <button
            type="button"
            class="button"
            aria-label={`Password of ${row.name}`}
            onClick={() => ask({ what: "change", user: row })}
          >
            Password
          </button>
          <button
            type="button"
            class="button danger"
            aria-label={`Remove ${row.name}`}
            onClick={() => ask({ what: "remove", user: row })}
          >
            Remove
          </button>
        </span>
      ),
    },
  ];
}

function Password(props: { value: string; onInput: (value: string) => void; wrong?: string | undefined }): JSX.Element {
  const [seen, setSeen] = useState(false);
  return (
    <div class="with-button">
      <Field
        label="Password"
        type={seen ? "text" : "password"}
        autocomplete="new-password"
        required
        value={props.value}
        onInput={props.onInput}
        {...(props.wrong === undefined ? {} : { wrong: props.wrong })}
      />
      <Button
        onClick={() => {
          setSeen(true);
          props.onInput(randomPassword());
        }}
      >
        Make one
      </Button>
    </div>
  );
}

function Check(props: { checked: boolean; onChange: (checked: boolean) => void; children: string }): JSX.Element {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={props.checked}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      <span>{props.children}</span>
    </label>
  );
}

function AddUser(props: { set: UserSet; rules: RuleSet[]; done: () => void; close: () => void }): JSX.Element {
  const { set } = props;
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [allow, setAllow] = useState(true);
  const first = !set.in_force;
  const missing = props.rules.filter((each) => !each.in_force && each.editable);
  const submit = async (): Promise<void> => {
    if (first && allow) {
      // Rules first: with users and without rules nobody could do anything meanwhile.
      for (const each of missing) {
        await api.put("/api/v1/rules", { query: { set: each.id }, body: { text: STARTER, version: "none" } });
      }
    }
    await api.post("/api/v1/users", { query: { set: set.id }, body: { name, password } });
    toast(`The user ${name} was added.`);
    props.done();
  };
  return (
    <FormDialog title="Add a user" action="Add" fields={["name", "password"]} onSubmit={submit} onClose={props.close}>
      {(wrong) => (
        <>
          <Field label="Name" required autofocus value={name} onInput={setName} {...optional(wrong("name"))} />
          <Password value={password} onInput={setPassword} wrong={wrong("password")} />
          {first && <FirstUser set={set} />}
          {first && missing.length > 0 && (
            <>
              <Check checked={allow} onChange={setAllow}>
                Make rules that allow users everything, to be changed later
              </Check>
              {!allow && <p class="notice">With users and without rules, nobody may publish or subscribe.</p>}
            </>
          )}
        </>
      )}
    </FormDialog>
  );
}

function optional(wrong: string | undefined): { wrong?: string } {
  return wrong === undefined ? {} : { wrong };
}

/** What the first user means for everybody else. */
function FirstUser({ set }: { set: UserSet }): JSX.Element | null {
  const closing = set.listeners.filter((each) => !set.anonymous_later.includes(each));
  if (!closing.length) return null;
  const now =
    set.without_name === 1
      ? " One such client is connected now; it stays until it leaves."
      : set.without_name > 1
        ? ` ${count(set.without_name)} such clients are connected now; they stay until they leave.`
        : "";
  return (
    <p class="notice">
      This is the first user. From now on clients without a user name cannot connect any more at {listed(closing)}.{now}
    </p>
  );
}

function ChangePassword(props: { set: UserSet; user: User; done: () => void; close: () => void }): JSX.Element {
  const { set, user } = props;
  const [password, setPassword] = useState("");
  const [disconnect, setDisconnect] = useState(true);
  const submit = async (): Promise<void> => {
    const path = { name: user.id };
    const body = { password, disconnect };
    const { disconnected } = await api.put("/api/v1/users/{name}", { path, query: { set: set.id }, body });
    toast(`${user.name} has another password.${ended(disconnected)}`);
    props.done();
  };
  return (
    <FormDialog
      title={`Another password for ${user.name}`}
      action="Change"
      fields={["password"]}
      onSubmit={submit}
      onClose={props.close}
    >
      {(wrong) => (
        <>
          <Password value={password} onInput={setPassword} wrong={wrong("password")} />
          <Check checked={disconnect} onChange={setDisconnect}>
            {`Disconnect the clients that are there by this name (${count(user.connected)})`}
          </Check>
        </>
      )}
    </FormDialog>
  );
}

function ended(count: number): string {
  return count === 0 ? "" : count === 1 ? " One client was disconnected." : ` ${count} clients were disconnected.`;
}

function RemoveUser(props: { set: UserSet; user: User; done: () => void; close: () => void }): JSX.Element {
  const { set, user } = props;
  const [disconnect, setDisconnect] = useState(true);
  const [open, setOpen] = useState(false);
  const last = set.users === 1 && set.managed;
  useEffect(() => setOpen(false), [last]);
  const confirm = async (): Promise<void> => {
    const query = { set: set.id, disconnect, open };
    const answer = await api.delete("/api/v1/users/{name}", { path: { name: user.id }, query });
    toast(
      [`The user ${user.name} was removed.${ended(answer.disconnected)}`, ...answer.warnings.map(sentenceCase)].join(
        " ",
      ),
    );
    props.done();
  };
  return (
    <ConfirmDialog title={`Remove ${user.name}?`} action="Remove" onConfirm={confirm} onClose={props.close}>
      <p class="muted">Clients cannot log in by this name any more. Rules that name the user stay as they are.</p>
      <Check checked={disconnect} onChange={setDisconnect}>
        {`Disconnect the clients that are there by this name (${count(user.connected)})`}
      </Check>
      {last && (
        <>
          <p class="notice bad">It is the last user. Without any, nobody is asked for a password any more.</p>
          <Check checked={open} onChange={setOpen}>
            Yes, let everybody in without a password
          </Check>
        </>
      )}
    </ConfirmDialog>
  );
}
