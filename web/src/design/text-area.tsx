import type { JSX } from "preact";
import { useId } from "preact/hooks";
import "./text-area.css";

/** A field of several lines. */
export function TextArea(props: {
  label: string;
  value: string;
  onInput: (value: string) => void;
  rows?: number;
  mono?: boolean;
  wrong?: string;
}): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <textarea
        id={id}
        class={props.mono ? "input area mono" : "input area"}
        rows={props.rows ?? 6}
        value={props.value}
        autocapitalize="none"
        spellcheck={false}
        aria-invalid={props.wrong ? "true" : undefined}
        aria-describedby={props.wrong ? `${id}-wrong` : undefined}
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
      {props.wrong && (
        <p class="wrong" id={`${id}-wrong`} role="alert">
          {props.wrong}
        </p>
      )}
    </div>
  );
}
