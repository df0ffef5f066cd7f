// What can be done to a client and its session, each after asking.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api } from "../api/client";
import type { Session } from "../api/types";
import { Button } from "../design/basics";
import { Field } from "../design/fields";
import { ConfirmDialog } from "../design/dialog";
import { toast } from "../design/toast";
import { count } from "../format";

type Action = "disconnect" | "purge" | "end";

interface Props {
  session: Session;
  /** Called when something was done. */
  changed: () => void;
  onClose: () => void;
}

export function messages(number: number): string {
  return number === 1 ? "1 message" : `${count(number)} messages`;
}

export function SessionActions({ session, changed }: { session: Session; changed: () => void }): JSX.Element {
  const [asking, setAsking] = useState<Action | null>(null);
  const props = { session, changed, onClose: () => setAsking(null) };
  return (
    <div class="session-actions">
      {session.connected && <Button onClick={() => setAsking("disconnect")}>Disconnect …</Button>}
      <Button onClick={() => setAsking("purge")} disabled={session.queued === 0}>
        Purge queue …
      </Button>
      <Button look="danger" onClick={() => setAsking("end")}>
        End session …
      </Button>
      {asking === "disconnect" && <Disconnect {...props} />}
      {asking === "purge" && <Purge {...props} />}
      {asking === "end" && <EndSession {...props} />}
    </div>
  );
}

function Disconnect({ session, changed, onClose }: Props): JSX.Element {
  const [reason, setReason] = useState("");
  const confirm = async (): Promise<void> => {
    const path = { client_id: session.id };
    await api.post("/api/v1/clients/{client_id}/disconnect", { path, body: { reason } });
    toast(`${session.client_id} was disconnected.`);
    changed();
  };
  return (
    <ConfirmDialog title={`Disconnect ${session.client_id}?`} action="Disconnect" onConfirm={confirm} onClose={onClose}>
      <p class="muted">
        {session.expiry_interval === 0
          ? "Its session ends with the connection. It may connect again at once; most clients do."
          : "Its session stays, and it may connect again at once. Most clients do."}
      </p>
      <Field label="Reason (told to clients of MQTT 5.0)" value={reason} onInput={setReason} />
    </ConfirmDialog>
  );
}

export function Purge({ session, changed, onClose }: Props): JSX.Element {
  const confirm = async (): Promise<void> => {
    const { purged } = await api.post("/api/v1/sessions/{client_id}/purge", { path: { client_id: session.id } });
    toast(`${messages(purged)} for ${session.client_id} ${purged === 1 ? "was" : "were"} dropped.`);
    changed();
  };
  return (
    <ConfirmDialog
      title={`Purge the queue of ${session.client_id}?`}
      action="Purge"
      onConfirm={confirm}
      onClose={onClose}
    >
      <p>
        {messages(session.queued)} that {session.queued === 1 ? "waits" : "wait"} for it will be lost. This cannot be
        undone.
      </p>
      <p class="muted">
        What comes meanwhile is lost, too.{" "}
        {session.inflight > 0 &&
          `${messages(session.inflight)} in flight ${session.inflight === 1 ? "stays" : "stay"}.`}
      </p>
    </ConfirmDialog>
  );
}

function EndSession({ session, changed, onClose }: Props): JSX.Element {
  const confirm = async (): Promise<void> => {
    await api.delete("/api/v1/sessions/{client_id}", { path: { client_id: session.id } });
    toast(`The session of ${session.client_id} was ended.`);
    changed();
  };
  const owed = session.queued + session.inflight;
  return (
    <ConfirmDialog
      title={`End the session of ${session.client_id}?`}
      action="End session"
      onConfirm={confirm}
      onClose={onClose}
    >
      <p>This cannot be undone. What is lost:</p>
      <ul class="lost">
        <li>{session.subscriptions === 1 ? "1 subscription" : `${count(session.subscriptions)} subscriptions`}</li>
        <li>{messages(owed)} that it has not got; those of shared subscriptions go to other members</li>
        {session.connected && <li>its connection; it may come again, and begins with nothing</li>}
      </ul>
      {session.has_will && <p class="muted">Its will is published.</p>}
    </ConfirmDialog>
  );
}
