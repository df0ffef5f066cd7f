// The tree of topics: those with retained messages, of which levels are fetched as they are opened, and those that are
// published to, which the broker tells as long as somebody looks.
import type { LiveTopic, LiveTopics } from "./topic-stream";
import { numberOf, type Payload } from "../payload";

/** Seconds over which rates are averaged: what is longer ago counts less and less. */
const MEMORY = 10;
/** Topics that are published to, at most. */
export const MOST_LIVE = 20_000;
/** Numbers kept of one topic. */
const VALUES = 60;

export interface Level {
  level: string;
  more: boolean;
  /** The beginning of what is retained there. */
  payload: Payload | null;
}

/** What was seen of a topic that is published to. */
export interface Seen {
  last: LiveTopic;
  /** The last payloads, where they were numbers. */
  values: number[];
}

export class TopicNode {
  readonly children = new Map<string, TopicNode>();
  /** The beginning of the message that is retained here, if there is one. */
  retained: Payload | null = null;
  /** Whether there are some below. */
  retainedBelow = false;
  seen: Seen | null = null;
  /** Of the levels below with retained messages. */
  fetched: "no" | "some" | "all" = "no";
  next: string | null = null;
  private weight = 0;
  private weighedAt = 0;
  private ordered: TopicNode[] | null = null;

  constructor(
    readonly level: string,
    /** The whole topic and a slash, which tells every node from all others; empty for the root. */
    readonly prefix: string,
    readonly parent: TopicNode | null,
  ) {}

  get topic(): string {
    return this.prefix.slice(0, -1);
  }

  get opens(): boolean {
    return this.children.size > 0 || this.retainedBelow;
  }

  child(level: string): TopicNode {
    const known = this.children.get(level);
    if (known) return known;
    const child = new TopicNode(level, `${this.prefix}${level}/`, this);
    this.children.set(level, child);
    this.ordered = null;
    return child;
  }

  drop(child: TopicNode): void {
    this.children.delete(child.level);
    this.ordered = null;
  }

  sorted(): TopicNode[] {
    this.ordered ??= [...this.children.values()].sort(byLevel);
    return this.ordered;
  }

  count(messages: number, now: number): void {
    this.weight = this.remembered(now) + messages;
    this.weighedAt = now;
  }

  /** Messages per second, of this topic and all below. All times in seconds. */
  rate(since: number, now: number): number {
    const span = MEMORY * (1 - Math.exp(-Math.max(1, now - since) / MEMORY));
    const rate = this.remembered(now) / span;
    return rate < 0.05 ? 0 : rate;
  }

  private remembered(now: number): number {
    return this.weight * Math.exp((this.weighedAt - now) / MEMORY);
  }
}

const collator = new Intl.Collator("en", { numeric: true });

function byLevel(one: TopicNode, other: TopicNode): number {
  return collator.compare(one.level, other.level) || (one.level < other.level ? -1 : 1);
}

export type Row =
  | { is: "topic"; node: TopicNode; depth: number; open: boolean; place: number; of: number }
  /** There are further levels of retained messages to be fetched, or they are being fetched. */
  | { is: "more"; node: TopicNode; depth: number };

export class TopicTree {
  readonly root = new TopicNode("", "", null);
  /** Prefixes of the nodes that are open. */
  readonly open = new Set<string>();
  /** Counts up when there are other rows than before. */
  version = 0;
  /** Topics that are published to. */
  live = 0;
  /** Messages of topics for which there is no room, here or in the broker. */
  leftOut = 0;

  constructor(
    /** When the watch began, in seconds by the same clock as all reports. */
    public since: number,
    /** What is not searched for is not shown. */
    private readonly matches: (topic: string) => boolean = () => true,
    /** Whether the tree was searched for: then all of it is open, and nothing is fetched level by level. */
    readonly searched = false,
  ) {}

  find(topic: string): TopicNode | null {
    let node: TopicNode | undefined = this.root;
    for (const level of topic.split("/")) node = node?.children.get(level);
    return node ?? null;
  }

