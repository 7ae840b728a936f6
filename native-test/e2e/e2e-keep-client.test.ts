// dataplane.keepClientAddress with real programs: whom pods see behind the node ports of their own node, of another one and
// of a kernel's, what policies make of that, and that connections live through moves of endpoints, narrow paths and agents
// that start anew.
import t, { type Test } from "tap";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { NODE_PORT, pod, service, UDP_NODE_PORT } from "../../src/testing/lab/objects.ts";
import { run, sleep, start, until } from "../../src/testing/lab/process.ts";
import { testPolicy } from "../../src/testing/world/policy-world.ts";
import { behindNarrowLink } from "../support/narrow-link.ts";

const DUAL = "10.244.0.0/16,fd00:10:244::/56";
const [OUTSIDE, BANNED, BEHIND] = ["192.168.50.100", "192.168.50.101", "192.168.50.102"];
const [OUTSIDE6, BANNED6] = ["fd00:192:168:50::100", "fd00:192:168:50::101"];
const [NODE1, NODE2, KERNEL] = [1, 2, 3].map((n) => `192.168.50.1${n}`);
const [NODE1_6, NODE2_6] = [1, 2].map((n) => `fd00:192:168:50::1${n}`);
const [KERNEL_PORT, IPERF_PORT] = [30_081, 30_082];
const VIP = "192.168.50.200";
const skip = cannotRun("curl", "socat", "iperf3", "ping", "ip", "iptables");

function objects(): object[] {
  const iperf = [{ name: "iperf", protocol: "TCP", port: 5201, targetPort: 5201, nodePort: IPERF_PORT }];
  const http = [{ name: "http", protocol: "TCP", port: 80, targetPort: 8080, nodePort: KERNEL_PORT }];
  return [
    pod("web-2", "node2", { app: "web" }),
    pod("kernel-3", "node3", { app: "kernel" }),
    pod("perf-2", "node2", { app: "perf", command: ["iperf3", "-s"] }),
    service("web", { ipFamilyPolicy: "PreferDualStack", externalIPs: [VIP] }),
    service("kernel", { ports: http }),
    service("perf", { ports: iperf }),
  ];
}

/** A request each 50 ms on one connection, with silence each other second; says how many were answered, and when it is silent. */
const TALKER = `
const socket = require("node:net").connect(+process.argv[2], process.argv[1]);
let heard = 0;
socket.on("data", (bytes) => { for (const c of bytes.toString()) if (c === "#") heard++; });
let isSilent = false, turns = 0;
socket.on("connect", () => {
  setInterval(() => isSilent || socket.write("echo#"), 50);
  setInterval(() => console.log("heard " + heard), 500);
  setInterval(() => {
    isSilent = !isSilent;
    if (isSilent) setTimeout(() => console.log("silence " + ++turns), 500);
  }, 1000);
});
socket.on("close", () => { console.log("closed"); process.exit(1); });
socket.on("error", (error) => console.log(error.code));
`;

class Knocking {
  readonly lab: TestLab;

  constructor(lab: TestLab) {
    this.lab = lab;
  }

  /** Whom the pod saw; "": no answer. */
  async tcp(from: string, to: string, port = NODE_PORT): Promise<string> {
    const host = to.includes(":") ? `[${to}]` : to;
    const { stdout } = await this.lab.exec(from, ["curl", "-s", "-m", "3", `http://${host}:${port}/`]);
    return clientOf(stdout);
  }

  async udp(from: string, to: string, port = UDP_NODE_PORT): Promise<string> {
    const host = to.includes(":") ? `UDP6:[${to}]:${port}` : `UDP4:${to}:${port}`;
    return clientOf((await this.lab.exec(from, ["socat", "-t1", "-T2", "-", host], { input: "who" })).stdout);
  }

  /** A datagram of so many bytes comes back as it went. */
  async large(from: string, to: string, bytes: number): Promise<boolean> {
    const host = to.includes(":") ? `UDP6:[${to}]:${UDP_NODE_PORT}` : `UDP4:${to}:${UDP_NODE_PORT}`;
    const input = `echo${"x".repeat(bytes - 4)}`;
    const words = ["socat", "-b", "65000", "-t1", "-T2", "-", host];
    return (await this.lab.exec(from, words, { input })).stdout === input;
  }
}

