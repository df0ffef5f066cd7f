// What is wrong with the broker, and where there is more about it.
import type { JSX } from "preact";
import type { Alarm } from "../api/types";
import { ago } from "../format";
import { linkTo } from "../router";

const PLACES: Record<Alarm["place"], string> = {
  overview: "Overview",
  clients: "Clients",
  sessions: "Sessions",
  topics: "Topics",
  access: "Access",
  settings: "Settings",
};

export function Alarms({ alarms, now }: { alarms: readonly Alarm[]; now: number }): JSX.Element {
  return (
    <div role="status" class="alarms">
      {alarms.length > 0 && (
        <ul aria-label="Alarms">
          {alarms.map((each) => (
            <li key={each.id} class={each.severity}>
              <svg class="icon" viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
                <path d="M12 3.5 22 20H2zM12 10v4.5M12 17v.5" />
              </svg>
              <div>
                <p>
                  <span class="unseen">{each.severity === "critical" ? "Critical: " : "Warning: "}</span>
                  <strong>{each.text}</strong>
                </p>
                <p class="advice">
                  {each.advice} <span class="since number">Since {ago(each.since, now).replace(" ago", "")}.</span>
                </p>
              </div>
              <Where alarm={each} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Where({ alarm }: { alarm: Alarm }): JSX.Element | null {
  if (alarm.client !== null) {
    return (
      <a class="button" href={linkTo(["clients", alarm.client])}>
        Show the client
      </a>
    );
  }
  if (alarm.place === "overview") return null;
  return (
    <a class="button" href={linkTo([alarm.place])}>
      {PLACES[alarm.place]}
    </a>
  );
}
