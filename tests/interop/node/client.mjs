// The npm client `mqtt`, driven by JSON lines: a command on standard input, an answer or an event on standard output.
//
// Commands: {id, command, ...}; answers: {id, result} or {id, error}; events: {event: "message" | "disconnect" | "close", ...}.
// Binary values are hexadecimal. The library is found through NODE_MODULES, since it is installed in a cache and not
// beside this file.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const mqtt = createRequire(process.env.NODE_MODULES + "/.")("mqtt");

let client = null;
let lastReason = null;

const write = (object) => process.stdout.write(JSON.stringify(object) + "\n");
const unhex = (text) => Buffer.from(text, "hex");

function outgoing(properties) {
  const result = { ...properties };
  if (result.correlationData !== undefined) result.correlationData = unhex(result.correlationData);
  return result;
}

function incoming(properties) {
  const result = { ...properties };
  if (result.correlationData !== undefined) result.correlationData = result.correlationData.toString("hex");
  return result;
}

const commands = {
  connect({ options }) {
    if (options.will !== undefined) {
      options.will.payload = unhex(options.will.payload);
      options.will.properties = outgoing(options.will.properties);
    }
    return new Promise((resolve, reject) => {
      client = mqtt.connect({ reconnectPeriod: 0, ...options });
      client.once("connect", (packet) => resolve({ sessionPresent: packet.sessionPresent }));
      client.on("error", reject);
      client.on("message", (topic, payload, packet) =>
        write({
          event: "message",
          topic,
          payload: payload.toString("hex"),
          qos: packet.qos,
          retain: packet.retain,
          properties: incoming(packet.properties),
        }),
      );
      client.on("packetreceive", (packet) => {
        if (packet.cmd === "puback" || packet.cmd === "pubrec") lastReason = packet.reasonCode ?? null;
      });
      client.on("disconnect", (packet) => write({ event: "disconnect", reasonCode: packet.reasonCode }));
      client.on("close", () => write({ event: "close" }));
    });
  },

  async subscribe({ filter, options }) {
    const granted = await client.subscribeAsync({ [filter]: options }, options);
    return { reasonCode: granted[0].qos };
  },

  async unsubscribe({ filter }) {
    await client.unsubscribeAsync(filter);
    return {};
  },

  async publish({ topic, payload, options }) {
    options.properties = outgoing(options.properties);
    await client.publishAsync(topic, unhex(payload), options);
    return { reasonCode: lastReason };
  },

  async disconnect() {
    await client.endAsync();
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...rest } = JSON.parse(line);
  commands[command](rest).then(
    (result) => write({ id, result }),
    (error) => write({ id, error: String(error) }),
  );
}
process.exit(0);
