// What people fill in, each with its label, and with what is wrong with it below.
import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import "./fields.css";

interface Told {
  label: string;
  hideLabel?: boolean;
  wrong?: string;
}

/** What ties an input to its label and to what is wrong with it. */
function useTies({ wrong }: Told): { id: string; "aria-invalid"?: "true"; "aria-describedby"?: string } {
  const id = useId();
  return wrong ? { id, "aria-invalid": "true", "aria-describedby": `${id}-wrong` } : { id };
}

function Labelled({ id, told, children }: { id: string; told: Told; children: ComponentChildren }): JSX.Element {
  return (
    <div class="field">
      <label for={id} class={told.hideLabel ? "unseen" : undefined}>
        {told.label}
      </label>
      {children}
      {told.wrong && (
        <p class="wrong" id={`${id}-wrong`} role="alert">
          {told.wrong}
        </p>
      )}
    </div>
  );
}

/** A field of one line. */
export function Field(
  props: Told & {
    value: string;
    onInput: (value: string) => void;
    type?: "text" | "password" | "search";
    name?: string;
    placeholder?: string;
    autocomplete?: string;
    required?: boolean;
    autofocus?: boolean;
  },
): JSX.Element {
  const ties = useTies(props);
  return (
    <Labelled id={ties.id} told={props}>
      <input
        {...ties}
        class="input"
        // The types of Preact want one literal; for these three nothing else differs.
        type={(props.type ?? "text") as "text"}
        name={props.name}
        value={props.value}
        placeholder={props.placeholder}
        autocomplete={props.autocomplete ?? "off"}
        autocapitalize="none"
        spellcheck={false}
        required={props.required ?? false}
        autofocus={props.autofocus ?? false}
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
    </Labelled>
  );
}

/** A field of several lines. */
export function TextArea(
  props: Told & { value: string; onInput: (value: string) => void; rows?: number; mono?: boolean },
): JSX.Element {
  const ties = useTies(props);
  return (
    <Labelled id={ties.id} told={props}>
      <textarea
        {...ties}
        class={props.mono ? "input area mono" : "input area"}
        rows={props.rows ?? 6}
        value={props.value}
        autocapitalize="none"
        spellcheck={false}
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
    </Labelled>
  );
}

/** One of a few. */
export function Select<T extends string>(
  props: Told & {
    value: T;
    options: readonly (readonly [T, string])[];
    onChange: (value: T) => void;
    disabled?: boolean;
  },
): JSX.Element {
  const ties = useTies(props);
  return (
    <Labelled id={ties.id} told={props}>
      <select
        {...ties}
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
    </Labelled>
  );
}
