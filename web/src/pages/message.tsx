// One message, as people look at it: in a dialog, with what is known of it, and its payload in each form that it has.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Button } from "../design/basics";
import { PayloadView } from "../design/payload-view";
import type { Payload } from "../payload";
import "./message.css";

export type Fact = readonly [string, ComponentChildren];

export function Pairs({ facts }: { facts: readonly Fact[] }): JSX.Element {
  return (
    <dl class="pairs body">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="number">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function MessageDialog(props: {
  topic: string;
  payload: Payload;
  /** Bytes of the whole payload. */
  size: number;
  facts: readonly Fact[];
  onClose: () => void;
}): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog message" aria-labelledby={title} onClose={props.onClose}>
      <h2 id={title} class="mono">
        {props.topic}
      </h2>
      <PayloadView label="the payload" payload={props.payload} size={props.size} />
      <Pairs facts={props.facts} />
      <div class="actions">
        <Button onClick={() => dialog.current?.close()}>Close</Button>
      </div>
    </dialog>
  );
}
