// One connection by MQTT, from this page to a listener. It comes again by itself, and subscribes again to what it had.
import { signal } from "@preact/signals";
import type { IClientPublishOptions, IPublishPacket, MqttClient } from "mqtt";
import type { Payload } from "../../payload";
import { payloadOf, reason } from "./words";

export interface Settings {
  url: string;
  username: string;
  password: string;
  clientId: string;
  version: 4 | 5;
  clean: boolean;
}

export type State =
  | { is: "idle"; why: string }
  | { is: "connecting" }
  | { is: "connected"; since: number }
  /** It tries again. */
  | { is: "waiting"; why: string };

export interface Wish {
  filter: string;
  qos: 0 | 1 | 2;
  noLocal: boolean;
  retainAsPublished: boolean;
  retainHandling: 0 | 1 | 2;
}

export interface Subscription extends Wish {
  /** `granted` is the QoS. */
  state: { is: "asked" } | { is: "granted"; qos: number } | { is: "refused"; why: string };
}

export interface Message {
  number: number;
  at: number;
  topic: string;
  payload: Payload;
  size: number;
  qos: number;
  retain: boolean;
  dup: boolean;
  properties: NonNullable<IPublishPacket["properties"]>;
}

export type Properties = NonNullable<IClientPublishOptions["properties"]>;

export const MOST = 1_000;
const AGAIN = 2_000;
const TIMEOUT = 10_000;
const KEEP_ALIVE = 30;
/** Seconds for which the session of a client stays that does not start clean. */
const EXPIRY = 3_600;
const TAKEN_OVER = 0x8e;

export class Connection {
  readonly state = signal<State>({ is: "idle", why: "" });
  readonly settings = signal<Settings | null>(null);
  readonly subscriptions = signal<readonly Subscription[]>([]);
  /** The newest first. */
  readonly messages = signal<readonly Message[]>([]);
  readonly paused = signal(false);
  /** Messages that have come, those that are not kept included. */
  readonly received = signal(0);
  private client: MqttClient | null = null;
  private last = 0;
  private cleared = 0;
  private fresh: Message[] = [];
  private drawing = false;
  /** Counts attempts, so that an old one has no say any more. */
  private attempt = 0;

  async connect(settings: Settings): Promise<void> {
    this.disconnect();
    const attempt = ++this.attempt;
    this.settings.value = settings;
    this.state.value = { is: "connecting" };
    let library: typeof import("mqtt");
    try {
      library = await import("mqtt");
    } catch {
      if (attempt === this.attempt) this.state.value = { is: "idle", why: "A part of this page could not be loaded." };
      return;
    }
    if (attempt !== this.attempt) return;
    const { username, password, version, clean } = settings;
    this.client = library.default.connect(settings.url, {
      clientId: settings.clientId,
      protocolVersion: version,
      clean,
      ...(username ? { username } : {}),
      ...(password ? { password } : {}),
      ...(version === 5 ? { properties: { sessionExpiryInterval: clean ? 0 : EXPIRY } } : {}),
      keepalive: KEEP_ALIVE,
      reconnectPeriod: AGAIN,
      connectTimeout: TIMEOUT,
      resubscribe: false,
      queueQoSZero: false,
      // The other kind of timer is a worker from a blob, which the page's policy forbids.
      timerVariant: "native",
    });
    this.follow(this.client, settings);
  }

  private follow(client: MqttClient, settings: Settings): void {
    const mine = (): boolean => this.client === client;
    let why = "";
    let added: string | undefined;
    client.on("packetreceive", (packet) => {
      if (packet.cmd === "connack") added = packet.properties?.reasonString;
    });
    client.on("connect", () => {
      if (!mine()) return;
      why = "";
      this.state.value = { is: "connected", since: Date.now() / 1000 };
      for (const each of this.subscriptions.value) this.ask(each);
    });
    client.on("error", (error) => {
      if (!mine()) return;
      const code = (error as { code?: unknown }).code;
      // A number is the broker's answer to CONNECT, and it would be the same again.
      if (typeof code === "number") this.giveUp(`The broker has refused the connection: ${reason(code, added)}.`);
      else why = error.message;
    });
    client.on("disconnect", (packet) => {
      const code = packet.reasonCode ?? 0;
      why = `The broker has ended the connection: ${reason(code, packet.properties?.reasonString)}.`;
      // Two that take the session from one another would never come to rest.
      if (mine() && code === TAKEN_OVER) this.giveUp(why);
    });
    client.on("close", () => {
      if (!mine()) return;
      const lost = this.state.value.is === "connected";
      const before = this.state.value.is === "waiting" ? this.state.value.why : "";
      this.state.value = {
        is: "waiting",
        why: why || (lost ? "The connection was lost." : before || `There is no answer from ${settings.url}.`),
      };
    });
    client.on("message", (topic, payload, packet) => {
      if (mine()) this.take(topic, payload, packet);
    });
  }

