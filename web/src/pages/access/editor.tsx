// A text with numbers of lines, marks behind lines, and what is wrong with a line beside it.
import type { JSX, RefObject } from "preact";
import { useId } from "preact/hooks";
import type { RuleProblem } from "../../api/types";
import { sentenceCase } from "./words";

/** Lines of the text, from 1. */
export interface Mark {
  first: number;
  last: number;
}

export function Editor(props: {
  label: string;
  value: string;
  onInput: (value: string) => void;
  problems: readonly RuleProblem[];
  mark: Mark | null;
  readOnly: boolean;
  area: RefObject<HTMLTextAreaElement | null>;
}): JSX.Element {
  const id = useId();
  const lines = props.value.split("\n").length;
  const wrong = new Set(props.problems.map((each) => each.line));
  return (
    <div class="editor">
      <div class="sheet">
        <div class="gutter number" aria-hidden="true">
          {Array.from({ length: lines }, (_, index) => (
            <span key={index} class={wrong.has(index + 1) ? "wrong" : undefined}>
              {index + 1}
            </span>
          ))}
        </div>
        <div class="text">
          {props.mark && <Band first={props.mark.first} last={props.mark.last} kind="decides" />}
          {props.problems.map(
            (each) =>
              each.line > 0 && (
                <Band key={each.line} first={each.line} last={each.line} kind="wrong" note={each.message} />
              ),
          )}
          <textarea
            ref={props.area}
            aria-label={props.label}
            aria-invalid={props.problems.length > 0}
            aria-describedby={`${id}-problems`}
            rows={lines}
            wrap="off"
            spellcheck={false}
            autocapitalize="none"
            autocomplete="off"
            readOnly={props.readOnly}
            value={props.value}
            onInput={(event) => props.onInput(event.currentTarget.value)}
          />
        </div>
      </div>
      <ul class="problems" id={`${id}-problems`} aria-live="polite">
        {props.problems.map((each) => (
          <li key={`${each.line} ${each.rule} ${each.key}`}>
            <button type="button" class="link" onClick={() => goToLine(props.area.current, each.line)}>
              {each.line ? `Line ${each.line}` : "The text"}
            </button>{" "}
            {[each.rule ? `rule ${each.rule}` : "", each.key].filter(Boolean).join(", ")}
            {(each.rule || each.key) && ": "}
            {sentenceCase(each.message)}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Band(props: Mark & { kind: string; note?: string }): JSX.Element {
  return (
    <div
      class={`band ${props.kind}`}
      aria-hidden="true"
      style={{ "--first": String(props.first - 1), "--lines": String(props.last - props.first + 1) }}
    >
      {props.note && <span>{props.note}</span>}
    </div>
  );
}

/** Put the caret at the beginning of a line, which brings it into sight. */
export function goToLine(area: HTMLTextAreaElement | null, line: number): void {
  if (!area) return;
  const before = area.value.split("\n").slice(0, Math.max(0, line - 1));
  const at = before.reduce((sum, each) => sum + each.length + 1, 0);
  area.focus();
  area.setSelectionRange(at, at);
  const height = area.clientHeight / Math.max(1, area.rows);
  area.closest(".sheet")?.scrollTo({ top: Math.max(0, (line - 4) * height) });
}

/** A unified diff, a line at a time. */
export function Diff({ text }: { text: string }): JSX.Element {
  const kinds: Record<string, string> = { "+": "added", "-": "removed", "@": "place" };
  return (
    <pre class="diff mono" tabIndex={0} aria-label="Difference">
      {text
        .split("\n")
        .slice(2)
        .map((line, index) => (
          <div key={index} class={kinds[line.charAt(0)]}>
            {line || " "}
          </div>
        ))}
    </pre>
  );
}

/** Lines of a text as they stand there, with their numbers. */
export function Excerpt({ lines, first }: { lines: readonly string[]; first: number }): JSX.Element {
  return (
    <pre class="excerpt mono" tabIndex={0} aria-label="The rule">
      {lines.map((line, index) => (
        <div key={index}>
          <span class="muted number">{first + index}</span> {line}
        </div>
      ))}
    </pre>
  );
}
