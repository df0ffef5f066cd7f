// What is said of users and rules, and the texts that people begin with.
import type { AccessSets, Effects, Happened, Rule } from "../../api/types";
import { count } from "../../format";

export const DEFAULT = "default";

/** Allows what is allowed without rules, so that it can be applied at once and changed step by step. */
export const STARTER = `# Who may publish and subscribe to what. The first rule that matches decides.
# What no rule allows is refused.

# An example. Take away the # in front of these lines, and nobody may publish below secret/.
#[[rules]]
#who = "*"
#action = "publish"
#topics = ["secret/#"]
#effect = "deny"

# Everybody may do everything, and see how the broker is doing.
[[rules]]
who = "*"
action = "both"
topics = ["#", "$SYS/#"]
effect = "allow"
`;

export const NEW_RULE = `[[rules]]
who = "somebody"
action = "both"
topics = ["some/topic/#"]
effect = "allow"

`;

export function listed(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${last}` : last;
}

export function sentenceCase(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(whole) ? whole : `${whole}.`;
}

/** How open the broker is. */
export function stateOf(sets: AccessSets): { open: boolean; text: string } {
  const anonymous = sets.users.flatMap((each) => each.anonymous);
  const asking = sets.users.flatMap((each) => each.listeners).filter((each) => !anonymous.includes(each));
  const free = sets.rules.flatMap((each) => each.open);
  const ruled = sets.rules.flatMap((each) => each.listeners).filter((each) => !free.includes(each));
  if (!asking.length && !ruled.length) {
    return {
      open: true,
      text: "Nobody is asked for a password, and everybody may publish and subscribe to everything.",
    };
  }
  const who = asking.length
    ? anonymous.length
      ? `Clients need a user name at ${listed(asking)}, and none at ${listed(anonymous)}.`
      : "Clients need a user name."
    : "Nobody needs a user name.";
  const what = ruled.length
    ? free.length
      ? `Rules hold at ${listed(ruled)}; at ${listed(free)} everybody may do everything.`
      : sets.rules.some((each) => each.in_force)
        ? "They may do what rules allow."
        : "There are no rules yet, so that nobody may publish or subscribe."
    : "Everybody may do everything.";
  return { open: free.length > 0, text: `${who} ${what}` };
}

/** A rule in one line. */
export function ruleText(rule: Rule): string {
  const who = rule.who.map((each) => (each === "*" ? "everybody" : each)).join(", ");
  const action = rule.action === "both" ? "publish and subscribe" : rule.action;
  const clients = rule.clients ? ` (clients ${rule.clients.join(", ")})` : "";
  return `${rule.effect} ${who}${clients} to ${action}: ${rule.topics.join(", ")}`;
}

/** What a change means for clients that are connected. */
export function effectText({ clients, complete, lose, gain }: Effects): string {
  const of = complete
    ? `Of ${count(clients)} connected clients`
    : `Of the ${count(clients)} clients that were looked at`;
  if (clients === 0) return "No client is connected that it would matter to.";
  if (!lose && !gain) return `${of} none is known to be concerned.`;
  const parts = [lose ? `${count(lose)} would lose something` : "", gain ? `${count(gain)} would gain something` : ""];
  return `${of} ${listed(parts.filter(Boolean))}.`;
}

/** What a refusal would be asked as, in the query of the what-if form; null where rules had no part in it. */
export function questionOf({ client_id, details }: Happened): Record<string, string> | null {
  const said = (key: string): string => {
    const value = details[key];
    return typeof value === "string" ? value : "";
  };
  const action = said("action").split(" ")[0];
  if (action !== "publish" && action !== "subscribe") return null;
  return {
    user: said("user"),
    client: client_id,
    listener: said("listener"),
    action,
    topic: withoutMount(said("topic"), said("mount_point")),
  };
}

/** The rule that decided, without the directory of its file. */
export function decidedBy(rule: string): string {
  return rule.replace(/^.*?([^/]+ rule \d+ \()/, "$1");
}

/** The topic or filter as the client wrote it. */
export function withoutMount(topic: string, mountPoint: string): string {
  if (!mountPoint) return topic;
  const share = /^\$share\/[^/]+\//.exec(topic)?.[0] ?? "";
  const inner = topic.slice(share.length);
  return inner.startsWith(mountPoint) ? share + inner.slice(mountPoint.length) : topic;
}

/** The lines of a text, from and to a line that counts from 1. */
export function linesOf(text: string, first: number, last: number): string[] {
  return text.split(/\r?\n/).slice(first - 1, last);
}

const ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/** A password of about 117 bits, without letters that look alike. */
export function randomPassword(length = 20): string {
  const password: string[] = [];
  while (password.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      // What is beyond the last whole alphabet would make the first letters likelier.
      const letter = byte < 256 - (256 % ALPHABET.length) ? ALPHABET[byte % ALPHABET.length] : undefined;
      if (letter !== undefined && password.length < length) password.push(letter);
    }
  }
  return password.join("");
}
