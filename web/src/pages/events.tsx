// Events as lines that people read.
import type { JSX } from "preact";
import type { Happened } from "../api/types";
import { Badge } from "../design/basics";
import { clock, count } from "../format";
import { linkTo } from "../router";

const TONES: Record<string, "good" | "warn" | "bad"> = {
  connected: "good",
  refused: "bad",
  dropped: "warn",
  slow: "warn",
  takeover: "warn",
  alarm: "warn",
  omitted: "warn",
};

/** Events have the names of the broker's own enumeration. */
const VERSIONS: Record<string, string> = { V31: "3.1", V311: "3.1.1", V5: "5.0" };

/** What an event tells beside its kind and its client. */
export function sentence({ kind, details }: Happened): string {
  const said = (key: string): string => {
    const value = details[key];
    return value === null || value === undefined ? "" : String(value);
  };
  const from = said("address") && `from ${said("address")}`;
  switch (kind) {
    case "connected":
      return join(
        from,
        said("version") && `MQTT ${VERSIONS[said("version")] ?? said("version")}`,
        details["session_present"] ? "session resumed" : "",
      );
    case "disconnected":
      return said("reason");
    case "takeover":
      return join(said("by") && `now connected from ${said("by")}`);
    case "refused":
      return join(`${said("action")} ${said("topic")}`.trim(), said("rule"), said("count") && `${said("count")} times`);
    case "dropped":
      return join(`${count(Number(details["count"] ?? 0))} messages`, said("cause").replaceAll("_", " "));
    case "slow":
      return `${count(Number(details["waiting_bytes"] ?? 0))} bytes wait for it`;
    case "alarm":
      return join(said("state"), said("text"));
    case "omitted":
      return `${count(Number(details["count"] ?? 0))} more events`;
    default:
      return "";
  }
}

function join(...parts: string[]): string {
  return parts.filter(Boolean).join(" · ");
}

export function EventList({ events, ofOne = false }: { events: readonly Happened[]; ofOne?: boolean }): JSX.Element {
  return (
    <ol class="events">
      {events.map((each) => (
        <li key={each.id}>
          <time class="number muted" dateTime={new Date(each.at * 1000).toISOString()}>
            {clock(each.at)}
          </time>
          <Badge tone={TONES[each.kind] ?? "neutral"}>{each.kind}</Badge>
          <span class="what">
            {!ofOne && each.client !== null && (
              <a class="mono" href={linkTo(["clients", each.client])}>
                {each.client_id}
              </a>
            )}{" "}
            <span class="muted">{sentence(each)}</span>
          </span>
        </li>
      ))}
    </ol>
  );
}