function clientOf(text: string): string {
  const seen = text === "" ? "" : (JSON.parse(text).client as string);
  return seen.slice(0, seen.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

t.test("addresses of clients are kept", { skip }, async (t) => {
  const lab = await TestLab.up("keep", {
    clusterCIDR: DUAL,
    dataplane: { keepClientAddress: true },
    nodes: [{ name: "node1" }, { name: "node2" }, { name: "node3", agent: "kernel" }],
    clients: [
      { name: "outside", address: OUTSIDE },
      { name: "banned", address: BANNED },
    ],
    objects: objects(),
  });
  t.teardown(() => lab.down());
  const k = new Knocking(lab);

  t.test("nodes say that they keep them, kernels do not", async (t) => {
    const { items } = await lab.json("get", "nodes");
    t.same(
      items.map(
        (n: { metadata: { annotations: object } }) =>
          "podwire.dev/keep-client-address" in n.metadata.annotations,
      ),
      [true, true, false],
    );
    const { items: vteps } = await lab.json("show", "vteps", "--node", "node1");
    t.match(vteps, [
      { address: NODE2, keepsClients: true },
      { address: KERNEL, keepsClients: false },
    ]);
  });

  t.test(
    "the pod sees who knocks: TCP, UDP, fragments, both families, node ports and an external IP",
    async (t) => {
      for (const to of [NODE1, NODE2]) {
        t.equal(await k.tcp("client/outside", to), OUTSIDE, `TCP at ${to}`);
        t.equal(await k.udp("client/outside", to), OUTSIDE, `UDP at ${to}`);
        t.ok(await k.large("client/outside", to, 8000), `8000 bytes at ${to}`);
      }
      for (const to of [NODE1_6, NODE2_6]) {
        t.equal(await k.tcp("client/outside", to), OUTSIDE6, `TCP at ${to}`);
        t.equal(await k.udp("client/outside", to), OUTSIDE6, `UDP at ${to}`);
        await k.large("client/outside", to, 8000); // its sender is told that fragments of 1500 do not fit
        t.ok(await k.large("client/outside", to, 8000), `8000 bytes at ${to}`);
      }
      const way = ["ip", "-n", `pw-${lab.name}-c-outside`, "route", "replace", VIP, "via", NODE1];
      t.equal((await run(way)).status, 0);
      t.equal(await k.tcp("client/outside", VIP, 80), OUTSIDE, "external IP");
    },
  );

  t.test("a kernel node is none of them, on either side", async (t) => {
    t.equal(await k.tcp("client/outside", NODE1, KERNEL_PORT), "10.244.1.0", "towards its pod");
    t.equal(await k.tcp("client/outside", KERNEL), "10.244.3.0", "by its node port");
    t.equal(await k.udp("client/outside", KERNEL), "10.244.3.0");
  });

  t.test("trace, conntrack and explain tell of it", (t) => tellsOfIt(t, lab, k));

  t.test("a policy lets one client in and keeps another out", async (t) => {
    const from = [OUTSIDE, OUTSIDE6].map((ip) => ({
      ipBlock: { cidr: `${ip}/${ip.includes(":") ? 128 : 32}` },
    }));
    const ingress = [{ from: [...from, { ipBlock: { cidr: "10.244.3.0/32" } }] }];
    await lab.apply(testPolicy("partners", { podSelector: { matchLabels: { app: "web" } }, ingress }));
    await sleep(300);
    for (const to of [NODE1, NODE2, NODE1_6, NODE2_6]) {
      t.not(await k.tcp("client/outside", to), "", `TCP at ${to}`);
      t.not(await k.udp("client/outside", to), "", `UDP at ${to}`);
      t.equal(await k.tcp("client/banned", to), "", `TCP at ${to}, banned`);
      t.equal(await k.udp("client/banned", to), "", `UDP at ${to}, banned`);
    }
    t.not(await k.tcp("client/banned", KERNEL), "", "by the kernel's node port everybody is the kernel");
    await lab.output(["delete", "netpol", "partners"]);
    await sleep(300);
    t.equal(await k.tcp("client/banned", NODE1), BANNED);
    t.equal(await k.tcp("client/banned", NODE1_6), BANNED6);
  });

  t.test("path MTU: a client's full packets, and a narrow link before a client", (t) => narrow(t, lab));
  t.test("endpoints move: no request fails, and each is seen as the client's", (t) => moves(t, lab));
  t.test("an agent that starts anew goes on with the connections", (t) => restarts(t, lab));
});

async function tellsOfIt(t: Test, lab: TestLab, k: Knocking): Promise<void> {
  const words = [
    "trace",
    "-c",
    "1000",
    "tcp",
    "and",
    "(",
    "port",
    String(NODE_PORT),
    "or",
    "port",
    "8080",
    ")",
  ];
  const tracing = await start([PODWIRE, "--lab", lab.name, ...words], /waiting for packets/);
  await k.tcp("client/outside", NODE1);
  await sleep(1000);
  await tracing.stop();
  const told = tracing.output();
  const list = await lab.output(["conntrack", "list", "--node", "node2", "-s", OUTSIDE, "-o", "extended"]);
  t.match(list, new RegExp(`src=${OUTSIDE} .* via=${NODE1}$`, "m"));
  t.match(told, /client address kept \(keepClientAddress\)/);
  t.match(
    told,
    new RegExp(`by the tunnel to ${NODE1.replaceAll(".", "\\.")} \\(its client came by that node\\)`),
  );
  const { stdout } = await lab.podwire([
    "explain",
    "--from",
    OUTSIDE,
    "--to",
    NODE1,
    "--port",
    `${NODE_PORT}`,
  ]);
  t.match(stdout, /source kept/);
  t.match(stdout, /the pod sees who knocks/);
}

/** A client behind a link of 1300 bytes, which it does not know of: what the pod sends is told of it. */
async function narrow(t: Test, lab: TestLab): Promise<void> {
  const iperf = async (from: string, ...args: string[]): Promise<number> => {
    const words = ["iperf3", "-c", NODE1, "-p", `${IPERF_PORT}`, "-J", "-t", "1", ...args];
    const { stdout } = await run(["ip", "netns", "exec", from, ...words]);
    return JSON.parse(stdout).end?.sum_received?.bytes ?? 0;
  };
  const outside = `pw-${lab.name}-c-outside`;
  t.ok((await iperf(outside)) > 5_000_000, "packets of 1500 bytes are told of 1450");
  t.ok((await iperf(outside, "-R")) > 5_000_000, "back");
  const far = await behindNarrowLink(t, "pwt-keep", { router: outside, address: BEHIND, mtu: 1500 });
  t.ok((await iperf(far, "-R")) > 1_000_000, "the error of the router before the client reaches the pod");
  const route = (await lab.exec("perf-2", ["ip", "route", "get", BEHIND])).stdout;
  t.match(route, /mtu 1300/, "which has learned it");
}

async function moves(t: Test, lab: TestLab): Promise<void> {
  const probe = { tcpSocket: { port: 8080 }, periodSeconds: 1 };
  const graceful = (name: string, node: string): object => {
    // biome-ignore lint/suspicious/noExplicitAny: a manifest of our own
    const object = pod(name, node, { app: "web", readinessProbe: probe }) as any;
    object.spec.containers[0].lifecycle = { preStop: { exec: { command: ["sleep", "2"] } } };
    return object;
  };
  await lab.apply(graceful("web-a", "node2"));
  await lab.output(["wait", "--for=condition=Ready", "pod/web-a", "--timeout=20s"]);
  await sleep(500);
  await lab.output(["delete", "pod", "web-2"]);
  const ask = `for i in $(seq 1 80); do curl -s -m 3 http://${NODE1}:${NODE_PORT}/ || echo failed; sleep 0.05; done`;
  const asked = lab.exec("client/outside", ["sh", "-c", ask]);
  const order: [string, string][] = [
    ["web-b", "node1"],
    ["web-c", "node2"],
  ];
  let before = "web-a";
  for (const [name, node] of order) {
    await lab.apply(graceful(name, node));
    await lab.output(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=20s"]);
    await sleep(300);
    await lab.output(["delete", "pod", before]);
    before = name;
  }
  const lines = (await asked).stdout.trim().split("\n");
  t.equal(lines.length, 80);
  t.same([...new Set(lines.map(clientOf))], [OUTSIDE]);
}

async function restarts(t: Test, lab: TestLab): Promise<void> {
  const agents = async (): Promise<{ name: string; pid: number; state: string; restarts: number }[]> =>
    JSON.parse((await lab.podwire(["lab", "status", "-o", "json"])).stdout).nodes;
  const words = ["node", "-e", TALKER, NODE1, `${NODE_PORT}`];
  const talker = await lab.startIn("client/outside", words, /heard/);
  const heard = (): number => Number(/.*heard (\d+)/s.exec(talker.output())?.[1]);
  const silences = (): number => Number(/.*silence (\d+)/s.exec(talker.output())?.[1] ?? 0);
  for (const name of ["node2", "node1"]) {
    const before = (await agents()).find((node) => node.name === name);
    // What the pod repeats to its own node, started anew, before its client speaks is a connection of the pod's own.
    if (name === "node2") {
      const now = silences();
      await until("the client to be silent", async () => silences() > now);
    }
    process.kill(before?.pid ?? 0, "SIGKILL");
    await until(`${name} to be back`, async () => {
      const now = (await agents()).find((node) => node.name === name);
      return now !== undefined && now.restarts > (before?.restarts ?? 0) && now.state === "Ready";
    });
    const then = heard();
    // Whatever was lost is repeated later and later, the longer nobody answers.
    await until(`answers after ${name} came back`, async () => heard() > then + 20, 40_000);
  }
  await talker.stop();
  t.notMatch(talker.output(), /closed|E[A-Z]+/);
}
