// How much of something is taken, as a bar with its figures.
import type { ComponentChildren, JSX } from "preact";
import "./meter.css";

export function Meter(props: {
  name: string;
  value: number;
  /** 0 where it is not known: there is no bar then. */
  most: number;
  text: string;
  note?: ComponentChildren;
  /** The part from which on it is too much. */
  high?: number;
}): JSX.Element {
  const part = props.most > 0 ? Math.min(1, props.value / props.most) : 0;
  return (
    <div class="measured">
      <div class="line">
        <span class="muted">{props.name}</span>
        <span class="number">{props.text}</span>
      </div>
      {props.most > 0 && (
        <div
          class={part >= (props.high ?? 0.85) ? "meter high" : "meter"}
          role="meter"
          aria-label={props.name}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.round(part * 100)}
          aria-valuetext={props.text}
        >
          <div style={{ width: `${Math.max(part * 100, props.value > 0 ? 0.5 : 0)}%` }} />
        </div>
      )}
      {props.note && <div class="muted number note">{props.note}</div>}
    </div>
  );
}
