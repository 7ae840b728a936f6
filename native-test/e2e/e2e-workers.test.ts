// A lab of which each node has four data-plane workers: programs see what they see with one, and every table, counter and
// command tells of all of them together.
import t from "tap";
import { parseConntrackLine } from "../../src/observe/conntrack-format.ts";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { NODE_PORT, standardObjects, UDP_PORT } from "../../src/testing/lab/objects.ts";
import { start, until } from "../../src/testing/lab/process.ts";
import { testPolicy } from "../../src/testing/world/policy-world.ts";
import { ask } from "../support/service-scenario.ts";

const skip = cannotRun("curl", "ping", "traceroute");
const FLOWS = 8;
const LARGE = 30_000;
const DENY = testPolicy("deny-web", {
  podSelector: { matchLabels: { app: "web" } },
  policyTypes: ["Ingress"],
});

/** Numbered datagrams on several sockets to an echo server, then one that has to be cut: what came back, in which order. */
const EXCHANGE = `
  const [host, port, flows, large] = process.argv.slice(1);
  const { createSocket } = require("node:dgram");
  const result = { answers: 0, outOfOrder: 0, large: 0 };
  const sockets = Array.from({ length: Number(flows) }, () => {
    const socket = createSocket("udp4");
    let last = -1;
    socket.on("message", (message) => {
      if (message.length > 8) return void (result.large = message.length);
      const number = message.readInt32BE(4);
      result.answers++;
      if (number <= last) result.outOfOrder++;
      last = number;
    });
    return socket;
  });
  (async () => {
    for (let number = 0; number < 600; number++) {
      const message = Buffer.from("echo0000");
      message.writeInt32BE(number, 4);
      for (const socket of sockets) socket.send(message, port, host);
      if (number % 4 === 3) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    for (let i = 0; i < 40 && result.large === 0; i++) {
      sockets[0].send(Buffer.alloc(Number(large)), port, host);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    console.log(JSON.stringify(result));
    process.exit();
  })();`;

/** One datagram and its answer. */
const ONE = `
  const [host, port] = process.argv.slice(1);
  require("node:dgram").createSocket("udp4").on("message", () => process.exit()).send("echo", port, host);`;

t.test("two nodes with four workers each", { skip }, async (t) => {
  const dataplane = { workers: 4, joinDatagrams: false }; // or frames and what the pod's device counts differ
  const lab = await TestLab.up("workers", { objects: standardObjects(), dataplane });
  t.teardown(() => lab.down());
  const vip = await lab.clusterIP("web");
  const rows = async (...args: string[]) =>
    (await lab.output(["conntrack", "list", ...args]))
      .split("\n")
      .flatMap((line) => parseConntrackLine(line) ?? []);

  await t.test("status says how many there are", async (t) => {
    t.match(await lab.output(["status"]), /node1 +data plane +yes +no internal errors, 4 workers/);
  });

  await t.test("services answer pods, nodes and clients", async (t) => {
    for (const [from, url] of [
      ["client-1", `http://${vip}`],
      ["node/node2", `http://${vip}`],
      ["client/outside", `http://192.168.50.11:${NODE_PORT}`],
    ]) {
      t.equal((await ask(lab, from, url, 30)).length, 30, from);
    }
  });

  await t.test("datagrams of a flow stay in order both ways, and fragments are put together", async (t) => {
    const args = [vip, UDP_PORT, FLOWS, LARGE].map(String);
    const { stdout } = await lab.exec("client-1", ["node", "-e", EXCHANGE, ...args]);
    const result = JSON.parse(stdout);
    t.ok(result.answers > 0, `${result.answers} answers`);
    t.match(result, { outOfOrder: 0, large: LARGE });
    const known = await rows("-p", "udp", "-d", vip, "--node", "node1");
    t.equal(known.length, FLOWS, "each flow is one connection, whichever worker saw it first");
  });

  await t.test("ICMP errors find their way", async (t) => {
    const target = await lab.podAddress("web-2");
    const trace = await lab.exec("client-1", ["traceroute", "-n", "-q", "1", "-w", "2", target]);
    t.match(trace.stdout, /^ 1 +10\.244\.1\.1 /m);
    t.match(trace.stdout, new RegExp(` ${target.replaceAll(".", "\\.")} .*\\n$`));
  });

  await t.test("a policy holds for all at once, and ends so", async (t) => {
    const target = `http://${await lab.podAddress("web-1")}:8080/`;
    const get = async (from: string) =>
      (await lab.exec(from, ["curl", "-sS", "-m", "1", "-o", "/dev/null", target])).status;
    await lab.apply(DENY);
    for (const from of ["client-1", "client-2"])
      await until(`${from} is refused`, async () => (await get(from)) !== 0);
    t.same([await get("client-1"), await get("client-2")], [28, 28], "nobody answers");
    await lab.output(["delete", "networkpolicy", "deny-web"]);
    await until("client-2 is let in", async () => (await get("client-2")) === 0);
  });

  await t.test("a capture stops after as many packets as it was told", async (t) => {
    const capture = await start([PODWIRE, "--lab", lab.name, "capture", "-c", "25", "tcp"], /listening on/);
    await ask(lab, "client-1", `http://${vip}`, 10);
    await capture.ended;
    t.match(capture.output(), /^25 packets captured$/m);
  });

  await t.test("each frame to a pod is counted once", async () => {
    for (const name of ["client-1", "web-1"]) {
      const counted = async () => {
        const { items } = await lab.json("show", "ports", "--node", "node1");
        return items.find((port: { pod?: string }) => port.pod === `default/${name}`).txPackets;
      };
      const seen = async () => {
        const { stdout } = await lab.exec(name, ["cat", "/sys/class/net/eth0/statistics/rx_packets"]);
        return Number(stdout);
      };
      // Asked one after the other, so that a frame between the two lets them differ for once.
      await until(
        `what is counted of ${name} is what came`,
        async () => (await counted()) === (await seen()),
      );
    }
  });

  await t.test("connections are deleted, and forgotten", async (t) => {
    await lab.exec("client-1", ["timeout", "5", "node", "-e", ONE, vip, String(UDP_PORT)]); // the others may be over
    t.ok((await rows("-p", "udp", "-d", vip)).length > 0);
    await lab.output(["conntrack", "delete", "-p", "udp", "-d", vip]);
    t.equal((await rows("-p", "udp", "-d", vip)).length, 0);
    await lab.output(["conntrack", "flush"]);
    t.equal((await ask(lab, "client-2", `http://${vip}`, 10)).length, 10);
  });

  const { items } = await lab.json("show", "counters");
  t.ok(items.length > 0);
  t.notMatch(await lab.output(["status"]), /internal error\b(?!s)|met an internal/);
});
