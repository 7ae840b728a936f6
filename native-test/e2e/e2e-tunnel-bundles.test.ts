// Frames that leave into the tunnel together: a kernel and a podwire node get every byte of every datagram, in the order
// of each flow, over a link that cuts superframes and one that hands them on; the outer packets have the source ports
// that were asked for; what had to wait for the neighbour arrives, too; switched off, each frame leaves by itself.
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import t from "tap";
import { callJson } from "../../src/cli/client.ts";
import { agentSocket } from "../../src/lab/state-dir.ts";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { client } from "../../src/testing/lab/objects.ts";
import { start, until } from "../../src/testing/lab/process.ts";
import { LiveLab } from "../support/live/live-lab.ts";

interface Counter {
  readonly counter: string;
  readonly value: number;
}

const skip = cannotRun("curl", "ethtool", "ping");
const [PORT, FLOWS] = [9100, 16];
const GATEWAY = "10.244.1.1"; // of node1's pods
/** Datagrams of a flow: those that a stopped agent finds waiting, and those that come while it works. */
const [WAITING, FLOWING] = [6, 54];
const DATAGRAMS = FLOWS * (WAITING + FLOWING);
/** Datagrams of a flow that are sent before either node has heard of the other. */
const FIRST = 12;

/** Prints what came, and whether each flow's came whole and in order: once argv[1] are there, or nothing comes. */
const RECEIVER = `
const all = +process.argv[1];
const socket = require("node:dgram").createSocket({ type: "udp4", recvBufferSize: 1 << 22 });
const next = new Map();
let count = 0, wrong = 0, timer;
const end = () => { console.log(JSON.stringify({ count, wrong, flows: next.size })); process.exit(0); };
socket.on("message", (data, from) => {
  clearTimeout(timer);
  timer = setTimeout(end, count === all - 1 ? 200 : 20000);
  const number = data.readUInt32BE(0);
  const want = next.get(from.port) ?? 0;
  const length = 4 + (number % 6 === 5 ? 9 : 18);
  const isWhole = data.length === length && data.subarray(4).every((b, i) => b === ((number + i) & 255));
  if (number < want || !isWhole) wrong++;
  next.set(from.port, number + 1);
  count++;
});
socket.bind(${PORT}, () => console.log("ready"));
`;
/** Sends each flow's datagrams to argv[1], argv[2] of them, in bursts of six; the flows' ports begin at argv[3]. With
 *  argv[4] it says when it could, and waits for a line. */
const SENDER = `
const dgram = require("node:dgram");
const [, to, each, first, waits] = process.argv;
const begin = () => {
  if (waits === undefined) return burst();
  process.stdin.once("data", burst);
  console.log("ready");
};
const sockets = Array.from({ length: ${FLOWS} }, () => dgram.createSocket("udp4"));
let bound = 0;
sockets.forEach((socket, i) => socket.bind(+first + i, () => { if (++bound === sockets.length) begin(); }));
let number = 0, left = ${FLOWS} * each;
const sent = (error) => {
  if (error) throw error;
  if (--left === 0) process.exit(0);
};
const burst = () => {
  for (let i = 0; i < 6 && number < each; i++, number++) {
    const data = Buffer.alloc(4 + (number % 6 === 5 ? 9 : 18));
    data.writeUInt32BE(number, 0);
    for (let k = 4; k < data.length; k++) data[k] = (number + k - 4) & 255;
    for (const socket of sockets) socket.send(data, ${PORT}, to, sent);
  }
  if (number < each) setTimeout(burst, 20);
};
`;

/** The kernel stops one thread, which may wait for a processor, and that one the others. */
function isStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).every((id) => /\) T /.test(readFileSync(`${tasks}/${id}/stat`, "latin1")));
}

