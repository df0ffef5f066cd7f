// Short messages about what was done.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { Button } from "./basics";

interface Message {
  id: number;
  text: string;
  bad: boolean;
}

const SHOWN = 6_000;
const messages = signal<readonly Message[]>([]);
let last = 0;

function dismiss(id: number): void {
  messages.value = messages.value.filter((each) => each.id !== id);
}

/** Errors stay until they are dismissed. */
export function toast(text: string, bad = false): void {
  const id = ++last;
  messages.value = [...messages.value, { id, text, bad }];
  if (!bad) setTimeout(() => dismiss(id), SHOWN);
}

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {messages.value.map((each) => (
        <div key={each.id} class={each.bad ? "toast bad" : "toast"}>
          <span>{each.text}</span>
          <Button look="quiet" label="Dismiss" onClick={() => dismiss(each.id)}>
            ×
          </Button>
        </div>
      ))}
    </div>
  );
}
