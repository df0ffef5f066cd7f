// What the broker's answer to "who would receive this?" means, in words.
import { count } from "../format";
import type { Receiver } from "../api/types";

export interface Finding {
  key: string;
  receiver: Receiver;
  gets: boolean;
  tone: "good" | "neutral" | "warn" | "bad";
  title: string;
  because: string;
  /** At which the message is sent. */
  qos: number;
}

/** Those who would receive the message come first. */
export function findings(receivers: readonly Receiver[], qos: number): Finding[] {
  const members = new Map<string, number>();
  for (const { share, filters, outcome } of receivers) {
    if (share === null || outcome === "denied") continue;
    const group = filters[0] ?? share;
    members.set(group, (members.get(group) ?? 0) + 1);
  }
  return receivers
    .map((each) => finding(each, qos, members.get(each.filters[0] ?? "") ?? 0))
    .sort((one, other) => Number(other.gets) - Number(one.gets));
}

function finding(receiver: Receiver, qos: number, members: number): Finding {
  const key = JSON.stringify([receiver.id, receiver.share]);
  const effective = Math.min(qos, receiver.qos);
  const common = { key, receiver, qos: effective };
  const shared =
    members > 1 ? ` It shares: one of the ${members} members of ${receiver.share ?? ""} gets each message.` : "";
  const lowered = receiver.qos < qos ? ` It was granted no more than QoS ${receiver.qos}.` : "";
  switch (receiver.outcome) {
    case "sent":
      return {
        ...common,
        gets: true,
        tone: members > 1 ? "neutral" : "good",
        title: members > 1 ? "in turns" : "sent",
        because: `It is connected, and the message is sent at once.${shared}${lowered}`,
      };
    case "queued":
      return {
        ...common,
        gets: true,
        tone: "warn",
        title: "queued",
        because: `It is away. Its session keeps the message until it is back.${shared}${lowered}`,
      };
    case "lost":
      return {
        ...common,
        gets: false,
        tone: "bad",
        title: "lost",
        because:
          effective === 0
            ? "It is away, and messages of QoS 0 are kept for nobody. With QoS 1, of the message and of the subscription, it would be queued."
            : "It is away, and nothing is kept for it.",
      };
    case "denied":
      return {
        ...common,
        gets: false,
        tone: "bad",
        title: "refused",
        because: "It has subscribed, but its user may not read this topic.",
      };
  }
}

/** What would become of the message, in a sentence or two. */
export function summary(found: readonly Finding[]): string {
  const getting = found.filter((each) => each.gets);
  const groups = new Set(
    getting.map((each) => each.receiver.share !== null && each.receiver.filters[0]).filter(Boolean),
  );
  const single = getting.filter((each) => each.receiver.share === null).length;
  const rest = found.length - getting.length;
  const parts = [
    single > 0 && `to ${count(single)} ${single === 1 ? "client" : "clients"}`,
    groups.size > 0 &&
      (groups.size === 1 ? "to one member of a group" : `to one member of each of ${count(groups.size)} groups`),
  ].filter(Boolean);
  const goes = parts.length ? `It would go ${parts.join(" and ")}.` : "Nobody would receive it.";
  return rest ? `${goes} ${count(rest)} would not get it, although subscribed.` : goes;
}

/** What may be the reason where no subscription matches. */
export function whyNobody(topic: string): string[] {
  const hints: string[] = [];
  if (topic.startsWith("$")) hints.push("It begins with $: filters that begin with # or + do not match such topics.");
  if (topic.startsWith("/")) hints.push("It begins with a slash, which makes an empty level before it.");
  if (topic.endsWith("/")) hints.push("It ends with a slash, which makes an empty level after it.");
  if (/^\s|\s$/.test(topic)) hints.push("There is a space at one of its ends.");
  hints.push(
    "No topic filter that anybody has subscribed to matches. Capital and small letters are different ones, and + stands for one level only.",
    "Clients whose session has ended have lost their subscriptions with it.",
  );
  return hints;
}