t.test("frames that leave into the tunnel together", { skip }, async (t) => {
  const lab = await TestLab.up("bundles", {
    overlay: { type: "vxlan", sourcePortRange: "50000-50999", sourcePorts: 2 },
    nodes: [{ name: "node1" }, { name: "node2" }, { name: "node3", agent: "kernel" }],
    objects: [client("tx", "node1"), client("rx", "node2"), client("rx-kernel", "node3")],
  });
  t.teardown(() => lab.down());
  const { nodes } = JSON.parse((await lab.podwire(["lab", "status", "-o", "json"])).stdout);
  const [agent, other] = ["node1", "node2"].map(
    (name): number => nodes.find((node: { name: string }) => node.name === name).pid,
  );
  const counter = async (name: string): Promise<number> => {
    const { items } = await lab.json("show", "counters", "--node", "node1");
    return items.find((item: { counter: string }) => item.counter === name).value;
  };
  const state = async (node: string): Promise<string> => {
    const { checks } = JSON.parse((await lab.podwire(["status", "-o", "json"])).stdout);
    const found = checks.find(
      ({ of, check }: { of: string; check: string }) => of.endsWith(`/${node}`) && check === "tunnel bundles",
    );
    return found.detail;
  };
  const send = async (to: string, each: number, firstPort: number): Promise<void> => {
    const command = [process.execPath, "-e", SENDER, await lab.podAddress(to), `${each}`, `${firstPort}`];
    const sent = await lab.exec("tx", command);
    t.equal(sent.status, 0, sent.stderr);
  };
  /** What is sent while the other node's agent stands still, until all waits: for less than three seconds. */
  const sendToNobody = async (to: string): Promise<void> => {
    const live = new LiveLab(lab);
    const command = [process.execPath, "-e", SENDER, await lab.podAddress(to), `${FIRST}`, "10000", "wait"];
    const sender = live.spawn(await live.pod("tx"), command);
    await once(sender.stdout as Readable, "data");
    // Or datagrams wait in the pod's kernel as well, which lets others overtake them.
    t.equal((await lab.exec("tx", ["ping", "-n", "-c", "1", "-W", "5", GATEWAY])).status, 0);
    process.kill(other, "SIGSTOP");
    try {
      await until("all its threads to stand still", async () => isStopped(other), 5000);
      sender.stdin?.end("go\n");
      await until("all to wait", async () => (await queued()) >= FLOWS * FIRST, 2000);
    } finally {
      process.kill(other, "SIGCONT");
    }
  };
  /** Asked on the agent's socket: a command takes long to start beside other programs. */
  const queued = async (): Promise<number> => {
    const call = { path: "/show/counters" };
    const { items } = await callJson<{ items: Counter[] }>(agentSocket(lab.name, "node1"), "node1", call);
    return items.find((item) => item.counter === "neighbor_queued")?.value ?? 0;
  };
  /** What a pod has received after that, of so many datagrams. */
  const received = async (to: string, all: number, sending: () => Promise<void>): Promise<unknown> => {
    const receiver = await lab.startIn(to, [process.execPath, "-e", RECEIVER, `${all}`], /ready/);
    await sending();
    await until("the receiver counts", async () => /\{.*\}/.test(receiver.output()), 30_000);
    return JSON.parse(/\{.*\}/.exec(receiver.output())?.[0] ?? "null");
  };
  const exchange = async (to: string): Promise<unknown> =>
    received(to, DATAGRAMS, async () => {
      // However fast the agent is, it finds these together.
      process.kill(agent, "SIGSTOP");
      await send(to, WAITING, 20_000).finally(() => process.kill(agent, "SIGCONT"));
      await send(to, FLOWING, 20_000 + FLOWS);
    });

  t.test(
    "what is sent before the nodes have heard of each other waits, and all arrives", // podwire status probes, too
    async (t) => {
      const all = FLOWS * FIRST;
      const got = await received("rx", all, () => sendToNobody("rx"));
      t.same(got, { count: all, wrong: 0, flows: FLOWS });
      t.same((await lab.json("show", "drops", "--node", "node1")).items, []);
    },
  );

  t.test("both agents found kernel and uplink good", async (t) => {
    for (const node of ["node1", "node2"])
      await until(`bundles of ${node}`, async () => (await state(node)) === "on", 5000);
    t.equal(await state("node1"), "on");
  });

  t.test("the neighbours know each other", async (t) => {
    for (const to of ["rx", "rx-kernel"]) {
      const ping = ["ping", "-n", "-c", "1", "-W", "5", await lab.podAddress(to)];
      t.equal((await lab.exec("tx", ping)).status, 0, to);
    }
  });

  for (const features of ["on", "off"]) {
    for (const to of ["rx", "rx-kernel"]) {
      const how = features === "on" ? "hands superframes on" : "cuts superframes";
      t.test(`a link that ${how}: ${to} gets every datagram, each flow's in order`, async (t) => {
        await lab.exec("node/node1", [
          "ethtool",
          "-K",
          "eth0",
          "gso",
          features,
          "tx-udp-segmentation",
          features,
        ]);
        const before = await counter("tunnel_bundled");
        t.same(await exchange(to), { count: DATAGRAMS, wrong: 0, flows: 2 * FLOWS });
        const bundled = (await counter("tunnel_bundled")) - before;
        t.ok(bundled >= (FLOWS * WAITING) / 2, `${bundled} of ${DATAGRAMS} left in bundles`);
        t.same((await lab.json("show", "drops", "--node", "node1")).items, []);
      });
    }
  }

  t.test(
    "a capture at the uplink shows single packets, from the two ports that were asked for",
    async (t) => {
      const bundled = await counter("tunnel_bundled");
      const command = [PODWIRE, "--lab", lab.name, "capture", "--node", "node1", "udp port 8472"];
      const capture = await start(command, /listening/);
      await exchange("rx");
      const outer = /192\.168\.50\.11\.(\d+) > 192\.168\.50\.12\.8472: VXLAN/g;
      const ports = () => [...capture.output().matchAll(outer)].map(([, port]) => port);
      await until("all to be printed", async () => ports().length >= DATAGRAMS, 5000);
      await capture.stop("SIGINT");
      t.equal(ports().length, DATAGRAMS);
      t.same([...new Set(ports())].sort(), ["50000", "50001"]);
      t.equal(await counter("tunnel_bundled"), bundled, "none left in a bundle meanwhile");
    },
  );
});

t.test("switched off", { skip }, async (t) => {
  const lab = await TestLab.up("no-bundles", {
    dataplane: { tunnelBundles: false },
    nodes: [{ name: "node1" }],
  });
  t.teardown(() => lab.down());
  const text = (await lab.podwire(["status"])).stdout;
  t.match(text, /node1 +tunnel bundles +yes +off: dataplane\.tunnelBundles is false/);
  const metrics = await lab.exec("node/node1", ["curl", "-s", "http://127.0.0.1:10249/metrics"]);
  t.match(metrics.stdout, /^podwire_tunnel_bundles 0$/m);
});
