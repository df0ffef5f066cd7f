// What admins change about retained messages: set one, delete one, delete many.
import { Field, TextArea } from "../design/fields";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api } from "../api/client";
import { ApiProblem, messageOf } from "../api/problems";
import { useResource } from "../api/resource";
import type { Retained } from "../api/types";
import { ConfirmDialog } from "../design/dialog";
import { FormDialog } from "../design/form-dialog";
import { Segments } from "../design/segments";
import { toast } from "../design/toast";
import { count } from "../format";
import { editable, ENCODINGS, type Encoding, entered, type Payload } from "../payload";

const TITLES: Record<Encoding, string> = { text: "Text", json: "JSON", base64: "Base64", hex: "Hex" };
const QOS = [
  ["0", "0"],
  ["1", "1"],
  ["2", "2"],
] as const;
/** Characters of a topic in a short message. */
const BRIEF = 80;

function brief(topic: string): string {
  return topic.length > BRIEF ? `${topic.slice(0, BRIEF)}…` : topic;
}

/** Set a retained message: of a topic, in place of what is there, or of one that is asked for. */
export function SetRetained(props: {
  topic?: string;
  message?: Retained;
  done: (topic: string, payload: Payload) => void;
  onClose: () => void;
}): JSX.Element {
  const { message } = props;
  const before = message ? editable(message.payload) : { text: "", encoding: "text" as Encoding };
  const [topic, setTopic] = useState(props.topic ?? "");
  const [text, setText] = useState(before.text);
  const [encoding, setEncoding] = useState<Encoding>(before.encoding);
  const [qos, setQos] = useState<"0" | "1" | "2">(QOS[message?.qos ?? 0]?.[0] ?? "0");
  const expiry = message?.properties.message_expiry_interval ?? null;
  const [expires, setExpires] = useState(expiry === null ? "" : String(expiry));

  const submit = async (): Promise<void> => {
    const given = entered(text, encoding);
    if ("wrong" in given) throw wrong("payload", given.wrong);
    if (given.payload === "")
      throw wrong("payload", "Enter something. An empty message would delete what is retained.");
    if (!/^\d*$/.test(expires.trim())) throw wrong("properties", "Expected a number of seconds, or nothing.");
    const properties = {
      ...(message?.properties ?? {}),
      message_expiry_interval: expires.trim() === "" ? null : Number(expires),
    };
    // What is not given stays as the API has it by default.
    const body = { ...given, qos: Number(qos), properties } as unknown as Parameters<typeof put>[1];
    await put(topic, body);
    toast(`The message of ${brief(topic)} is set.`);
    props.done(topic, {
      encoding: given.encoding,
      data: given.payload.slice(0, 64),
      truncated: given.payload.length > 64,
    });
  };
  return (
    <FormDialog
      title={props.topic === undefined ? "Set a retained message" : `Set the message of ${brief(props.topic)}`}
      action="Set"
      fields={["topic", "payload", "properties"]}
      onSubmit={submit}
      onClose={props.onClose}
    >
      {(wrongOf) => (
        <>
          <p class="muted small">
            It is published now to all who are subscribed, and kept for those who subscribe later.
          </p>
          {props.topic === undefined && (
            <Field label="Topic" value={topic} onInput={setTopic} required autofocus {...given(wrongOf("topic"))} />
          )}
          <Segments
            label="Format"
            value={encoding}
            options={ENCODINGS.map((each) => [each, TITLES[each]] as const)}
            onChange={setEncoding}
          />
          <TextArea label="Message" value={text} onInput={setText} mono {...given(wrongOf("payload"))} />
          <Segments label="QoS" value={qos} options={QOS} onChange={setQos} />
          <Field
            label="Expires after so many seconds (empty: never)"
            value={expires}
            onInput={setExpires}
            {...given(wrongOf("properties"))}
          />
        </>
      )}
    </FormDialog>
  );
}

const put = (topic: string, body: Parameters<typeof api.put<"/api/v1/retained">>[1]["body"]): Promise<void> =>
  api.put("/api/v1/retained", { query: { topic }, body });

function wrong(field: string, message: string): ApiProblem {
  return new ApiProblem(400, "", message, `$.${field}`);
}

function given(message: string | undefined): { wrong?: string } {
  return message === undefined ? {} : { wrong: message };
}

export function DeleteOne(props: { topic: string; done: () => void; onClose: () => void }): JSX.Element {
  const confirm = async (): Promise<void> => {
    await api.delete("/api/v1/retained", { query: { topic: props.topic } });
    toast(`The message of ${brief(props.topic)} is deleted.`);
    props.done();
  };
  return (
    <ConfirmDialog
      title={`Delete the message of ${brief(props.topic)}?`}
      action="Delete"
      onConfirm={confirm}
      onClose={props.onClose}
    >
      <p class="muted">It cannot be brought back. Clients that are connected now are told nothing of it.</p>
    </ConfirmDialog>
  );
}

/** Delete all that a filter matches, after it was shown how many these are. */
export function DeleteMany(props: { suggestion: string; done: () => void; onClose: () => void }): JSX.Element {
  const [filter, setFilter] = useState(/[#+]/.test(props.suggestion) ? props.suggestion : "");
  const { data, error } = useResource(`matching ${filter}`, async (signal) => {
    if (filter === "") return null;
    await settled(signal);
    return api.post("/api/v1/retained/delete", { body: { filter, dry_run: true }, signal });
  });
  const confirm = async (): Promise<void> => {
    if (!data) throw new Error("Give a topic filter first, and wait for the count.");
    const { count: deleted } = await api.post("/api/v1/retained/delete", { body: { filter, dry_run: false } });
    toast(deleted === 1 ? "1 message is deleted." : `${count(deleted)} messages are deleted.`);
    props.done();
  };
  const number = data ? `${data.more ? "more than " : ""}${count(data.count)}` : "";
  const field = error instanceof ApiProblem && error.field === "$.filter" ? messageOf(error) : undefined;
  return (
    <ConfirmDialog
      title="Delete retained messages"
      action={data && data.count > 0 ? `Delete ${number}` : "Delete"}
      onConfirm={confirm}
      onClose={props.onClose}
    >
      <Field
        label="Topic filter"
        value={filter}
        onInput={setFilter}
        placeholder="home/old/#"
        autofocus
        {...given(field)}
      />
      <div class="count" aria-live="polite">
        {error !== null && field === undefined && <p class="notice bad">{messageOf(error)}</p>}
        {data && (
          <p>
            <strong class="number">{number}</strong> {data.count === 1 ? "message matches." : "messages match."}
          </p>
        )}
        {data && data.topics.length > 0 && (
          <ul class="mono small">
            {data.topics.slice(0, 8).map((each) => (
              <li key={each} class="cut">
                <bdi>{each}</bdi>
              </li>
            ))}
            {data.count > 8 && <li class="muted">and others</li>}
          </ul>
        )}
        {!data && !error && (
          <p class="muted">
            {filter ? "Counting …" : "The messages that match are counted before anything is deleted."}
          </p>
        )}
      </div>
    </ConfirmDialog>
  );
}

/** Wait until somebody has stopped typing. */
function settled(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 300);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new Error("aborted"));
    });
  });
}
