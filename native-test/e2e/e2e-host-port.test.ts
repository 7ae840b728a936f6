// Host ports of pods: node1 is podwire's, node2 a kernel with the portmap plug-in's rules; who is answered, and whom the
// pod sees, must be the same on both.
import t, { type Test } from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod } from "../../src/testing/lab/objects.ts";
import { until } from "../../src/testing/lab/process.ts";
import { NODES6 } from "../support/ipv6-scenario.ts";
import { ask } from "../support/service-scenario.ts";

const skip = cannotRun("curl", "socat", "iptables", "ip6tables", "nft");
const NODES4 = ["192.168.50.11", "192.168.50.12"];
const HTTP = 8088;
const UDP = 9088;
const nodes = [{ name: "node1" }, { name: "node2", agent: "kernel" as const }];
const clusterCIDR = "10.244.0.0/16,fd00:10:244::/56";

// biome-ignore lint/suspicious/noExplicitAny: objects of our own making, and answers that are checked here
type Json = any;

function holder(name: string, node: string): object {
  const made = pod(name, node) as Json;
  const [http, udp] = made.spec.containers[0].ports;
  http.hostPort = HTTP;
  udp.hostPort = UDP;
  return made;
}

const objects = [
  client("client-1", "node1"),
  client("client-2", "node2"),
  holder("hp-1", "node1"),
  holder("hp-2", "node2"),
];

/** The address whom the pod saw, in words that hold for either node. */
function nameOf(address: string, n: number): string {
  const names: Record<string, string> = {
    [`10.244.${n}.1`]: "its gateway",
    [`[fd00:10:244:${n}::1]`]: "its gateway",
    [NODES4[n - 1] as string]: "its node",
    [`[${NODES6[n - 1]}]`]: "its node",
    [NODES4[2 - n] as string]: "the other node",
    [`[${NODES6[2 - n]}]`]: "the other node",
  };
  return names[address] ?? address;
}

/** "hp from its gateway", or how curl failed. */
async function seen(lab: TestLab, n: number, from: string, url: string): Promise<string> {
  try {
    const answers = await ask(lab, from, `http://${url}:${HTTP}`, 3);
    const words = answers.map((answer) => {
      const address = answer.client.slice(0, answer.client.lastIndexOf(":"));
      return `${answer.pod.replace(/^hp-\d$/, "hp")} from ${nameOf(address, n)}`;
    });
    return [...new Set(words)].join();
  } catch (error) {
    return (error as Error).message;
  }
}

/** Sender on node n, and address of node n. */
const PATHS: readonly [what: string, from: (n: number) => string, to: (n: number) => string, want: string][] =
  [
    ["outside", () => "client/outside", (n) => NODES4[n - 1] as string, "hp from 192.168.50.100"],
    ["a pod of the node", (n) => `client-${n}`, (n) => NODES4[n - 1] as string, "hp from its gateway"],
    [
      "a pod of the node, by the gateway",
      (n) => `client-${n}`,
      (n) => `10.244.${n}.1`,
      "hp from its gateway",
    ],
    [
      "a pod of the other node",
      (n) => `client-${3 - n}`,
      (n) => NODES4[n - 1] as string,
      "hp from the other node",
    ],
    ["the pod itself", (n) => `hp-${n}`, (n) => NODES4[n - 1] as string, "hp from its gateway"],
    ["the node", (n) => `node/node${n}`, (n) => NODES4[n - 1] as string, "hp from its node"],
    ["the node, by 127.0.0.1", (n) => `node/node${n}`, () => "127.0.0.1", "hp from its gateway"],
    ["the other node", (n) => `node/node${3 - n}`, (n) => NODES4[n - 1] as string, "hp from the other node"],
    ["a pod, IPv6", (n) => `client-${n}`, (n) => `[${NODES6[n - 1]}]`, "hp from its gateway"],
    ["the pod itself, IPv6", (n) => `hp-${n}`, (n) => `[${NODES6[n - 1]}]`, "hp from its gateway"],
    ["the node, IPv6", (n) => `node/node${n}`, (n) => `[${NODES6[n - 1]}]`, "hp from its node"],
    [
      "the other node, IPv6",
      (n) => `node/node${3 - n}`,
      (n) => `[${NODES6[n - 1]}]`,
      "hp from the other node",
    ],
  ];

