// Sensor readings in the browser, live over MQTT.
//
// The page connects to the broker that has served it, subscribes to sensors/#, and shows a card for each topic
// sensors/HOST/READING. sensors/HOST/status says whether the host is there: the sensor publishes "online", and its
// Will "offline" when it is gone.
//
// Topics and payloads come from strangers. They are only ever written with textContent, never as HTML.

import mqtt from "mqtt";

const FILTER = "sensors/#";
const POINTS = 60; // Readings in a chart.
const MESSAGES = 50; // Lines in the list of messages.
const HOSTS = 50; // Hosts shown, and cards for each: whoever may publish could otherwise fill the browser's memory.
const CARDS = 24;
const LONGEST = 200; // Characters shown of a payload or a topic.

// What is known of some readings, in the order in which they are shown. Others have a card as well, without a unit.
const KNOWN = new Map([
  ["cpu", { title: "CPU", unit: "%" }],
  ["memory", { title: "Memory", unit: "%" }],
  ["disk", { title: "Disk", unit: "%" }],
  ["temperature", { title: "Temperature", unit: "°C" }],
  ["humidity", { title: "Humidity", unit: "%" }],
]);

const page = (id) => document.getElementById(id);
const copyOf = (template) => page(template).content.firstElementChild.cloneNode(true);
const shortened = (text) => (text.length > LONGEST ? text.slice(0, LONGEST) + "…" : text);

// The connection: same host and port as the page, encrypted when the page is.

const scheme = location.protocol === "https:" ? "wss" : "ws";
const url = `${scheme}://${location.host}/mqtt`;
const client = mqtt.connect(url, {
  protocolVersion: 5,
  reconnectPeriod: 1000, // Milliseconds between attempts.
  connectTimeout: 5000,
  resubscribe: false, // It is done below, on each "connect".
});
page("broker").textContent = `${scheme}://${location.host}`;

client.on("connect", async () => {
  try {
    await client.subscribeAsync(FILTER, { qos: 1 });
    showState("connected", "Connected");
  } catch (error) {
    showState("refused", error.message);
  }
});
client.on("reconnect", () => showState("reconnecting", "Reconnecting…"));
client.on("close", () => {
  // A broker that has refused the connection is not asked again.
  if (document.body.dataset.state !== "refused") showState("reconnecting", "Reconnecting…");
});
client.on("error", (error) => {
  // The broker's "no" has a code; a network that is down has none, and is tried again.
  if (error.code) showState("refused", error.message);
});

function showState(state, text) {
  document.body.dataset.state = state;
  if (page("connection").textContent !== text) page("connection").textContent = text;
  page("publish").querySelector("button").disabled = state !== "connected";
}

// Messages.

let received = 0;

client.on("message", (topic, payload, packet) => {
  const text = payload.toString();
  showMessage(topic, text, packet);
  const [, host, ...rest] = topic.split("/");
  if (host === undefined || rest.length === 0) return;
  const reading = rest.join("/");
  if (reading === "status") {
    showStatus(host, text);
  } else {
    showReading(host, reading, text, packet.retain);
  }
  page("empty").hidden = hosts.size > 0;
});

function showMessage(topic, text, packet) {
  received += 1;
  page("count").textContent = received.toLocaleString();
  const line = copyOf("message-template");
  line.querySelector(".topic").textContent = shortened(topic);
  line.querySelector(".payload").textContent = shortened(text) || "(empty)";
  line.querySelector(".qos").textContent = `QoS ${packet.qos}`;
  line.querySelector(".retained").hidden = !packet.retain;
  page("log").prepend(line);
  if (page("log").children.length > MESSAGES) page("log").lastElementChild.remove();
}

// Hosts.

const hosts = new Map(); // Name to { section, cards }; cards are by reading.

function hostNamed(name) {
  let host = hosts.get(name);
  if (host === undefined && hosts.size < HOSTS) {
    host = { section: copyOf("host-template"), cards: new Map() };
    host.section.setAttribute("aria-label", name);
    host.section.querySelector("h2").textContent = shortened(name);
    hosts.set(name, host);
    insertInOrder(page("hosts"), host.section, name);
  }
  return host;
}

function showStatus(name, text) {
  const host = hostNamed(name);
  if (host === undefined) return;
  host.section.dataset.status = text;
  const badge = host.section.querySelector(".badge");
  badge.textContent = shortened(text);
  badge.hidden = text === "";
  forgetIfEmpty(name, host);
}

function forgetIfEmpty(name, host) {
  if (host.cards.size > 0 || host.section.dataset.status) return;
  host.section.remove();
  hosts.delete(name);
}

// Readings.

