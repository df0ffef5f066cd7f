import { expect, test } from "vitest";
import type { AccessSets, Happened, RuleSet, UserSet } from "../../api/types";
import {
  decidedBy,
  effectText,
  linesOf,
  listed,
  questionOf,
  randomPassword,
  sentenceCase,
  stateOf,
  withoutMount,
} from "./words";

const users = (part: Partial<UserSet>): UserSet => ({
  id: "default",
  file: "passwords",
  in_force: false,
  managed: true,
  listeners: ["tcp"],
  users: 0,
  anonymous: ["tcp"],
  anonymous_later: [],
  without_name: 0,
  editable: true,
  reason: "",
  ...part,
});
const rules = (part: Partial<RuleSet>): RuleSet => ({
  id: "default",
  file: "acl.toml",
  in_force: false,
  managed: true,
  listeners: ["tcp"],
  rules: 0,
  open: ["tcp"],
  editable: true,
  reason: "",
  ...part,
});
const sets = (user: Partial<UserSet>, rule: Partial<RuleSet>): AccessSets => ({
  users: [users(user)],
  rules: [rules(rule)],
});

test("how open the broker is", () => {
  expect(stateOf(sets({}, {}))).toEqual({
    open: true,
    text: "Nobody is asked for a password, and everybody may publish and subscribe to everything.",
  });
  expect(stateOf(sets({ anonymous: [] }, { open: [] })).text).toBe(
    "Clients need a user name. There are no rules yet, so that nobody may publish or subscribe.",
  );
  expect(stateOf(sets({}, { open: [], in_force: true }))).toEqual({
    open: false,
    text: "Nobody needs a user name. They may do what rules allow.",
  });
});

test("what a change means", () => {
  const effects = { clients: 3, complete: true, lose: 1, gain: 0, examples: [] };
  expect(effectText(effects)).toBe("Of 3 connected clients 1 would lose something.");
  expect(effectText({ ...effects, complete: false, gain: 2 })).toBe(
    "Of the 3 clients that were looked at 1 would lose something and 2 would gain something.",
  );
  expect(effectText({ ...effects, lose: 0 })).toBe("Of 3 connected clients none is known to be concerned.");
});

test("a refusal as a question", () => {
  const event = (details: Happened["details"]): Happened => ({
    id: "1",
    kind: "refused",
    at: 0,
    client: "c",
    client_id: "c",
    details,
  });
  expect(questionOf(event({ action: "connect", user: "u" }))).toBeNull();
  expect(
    questionOf(event({ action: "publish will", user: null, listener: "tcp", topic: "m/a", mount_point: "m/" })),
  ).toEqual({
    user: "",
    client: "c",
    listener: "tcp",
    action: "publish",
    topic: "a",
  });
});

test("a topic without its mount point", () => {
  expect(withoutMount("$share/g/m/a", "m/")).toBe("$share/g/a");
  expect(withoutMount("a", "")).toBe("a");
});

test("texts", () => {
  expect(decidedBy("/var/a rule/acl.toml rule 1 (deny publish a/b)")).toBe("acl.toml rule 1 (deny publish a/b)");
  expect(decidedBy("no rule allows it")).toBe("no rule allows it");
  expect(listed(["a", "b", "c"])).toBe("a, b and c");
  expect(listed([])).toBe("");
  expect(sentenceCase("nobody may")).toBe("Nobody may.");
  expect(linesOf("a\r\nb\nc", 2, 3)).toEqual(["b", "c"]);
  expect(randomPassword()).toMatch(/^[a-zA-Z2-9]{20}$/);
  expect(randomPassword()).not.toBe(randomPassword());
});
