// Asking before something is done that cannot be taken back.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { messageOf } from "../api/problems";
import { Button } from "./basics";

export function ConfirmDialog(props: {
  title: string;
  action: string;
  /** Of the button that does it; `danger primary`, if it is not given. */
  look?: "primary" | "danger primary";
  children: ComponentChildren;
  /** Does it; the dialog stays with the message of the error where this fails. */
  onConfirm: () => Promise<void>;
  onClose: () => void;
}): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  useEffect(() => dialog.current?.showModal(), []);

  const confirm = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      await props.onConfirm();
      dialog.current?.close();
    } catch (problem) {
      setError(messageOf(problem));
      setBusy(false);
    }
  };

  return (
    <dialog ref={dialog} class="dialog" aria-labelledby={title} onClose={props.onClose}>
      <form onSubmit={(event) => void confirm(event)}>
        <h2 id={title}>{props.title}</h2>
        {props.children}
        {error && (
          <p class="notice bad" role="alert">
            {error}
          </p>
        )}
        <div class="actions">
          <Button onClick={() => dialog.current?.close()}>Cancel</Button>
          <Button type="submit" look={props.look ?? "danger primary"} disabled={busy}>
            {props.action}
          </Button>
        </div>
      </form>
    </dialog>
  );
}
