// A form in a dialog: it stays with the message of the error where what it does fails.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiProblem, messageOf } from "../api/problems";
import { Button } from "./basics";

export function FormDialog(props: {
  title: string;
  action: string;
  /** The fields. `wrong` tells what is wrong with one of the body, if that is what is wrong. */
  children: (wrong: (field: string) => string | undefined) => ComponentChildren;
  /** Fields, by the name of the API, that show themselves what is wrong with them. */
  fields?: readonly string[];
  onSubmit: () => Promise<void>;
  onClose: () => void;
}): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => dialog.current?.showModal(), []);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await props.onSubmit();
      dialog.current?.close();
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  const field = error instanceof ApiProblem ? (error.field?.replace(/^\$\./, "") ?? "") : "";
  const own = props.fields?.includes(field) ?? false;

  return (
    <dialog ref={dialog} class="dialog" aria-labelledby={title} onClose={props.onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <h2 id={title}>{props.title}</h2>
        {props.children((name) => (own && name === field ? messageOf(error) : undefined))}
        {error !== null && !own && (
          <p class="notice bad" role="alert">
            {messageOf(error)}
          </p>
        )}
        <div class="actions">
          <Button onClick={() => dialog.current?.close()}>Cancel</Button>
          <Button type="submit" look="primary" disabled={busy}>
            {props.action}
          </Button>
        </div>
      </form>
    </dialog>
  );
}
