// Endpoints are replaced one by one while requests come from everywhere: none fails. And a UDP socket that
// keeps sending goes to a living endpoint with the first datagram after a change.
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, NODE_PORT, pod, service, UDP_PORT } from "../../src/testing/lab/objects.ts";
import { sleep, until } from "../../src/testing/lab/process.ts";
import { startAsker, stopAsker } from "../support/asker.ts";

const CONNECTIONS_PER_SEC = 200;
/** Sends from one socket, waits for the answer, sends again; prints who answered whenever that changes. */
const SENDER = `
const socket = require("node:dgram").createSocket("udp4");
let last = "", count = 0, timer;
const next = (heard) => {
  clearTimeout(timer);
  // ICMP errors to one host are limited to one a second after the first few: silence in between says nothing.
  const who = heard === "silence" && last === "ECONNREFUSED" ? last : heard;
  if (who !== last) { console.log(JSON.stringify([who, ++count])); last = who; }
  setTimeout(send, 10);
};
let waiting = false;
const answer = (who) => { if (waiting) { waiting = false; next(who); } };
const send = () => {
  waiting = true;
  timer = setTimeout(() => answer("silence"), 400);
  socket.send("who", (error) => error && answer(error.code));
};
socket.on("message", (bytes) => answer(JSON.parse(bytes).pod));
socket.on("error", (error) => answer(error.code));
socket.connect(${UDP_PORT}, process.argv[1], send);
`;

/** A pod that goes on serving for so long when it is deleted, until everybody has let go of it. */
function gracefulPod(name: string, node: string, seconds = 1): object {
  const probe = { tcpSocket: { port: 8080 }, periodSeconds: 1 };
  // biome-ignore lint/suspicious/noExplicitAny: a manifest of our own
  const object = pod(name, node, { app: "web", readinessProbe: probe }) as any;
  object.spec.terminationGracePeriodSeconds = seconds + 5;
  object.spec.containers[0].lifecycle = { preStop: { exec: { command: ["sleep", String(seconds)] } } };
  return object;
}

async function untilReady(lab: TestLab, name: string): Promise<void> {
  await until(`${name} to be a ready endpoint`, async () => {
    const { items } = await lab.json("get", "endpointslices");
    // biome-ignore lint/suspicious/noExplicitAny: the API's
    const endpoints = items.flatMap((slice: any) => slice.endpoints ?? []);
    return endpoints.some(
      // biome-ignore lint/suspicious/noExplicitAny: the API's
      (e: any) => e.targetRef?.name === name && e.conditions.ready === true,
    );
  });
}

const skip = cannotRun();
t.test("rolling update", { skip }, async (t) => {
  const lab = await TestLab.up("rolling", {
    objects: [
      client("client-1", "node1"),
      client("client-2", "node2"),
      gracefulPod("web-1", "node1"),
      gracefulPod("web-2", "node2"),
      service("web"),
      pod("one-1", "node1", { app: "one" }),
      pod("two-1", "node2", { app: "two" }),
    ],
  });
  t.teardown(() => lab.down());
  await untilReady(lab, "web-1");
  await untilReady(lab, "web-2");

  t.test(`no request of ${CONNECTIONS_PER_SEC} a second fails while every pod is replaced`, async (t) => {
    const address = await lab.clusterIP("web");
    const nodePorts = [`192.168.50.11:${NODE_PORT}`, `192.168.50.12:${NODE_PORT}`];
    const askers = await Promise.all([
      startAsker(lab, "client-1", 0.35 * CONNECTIONS_PER_SEC, `${address}:80`),
      startAsker(lab, "client-2", 0.35 * CONNECTIONS_PER_SEC, `${address}:80`),
      startAsker(lab, "client/outside", 0.3 * CONNECTIONS_PER_SEC, ...nodePorts),
    ]);
    const mark = (what: string) => t.comment(`${new Date().toISOString()} ${what}`);
    // As a Deployment with maxSurge 1 and maxUnavailable 0 does it.
    for (const [fresh, node, old] of [
      ["web-3", "node2", "web-1"],
      ["web-4", "node1", "web-2"],
    ]) {
      await lab.apply(gracefulPod(fresh, node, 12)); // longer than web-5 takes on a machine that is busy
      await untilReady(lab, fresh);
      mark(`${fresh} is ready, ${old} goes`);
      await lab.output(["delete", "pod", old]); // to its end: who serves and terminates is still of use below
    }
    // And as no Deployment should: nobody is ready for a moment, those on their way out serve until then.
    mark("the last two go");
    await lab.output(["delete", "pod", "web-3", "web-4", "--no-wait"]);
    mark("web-5 comes");
    await lab.apply(gracefulPod("web-5", "node1"));
    await untilReady(lab, "web-5");
    mark("web-5 is ready");
    await sleep(500);
    const all = await Promise.all(askers.map(stopAsker));
    for (const [i, { sent, done, failed }] of all.entries()) {
      t.same(failed, [], `asker ${i}: ${sent} requests, ${JSON.stringify(done)}`);
      t.ok(sent > 100, `${sent} requests`);
      t.ok((done["web-1"] ?? 0) > 0 && (done["web-5"] ?? 0) > 0, "from the first pod to the last");
    }
  });

  t.test("a UDP socket that keeps sending moves with the first datagram after a change", async (t) => {
    const udp = (app: string, clusterIP?: string) =>
      service("talk", {
        type: "ClusterIP",
        selector: { app },
        ports: [{ name: "udp", protocol: "UDP", port: UDP_PORT, targetPort: UDP_PORT }],
        ...(clusterIP === undefined ? {} : { clusterIP }),
      });
    await lab.apply(udp("one"));
    const address = await lab.clusterIP("talk");
    const sender = await lab.startIn("client-1", ["node", "-e", SENDER, address], /one-1/);
    const seen = () => [...sender.output().matchAll(/^\["([^"]+)",\d+\]$/gm)].map((m) => m[1]);
    const expected = ["one-1"];
    const step = async (who: string, change: () => Promise<unknown>) => {
      await change();
      expected.push(who);
      await until(`${who} after ${seen()}`, async () => seen().length >= expected.length);
      await sleep(200);
      t.same(seen(), expected, `${who}, and nothing in between`);
    };
    await step("two-1", () => lab.apply(udp("two", address)));
    await step("ECONNREFUSED", () => lab.apply(udp("nobody", address)));
    await step("one-1", () => lab.apply(udp("one", address)));
    await step("silence", () => lab.output(["delete", "service", "talk"]));
    await step("two-1", () => lab.apply(udp("two", address)));
    await sender.stop();
  });
});
