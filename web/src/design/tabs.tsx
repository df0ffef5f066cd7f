import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";

export interface Tab {
  key: string;
  title: ComponentChildren;
}

export function Tabs(props: {
  label: string;
  tabs: readonly Tab[];
  selected: string;
  onSelect: (key: string) => void;
  children: ComponentChildren;
}): JSX.Element {
  const id = useId();
  const move = (event: KeyboardEvent): void => {
    const now = props.tabs.findIndex((each) => each.key === props.selected);
    const steps: Record<string, number> = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: -1 };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = props.tabs.at(step % props.tabs.length);
    if (!next) return;
    props.onSelect(next.key);
    document.getElementById(`${id}-${next.key}`)?.focus();
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label={props.label} onKeyDown={move}>
        {props.tabs.map((each) => (
          <button
            key={each.key}
            id={`${id}-${each.key}`}
            type="button"
            role="tab"
            aria-selected={each.key === props.selected}
            aria-controls={`${id}-panel`}
            tabIndex={each.key === props.selected ? 0 : -1}
            onClick={() => props.onSelect(each.key)}
          >
            {each.title}
          </button>
        ))}
      </div>
      <div id={`${id}-panel`} role="tabpanel" aria-labelledby={`${id}-${props.selected}`}>
        {props.children}
      </div>
    </>
  );
}
