// A client of MQTT in this page, with the rights of the user that it connects as, not of who is logged in here.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ConnectionCard } from "./live/connection-card";
import { Connection } from "./live/connection";
import { MessagesCard } from "./live/messages-card";
import { PublishCard } from "./live/publish-card";
import { SubscriptionsCard } from "./live/subscriptions-card";
import "./live.css";

export function LivePage(): JSX.Element {
  const [connection] = useState(() => new Connection());
  useEffect(() => () => connection.disconnect(), []);
  return (
    <div class="page">
      <header class="head">
        <h1>Live client</h1>
        <p class="muted">Subscribe and publish, with the rights of a user of MQTT</p>
      </header>
      <div class="live">
        <ConnectionCard connection={connection} />
        <SubscriptionsCard connection={connection} />
        <div class="messages">
          <MessagesCard connection={connection} />
        </div>
        <PublishCard connection={connection} />
      </div>
    </div>
  );
}
