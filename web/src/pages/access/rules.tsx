// The rules, as the text of their file: edited, checked while somebody types, looked at before they hold, taken back.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../../api/client";
import { ApiProblem, messageOf } from "../../api/problems";
import { useResource } from "../../api/resource";
import type { AccessSets, FormerRules, RuleFile, RuleProblem, RulesDiff } from "../../api/types";
import { Button, Card, EmptyState, Failure, Spinner } from "../../design/basics";
import { Select } from "../../design/fields";
import { ConfirmDialog } from "../../design/dialog";
import { toast } from "../../design/toast";
import { bytes, clock } from "../../format";
import { linkTo, place } from "../../router";
import { draftOf, keepDraft } from "./draft";
import { Diff, Editor, goToLine } from "./editor";
import { DEFAULT, effectText, listed, NEW_RULE, sentenceCase, STARTER } from "./words";

const EVERY = 10_000;
const TYPING = 350;

export function Rules({ sets, changed }: { sets: AccessSets; changed: () => void }): JSX.Element {
  const [id, setId] = useState(place.value.query["set"] ?? DEFAULT);
  const set = sets.rules.find((each) => each.id === id) ?? sets.rules[0];
  const { data, error, refresh } = useResource(
    `rules ${set?.id}`,
    (signal) => api.get("/api/v1/rules", { query: { set: set?.id ?? DEFAULT }, signal }),
    EVERY,
  );
  // What was applied stands for what is on its way to us, so that whoever goes on writing begins with it.
  const [applied, setApplied] = useState<{ over: RuleFile; now: Applied } | null>(null);
  const file = data && applied?.over === data ? { ...data, ...applied.now } : data;
  if (!set) return <EmptyState title="There is no place for rules" />;
  return (
    <div class="part">
      {sets.rules.length > 1 && (
        <Select
          label="Rules of"
          value={set.id}
          options={sets.rules.map((each) => [each.id, `${listed(each.listeners) || "no listener"} — ${each.file}`])}
          onChange={setId}
        />
      )}
      {!data || !file ? (
        error ? (
          <Failure error={error} retry={refresh} />
        ) : (
          <Spinner what="rules" retry={refresh} />
        )
      ) : (
        <Workshop
          key={set.id}
          file={file}
          changed={(now) => {
            if (now) setApplied({ over: data, now });
            refresh();
            changed();
          }}
        />
      )}
    </div>
  );
}

type Applied = Pick<RuleFile, "text" | "version">;

