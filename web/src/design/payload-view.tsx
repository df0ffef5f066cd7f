// The payload of a message: in the form that suits it, or in another that people choose.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { bytes, count } from "../format";
import { bytesOf, type Form, formsOf, hexDump, type Payload, prettyJson } from "../payload";
import { Button } from "./basics";
import { Segments } from "./segments";
import { Sparkline } from "./sparkline";
import "./payload-view.css";

const TITLES: Record<Form, string> = { number: "Number", json: "JSON", text: "Text", hex: "Hex" };
/** Characters shown before somebody asks for all of them. */
const AT_FIRST = 20_000;

export function PayloadView(props: {
  label: string;
  payload: Payload;
  /** Bytes of the whole payload. */
  size: number;
  /** The last numbers that came, the newest at the end. */
  values?: readonly number[];
}): JSX.Element {
  const { payload, size, values = [] } = props;
  const [chosen, setChosen] = useState<Form | null>(null);
  const forms = formsOf(payload);
  const form = chosen && forms.includes(chosen) ? chosen : (forms[0] ?? "hex");
  if (size === 0) return <p class="payload muted">Empty: a message without a payload.</p>;
  return (
    <div class="payload">
      {forms.length > 1 && (
        <Segments
          label={`Show ${props.label} as`}
          hideLabel
          value={form}
          options={forms.map((each) => [each, TITLES[each]] as const)}
          onChange={setChosen}
        />
      )}
      {form === "number" ? (
        <NumberView text={payload.data} values={values} />
      ) : (
        <LongText
          key={form}
          label={`${props.label}, as ${TITLES[form]}`}
          text={written(payload, form)}
          rows={form === "hex"}
        />
      )}
      {payload.truncated && (
        <p class="muted small">
          The first {bytes(bytesOf(payload).length)} of {bytes(size)}.
        </p>
      )}
    </div>
  );
}

function written(payload: Payload, form: Form): string {
  if (form === "hex") return hexDump(bytesOf(payload));
  return form === "json" ? (prettyJson(payload.data) ?? payload.data) : payload.data;
}

function LongText({ label, text, rows }: { label: string; text: string; rows: boolean }): JSX.Element {
  const [all, setAll] = useState(false);
  const cut = !all && text.length > AT_FIRST;
  return (
    <>
      <pre class={rows ? "mono rows" : "mono"} tabIndex={0} role="region" aria-label={label}>
        {cut ? text.slice(0, AT_FIRST) : text}
      </pre>
      {cut && <Button onClick={() => setAll(true)}>Show all {count(text.length)} characters</Button>}
    </>
  );
}

function NumberView({ text, values }: { text: string; values: readonly number[] }): JSX.Element {
  const least = Math.min(...values);
  const most = Math.max(...values);
  const span = most - least;
  return (
    <div class="figure">
      <p class="number">{text.trim()}</p>
      {values.length > 1 && (
        <>
          <Sparkline values={values.map((each) => (span ? (each - least) / span : 0.5))} length={values.length} />
          <p class="muted small number">
            The last {count(values.length)} values seen: {plain(least)} to {plain(most)}
          </p>
        </>
      )}
    </div>
  );
}

function plain(value: number): string {
  return String(Number(value.toPrecision(8)));
}
