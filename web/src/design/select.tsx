import type { JSX } from "preact";
import { useId } from "preact/hooks";

export function Select<T extends string>(props: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
  disabled?: boolean;
  hideLabel?: boolean;
}): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id} class={props.hideLabel ? "unseen" : undefined}>
        {props.label}
      </label>
      <select
        id={id}
        class="input"
        value={props.value}
        disabled={props.disabled ?? false}
        onChange={(event) => {
          const chosen = props.options.find(([value]) => value === event.currentTarget.value);
          if (chosen) props.onChange(chosen[0]);
        }}
      >
        {props.options.map(([value, title]) => (
          <option key={value} value={value}>
            {title}
          </option>
        ))}
      </select>
    </div>
  );
}
