// The tree on the page. Only the rows in sight are in the document; the keyboard moves one mark through all of them.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { api } from "../api/client";
import { rowsInSight } from "../design/window";
import { rate } from "../format";
import { briefly } from "../payload";
import type { Row, TopicNode, TopicTree } from "./topic-tree";

/** Pixels, as in topics.css. */
const ROW = 36;
const PAGE = 1_000;
/** Spaces before a row for each level, as far as that makes sense on a narrow screen. */
const STEP = 16;
const MOST_STEPS = 12;

export function TreeView(props: {
  tree: TopicTree;
  selected: string;
  onSelect: (topic: string) => void;
  /** Shown where there are no topics. */
  empty: ComponentChildren;
}): JSX.Element {
  const { tree, selected, onSelect } = props;
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const [, again] = useState(0);
  const draw = (): void => again((times) => times + 1);
  const [sight, setSight] = useState({ first: 0, last: 40 });
  const [active, setActive] = useState<string | null>(null);
  const rows = useMemo(() => tree.rows(), [tree, tree.version]);
  const fetching = useFetching(tree, draw);

  const look = (): void => {
    const element = box.current;
    if (element) setSight(rowsInSight(rows.length, ROW, -element.scrollTop, element.clientHeight));
  };
  useLayoutEffect(look, [rows]);
  useEffect(() => {
    window.addEventListener("resize", look);
    return () => window.removeEventListener("resize", look);
  });
  const first = Math.min(sight.first, rows.length);
  const last = Math.min(sight.last, rows.length);
  useEffect(() => {
    for (const row of rows.slice(first, last)) if (row.is === "more") fetching.fetch(row.node);
  });

  if (rows.length === 0) return <>{props.empty}</>;

  // Where nobody has moved it, the mark is at the topic that is chosen.
  const marked = Math.max(
    0,
    rows.findIndex(
      (row) => row.is === "topic" && (active === null ? row.node.topic === selected : keyOf(row) === active),
    ),
  );
  const mark = (index: number): void => {
    const next = Math.max(0, Math.min(rows.length - 1, index));
    const row = rows[next];
    const element = box.current;
    if (!row || !element) return;
    setActive(keyOf(row));
    const top = next * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + element.clientHeight) element.scrollTop = top + ROW - element.clientHeight;
    look();
  };
  const toggle = (node: TopicNode, open: boolean): void => {
    tree.toggle(node, open);
    draw();
  };
  const choose = (row: Row): void => {
    setActive(keyOf(row));
    if (row.is === "more") {
      fetching.retry(row.node);
      return;
    }
    const { node, open } = row;
    const something = node.seen !== null || node.retained !== null;
    if (something) onSelect(node.topic);
    if (node.opens && (!something || !open)) toggle(node, !open);
  };
  const press = (event: KeyboardEvent): void => {
    const row = rows[marked];
    if (!row || event.ctrlKey || event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? 0) / ROW) - 1);
    const moves: Record<string, number> = {
      ArrowDown: marked + 1,
      ArrowUp: marked - 1,
      PageDown: marked + page,
      PageUp: marked - page,
      Home: 0,
      End: rows.length - 1,
    };
    const move = moves[event.key];
    if (move !== undefined) mark(move);
    else if (event.key === "Enter" || event.key === " ") choose(row);
    else if (event.key === "ArrowRight" && row.is === "topic" && row.node.opens) {
      if (row.open) mark(marked + 1);
      else toggle(row.node, true);
    } else if (event.key === "ArrowLeft") {
      if (row.is === "topic" && row.open) toggle(row.node, false);
      else {
        const above = row.is === "topic" ? row.node.parent : row.node;
        const at = rows.findIndex((each) => each.is === "topic" && each.node === above);
        if (at >= 0) mark(at);
      }
    } else return;
    event.preventDefault();
  };

  const now = performance.now() / 1000;
  const inSight = marked >= first && marked < last;
  return (
    <div
      class="tree"
      role="tree"
      aria-label="Topics"
      tabIndex={0}
      ref={box}
      aria-activedescendant={inSight ? `${id}-${marked}` : undefined}
      onScroll={look}
      onKeyDown={press}
    >
      <div role="none" style={{ height: `${first * ROW}px` }} />
      {rows.slice(first, last).map((row, offset) => {
        const index = first + offset;
        const common = {
          id: `${id}-${index}`,
          at: index === marked,
          indent: Math.min(row.depth - 1, MOST_STEPS) * STEP,
          onChoose: () => choose(row),
        };
        return row.is === "more" ? (
          <More key={keyOf(row)} {...common} depth={row.depth} failed={fetching.failed.has(row.node.prefix)} />
        ) : (
          <Topic
            key={keyOf(row)}
            {...common}
            row={row}
            chosen={row.node.topic === selected && selected !== ""}
            rate={row.node.rate(tree.since, now)}
            onToggle={() => toggle(row.node, !row.open)}
          />
        );
      })}
      <div role="none" style={{ height: `${(rows.length - last) * ROW}px` }} />
    </div>
  );
}

