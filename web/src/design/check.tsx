import type { JSX } from "preact";
import "./check.css";

/** A box to tick. */
export function Check(props: { label: string; value: boolean; onChange: (value: boolean) => void }): JSX.Element {
  return (
    <label class="check">
      <input type="checkbox" checked={props.value} onChange={(event) => props.onChange(event.currentTarget.checked)} />
      {props.label}
    </label>
  );
}
