import type { JSX } from "preact";
import { api } from "../../api/client";
import { useResource } from "../../api/resource";
import { Badge, Card, EmptyState, Failure, Spinner } from "../../design/basics";
import { CopyLine } from "../../design/copy";
import { clock } from "../../format";
import { expiry } from "./words";

const EVERY = 60_000;

export function Certificates(): JSX.Element {
  const { data, error, refresh } = useResource(
    "certificates",
    (signal) => api.get("/api/v1/certificates", { signal }),
    EVERY,
  );
  if (!data) return error ? <Failure error={error} retry={refresh} /> : <Spinner what="certificates" retry={refresh} />;
  if (data.certificates.length === 0) {
    return (
      <div class="card">
        <EmptyState title="No listener speaks TLS">
          <p>
            What clients and the broker say to each other can be read on the way. This makes an authority of your own
            and a certificate; <span class="mono">[listeners.tls]</span> of the configuration names it.
          </p>
          <CopyLine text="mqttbroker certs --help" what="command" />
        </EmptyState>
      </div>
    );
  }
  return (
    <>
      {data.certificates.map((each) => {
        const left = expiry(each.seconds_left);
        return (
          <Card
            key={`${each.listener} ${each.file}`}
            title={each.subject || each.names[0] || each.file}
            aside={<Badge tone={left.tone}>{left.text}</Badge>}
          >
            <dl class="body pairs">
              <Pair name="Listener" value={each.listener} />
              <Pair name="Names" value={each.names.join(", ") || "none"} mono />
              <Pair name="Good from" value={clock(each.not_before)} />
              <Pair name="Runs out" value={clock(each.not_after)} />
              <Pair name="Signed by" value={each.issuer} />
              <Pair name="Serial number" value={each.serial} mono />
              <Pair name="File" value={each.file} mono />
            </dl>
          </Card>
        );
      })}
      <p class="muted hint">
        Files that are replaced on disk are taken into use by themselves, within some seconds. From 21 days before one
        runs out the log says so every day.
      </p>
    </>
  );
}

function Pair(props: { name: string; value: string; mono?: boolean }): JSX.Element {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd class={props.mono ? "mono" : "number"}>{props.value}</dd>
    </div>
  );
}