function Workshop({ file, changed }: { file: RuleFile; changed: (now?: Applied) => void }): JSX.Element {
  const area = useRef<HTMLTextAreaElement>(null);
  const draft = draftOf(file.set);
  const current = file.text?.replaceAll("\r\n", "\n") ?? null;
  const text = draft?.text ?? current ?? (file.editable ? STARTER : "");
  const edited = current === null || text !== current;
  const problems = useProblems(text, edited ? null : file.problems);
  const [review, setReview] = useState<{ text: string; diff: RulesDiff } | null>(null);
  const [error, setError] = useState("");
  const shown = review?.text === text ? review.diff : null;
  const moved = draft !== null && draft.version !== file.version && edited;

  const line = Number(place.value.query["line"] ?? 0);
  const last = Number(place.value.query["last"] ?? line);
  useEffect(() => {
    if (line) goToLine(area.current, line);
  }, [line]);

  const write = (next: string): void => {
    setError("");
    keepDraft(file.set, { text: next, version: draft?.version ?? file.version });
  };
  const discard = (): void => {
    keepDraft(file.set, null);
    setReview(null);
    setError("");
  };
  const look = async (): Promise<void> => {
    try {
      setError("");
      const diff = await api.post("/api/v1/rules/diff", { query: { set: file.set }, body: { text } });
      setReview({ text, diff });
    } catch (problem) {
      setError(messageOf(problem));
    }
  };
  const apply = async (): Promise<void> => {
    try {
      const body = { text, version: draft?.version ?? file.version };
      const { version, warnings } = await api.put("/api/v1/rules", { query: { set: file.set }, body });
      toast(["The rules hold now.", ...warnings.map(sentenceCase)].join(" "));
      discard();
      changed({ text, version });
    } catch (problem) {
      setError(messageOf(problem));
      if (problem instanceof ApiProblem && problem.status === 409) changed();
    }
  };
  const insert = (): void => {
    const at = area.current?.selectionStart ?? text.length;
    const start = text.lastIndexOf("\n", at - 1) + 1;
    write(text.slice(0, start) + NEW_RULE + text.slice(start));
    area.current?.focus();
  };

  return (
    <div class="columns workshop">
      <div class="part">
        <Card
          title={current === null ? "No rules yet" : "Rules"}
          aside={
            file.editable && (
              <span class="actions">
                {draft && edited && (
                  <Button look="quiet" onClick={discard}>
                    Discard changes
                  </Button>
                )}
                <Button onClick={insert}>Insert a rule</Button>
              </span>
            )
          }
        >
          {!file.editable && <p class="notice inside">They cannot be changed here: {file.reason}.</p>}
          {current === null && draft === null && file.editable && (
            <p class="hint muted inside">
              This is a text to begin with. It allows everything, as it is without rules, and holds when you apply it.
            </p>
          )}
          {!file.in_force && current !== null && (
            <p class="notice inside">
              The file was changed by somebody else, and the broker has not read it again: other rules hold than these.
            </p>
          )}
          {moved && (
            <div class="notice inside">
              <p>Somebody has changed the rules since you began.</p>
              <span class="actions">
                <Button onClick={discard}>Show what is there now</Button>
                <Button onClick={() => keepDraft(file.set, { text, version: file.version })}>Keep my text</Button>
              </span>
            </div>
          )}
          <Editor
            label="Rules, in TOML"
            value={text}
            onInput={write}
            problems={problems}
            mark={line && (draft !== null) === (place.value.query["draft"] === "1") ? { first: line, last } : null}
            readOnly={!file.editable}
            area={area}
          />
          {file.editable && (
            <div class="next">
              <Button look="primary" disabled={!edited || problems.length > 0 || moved} onClick={() => void look()}>
                Review changes
              </Button>
              <a class="button" href={linkTo(["access", "what-if"])}>
                Try it out
              </a>
              <span class="muted hint">
                {problems.length > 0
                  ? problems.length === 1
                    ? "There is a mistake in it."
                    : `There are ${problems.length} mistakes in it.`
                  : edited
                    ? "Not in force yet."
                    : "In force."}
              </span>
            </div>
          )}
          {error && (
            <p class="notice bad inside" role="alert">
              {error}
            </p>
          )}
        </Card>
        {shown && <Review diff={shown} apply={apply} />}
        {file.file !== null && <p class="muted hint">In the file {file.file}.</p>}
      </div>
      <div class="part">
        <Versions file={file} changed={changed} />
        <Reminder />
      </div>
    </div>
  );
}