async function udp(lab: TestLab, n: number): Promise<string> {
  const command = ["socat", "-t2", "-", `UDP4:${NODES4[n - 1]}:${UDP}`];
  const { stdout } = await lab.exec("client/outside", command, { input: "who" });
  const match = /"pod":"(\w+)-\d".*"client":"([\d.]+):/.exec(stdout.replace(/\s/g, ""));
  return match === null ? `no answer: ${stdout}` : `${match[1]} from ${match[2]}`;
}

/** Who answers the same UDP client as ever; "": nobody. */
async function fromOnePort(lab: TestLab, n: number): Promise<string> {
  const command = ["socat", "-t1", "-", `UDP4:${NODES4[n - 1]}:${UDP},sourceport=40404,reuseaddr`];
  const { stdout } = await lab.exec("client/outside", command, { input: "who" });
  return /"pod":"([\w-]+)"/.exec(stdout.replace(/\s/g, ""))?.[1] ?? "";
}

function allPaths(t: Test, lab: () => TestLab): void {
  for (const [what, from, to, want] of PATHS) {
    t.test(`from ${what}`, async (t) => {
      for (const n of [2, 1]) t.equal(await seen(lab(), n, from(n), to(n)), want, nodes[n - 1]?.name);
    });
  }
  t.test("UDP, from outside", async (t) => {
    for (const n of [2, 1]) t.equal(await udp(lab(), n), "hp from 192.168.50.100", nodes[n - 1]?.name);
  });
}

for (const mode of ["iptables", "nftables"]) {
  t.test(`host ports, ${mode} mode`, { skip }, async (t) => {
    const lab = await TestLab.up(`hostport-${mode.slice(0, 3)}`, {
      nodes,
      clusterCIDR,
      proxy: { mode },
      objects,
    });
    t.teardown(() => lab.down());
    allPaths(t, () => lab);
    t.test("the pod that came late was refused, and a port is free again when its pod is gone", async (t) => {
      await lab.podwire(["apply", "-f", "-"], { input: JSON.stringify(holder("late", "node1")) });
      t.match((await lab.json("get", "pods", "late")).status, { phase: "Failed", reason: "NodePorts" });
      for (const n of [2, 1]) {
        await lab.podwire(["delete", "pod", `hp-${n}`, "--grace-period", "0"]);
        await refused(t, lab, n);
        await hold(lab, `hp-${n}`, n);
        t.equal(await seen(lab, n, "client/outside", NODES4[n - 1] as string), "hp from 192.168.50.100");
      }
    });
    t.test("a UDP client that goes on sending gets to the port's next pod", async (t) => {
      for (const n of [2, 1]) {
        const asks = (): Promise<string> => fromOnePort(lab, n);
        t.equal(await asks(), `hp-${n}`);
        await lab.podwire(["delete", "pod", `hp-${n}`, "--grace-period", "0"]);
        await refused(t, lab, n);
        t.equal(await asks(), "", "nobody has it");
        await hold(lab, `next-${n}`, n);
        t.equal(
          await seen(lab, n, "client/outside", NODES4[n - 1] as string),
          `next-${n} from 192.168.50.100`,
        );
        t.equal(await asks(), `next-${n}`);
        await lab.podwire(["delete", "pod", `next-${n}`, "--grace-period", "0"]);
        await refused(t, lab, n);
        await hold(lab, `hp-${n}`, n);
        t.equal(await asks(), `hp-${n}`, `node${n}`);
      }
    });
    t.test("show services lists it", async (t) => {
      t.match(
        await lab.output(["show", "services", "--node", "node1"]),
        /pod default\/hp-1 +HostPort +\*:8088 /,
      );
    });
  });
}

/** Makes such a pod, and waits until it is ready. */
async function hold(lab: TestLab, name: string, n: number): Promise<void> {
  await lab.apply(holder(name, `node${n}`));
  const isReady = async (): Promise<boolean> =>
    (await lab.json("get", "pods", name)).status.conditions?.some(
      ({ type, status }: { type: string; status: string }) => type === "Ready" && status === "True",
    ) ?? false;
  await until(`${name} to be ready`, isReady);
}

async function refused(t: Test, lab: TestLab, n: number): Promise<void> {
  const command = ["curl", "-s", "--max-time", "2", `http://${NODES4[n - 1]}:${HTTP}`];
  for (let i = 0; i < 20; i++) {
    if ((await lab.exec("client/outside", command)).status === 7) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  t.fail(`node${n} does not refuse`);
}