  private place(topic: string): TopicNode {
    let node = this.root;
    for (const level of topic.split("/")) {
      node = node.child(level);
      if (this.searched && node.children.size === 0) this.open.add(node.prefix);
    }
    this.version += 1;
    return node;
  }

  take(report: LiveTopics, now: number): void {
    this.leftOut += report.left_out;
    for (const each of report.items) {
      if (!this.matches(each.topic)) continue;
      let node = this.find(each.topic);
      if (!node?.seen) {
        if (this.live >= MOST_LIVE) {
          this.leftOut += each.messages;
          continue;
        }
        this.live += 1;
        node ??= this.place(each.topic);
      }
      this.see(node, each, now);
    }
  }

  private see(node: TopicNode, message: LiveTopic, now: number): void {
    const values = node.seen?.values ?? [];
    const value = message.messages > 0 ? numberOf(message.payload) : null;
    if (value !== null) values.push(value);
    if (values.length > VALUES) values.shift();
    node.seen = { last: message, values };
    // The broker's own messages are all retained, but apart from the others.
    if (message.retain && !message.topic.startsWith("$")) {
      node.retained = message.payload_size > 0 ? message.payload : null;
    }
    if (message.messages === 0) return;
    for (let each: TopicNode | null = node; each; each = each.parent) each.count(message.messages, now);
  }

  /** A page of levels with retained messages has come; `first` is the first page. */
  fill(node: TopicNode, levels: readonly Level[], next: string | null, first: boolean): void {
    if (first) this.forgetRetained(node);
    for (const each of levels) {
      const child = node.child(each.level);
      child.retained = each.payload;
      child.retainedBelow = each.more;
    }
    node.next = next;
    node.fetched = next === null ? "all" : "some";
    if (next === null && !levels.length && first) node.retainedBelow = false;
    this.version += 1;
  }

  private forgetRetained(node: TopicNode): void {
    for (const child of [...node.children.values()]) {
      child.retained = null;
      child.retainedBelow = false;
      if (child.children.size === 0 && !child.seen) node.drop(child);
    }
  }

  /** Topics with retained messages were found. */
  found(topics: readonly { topic: string; payload: Payload }[]): void {
    for (const { topic, payload } of topics) this.place(topic).retained = payload;
  }

  /** A message is retained there now, or no longer. */
  setRetained(topic: string, payload: Payload | null): void {
    const node = payload ? this.place(topic) : this.find(topic);
    if (!node) return;
    node.retained = payload;
    let each = node;
    while (each.parent && !each.retained && !each.seen && !each.opens) {
      each.parent.drop(each);
      each = each.parent;
      if (each.children.size === 0) each.retainedBelow = false;
    }
    this.version += 1;
  }

  /** Open all that is above a topic. */
  reveal(topic: string): void {
    let prefix = "";
    for (const level of topic.split("/").slice(0, -1)) {
      prefix += `${level}/`;
      this.open.add(prefix);
    }
    this.version += 1;
  }

  toggle(node: TopicNode, open: boolean): void {
    if (open) this.open.add(node.prefix);
    else {
      this.open.delete(node.prefix);
      // What is retained there may be other things when it is opened again.
      node.fetched = "no";
    }
    this.version += 1;
  }

  /** Fetch all anew that is shown. */
  outdated(): void {
    const forget = (node: TopicNode): void => {
      node.fetched = "no";
      node.children.forEach(forget);
    };
    forget(this.root);
    this.version += 1;
  }

  /** The rows to be shown, from top to bottom. */
  rows(): Row[] {
    const rows: Row[] = [];
    const walk = (node: TopicNode, depth: number): void => {
      const children = node.sorted();
      children.forEach((child, index) => {
        const open = child.opens && this.open.has(child.prefix);
        rows.push({ is: "topic", node: child, depth, open, place: index + 1, of: children.length });
        if (open) walk(child, depth + 1);
      });
      if (!this.searched && node.fetched !== "all") rows.push({ is: "more", node, depth });
    };
    walk(this.root, 1);
    return rows;
  }
}
