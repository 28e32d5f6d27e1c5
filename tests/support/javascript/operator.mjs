// What an operator sees of Chorus with the official JavaScript client, which knows nothing of it: one JSON line
// for each thing it hears.
//
//   node operator.mjs SERVER NKEY_FILE discover | stats | generate QUESTION | watch KEY | order JOB ACTION | queue

import { readFileSync } from "node:fs";
import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Svcm } from "@nats-io/services";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";

const [server, nkeyFile, what, ...rest] = process.argv.slice(2);
const FINAL = ["succeeded", "failed", "cancelled"];

const nc = await connect({
  servers: server,
  authenticator: nkeyAuthenticator(readFileSync(nkeyFile)),
  inboxPrefix: "_INBOX.operator",
  name: "operator",
});

const say = (thing) => console.log(JSON.stringify(thing));

const deeds = {
  async discover() {
    const services = new Svcm(nc).client({ strategy: "stall", maxWait: 2000 });
    for await (const service of await services.info()) say(service);
  },

  async stats() {
    const services = new Svcm(nc).client({ strategy: "stall", maxWait: 2000 });
    for await (const service of await services.stats()) say(service);
  },

  // A stream of replies ends with an empty message: the sentinel of NATS's own convention.
  async generate(question) {
    const asked = { messages: [{ role: "user", content: question }], sampling: { max_tokens: 12 } };
    const replies = await nc.requestMany("infer.v1.generate", JSON.stringify(asked), {
      strategy: "sentinel",
      maxWait: 120_000,
    });
    for await (const reply of replies) {
      if (reply.headers?.has("Nats-Service-Error")) say({ error: reply.headers.get("Nats-Service-Error") });
      else if (reply.data.length > 0) say(reply.json());
    }
  },

  // A job's entry is the truth about it; each change of it is heard.
  async watch(key) {
    const jobs = await new Kvm(nc).open("jobs");
    const changes = await jobs.watch({ key, include: "updates" });
    say({ watching: key });
    for await (const entry of changes) {
      if (entry.operation !== "PUT") continue;
      const record = entry.json();
      say({ key: entry.key, revision: entry.revision, state: record.state, stage: record.stage });
      if (FINAL.includes(record.state)) break;
    }
  },

  async order(job, action) {
    const answer = await nc.request("train.v1.order", JSON.stringify({ guild: "local", job, action }), {
      timeout: 10_000,
    });
    if (answer.headers?.has("Nats-Service-Error")) say({ error: answer.headers.get("Chorus-Error-Code") });
    else say(answer.json());
  },

  // The queue stands still, and goes on.
  async queue() {
    const { consumers } = await jetstreamManager(nc, { checkAPI: false });
    say(await consumers.pause("TRAIN", "trainer", new Date(Date.now() + 3_600_000)));
    say({ paused: (await consumers.info("TRAIN", "trainer")).paused });
    say(await consumers.resume("TRAIN", "trainer"));
  },
};

await deeds[what](...rest);
await nc.close();
