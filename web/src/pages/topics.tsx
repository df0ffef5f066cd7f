// Topics: what is published now and what is retained, as a tree, and one of them in detail.
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api } from "../api/client";
import { live } from "../api/live";
import { ApiProblem, messageOf } from "../api/problems";
import { useResource } from "../api/resource";
import { isAdmin } from "../api/session";
import { Badge, Button, EmptyState } from "../design/basics";
import { Search } from "../design/search";
import { count, rate } from "../format";
import { go, linkTo, place } from "../router";
import { DeleteMany, SetRetained } from "./topic-changes";
import { TopicDetail } from "./topic-detail";
import { askedFor, MOST_FOUND } from "./topic-search";
import { type LiveTopics, useLiveTopics } from "./topic-stream";
import { MOST_LIVE, TopicTree } from "./topic-tree";
import { TreeView } from "./topic-tree-view";
import "./topics.css";

/** Milliseconds after which rates are shown anew while nothing comes. */
const EVERY = 2_000;

export function TopicsPage(): JSX.Element {
  const { query } = place.value;
  const text = query["filter"] ?? "";
  const topic = query["topic"] ?? "";
  const [asking, setAsking] = useState<"set" | "delete" | null>(null);
  const { tree, open, found } = useTopics(text, topic);
  const rates = tree.root.rate(tree.since, seconds());
  const show = (next: { filter?: string; topic?: string }, replace = false): void =>
    go(linkTo(["topics"], { filter: text, topic, ...next }), replace);

  const wrong = found.error instanceof ApiProblem && found.error.field ? messageOf(found.error) : "";
  return (
    <div class="page topics">
      <header class="head">
        <h1>Topics</h1>
        <Badge tone={open ? "good" : "neutral"}>{open ? "live" : "not live"}</Badge>
        <p class="muted number">
          {count(tree.live)} active, {rate(rates)} messages a second
        </p>
        {isAdmin.value && (
          <div class="push">
            <Button onClick={() => setAsking("set")}>Set a message …</Button>
            <Button look="danger" onClick={() => setAsking("delete")}>
              Delete …
            </Button>
          </div>
        )}
      </header>
      <div class="filters" role="search">
        <Search
          label="Search topics, or give a topic filter"
          placeholder="Part of a topic, or a filter"
          value={text}
          onSearch={(filter) => show({ filter }, true)}
        />
      </div>
      {wrong && (
        <p class="notice bad" role="alert">
          {wrong}
        </p>
      )}
      <Omitted tree={tree} more={found.data?.more ?? false} />
      <div class={topic ? "split chosen" : "split"}>
        <section class="card tree-card" aria-label="Tree of topics">
          <TreeView
            tree={tree}
            selected={topic}
            onSelect={(next) => show({ topic: next }, window.innerWidth > 900)}
            empty={
              <Nothing searched={text} error={found.error} retry={found.refresh} clear={() => show({ filter: "" })} />
            }
          />
        </section>
        <section class="detail" aria-label="The chosen topic">
          {topic ? (
            <TopicDetail
              key={topic}
              topic={topic}
              node={tree.find(topic)}
              since={tree.since}
              changed={(payload) => tree.setRetained(topic, payload)}
              onBack={() => show({ topic: "" })}
            />
          ) : (
            <div class="card">
              <EmptyState title="Choose a topic">
                <p>Its value is shown here: what is published now, and what is retained for those who come later.</p>
              </EmptyState>
            </div>
          )}
        </section>
      </div>
      {asking === "set" && (
        <SetRetained
          done={(set, payload) => {
            tree.setRetained(set, payload);
            tree.reveal(set);
            show({ topic: set });
          }}
          onClose={() => setAsking(null)}
        />
      )}
      {asking === "delete" && (
        <DeleteMany suggestion={text} done={() => tree.outdated()} onClose={() => setAsking(null)} />
      )}
    </div>
  );
}

function seconds(): number {
  return performance.now() / 1000;
}

/** The tree for what is searched for, which grows as messages come. */
function useTopics(text: string, topic: string) {
  const [, again] = useState(0);
  const draw = (): void => again((times) => times + 1);
  const { filter, search } = askedFor(text);
  const tree = useMemo(
    () => new TopicTree(seconds(), (name) => !search || name.toLowerCase().includes(search), Boolean(text)),
    [text],
  );
  const now = useRef(tree);
  now.current = tree;

  const open = useLiveTopics(filter, topic, (report: LiveTopics) => {
    now.current.take(report, seconds());
    draw();
  });
  useEffect(() => {
    const timer = setInterval(draw, EVERY);
    return () => clearInterval(timer);
  }, []);

  const found = useResource(`topics ${text}`, async (signal) =>
    text
      ? api.get("/api/v1/retained/topics", { query: { filter, search, limit: MOST_FOUND }, signal })
      : { items: [], more: false },
  );
  useEffect(() => {
    if (!found.data) return;
    tree.found(found.data.items);
    if (topic) tree.reveal(topic);
    draw();
  }, [found.data, tree]);

  const missed = live.missed.value;
  useEffect(() => {
    if (missed) tree.outdated();
  }, [missed]);
  return { tree, open, found };
}

function Omitted({ tree, more }: { tree: TopicTree; more: boolean }): JSX.Element | null {
  if (!tree.leftOut && !more) return null;
  const parts = [
    more && `More than ${count(MOST_FOUND)} retained messages match.`,
    tree.leftOut > 0 &&
      `${count(tree.leftOut)} messages are of topics that are not shown: there are too many (${count(MOST_LIVE)} in all, and 2,000 at a time).`,
  ];
  return <p class="notice">{parts.filter(Boolean).join(" ")} Search for fewer to see them all.</p>;
}

function Nothing(props: { searched: string; error: unknown; retry: () => void; clear: () => void }): JSX.Element {
  if (props.error) {
    return (
      <EmptyState title="Retained messages could not be searched">
        <p>{messageOf(props.error)}</p>
        <Button onClick={props.retry}>Try again</Button>
      </EmptyState>
    );
  }
  return props.searched ? (
    <EmptyState title="Nothing matches">
      <p>No retained message, and nothing that was published since you look. What comes is shown at once.</p>
      <Button onClick={props.clear}>Show all topics</Button>
    </EmptyState>
  ) : (
    <EmptyState title="No topics yet">
      <p>
        Retained messages are shown here, and every topic to which something is published from now on. The broker’s own
        topics are below <span class="mono">$SYS/#</span>: search for that.
      </p>
    </EmptyState>
  );
}
