import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api } from "../../api/client";
import { useResource } from "../../api/resource";
import { session } from "../../api/session";
import type { Account, Role } from "../../api/types";
import { Badge, Button, Card, Failure, Spinner } from "../../design/basics";
import { Field, Select } from "../../design/fields";
import { ConfirmDialog } from "../../design/dialog";
import { FormDialog } from "../../design/form-dialog";
import { toast } from "../../design/toast";
import { wrongWith } from "./password";
import { Tokens } from "./tokens";

export const ROLES = [
  ["viewer", "Viewer: sees, and changes nothing"],
  ["admin", "Admin: may do everything"],
] as const;

type Asking = { what: "add" } | { what: "change" | "remove"; account: Account };

export function Accounts(): JSX.Element {
  const { data, error, refresh } = useResource("accounts", (signal) => api.get("/api/v1/accounts", { signal }));
  const [asking, setAsking] = useState<Asking | null>(null);
  const close = (): void => setAsking(null);
  const me = session.value.is === "in" ? session.value.me.name : "";
  const add = <Button onClick={() => setAsking({ what: "add" })}>Add an account</Button>;
  return (
    <>
      <Card title="Who may log in here" aside={data && add}>
        {!data ? (
          error ? (
            <Failure error={error} retry={refresh} />
          ) : (
            <Spinner what="accounts" retry={refresh} />
          )
        ) : (
          <ul class="rows">
            {data.accounts.map((each) => (
              <li key={each.name} class="row">
                <p class="name">
                  <span class="mono">{each.name}</span>{" "}
                  <Badge tone={each.role === "admin" ? "good" : "neutral"}>{each.role}</Badge>
                  {each.name === me && <span class="muted"> you</span>}
                </p>
                <div class="actions">
                  <button
                    type="button"
                    class="button"
                    aria-label={`Password and role of ${each.name}`}
                    onClick={() => setAsking({ what: "change", account: each })}
                  >
                    Password and role
                  </button>
                  <button
                    type="button"
                    class="button danger"
                    aria-label={`Remove ${each.name}`}
                    onClick={() => setAsking({ what: "remove", account: each })}
                  >
                    Remove
                  </button>
                </div>
              </li>
            ))}
          </ul>
        )}
      </Card>
      <Tokens />
      {asking?.what === "add" && <SetAccount taken={data?.accounts ?? []} done={refresh} close={close} />}
      {asking?.what === "change" && <SetAccount account={asking.account} taken={[]} done={refresh} close={close} />}
      {asking?.what === "remove" && (
        <ConfirmDialog
          title={`Remove ${asking.account.name}?`}
          action="Remove"
          onConfirm={async () => {
            await api.delete("/api/v1/accounts/{name}", { path: { name: asking.account.name } });
            toast(`The account ${asking.account.name} was removed.`);
            refresh();
          }}
          onClose={close}
        >
          <p>Its sessions end at once, and tokens that it has made are good no more.</p>
        </ConfirmDialog>
      )}
    </>
  );
}

function SetAccount(props: {
  account?: Account;
  taken: readonly Account[];
  done: () => void;
  close: () => void;
}): JSX.Element {
  const { account } = props;
  const [name, setName] = useState(account?.name ?? "");
  const [role, setRole] = useState<Role>(account?.role ?? "viewer");
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState("");
  const submit = async (): Promise<void> => {
    const short = wrongWith(password);
    setWrong(short);
    if (short) throw new Error("The account is as it was.");
    if (props.taken.some((each) => each.name === name)) throw new Error(`There is an account ${name} already.`);
    await api.put("/api/v1/accounts/{name}", { path: { name }, body: { role, password } });
    toast(account ? `The account ${name} was changed.` : `${name} may log in now.`);
    props.done();
  };
  return (
    <FormDialog
      title={account ? `Change ${account.name}` : "Add an account"}
      action={account ? "Change" : "Add"}
      fields={["password"]}
      onSubmit={submit}
      onClose={props.close}
    >
      {(told) => (
        <>
          {!account && <Field label="Name" required autofocus value={name} onInput={setName} />}
          <Select label="Role" value={role} options={ROLES} onChange={setRole} />
          <Field
            label={account ? "New password" : "Password"}
            type="password"
            autocomplete="new-password"
            required
            value={password}
            {...(wrong || told("password") ? { wrong: wrong || (told("password") ?? "") } : {})}
            onInput={setPassword}
          />
          {account && <p class="muted">Its sessions end, so that it logs in anew.</p>}
        </>
      )}
    </FormDialog>
  );
}