/** What is wrong with a text, asked for a moment after it was changed; `known` where the server has said so already. */
function useProblems(text: string, known: readonly RuleProblem[] | null): readonly RuleProblem[] {
  const [found, setFound] = useState<{ text: string; problems: readonly RuleProblem[] }>({ text: "", problems: [] });
  const asks = known === null;
  useEffect(() => {
    if (!asks) return;
    const control = new AbortController();
    const timer = setTimeout(() => {
      api
        .post("/api/v1/rules/validate", { body: { text }, signal: control.signal })
        .then(({ problems }) => setFound({ text, problems }))
        .catch(() => undefined); // Reviewing says what is wrong then.
    }, TYPING);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [text, asks]);
  return known ?? found.problems;
}

function Review({ diff, apply }: { diff: RulesDiff; apply: () => Promise<void> }): JSX.Element {
  const [busy, setBusy] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  // Below a long text it would not be seen.
  useEffect(() => box.current?.scrollIntoView({ block: "nearest" }), [diff]);
  const run = async (): Promise<void> => {
    setBusy(true);
    await apply();
    setBusy(false);
  };
  return (
    <div ref={box}>
      <Card title="What changes">
        <Consequences diff={diff} />
        <div class="next">
          <Button look="primary" disabled={busy} onClick={() => void run()}>
            Apply
          </Button>
          <span class="muted hint">It holds at once, for clients that are connected too.</span>
        </div>
      </Card>
    </div>
  );
}

function Consequences({ diff }: { diff: RulesDiff }): JSX.Element {
  const effects = diff.effects;
  return (
    <>
      {diff.warnings.map((each) => (
        <p key={each} class="notice inside">
          {sentenceCase(each)}
        </p>
      ))}
      {effects && <p class={effects.lose ? "notice inside" : "muted hint inside"}>{effectText(effects)}</p>}
      {effects && effects.examples.length > 0 && (
        <ul class="effects">
          {effects.examples.map((each) => (
            <li key={`${each.client} ${each.kind} ${each.topic}`}>
              <a class="mono" href={linkTo(["clients", each.client])}>
                {each.client_id}
              </a>{" "}
              {each.allowed ? "could" : "could no longer"}{" "}
              {each.kind === "publish" ? "publish to" : each.kind === "part" ? "be sent" : "subscribe to"}{" "}
              <span class="mono">{each.topic}</span>
              {each.line > 0 && <span class="muted"> (line {each.line})</span>}
            </li>
          ))}
        </ul>
      )}
      {diff.diff ? <Diff text={diff.diff} /> : <p class="muted hint inside">The text is the same.</p>}
    </>
  );
}

function Versions({ file, changed }: { file: RuleFile; changed: () => void }): JSX.Element {
  const { data, error, refresh } = useResource(`versions ${file.set} ${file.version}`, (signal) =>
    api.get("/api/v1/rules/versions", { query: { set: file.set }, signal }),
  );
  const [asking, setAsking] = useState<FormerRules | null>(null);
  return (
    <Card title="Before">
      {!data ? (
        error ? (
          <Failure error={error} retry={refresh} />
        ) : (
          <Spinner what="versions" retry={refresh} />
        )
      ) : data.items.length === 0 ? (
        <p class="muted hint inside">What rules were before is kept here when you change them.</p>
      ) : (
        <ul class="versions">
          {data.items.map((each) => (
            <li key={each.id}>
              <span>
                until <span class="number">{clock(each.until)}</span>
                <span class="muted"> · {each.exists ? bytes(each.size) : "no rules"}</span>
              </span>
              {file.editable && each.version !== file.version && (
                <button
                  type="button"
                  class="button"
                  aria-label={`Roll back to what held until ${clock(each.until)}`}
                  onClick={() => setAsking(each)}
                >
                  Roll back
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      {asking && <RollBack file={file} former={asking} changed={changed} close={() => setAsking(null)} />}
    </Card>
  );
}

function RollBack(props: { file: RuleFile; former: FormerRules; changed: () => void; close: () => void }): JSX.Element {
  const { file, former } = props;
  const { data, error } = useResource(`former ${former.id}`, async (signal) => {
    const query = { set: file.set };
    const { text } = await api.get("/api/v1/rules/versions/{id}", { path: { id: former.id }, query, signal });
    return text === null ? null : await api.post("/api/v1/rules/diff", { query, body: { text }, signal });
  });
  const confirm = async (): Promise<void> => {
    const body = { id: former.id, version: file.version };
    const { warnings } = await api.post("/api/v1/rules/rollback", { query: { set: file.set }, body });
    keepDraft(file.set, null);
    toast(["The former rules hold again.", ...warnings.map(sentenceCase)].join(" "));
    props.changed();
  };
  return (
    <ConfirmDialog
      title={`Go back to what held until ${clock(former.until)}?`}
      action="Roll back"
      look="primary"
      onConfirm={confirm}
      onClose={props.close}
    >
      {!former.exists && <p>There were no rules then. The file of the rules is removed.</p>}
      {error !== null && <p class="notice bad">{messageOf(error)}</p>}
      {data && (
        <div class="former">
          <Consequences diff={data} />
        </div>
      )}
      <p class="muted">What holds now is kept, so that you can come back to it.</p>
    </ConfirmDialog>
  );
}

function Reminder(): JSX.Element {
  return (
    <Card title="How to write a rule">
      <dl class="reminder">
        <dt class="mono">who</dt>
        <dd>
          A user name or a list of them; <code>"*"</code> is everybody, <code>"anonymous"</code> whoever has no user
          name.
        </dd>
        <dt class="mono">action</dt>
        <dd>
          <code>"publish"</code>, <code>"subscribe"</code> or <code>"both"</code>.
        </dd>
        <dt class="mono">topics</dt>
        <dd>
          A list of topic filters: <code>+</code> is one level, <code>#</code> at the end all below.{" "}
          <code>{"${username}"}</code> and <code>{"${clientid}"}</code> stand for the client&apos;s own.
        </dd>
        <dt class="mono">effect</dt>
        <dd>
          <code>"allow"</code> or <code>"deny"</code>.
        </dd>
        <dt class="mono">clients</dt>
        <dd>May be left out: a list of client identifiers, and the rule is for these only.</dd>
      </dl>
      <p class="muted hint inside">
        The first rule that matches decides. What no rule allows is refused. <code>#</code> is not about topics that
        begin with <code>$</code>.
      </p>
    </Card>
  );
}
