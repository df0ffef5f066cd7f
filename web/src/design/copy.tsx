// Text that people take elsewhere: a line, and a button that copies it.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { toast } from "./toast";

const SHOWN = 2_000;

export function CopyButton({ text, what }: { text: string; what: string }): JSX.Element {
  const [done, setDone] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async (): Promise<void> => {
    if (!(await copied(text))) {
      toast("The browser does not let this page copy. Select the text and copy it by hand.", true);
      return;
    }
    setDone(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setDone(false), SHOWN);
  };
  return (
    <button type="button" class="button copy" aria-label={`Copy ${what}`} onClick={() => void copy()}>
      {done ? "Copied" : "Copy"}
    </button>
  );
}

export function CopyLine({ text, what }: { text: string; what: string }): JSX.Element {
  return (
    <div class="copy-line">
      <code class="mono">{text}</code>
      <CopyButton text={text} what={what} />
    </div>
  );
}

/** Without TLS, and from another machine, browsers have no clipboard to offer but that of old. */
async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    const before = document.activeElement;
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (before instanceof HTMLElement) before.focus();
    return done;
  }
}
