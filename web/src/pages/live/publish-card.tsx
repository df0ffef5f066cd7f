import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { messageOf } from "../../api/problems";
import { Button, Card } from "../../design/basics";
import { Field, Select, TextArea } from "../../design/fields";
import { Check } from "../../design/check";
import { bytesOf, type Encoding, entered } from "../../payload";
import type { Connection, Properties } from "./connection";
import { QOS, type Qos, qosOf } from "./subscriptions-card";
import { userProperties } from "./words";

const LONGEST_EXPIRY = 4_294_967_295;
const ENCODINGS = [
  ["text", "Text"],
  ["json", "JSON"],
  ["hex", "Hex"],
  ["base64", "Base64"],
] as const satisfies readonly (readonly [Encoding, string])[];

interface Wrong {
  payload?: string;
  expiry?: string;
  user?: string;
}

export function PublishCard({ connection }: { connection: Connection }): JSX.Element {
  const connected = connection.state.value.is === "connected";
  const five = connection.settings.value?.version !== 4;
  const [topic, setTopic] = useState("");
  const [text, setText] = useState("");
  const [encoding, setEncoding] = useState<Encoding>("text");
  const [qos, setQos] = useState<Qos>("0");
  const [retain, setRetain] = useState(false);
  const [contentType, setContentType] = useState("");
  const [response, setResponse] = useState("");
  const [expiry, setExpiry] = useState("");
  const [user, setUser] = useState("");
  const [wrong, setWrong] = useState<Wrong>({});
  const [outcome, setOutcome] = useState<{ text: string; bad: boolean } | null>(null);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setOutcome(null);
    const payload = entered(text, encoding);
    const pairs = userProperties(user);
    const seconds = Number(expiry);
    const mistakes: Wrong = {
      ...("wrong" in payload ? { payload: payload.wrong } : {}),
      ...(pairs === null ? { user: "Expected name=value in each line." } : {}),
      ...(/^\d*$/.test(expiry.trim()) && seconds <= LONGEST_EXPIRY ? {} : { expiry: "Expected seconds." }),
    };
    setWrong(mistakes);
    if ("wrong" in payload || pairs === null || mistakes.expiry) return;
    const properties: Properties = {
      ...(contentType ? { contentType } : {}),
      ...(response ? { responseTopic: response } : {}),
      ...(expiry.trim() ? { messageExpiryInterval: seconds } : {}),
      ...(pairs.length ? { userProperties: grouped(pairs) } : {}),
    };
    const data = bytesOf({ encoding: payload.encoding, data: payload.payload, truncated: false });
    try {
      const told = await connection.publish(topic, data, { qos: qosOf(qos), retain, properties });
      setOutcome({ text: told, bad: false });
    } catch (error) {
      setOutcome({ text: messageOf(error), bad: true });
    }
  };
  return (
    <Card title="Publish">
      <form class="body" onSubmit={(event) => void submit(event)}>
        <Field label="Topic" value={topic} onInput={setTopic} required />
        <TextArea
          label="Payload"
          value={text}
          onInput={setText}
          rows={3}
          mono
          {...(wrong.payload ? { wrong: wrong.payload } : {})}
        />
        <div class="pair">
          <Select label="Written as" value={encoding} options={ENCODINGS} onChange={setEncoding} />
          <Select label="QoS" value={qos} options={QOS} onChange={setQos} />
        </div>
        {five && (
          <details>
            <summary>Properties of MQTT 5.0</summary>
            <div>
              <Field label="Content type" value={contentType} onInput={setContentType} />
              <Field label="Response topic" value={response} onInput={setResponse} />
              <Field
                label="Expires after seconds"
                value={expiry}
                onInput={setExpiry}
                {...(wrong.expiry ? { wrong: wrong.expiry } : {})}
              />
              <TextArea
                label="User properties (name=value, one in a line)"
                value={user}
                onInput={setUser}
                rows={2}
                mono
                {...(wrong.user ? { wrong: wrong.user } : {})}
              />
            </div>
          </details>
        )}
        <div class="row">
          <Check label="Retain" value={retain} onChange={setRetain} />
          <Button type="submit" look="primary" disabled={!connected}>
            Publish
          </Button>
        </div>
        <div class="told" role="status">
          {outcome && <p class={outcome.bad ? "notice bad" : "outcome muted"}>{outcome.text}</p>}
        </div>
      </form>
    </Card>
  );
}

/** As the library takes them: several values of one name are a list. */
function grouped(pairs: readonly [string, string][]): Record<string, string | string[]> {
  const all = new Map<string, string[]>();
  for (const [name, value] of pairs) all.set(name, [...(all.get(name) ?? []), value]);
  return Object.fromEntries([...all].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? "") : values]));
}
