// "May this client publish there?" The answer of the rules in force, or of those that somebody is writing.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api } from "../../api/client";
import { ApiProblem, messageOf } from "../../api/problems";
import type { AccessSets, Rule, WhatIfAnswer } from "../../api/types";
import { Badge, Button, Card } from "../../design/basics";
import { Field, Select } from "../../design/fields";
import { go, linkTo, place } from "../../router";
import { draftOf } from "./draft";
import { Excerpt } from "./editor";
import { linesOf, ruleText, sentenceCase } from "./words";

interface Asked {
  user: string;
  client: string;
  listener: string;
  action: "publish" | "subscribe";
  topic: string;
}

interface Told {
  answer: WhatIfAnswer;
  /** The text that was asked; null where there is none. */
  text: string | null;
  draft: boolean;
}

const ACTIONS = [
  ["publish", "publish to"],
  ["subscribe", "subscribe to"],
] as const;

export function WhatIf({ sets }: { sets: AccessSets }): JSX.Element {
  const { query } = place.value;
  const listeners = sets.rules.flatMap((each) => each.listeners);
  const asked: Asked = {
    user: query["user"] ?? "",
    client: query["client"] ?? "",
    listener: query["listener"] ?? listeners[0] ?? "",
    action: query["action"] === "subscribe" ? "subscribe" : "publish",
    topic: query["topic"] ?? "",
  };
  const set = sets.rules.find((each) => each.listeners.includes(asked.listener));
  const draft = set ? draftOf(set.id) : null;
  const [byDraft, setByDraft] = useState(draft !== null);
  const [told, setTold] = useState<Told | null>(null);
  const [error, setError] = useState<unknown>(null);
  const text = byDraft ? (draft?.text ?? null) : null;

  const change = (part: Partial<Asked>): void => {
    setTold(null);
    setError(null);
    go(linkTo(["access", "what-if"], { ...asked, ...part }), true);
  };
  const ask = async (): Promise<void> => {
    try {
      setError(null);
      const body = { ...asked, user: asked.user || null, address: "", text };
      const answer = await api.post("/api/v1/access/what-if", { body });
      const shown = text ?? (await api.get("/api/v1/rules", { query: { set: answer.set } })).text;
      setTold({ answer, text: shown, draft: text !== null });
    } catch (problem) {
      setTold(null);
      setError(problem);
    }
  };
  // A link that has the question asks it.
  useEffect(() => {
    if (asked.topic) void ask();
  }, []);
  const field = error instanceof ApiProblem ? error.field : null;
  const wrong = field === "$.topic" ? { wrong: messageOf(error) } : {};
  return (
    <div class="columns even">
      <Card title="May a client …">
        <form
          class="body question"
          onSubmit={(event) => {
            event.preventDefault();
            void ask();
          }}
        >
          <Field label="User (empty: without a user name)" value={asked.user} onInput={(user) => change({ user })} />
          <Field label="Client identifier" value={asked.client} onInput={(client) => change({ client })} />
          {listeners.length > 1 && (
            <Select
              label="Through the listener"
              value={asked.listener}
              options={listeners.map((each) => [each, each])}
              onChange={(listener) => change({ listener })}
            />
          )}
          <Select label="Action" value={asked.action} options={ACTIONS} onChange={(action) => change({ action })} />
          <Field
            label={asked.action === "publish" ? "Topic" : "Topic filter"}
            required
            value={asked.topic}
            onInput={(topic) => change({ topic })}
            {...wrong}
          />
          {draft && (
            <label class="check">
              <input
                type="checkbox"
                checked={byDraft}
                onChange={(event) => {
                  setByDraft(event.currentTarget.checked);
                  setTold(null);
                }}
              />
              <span>Ask the rules that you are writing, which are not in force</span>
            </label>
          )}
          <div>
            <Button type="submit" look="primary">
              Ask
            </Button>
          </div>
        </form>
      </Card>
      <Card title="Answer">
        <div class="body answer" aria-live="polite">
          {error !== null && field !== "$.topic" ? (
            <p class="notice bad">{messageOf(error)}</p>
          ) : told ? (
            <Answer told={told} />
          ) : (
            <p class="muted">Say who would like to do what. Nothing is changed by asking.</p>
          )}
        </div>
      </Card>
    </div>
  );
}

function Answer({ told }: { told: Told }): JSX.Element {
  const { answer } = told;
  const reasons = {
    rule: answer.rule ? `Rule ${answer.rule.number} decides: ${ruleText(answer.rule)}.` : "",
    default: "No rule allows it, and what no rule allows is refused.",
    no_rules: "There are no rules, and everybody may do everything.",
    broker: sentenceCase(answer.decision),
  };
  return (
    <>
      <p>
        <Badge tone={answer.allowed ? "good" : "bad"}>{answer.allowed ? "allowed" : "refused"}</Badge>{" "}
        {told.draft && <Badge tone="warn">by your draft</Badge>}
      </p>
      <p>{reasons[answer.because]}</p>
      {answer.rule && <Where rule={answer.rule} told={told} />}
      {answer.withheld.map((each) => (
        <p key={each.filter} class="notice">
          It is not sent <span class="mono">{each.filter}</span> all the same: rule {each.rule.number}
          {each.rule.line > 0 && ` (line ${each.rule.line})`} denies that.
        </p>
      ))}
      {answer.notes.map((each) => (
        <p key={each} class="notice">
          {sentenceCase(each)}
        </p>
      ))}
    </>
  );
}

function Where({ rule, told }: { rule: Rule; told: Told }): JSX.Element | null {
  if (!rule.line || told.text === null) return null;
  const query = {
    set: told.answer.set,
    line: String(rule.line),
    last: String(rule.last_line),
    draft: told.draft ? "1" : undefined,
  };
  return (
    <>
      <Excerpt lines={linesOf(told.text, rule.line, rule.last_line)} first={rule.line} />
      <a href={linkTo(["access", "rules"], query)}>Show it among the rules</a>
    </>
  );
}
