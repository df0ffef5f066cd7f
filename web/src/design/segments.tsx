// One of a few, which are all seen: for how something is shown, or what is entered.
import type { JSX } from "preact";
import { useId } from "preact/hooks";
import "./segments.css";

export function Segments<T extends string>(props: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
  hideLabel?: boolean;
}): JSX.Element {
  const name = useId();
  return (
    <fieldset class="segments">
      <legend class={props.hideLabel ? "unseen" : undefined}>{props.label}</legend>
      <div>
        {props.options.map(([value, title]) => (
          <label key={value}>
            <input
              type="radio"
              class="unseen"
              name={name}
              checked={props.value === value}
              onChange={() => props.onChange(value)}
            />
            <span>{title}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