function keyOf(row: Row): string {
  return `${row.is} ${row.node.prefix}`;
}

interface Common {
  id: string;
  /** Whether the mark of the keyboard is here. */
  at: boolean;
  indent: number;
  onChoose: () => void;
}

function Topic(
  props: Common & {
    row: Extract<Row, { is: "topic" }>;
    chosen: boolean;
    rate: number;
    onToggle: () => void;
  },
): JSX.Element {
  const { node, depth, open, place, of } = props.row;
  const seen = node.seen?.last;
  const value = seen ? briefly(seen.payload, seen.payload_size) : node.retained ? briefly(node.retained, 1) : "";
  return (
    <div
      id={props.id}
      role="treeitem"
      class={props.at ? "topic at" : "topic"}
      style={{ paddingLeft: `${props.indent}px` }}
      aria-level={depth}
      aria-posinset={place}
      aria-setsize={of}
      aria-expanded={node.opens ? open : undefined}
      aria-selected={props.chosen}
      onClick={props.onChoose}
    >
      <span
        class={node.opens ? (open ? "twist open" : "twist") : "twist none"}
        aria-hidden="true"
        onClick={(event) => {
          if (!node.opens) return;
          event.stopPropagation();
          props.onToggle();
        }}
      >
        <svg viewBox="0 0 16 16" width="16" height="16">
          <path d="M6 4l4 4-4 4" />
        </svg>
      </span>
      <bdi class="level mono">{node.level === "" ? <i class="muted">(empty)</i> : node.level}</bdi>
      <bdi class="value mono muted">{value}</bdi>
      {node.retained && (
        <span class="kept" title="A message is retained">
          <span class="unseen">retained</span>
        </span>
      )}
      <span class="rate number">{props.rate > 0 ? `${rate(props.rate)}/s` : ""}</span>
    </div>
  );
}

function More(props: Common & { depth: number; failed: boolean }): JSX.Element {
  return (
    <div
      id={props.id}
      role="treeitem"
      class={props.at ? "topic at muted" : "topic muted"}
      style={{ paddingLeft: `${props.indent}px` }}
      aria-level={props.depth}
      aria-selected={false}
      onClick={props.onChoose}
    >
      <span class="twist none" />
      {props.failed ? "This could not be loaded. Press to try again." : "Loading …"}
    </div>
  );
}

/** Fetches pages of levels as their place comes into sight. */
function useFetching(tree: TopicTree, draw: () => void) {
  const state = useRef({ running: new Set<string>(), failed: new Set<string>(), control: new AbortController() });
  useEffect(() => {
    const control = new AbortController();
    state.current = { running: new Set(), failed: new Set(), control };
    draw();
    return () => control.abort();
  }, [tree]);

  const fetch = (node: TopicNode): void => {
    const { running, failed, control } = state.current;
    if (running.has(node.prefix) || failed.has(node.prefix)) return;
    running.add(node.prefix);
    const first = node.fetched === "no";
    const query = { prefix: node.prefix, limit: PAGE, after: first ? null : node.next };
    api
      .get("/api/v1/retained/levels", { query, signal: control.signal })
      .then(
        (page) => tree.fill(node, page.items, page.next, first),
        () => failed.add(node.prefix),
      )
      .finally(() => {
        running.delete(node.prefix);
        if (!control.signal.aborted) draw();
      });
  };
  const retry = (node: TopicNode): void => {
    state.current.failed.delete(node.prefix);
    fetch(node);
  };
  return { fetch, retry, failed: state.current.failed };
}
