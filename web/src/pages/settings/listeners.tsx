import type { JSX } from "preact";
import { api } from "../../api/client";
import { useResource } from "../../api/resource";
import type { ListenerInfo } from "../../api/types";
import { Badge, Card, Failure, Spinner } from "../../design/basics";
import { CopyLine } from "../../design/copy";
import { linkTo } from "../../router";
import { addressText, connectLines, onlyThisMachine } from "./words";

const TYPES: Record<string, string> = { tcp: "TCP", websocket: "WebSocket", unix: "Unix socket" };
const CLIENT_CERTIFICATES: Record<string, string> = {
  none: "not asked for",
  optional: "asked for, not required",
  required: "required",
};

export function Listeners(): JSX.Element {
  const { data, error, refresh } = useResource("listeners", (signal) => api.get("/api/v1/listeners", { signal }));
  if (!data) return error ? <Failure error={error} retry={refresh} /> : <Spinner what="listeners" retry={refresh} />;
  return (
    <>
      {data.listeners.map((each) => (
        <Listener key={each.name} listener={each} />
      ))}
    </>
  );
}

function Listener({ listener }: { listener: ListenerInfo }): JSX.Element {
  const lines = connectLines(listener, location.hostname);
  const badges = (
    <span class="badges">
      <Badge>{TYPES[listener.type] ?? listener.type}</Badge>
      {listener.tls ? <Badge tone="good">TLS</Badge> : <Badge>not encrypted</Badge>}
      {listener.addresses.length === 0 && <Badge tone="bad">does not listen</Badge>}
    </span>
  );
  return (
    <Card title={listener.name} aside={badges}>
      <div class="body">
        <dl class="pairs">
          <div>
            <dt>Listens on</dt>
            <dd class="mono">{listener.addresses.map(addressText).join(", ") || "nothing; the log says why"}</dd>
          </div>
          <div>
            <dt>Reached from</dt>
            <dd>{onlyThisMachine(listener) ? "this machine only" : "other machines, too"}</dd>
          </div>
          {listener.tls && (
            <div>
              <dt>Certificates of clients</dt>
              <dd>
                {CLIENT_CERTIFICATES[listener.client_certificates] ?? listener.client_certificates}
                {" · "}
                <a href={linkTo(["settings", "certificates"])}>its own</a>
              </dd>
            </div>
          )}
          <div>
            <dt>Mount point</dt>
            <dd class={listener.mount_point ? "mono" : ""}>{listener.mount_point || "none"}</dd>
          </div>
          <div>
            <dt>PROXY protocol</dt>
            <dd>{listener.proxy_protocol ? "expected: clients come through a proxy" : "no"}</dd>
          </div>
        </dl>
        {lines.length > 0 && (
          <div class="connect">
            <h3>To connect</h3>
            {lines.map((each) => (
              <CopyLine key={each.text} text={each.text} what={`${each.what} of ${listener.name}`} />
            ))}
          </div>
        )}
      </div>
    </Card>
  );
}
