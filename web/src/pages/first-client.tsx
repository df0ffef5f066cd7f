// For a broker that nobody has used yet: how to connect a first client.
import type { JSX } from "preact";
import { api } from "../api/client";
import { useResource } from "../api/resource";
import type { ListenerInfo } from "../api/types";
import { Card } from "../design/basics";
import { CopyLine } from "../design/copy";

interface Way {
  url: string;
  host: string;
  port: number;
  tls: boolean;
}

const ANYWHERE = ["0.0.0.0", "::", ""];

export function FirstClient(): JSX.Element {
  const { data } = useResource("listeners", (signal) => api.get("/api/v1/listeners", { signal }));
  const listeners = data?.listeners ?? [];
  const tcp = waysOf(listeners, "tcp").find((each) => !each.tls);
  const urls = [...waysOf(listeners, "tcp"), ...waysOf(listeners, "websocket")].map((each) => each.url);
  return (
    <Card title="Connect a first client">
      <div class="body first-client">
        <p>The broker is ready, and no client has come yet. {urls.length > 0 && "It listens at:"}</p>
        {urls.length > 0 && (
          <ul class="mono addresses">
            {urls.map((each) => (
              <li key={each}>{each}</li>
            ))}
          </ul>
        )}
        {tcp && (
          <ol class="steps">
            <li>
              <p>Watch what is published:</p>
              <CopyLine
                text={`mosquitto_sub -h ${tcp.host} -p ${tcp.port} -t '#' -v`}
                what="the command to subscribe"
              />
            </li>
            <li>
              <p>Publish something, in another terminal:</p>
              <CopyLine
                text={`mosquitto_pub -h ${tcp.host} -p ${tcp.port} -t hello/world -m 'It works'`}
                what="the command to publish"
              />
            </li>
            <li>
              <p>Or let this machine tell its load, memory and temperature:</p>
              <CopyLine
                text={`python examples/host_sensor.py --host ${tcp.host} --port ${tcp.port}`}
                what="the command of the example"
              />
            </li>
          </ol>
        )}
        <p class="muted">
          <code class="mono">mqttbroker sub</code> and <code class="mono">mqttbroker pub</code> take the same options.
          Where clients need a user name and a password, add <code class="mono">-u NAME -P PASSWORD</code>.
        </p>
      </div>
    </Card>
  );
}

function waysOf(listeners: readonly ListenerInfo[], type: string): Way[] {
  return listeners
    .filter((each) => each.type === type)
    .flatMap((each) =>
      each.addresses.map(({ host, port }) => {
        const name = ANYWHERE.includes(host) ? location.hostname : host;
        const scheme = type === "websocket" ? (each.tls ? "wss" : "ws") : each.tls ? "mqtts" : "mqtt";
        const shown = name.includes(":") && !name.startsWith("[") ? `[${name}]` : name;
        return { url: `${scheme}://${shown}:${port}${each.path}`, host: name, port, tls: each.tls };
      }),
    );
}
