// A table of which only the rows in sight are in the document. It scrolls with the page.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { rowsInSight } from "./window";

export interface Column<T> {
  key: string;
  title: ComponentChildren;
  cell: (row: T) => ComponentChildren;
  /** Whether the header sorts. */
  sorts?: boolean;
  number?: boolean;
  /** The least width of the window at which it is shown; always, if it is not given. */
  from?: "medium" | "wide" | "widest";
  /** CSS width; the rest is shared. */
  width?: string;
}

export interface Order {
  key: string;
  descending: boolean;
}

/** Pixels, as `--row` of the tokens. */
const ROW = 44;
const BELOW = 600;

export function Table<T>(props: {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  order?: Order;
  onOrder?: (order: Order) => void;
  onOpen?: (row: T) => void;
  /** Called when the end comes into sight. */
  onEnd?: () => void;
}): JSX.Element {
  const { rows, columns } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  const [sight, setSight] = useState({ first: 0, last: 40 });
  const [active, setActive] = useState(0);
  const wanted = useRef<number | null>(null);
  const end = useRef(props.onEnd);
  end.current = props.onEnd;

  useEffect(() => {
    const look = (): void => {
      const box = body.current?.getBoundingClientRect();
      if (!box) return;
      const next = rowsInSight(rows.length, ROW, box.top, window.innerHeight);
      setSight((now) => (now.first === next.first && now.last === next.last ? now : next));
      if (box.bottom < window.innerHeight + BELOW) end.current?.();
    };
    look();
    window.addEventListener("scroll", look, { passive: true });
    window.addEventListener("resize", look);
    return () => {
      window.removeEventListener("scroll", look);
      window.removeEventListener("resize", look);
    };
  }, [rows.length]);

  useEffect(() => {
    if (wanted.current === null) return;
    const row = body.current?.querySelector<HTMLElement>(`[data-index="${wanted.current}"]`);
    if (!row) return;
    wanted.current = null;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  });

  const focus = (index: number): void => {
    const next = Math.max(0, Math.min(rows.length - 1, index));
    wanted.current = next;
    setActive(next);
    const box = body.current?.getBoundingClientRect();
    if (box && (next < sight.first || next >= sight.last)) {
      window.scrollTo({ top: window.scrollY + box.top + next * ROW - window.innerHeight / 2 });
    }
  };

  const press = (event: KeyboardEvent, index: number, row: T): void => {
    const page = Math.max(1, Math.floor(window.innerHeight / ROW) - 4);
    const moves: Record<string, number> = {
      ArrowDown: index + 1,
      ArrowUp: index - 1,
      PageDown: index + page,
      PageUp: index - page,
      Home: 0,
      End: rows.length - 1,
    };
    const move = moves[event.key];
    if (move !== undefined) {
      event.preventDefault();
      focus(move);
    } else if (event.key === "Enter" && event.target === event.currentTarget) {
      props.onOpen?.(row);
    }
  };

  const first = Math.min(sight.first, rows.length);
  const last = Math.min(sight.last, rows.length);
  // A row that is out of sight cannot be reached by Tab; then it is the first that is in sight.
  const reachable = active >= first && active < last ? active : first;
  return (
    <table class="table" aria-label={props.label} aria-rowcount={rows.length + 1}>
      <thead>
        <tr aria-rowindex={1}>
          {columns.map((column) => (
            <Header key={column.key} column={column} order={props.order} onOrder={props.onOrder} />
          ))}
        </tr>
      </thead>
      <tbody ref={body}>
        <Spacer rows={first} />
        {rows.slice(first, last).map((row, offset) => {
          const index = first + offset;
          return (
            <tr
              key={props.rowKey(row)}
              aria-rowindex={index + 2}
              data-index={index}
              class={props.onOpen ? "opens" : undefined}
              tabIndex={props.onOpen ? (index === reachable ? 0 : -1) : undefined}
              onFocus={() => setActive(index)}
              onClick={(event) => {
                if (!(event.target as Element).closest("a, button")) props.onOpen?.(row);
              }}
              onKeyDown={(event) => press(event, index, row)}
            >
              {columns.map((column) => (
                <td key={column.key} class={cellClass(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          );
        })}
        <Spacer rows={rows.length - last} />
      </tbody>
    </table>
  );
}

function Header<T>(props: {
  column: Column<T>;
  order: Order | undefined;
  onOrder: ((order: Order) => void) | undefined;
}): JSX.Element {
  const { column, order, onOrder } = props;
  const sorted = order?.key === column.key;
  const descending = sorted && order.descending;
  return (
    <th
      scope="col"
      class={cellClass(column)}
      style={column.width ? { width: column.width } : undefined}
      aria-sort={sorted ? (descending ? "descending" : "ascending") : undefined}
    >
      {column.sorts && onOrder ? (
        <button
          type="button"
          class="cut"
          onClick={() => onOrder({ key: column.key, descending: sorted ? !descending : Boolean(column.number) })}
        >
          {column.title}
          {sorted && <span aria-hidden="true">{descending ? " ↓" : " ↑"}</span>}
        </button>
      ) : (
        column.title
      )}
    </th>
  );
}

/** One cell only: one that spans columns which are hidden would bring these back. */
function Spacer({ rows }: { rows: number }): JSX.Element | null {
  if (rows <= 0) return null;
  return (
    <tr class="spacer" aria-hidden="true">
      <td style={{ height: `${rows * ROW}px` }} />
    </tr>
  );
}

function cellClass<T>(column: Column<T>): string {
  return ["cut", column.number ? "end" : "", column.from ?? ""].filter(Boolean).join(" ");
}