function showReading(name, reading, text, retained) {
  const host = hostNamed(name);
  if (host === undefined) return;
  if (text === "") {
    // An empty payload takes a retained message away.
    host.cards.get(reading)?.element.remove();
    host.cards.delete(reading);
    forgetIfEmpty(name, host);
    return;
  }
  const card = cardFor(host, reading);
  if (card === undefined) return;
  const value = text.trim() === "" ? NaN : Number(text);
  const isNumber = Number.isFinite(value);
  card.element.classList.toggle("words", !isNumber);
  card.element.querySelector(".number").textContent = isNumber ? shortNumber(value, text) : shortened(text);
  card.element.querySelector(".unit").hidden = !isNumber;
  card.element.querySelector(".retained").hidden = !retained;
  // A retained message is as old as it is: nobody knows when it was published.
  card.updated = retained ? undefined : Date.now();
  showAge(card);
  // After a reconnect the broker sends what is retained once more: that is no new reading.
  if (isNumber && !(retained && card.values.at(-1) === value)) {
    card.values.push(value);
    if (card.values.length > POINTS) card.values.shift();
  }
  drawChart(card);
}

function cardFor(host, reading) {
  let card = host.cards.get(reading);
  if (card === undefined && host.cards.size < CARDS) {
    const known = KNOWN.get(reading);
    card = { element: copyOf("card-template"), title: shortened(known?.title ?? reading), values: [], updated: undefined };
    card.element.dataset.reading = reading;
    card.element.querySelector("h3").textContent = card.title;
    card.element.querySelector(".unit").textContent = known ? ` ${known.unit}` : "";
    host.cards.set(reading, card);
    const position = known ? [...KNOWN.keys()].indexOf(reading) : KNOWN.size;
    insertInOrder(host.section.querySelector(".cards"), card.element, `${position} ${reading}`);
  }
  return card;
}

function insertInOrder(parent, element, key) {
  element.dataset.key = key;
  const next = [...parent.children].find((each) => each.dataset.key > key);
  parent.insertBefore(element, next ?? null);
}

// As it was written, "100.0" say, unless that is too long for a card.
function shortNumber(value, text = String(value)) {
  return text.length <= 8 ? text : String(Number(value.toPrecision(6)));
}

// Charts: the newest reading at the right; as wide as FEW readings at first, as POINTS in the end.

const FEW = 20;
const WIDTH = 240;
const HEIGHT = 56;
const LEAST_SPAN = 4; // So that a value that hardly changes is a line that hardly moves.

function drawChart({ element, title, values }) {
  const svg = element.querySelector("svg");
  svg.toggleAttribute("hidden", values.length === 0);
  if (values.length === 0) return;
  const low = Math.min(...values);
  const high = Math.max(...values);
  const span = Math.max(high - low, LEAST_SPAN) * 1.2;
  const middle = (low + high) / 2;
  const step = WIDTH / (Math.max(values.length, FEW) - 1);
  const x = (index) => (WIDTH - (values.length - 1 - index) * step).toFixed(1);
  const y = (value) => (HEIGHT / 2 - ((value - middle) / span) * HEIGHT).toFixed(1);
  const line = values.map((value, index) => `${index === 0 ? "M" : "L"}${x(index)} ${y(value)}`).join("");
  svg.querySelector(".line").setAttribute("d", line);
  svg.querySelector(".area").setAttribute("d", `${line}V${HEIGHT}H${x(0)}Z`);
  svg.querySelector(".dot").setAttribute("d", `M${WIDTH} ${y(values.at(-1))}h0`);
  svg.dataset.points = values.length;
  svg.setAttribute("aria-label", `${title}: ${values.length} readings between ${shortNumber(low)} and ${shortNumber(high)}`);
  element.querySelector(".range").textContent = low === high ? "" : `↓ ${shortNumber(low)}  ↑ ${shortNumber(high)}`;
}

function showAge({ element, updated }) {
  element.querySelector(".age").textContent = updated === undefined ? "" : age((Date.now() - updated) / 1000);
}

function age(seconds) {
  if (seconds < 2) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return `${Math.floor(seconds / 3600)} h ago`;
}

setInterval(() => {
  for (const host of hosts.values()) host.cards.forEach(showAge);
}, 1000);

// Publishing.

page("publish").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const qos = Number(form.get("qos"));
  const outcome = page("outcome");
  outcome.className = "";
  outcome.textContent = "Publishing…";
  try {
    await client.publishAsync(form.get("topic"), form.get("payload"), { qos, retain: form.has("retain") });
    outcome.textContent = qos === 0 ? "Sent." : "Published: the broker has it.";
  } catch (error) {
    outcome.className = "bad";
    outcome.textContent = error.message;
  }
});
