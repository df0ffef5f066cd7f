// The small components: Button, Badge, Card, Stat, EmptyState, Spinner, Failure.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { messageOf } from "../api/problems";

type Tone = "neutral" | "good" | "warn" | "bad";

function classes(...names: (string | false | undefined)[]): string {
  return names.filter(Boolean).join(" ");
}

export function Button(props: {
  children: ComponentChildren;
  onClick?: () => void;
  type?: "button" | "submit";
  look?: "primary" | "quiet" | "danger" | "danger primary";
  disabled?: boolean;
  /** Said instead of the content, where that is a sign only. */
  label?: string;
  /** Whether what it shows and hides is there. */
  expanded?: boolean;
}): JSX.Element {
  return (
    <button
      type={props.type ?? "button"}
      class={classes("button", props.look, props.label !== undefined && "icon")}
      disabled={props.disabled ?? false}
      aria-label={props.label}
      aria-expanded={props.expanded}
      title={props.label}
      onClick={props.onClick}
    >
      {props.children}
    </button>
  );
}

export function Badge({ tone = "neutral", children }: { tone?: Tone; children: ComponentChildren }): JSX.Element {
  return <span class={classes("badge", tone !== "neutral" && tone)}>{children}</span>;
}

export function Card(props: { title: string; aside?: ComponentChildren; children: ComponentChildren }): JSX.Element {
  const id = useId();
  return (
    <section class="card" aria-labelledby={id}>
      <header>
        <h2 id={id}>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}

/** One figure; a list of them is a `dl`. */
export function Stat(props: {
  name: string;
  value: string;
  unit?: string;
  note?: ComponentChildren;
  children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="card stat">
      <dt>{props.name}</dt>
      <dd>
        {props.value}
        {props.unit && <small>{props.unit}</small>}
        {props.note && <div class="note">{props.note}</div>}
        {props.children}
      </dd>
    </div>
  );
}

export function EmptyState(props: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <h2>{props.title}</h2>
      {props.children}
    </div>
  );
}

export function Failure({ error, retry }: { error: unknown; retry: () => void }): JSX.Element {
  return (
    <div class="empty" role="alert">
      <h2>This could not be loaded</h2>
      <p>{messageOf(error)}</p>
      <Button onClick={retry}>Try again</Button>
    </div>
  );
}

/** Turns for so many milliseconds at most; then it says that something is wrong. */
export function Spinner(props: { what: string; retry: () => void; timeout?: number }): JSX.Element {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), props.timeout ?? 20_000);
    return () => clearTimeout(timer);
  }, [props.timeout]);
  if (late) return <Failure error={new Error("There is no answer yet.")} retry={props.retry} />;
  return (
    <div class="spinner" role="status">
      Loading {props.what} …
    </div>
  );
}
