import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../../api/client";
import { isOutage, messageOf } from "../../api/problems";
import { freshness } from "../../api/freshness";
import { useResource } from "../../api/resource";
import type { LogLevel, LogLine } from "../../api/types";
import { Badge, Button, EmptyState, Failure, Spinner } from "../../design/basics";
import { Field, Select } from "../../design/fields";
import { toast } from "../../design/toast";
import { clock, count } from "../../format";
import { go, linkTo, place } from "../../router";
import { plain } from "./words";

const EVERY = 1_500;
const KEPT = 1_000;
const SHOWN = 300;
const SOURCE = "log";
const LEVELS = [
  ["debug", "Debug"],
  ["info", "Info"],
  ["warning", "Warning"],
  ["error", "Error"],
] as const;
const ORDER: Record<LogLevel, number> = { debug: 0, info: 1, warning: 2, error: 3 };
const TONES = { debug: "neutral", info: "neutral", warning: "warn", error: "bad" } as const;

export function Log(): JSX.Element {
  const { query } = place.value;
  const search = query["search"] ?? "";
  const least = LEVELS.find(([level]) => level === query["level"])?.[0] ?? "debug";
  const [paused, setPaused] = useState(false);
  const { lines, missed, error, retry } = useLog(paused);
  const ask = (next: { search?: string; level?: LogLevel }): void => {
    const level = next.level ?? least;
    go(
      linkTo(["settings", "log"], {
        search: next.search ?? search,
        level: level === "debug" ? undefined : level,
      }),
      true,
    );
  };
  const text = search.trim().toLowerCase();
  const found = (lines ?? []).filter((each) => ORDER[each.level] >= ORDER[least] && (!text || has(each, text)));
  return (
    <>
      <div class="filters log-filters" role="search">
        <Level />
        <Select label="Show from" value={least} options={LEVELS} onChange={(level) => ask({ level })} />
        <Field
          label="Filter"
          type="search"
          placeholder="Part of the line"
          value={search}
          onInput={(value) => ask({ search: value })}
        />
        <Button onClick={() => setPaused(!paused)}>{paused ? "Go on" : "Pause"}</Button>
      </div>
      <div class="card">
        {!lines ? (
          error ? (
            <Failure error={error} retry={retry} />
          ) : (
            <Spinner what="the log" retry={retry} />
          )
        ) : found.length === 0 ? (
          <EmptyState title={lines.length ? "No line matches" : "Nothing has been logged yet"}>
            {lines.length ? (
              <Button onClick={() => ask({ search: "", level: "debug" })}>Show all lines</Button>
            ) : (
              <p>Lines are shown here as they are logged. With a lower level there are more of them.</p>
            )}
          </EmptyState>
        ) : (
          <ol class="log" aria-label="Lines of the log, the newest first">
            {found
              .slice(-SHOWN)
              .reverse()
              .map((each) => (
                <Line key={each.number} line={each} />
              ))}
          </ol>
        )}
      </div>
      <p class="muted hint number">
        {paused ? "Paused. " : ""}
        {missed ? "Some lines came too fast to be shown. " : ""}
        {found.length > SHOWN ? `The last ${count(SHOWN)} of ${count(found.length)} lines. ` : ""}
        The broker remembers its last 1,000 lines; the whole log is where its standard error goes.
      </p>
    </>
  );
}

function Level(): JSX.Element {
  const { data, error, refresh } = useResource("log level", (signal) => api.get("/api/v1/log", { signal }));
  const set = async (level: LogLevel): Promise<void> => {
    try {
      await api.put("/api/v1/log", { body: { level } });
      toast(`The broker logs from “${level}” on, until it is started again.`);
    } catch (problem) {
      toast(messageOf(problem), true);
    }
    refresh();
  };
  return (
    <Select
      label="The broker logs from"
      value={data?.level ?? "info"}
      disabled={!data || Boolean(error)}
      options={LEVELS}
      onChange={(level) => void set(level)}
    />
  );
}

function Line({ line }: { line: LogLine }): JSX.Element {
  return (
    <li>
      <time class="number muted" dateTime={new Date(line.at * 1000).toISOString()}>
        {clock(line.at)}
      </time>
      <Badge tone={TONES[line.level]}>{line.level}</Badge>
      <p>
        {line.event}
        {Object.entries(line.details).map(([key, value]) => (
          <>
            {" "}
            <span class="mono detail">
              <span class="muted">{key}=</span>
              {plain(value)}
            </span>
          </>
        ))}
      </p>
    </li>
  );
}

function has(line: LogLine, text: string): boolean {
  const details = Object.entries(line.details).map(([key, value]) => `${key}=${plain(value)}`);
  return [line.event, ...details].some((each) => each.toLowerCase().includes(text));
}

interface Following {
  lines: readonly LogLine[] | null;
  missed: boolean;
  error: unknown;
  retry: () => void;
}

/** The log as it grows; nothing is fetched while it is paused or the page is not seen. */
function useLog(paused: boolean): Following {
  const [state, setState] = useState<Omit<Following, "retry">>({ lines: null, missed: false, error: null });
  const cursor = useRef<string | null>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (paused) return;
    const control = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const follow = async (): Promise<void> => {
      let wait = EVERY;
      try {
        const after = cursor.current;
        const page = await api.get("/api/v1/log/recent", {
          query: { limit: KEPT, ...(after === null ? {} : { after }) },
          signal: control.signal,
        });
        cursor.current = page.next;
        freshness.good(SOURCE);
        setState((before) => ({
          // Another broker, or this one anew: its numbers begin again.
          lines: page.missed
            ? page.items
            : page.items.length || !before.lines
              ? [...(before.lines ?? []), ...page.items].slice(-KEPT)
              : before.lines,
          missed: before.missed || page.missed,
          error: null,
        }));
        if (page.items.length === KEPT) wait = 0;
      } catch (error) {
        if (control.signal.aborted) return;
        if (isOutage(error)) freshness.bad(SOURCE);
        setState((before) => ({ ...before, error }));
      }
      if (control.signal.aborted) return;
      timer = setTimeout(() => void whenSeen(), wait);
    };
    const whenSeen = async (): Promise<void> => {
      if (document.visibilityState === "visible") await follow();
      else document.addEventListener("visibilitychange", seen, { once: true });
    };
    const seen = (): void => void whenSeen();
    void whenSeen();
    return () => {
      control.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
      freshness.good(SOURCE);
    };
  }, [paused, attempt]);
  return { ...state, retry: () => setAttempt(attempt + 1) };
}
