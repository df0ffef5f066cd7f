import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { api } from "../../api/client";
import { useResource } from "../../api/resource";
import type { Role, Token } from "../../api/types";
import { Badge, Button, Card, EmptyState, Failure, Spinner } from "../../design/basics";
import { Field, Select } from "../../design/fields";
import { CopyLine } from "../../design/copy";
import { ConfirmDialog } from "../../design/dialog";
import { FormDialog } from "../../design/form-dialog";
import { toast } from "../../design/toast";
import { clock } from "../../format";

const DAY = 86_400;
const LIFETIMES = [
  ["", "For ever"],
  [String(DAY), "A day"],
  [String(30 * DAY), "30 days"],
  [String(365 * DAY), "A year"],
] as const;
const ROLES = [
  ["viewer", "Viewer: monitoring and the like"],
  ["admin", "Admin: may do everything"],
] as const;

export function Tokens(): JSX.Element {
  const { data, error, refresh } = useResource("tokens", (signal) => api.get("/api/v1/tokens", { signal }));
  const [making, setMaking] = useState(false);
  const [secret, setSecret] = useState("");
  const [revoking, setRevoking] = useState<Token | null>(null);
  const make = <Button onClick={() => setMaking(true)}>Make a token</Button>;
  return (
    <>
      <Card title="Tokens of programs" aside={data && make}>
        {!data ? (
          error ? (
            <Failure error={error} retry={refresh} />
          ) : (
            <Spinner what="tokens" retry={refresh} />
          )
        ) : data.tokens.length === 0 ? (
          <EmptyState title="There is no token">
            <p>Programs, such as Prometheus or a script, send a token instead of logging in.</p>
          </EmptyState>
        ) : (
          <ul class="rows">
            {data.tokens.map((each) => (
              <Row key={each.id} token={each} revoke={() => setRevoking(each)} />
            ))}
          </ul>
        )}
      </Card>
      {making && <Make made={setSecret} done={refresh} close={() => setMaking(false)} />}
      {secret && <Made secret={secret} close={() => setSecret("")} />}
      {revoking && (
        <ConfirmDialog
          title={`Revoke ${revoking.name}?`}
          action="Revoke"
          onConfirm={async () => {
            await api.delete("/api/v1/tokens/{id}", { path: { id: revoking.id } });
            toast(`The token ${revoking.name} is good no more.`);
            refresh();
          }}
          onClose={() => setRevoking(null)}
        >
          <p>Programs that use it are refused from now on.</p>
        </ConfirmDialog>
      )}
    </>
  );
}

function Row({ token, revoke }: { token: Token; revoke: () => void }): JSX.Element {
  const over = token.expires !== null && token.expires <= Date.now() / 1000;
  const end = token.expires === null ? "for ever" : `${over ? "ran out" : "until"} ${clock(token.expires)}`;
  return (
    <li class="row">
      <div>
        <p class="name">
          {token.name} <Badge tone={token.role === "admin" ? "good" : "neutral"}>{token.role}</Badge>
          {over && <Badge tone="warn">ran out</Badge>}
        </p>
        <p class="muted number">
          made by {token.created_by}, {clock(token.created)} · {end}
        </p>
      </div>
      <div class="actions">
        <button type="button" class="button danger" aria-label={`Revoke ${token.name}`} onClick={revoke}>
          Revoke
        </button>
      </div>
    </li>
  );
}

function Make(props: { made: (secret: string) => void; done: () => void; close: () => void }): JSX.Element {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [lifetime, setLifetime] = useState<(typeof LIFETIMES)[number][0]>("");
  const submit = async (): Promise<void> => {
    const body = { name, role, lifetime: lifetime ? Number(lifetime) : null };
    const made = await api.post("/api/v1/tokens", { body });
    props.made(made.token);
    props.done();
  };
  return (
    <FormDialog title="Make a token" action="Make" fields={["name"]} onSubmit={submit} onClose={props.close}>
      {(wrong) => (
        <>
          <Field
            label="What it is for"
            placeholder="Prometheus"
            required
            autofocus
            value={name}
            {...(wrong("name") ? { wrong: wrong("name") ?? "" } : {})}
            onInput={setName}
          />
          <Select label="Role" value={role} options={ROLES} onChange={setRole} />
          <Select label="Good" value={lifetime} options={LIFETIMES} onChange={setLifetime} />
        </>
      )}
    </FormDialog>
  );
}

function Made({ secret, close }: { secret: string; close: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby={title} onClose={close}>
      <form method="dialog">
        <h2 id={title}>The new token</h2>
        <p>Copy it now: it is not kept, and cannot be shown again.</p>
        <CopyLine text={secret} what="the token" />
        <p class="muted">
          Programs send it as <span class="mono">Authorization: Bearer …</span>
        </p>
        <div class="actions">
          <Button type="submit" look="primary">
            Done
          </Button>
        </div>
      </form>
    </dialog>
  );
}