  private giveUp(why: string): void {
    this.disconnect();
    this.state.value = { is: "idle", why };
  }

  /** Ends the connection; what was subscribed to, and what has come, stays to be seen. */
  disconnect(): void {
    this.attempt += 1;
    const client = this.client;
    this.client = null;
    // Not by force where it is connected, so that the broker hears of it.
    client?.end(!client.connected);
    this.state.value = { is: "idle", why: "" };
  }

  // Subscriptions.

  subscribe(wish: Wish): void {
    const subscription: Subscription = { ...wish, state: { is: "asked" } };
    const others = this.subscriptions.value.filter((each) => each.filter !== wish.filter);
    this.subscriptions.value = [...others, subscription];
    this.ask(subscription);
  }

  unsubscribe(filter: string): void {
    this.subscriptions.value = this.subscriptions.value.filter((each) => each.filter !== filter);
    if (this.client?.connected) this.client.unsubscribe(filter);
  }

  private ask(wish: Wish): void {
    const client = this.client;
    if (!client?.connected) return;
    const { filter, qos, noLocal: nl, retainAsPublished: rap, retainHandling: rh } = wish;
    const five = this.settings.value?.version === 5;
    this.note(filter, { is: "asked" });
    client.subscribe(filter, five ? { qos, nl, rap, rh } : { qos }, (error, granted, packet) => {
      const code = packet?.granted[0];
      if (typeof code === "number" && code >= 0x80) {
        const why = reason(code, packet?.properties?.reasonString);
        this.note(filter, { is: "refused", why: five ? why : "the broker refuses; MQTT 3.1.1 has no reasons" });
      } else if (error) {
        this.note(filter, { is: "refused", why: error.message });
      } else {
        this.note(filter, { is: "granted", qos: typeof code === "number" ? code : (granted?.[0]?.qos ?? qos) });
      }
    });
  }

  private note(filter: string, state: Subscription["state"]): void {
    this.subscriptions.value = this.subscriptions.value.map((each) =>
      each.filter === filter ? { ...each, state } : each,
    );
  }

  // Messages.

  /** Publishes, and tells in words what came of it; raises an error where it was refused. */
  async publish(
    topic: string,
    payload: Uint8Array,
    given: { qos: 0 | 1 | 2; retain: boolean; properties: Properties },
  ): Promise<string> {
    const client = this.client;
    if (!client?.connected) throw new Error("There is no connection.");
    const five = this.settings.value?.version === 5;
    const { qos, retain, properties } = given;
    const options: IClientPublishOptions = { qos, retain, ...(five ? { properties } : {}) };
    return new Promise((resolve, reject) => {
      // In a browser the library has a Buffer of its own, which takes these.
      client.publish(topic, payload as Buffer, options, (error, packet) => {
        const answer = packet as { reasonCode?: number; properties?: { reasonString?: string } } | undefined;
        const code = answer?.reasonCode ?? 0;
        if (code >= 0x80) reject(new Error(`Not published: ${reason(code, answer?.properties?.reasonString)}.`));
        else if (error) reject(error);
        else if (qos === 0) resolve("Sent. At QoS 0 nobody tells whether it has arrived.");
        else resolve(code === 0x10 ? "Published; nobody has subscribed to this topic." : "Published.");
      });
    });
  }

  clear(): void {
    this.fresh = [];
    this.cleared = this.last;
    this.messages.value = [];
    this.received.value = 0;
  }

  pause(paused: boolean): void {
    this.paused.value = paused;
    if (!paused) this.draw();
  }

  private take(topic: string, payload: Uint8Array, packet: IPublishPacket): void {
    this.fresh.push({
      number: ++this.last,
      at: Date.now() / 1000,
      topic,
      payload: payloadOf(payload),
      size: payload.length,
      qos: packet.qos,
      retain: packet.retain,
      dup: packet.dup,
      properties: packet.properties ?? {},
    });
    if (this.fresh.length > MOST) this.fresh.shift();
    // However many come, they are drawn once a frame.
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.received.value = this.last - this.cleared;
      if (!this.paused.value) this.draw();
    });
  }

  private draw(): void {
    const fresh = this.fresh.reverse();
    this.fresh = [];
    if (fresh.length) this.messages.value = [...fresh, ...this.messages.value].slice(0, MOST);
  }
}
