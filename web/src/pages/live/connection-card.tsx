import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api } from "../../api/client";
import { useResource } from "../../api/resource";
import type { ListenerInfo } from "../../api/types";
import { Badge, Button, Card, Failure, Spinner } from "../../design/basics";
import { Field, Select } from "../../design/fields";
import { Check } from "../../design/check";
import { linkTo } from "../../router";
import type { Connection, Settings, State } from "./connection";
import { addressesOf, wrongAddress } from "./words";

const BY_HAND = "by hand";
const TITLES = { idle: "not connected", connecting: "connecting", connected: "connected", waiting: "trying again" };
const TONES = { idle: "neutral", connecting: "neutral", connected: "good", waiting: "warn" } as const;

export function ConnectionCard({ connection }: { connection: Connection }): JSX.Element {
  const state = connection.state.value;
  const settings = connection.settings.value;
  const { data, error, refresh } = useResource("listeners of the live client", (signal) =>
    api.get("/api/v1/listeners", { signal }),
  );
  return (
    <Card
      title="Connection"
      aside={
        <span role="status">
          <Badge tone={TONES[state.is]}>{TITLES[state.is]}</Badge>
        </span>
      }
    >
      {state.is !== "idle" && settings ? (
        <Connected connection={connection} settings={settings} state={state} />
      ) : data ? (
        <Form connection={connection} listeners={data.listeners} />
      ) : error ? (
        <Failure error={error} retry={refresh} />
      ) : (
        <Spinner what="listeners" retry={refresh} />
      )}
    </Card>
  );
}

function Connected(props: { connection: Connection; settings: Settings; state: State }): JSX.Element {
  const { connection, settings, state } = props;
  return (
    <form
      class="body"
      onSubmit={(event) => {
        event.preventDefault();
        connection.disconnect();
      }}
    >
      {state.is === "waiting" && <p class="notice">{state.why} Trying again …</p>}
      <dl class="pairs">
        <div>
          <dt>Address</dt>
          <dd class="mono">{settings.url}</dd>
        </div>
        <div>
          <dt>Client identifier</dt>
          <dd class="mono">
            <a href={linkTo(["clients", settings.clientId])} target="_blank">
              {settings.clientId}
            </a>
          </dd>
        </div>
        <div>
          <dt>User</dt>
          <dd>{settings.username || "–"}</dd>
        </div>
        <div>
          <dt>MQTT</dt>
          <dd>{settings.version === 5 ? "5.0" : "3.1.1"}</dd>
        </div>
      </dl>
      <Button type="submit">{state.is === "connected" ? "Disconnect" : "Stop"}</Button>
    </form>
  );
}

function Form({ connection, listeners }: { connection: Connection; listeners: readonly ListenerInfo[] }): JSX.Element {
  const before = connection.settings.value;
  const state = connection.state.value;
  const found = addressesOf(listeners, location.hostname);
  const known = found.some(([url]) => url === before?.url);
  const [chosen, setChosen] = useState(before && !known ? BY_HAND : (before?.url ?? found[0]?.[0] ?? BY_HAND));
  const [address, setAddress] = useState(before?.url ?? found[0]?.[0] ?? "");
  const [wrong, setWrong] = useState("");
  const [username, setUsername] = useState(before?.username ?? "");
  const [password, setPassword] = useState(before?.password ?? "");
  const [clientId, setClientId] = useState(before?.clientId ?? newName());
  const [version, setVersion] = useState<"5" | "4">(before?.version === 4 ? "4" : "5");
  const [clean, setClean] = useState(before?.clean ?? true);
  const submit = (event: Event): void => {
    event.preventDefault();
    const url = chosen === BY_HAND ? address.trim() : chosen;
    const ports = [...new Set(found.map(([each]) => new URL(each).port))];
    const mistake = chosen === BY_HAND ? wrongAddress(url, location.hostname, ports) : "";
    setWrong(mistake);
    if (mistake) return;
    const name = clientId.trim() || newName();
    setClientId(name);
    void connection.connect({ url, username, password, clientId: name, version: version === "5" ? 5 : 4, clean });
  };
  return (
    <form class="body" onSubmit={submit}>
      {state.is === "idle" && state.why && (
        <p class="notice bad" role="alert">
          {state.why}
        </p>
      )}
      {found.length === 0 && (
        <p class="notice">
          The broker has no WebSocket listener, and browsers speak nothing else. <code>--websocket-port 8083</code>{" "}
          starts it with one, or <code>type = "websocket"</code> in [[listeners]].
        </p>
      )}
      <Select label="Listener" value={chosen} options={[...found, [BY_HAND, "Another address"]]} onChange={setChosen} />
      {chosen === BY_HAND && <Field label="Address" value={address} onInput={setAddress} wrong={wrong} />}
      <div class="pair">
        <Field label="User name" value={username} onInput={setUsername} />
        <Field label="Password" type="password" value={password} onInput={setPassword} autocomplete="new-password" />
      </div>
      <p class="hint">Those of a user of MQTT. They stay in this page only, and are gone with it.</p>
      <div class="pair">
        <Field label="Client identifier" value={clientId} onInput={setClientId} />
        <Select
          label="MQTT"
          value={version}
          options={[
            ["5", "5.0"],
            ["4", "3.1.1"],
          ]}
          onChange={setVersion}
        />
      </div>
      <div class="row">
        <Check label="Clean start" value={clean} onChange={setClean} />
        <Button type="submit" look="primary">
          Connect
        </Button>
      </div>
      {!clean && (
        <p class="hint">
          {version === "5"
            ? "Its session stays for an hour after it has gone, with what it misses meanwhile."
            : "Its session stays after it has gone, as long as the broker keeps such sessions."}
        </p>
      )}
    </form>
  );
}

function newName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  return `console-${[...bytes].map((each) => each.toString(16).padStart(2, "0")).join("")}`;
}
