// Pods that policies close for both directions, from their first moment, and while their node's agent is killed and
// starts again: clients knock at them a thousand times a second, they knock at the clients. What came in is counted by
// the kernel of each pod's namespace, what came out by the clients. Pods that nothing closes show that knocks arrive.
import { type ChildProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { TestLab } from "../../../src/testing/lab/lab.ts";
import { client } from "../../../src/testing/lab/objects.ts";
import { sleep, until } from "../../../src/testing/lab/process.ts";
import { testNamespace, testPolicy } from "../../../src/testing/world/policy-world.ts";
import { type GateReport, HEARD_PORT } from "./gatekeeper.ts";
import { addressesOfPod, isReady, LiveLab, netnsOf, type StoredPod } from "./live-lab.ts";

const GATEKEEPER = fileURLToPath(new URL("./gatekeeper.js", import.meta.url));
const CLIENTS = ["near", "far"]; // on node1 and node2
const KNOCKS_PER_SEC = 1000;
const AT_ONCE = 4;
const AFTER_READY_MS = 300;
const POD_KNOCKS_SEC = 4;
const NODES = ["node1", "node2"];

export interface Gate {
  readonly pods: number;
  /** At the pods' addresses, by the clients. */
  readonly knocks: number;
  /** TCP segments and UDP datagrams that a pod's kernel has seen. */
  readonly cameIn: number;
  /** By the pods, as their kernels count them; and those that clients heard. */
  readonly sent: number;
  readonly cameOut: number;
}

export interface GateReports {
  readonly closed: Gate;
  readonly open: Gate;
}

export function gateFaults({ closed, open }: GateReports): string[] {
  return [
    ...(closed.cameIn === 0 ? [] : [`${closed.cameIn} packets came into closed pods`]),
    ...(closed.cameOut === 0 ? [] : [`${closed.cameOut} packets came out of closed pods`]),
    ...(closed.knocks > 0 && closed.sent > 0 ? [] : ["nobody knocked"]),
    ...(open.cameIn > 0 && open.cameOut > 0 ? [] : ["nothing came into, or out of, pods that are open"]),
  ];
}

/** Between `up` and `down`. */
export class Gates {
  readonly #lab: TestLab;
  readonly #live: LiveLab;
  readonly #clients: Client[] = [];
  #named = 0;

  private constructor(lab: TestLab) {
    this.#lab = lab;
    this.#live = new LiveLab(lab);
  }

  static async up(labName: string): Promise<Gates> {
    const closed = testPolicy(
      "default-deny",
      { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
      { namespace: "closed" },
    );
    const lab = await TestLab.up(labName, {
      clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
      objects: [
        testNamespace("closed"),
        testNamespace("open"),
        closed,
        ...CLIENTS.map((name, i) => client(name, NODES[i])),
      ],
    });
    const gates = new Gates(lab);
    try {
      await gates.#live.inForce();
      for (const name of CLIENTS) gates.#clients.push(new Client(gates.#live, await gates.#live.pod(name)));
    } catch (error) {
      await gates.down();
      throw error;
    }
    return gates;
  }

  async down(): Promise<void> {
    for (const each of this.#clients) each.stop();
    await this.#lab.down();
  }

  /** So many pods that are closed, some at a time; and some that are open. */
  async podStarts(count: number, progress: (text: string) => void = () => {}): Promise<GateReports> {
    const closed = emptyGate();
    for (let started = 0; started < count; started += AT_ONCE) {
      add(closed, await this.#startPods("closed", Math.min(AT_ONCE, count - started)));
      if (closed.pods % 20 === 0) progress(`${closed.pods} pods`);
    }
    const open = emptyGate();
    add(open, await this.#startPods("open", AT_ONCE));
    return { closed, open };
  }

  async #startPods(namespace: string, count: number): Promise<Gate> {
    const names = Array.from({ length: count }, () => `pod-${++this.#named}`);
    const targets = this.#clients.flatMap(({ addresses }) => addresses);
    await this.#live.apply(...names.map((name, i) => knockingPod(namespace, name, NODES[i % 2], targets)));
    // Their addresses are given to them at once; namespace, device and program come later.
    const fresh = await Promise.all(names.map((name) => this.#live.pod(name, namespace)));
    const addresses = fresh.flatMap(addressesOfPod);
    for (const each of this.#clients) each.knockAt(addresses);
    const ready = async (): Promise<boolean> =>
      (await Promise.all(names.map((name) => this.#live.pod(name, namespace)))).every(isReady);
    await until(`${names.join(", ")} to be ready`, ready, 30_000);
    await sleep(AFTER_READY_MS);
    const pods = await Promise.all(names.map((name) => this.#live.pod(name, namespace)));
    const gate = await this.#countPods(pods);
    await this.#remove(pods);
    return gate;
  }

  /** Until nothing is left of them that could still send with addresses that others may have by then. */
  async #remove(pods: readonly StoredPod[]): Promise<void> {
    for (const each of this.#clients) each.knockAt([]);
    for (const { metadata } of pods) await this.#live.remove("Pod", metadata.name, metadata.namespace);
    const isGone = async (): Promise<boolean> =>
      !pods.some((pod) => existsSync(`/run/netns/${netnsOf(pod)}`));
    await until("the pods' namespaces to be gone", isGone, 30_000);
    for (const each of this.#clients) each.forget();
  }

  async #countPods(pods: readonly StoredPod[]): Promise<Gate> {
    const addresses = pods.flatMap(addressesOfPod);
    const reports = await Promise.all(this.#clients.map((each) => each.report()));
    const sum = (of: (report: GateReport) => Readonly<Record<string, number>>): number =>
      reports.flatMap((report) => addresses.map((ip) => of(report)[ip] ?? 0)).reduce((a, b) => a + b, 0);
    const kernels = pods.map((pod) => kernelCounts(netnsOf(pod)));
    return {
      pods: pods.length,
      knocks: sum(({ sent }) => sent),
      cameIn: kernels.reduce((n, { received }) => n + received, 0),
      sent: kernels.reduce((n, { sent }) => n + sent, 0),
      cameOut: sum(({ heard }) => heard),
    };
  }

  /** Kills each node's agent so many times, by turns, under knocks at a closed and an open pod of each node. */
  async agentRestarts(rounds: number): Promise<GateReports & { readonly openAfter: Gate }> {
    const targets = this.#clients.flatMap(({ addresses }) => addresses);
    const pods = (["closed", "open"] as const).flatMap((namespace) =>
      NODES.map((node) => ({ namespace, name: `stay-${node}`, node })),
    );
    await this.#live.apply(...pods.map((p) => knockingPod(p.namespace, p.name, p.node, targets, 3600)));
    const stored = (): Promise<StoredPod[]> =>
      Promise.all(pods.map(({ name, namespace }) => this.#live.pod(name, namespace)));
    await until("the pods to be ready", async () => (await stored()).every(isReady), 30_000);
    const there = await stored();
    const of = (namespace: string): StoredPod[] =>
      there.filter(({ metadata }) => metadata.namespace === namespace);
    for (const each of this.#clients) each.knockAt(there.flatMap(addressesOfPod));
    await sleep(AFTER_READY_MS);
    for (let n = 0; n < rounds * NODES.length; n++) await this.#restartAgent(NODES[n % NODES.length]);
    const open = await this.#countPods(of("open"));
    await sleep(1000);
    const reports = {
      closed: await this.#countPods(of("closed")),
      open,
      openAfter: await this.#countPods(of("open")),
    };
    await this.#remove(there);
    return reports;
  }

  async #restartAgent(node: string): Promise<void> {
    interface NodeStatus {
      readonly name: string;
      readonly pid: number;
      readonly restarts: number;
      readonly state: string;
    }
    const status = async (): Promise<NodeStatus> => {
      const { stdout } = await this.#lab.podwire(["lab", "status", "-o", "json"]);
      const found = (JSON.parse(stdout).nodes as NodeStatus[]).find(({ name }) => name === node);
      if (found === undefined) throw new Error(`no node ${node}`);
      return found;
    };
    const { pid, restarts } = await status();
    process.kill(pid, "SIGKILL");
    await until(`the agent of ${node} to be ready again`, async () => {
      const now = await status();
      return now.restarts > restarts && now.state === "Ready";
    });
    await sleep(AFTER_READY_MS);
  }
}

/** The program beside the lab that knocks and hears. */
class Client {
  readonly addresses: readonly string[];
  readonly #child: ChildProcess;
  readonly #lines: NodeJS.EventEmitter;

  constructor(live: LiveLab, pod: StoredPod) {
    this.addresses = addressesOfPod(pod);
    this.#child = live.spawn(pod, [
      process.execPath,
      GATEKEEPER,
      String(KNOCKS_PER_SEC / CLIENTS.length / 2),
    ]);
    if (this.#child.stdout === null) throw new Error("no pipe");
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  /** So often that each pod is knocked at a thousand times a second, by both clients and families together. */
  knockAt(addresses: readonly string[]): void {
    this.#child.stdin?.write(`${JSON.stringify({ knock: addresses })}\n`);
  }

  /** Counts from 0. */
  forget(): void {
    this.#child.stdin?.write('{"forget":true}\n');
  }

  async report(): Promise<GateReport> {
    const line = once(this.#lines, "line");
    this.#child.stdin?.write('{"report":true}\n');
    return JSON.parse(String((await line)[0])) as GateReport;
  }

  stop(): void {
    this.#child.stdin?.end();
  }
}

/** Knocks at the clients from the first moment of its program on, each time from another port. */
function knockingPod(
  namespace: string,
  name: string,
  nodeName: string,
  targets: readonly string[],
  seconds = POD_KNOCKS_SEC,
): object {
  // "read" from a pipe that nobody writes to is bash's way to wait for a millisecond without another program.
  const script =
    `exec 4<> <(:) 2>/dev/null; to=(${targets.join(" ")}); while [ $SECONDS -lt ${seconds} ]; do ` +
    `echo knock >/dev/udp/\${to[n++ % \${#to[@]}]}/${HEARD_PORT}; read -t 0.001 -u 4; done; exec sleep infinity`;
  const container = { name: "main", image: "podwire/host", command: ["bash", "-c", script] };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace },
    spec: { nodeName, terminationGracePeriodSeconds: 0, containers: [container] },
  };
}

/** What a namespace's kernel has received and sent since it was made. TCP's counters are of both families. */
function kernelCounts(netns: string): { received: number; sent: number } {
  const files = ["/proc/net/snmp", "/proc/net/snmp6"];
  const { stdout } = spawnSync("ip", ["netns", "exec", netns, "cat", ...files], { encoding: "utf8" });
  const values = new Map<string, number>();
  for (const [, name, value] of stdout.matchAll(/^(\w+)\s+(\d+)$/gm)) values.set(name, Number(value));
  for (const [, protocol, names, numbers] of stdout.matchAll(/^(\w+): ([A-Za-z].*)\n\1: (.*)$/gm)) {
    const all = numbers.split(" ");
    for (const [i, name] of names.split(" ").entries()) values.set(`${protocol}${name}`, Number(all[i]));
  }
  const sum = (...names: string[]): number =>
    names.reduce((n, name) => {
      const value = values.get(name);
      if (value === undefined) throw new Error(`${netns}: the kernel does not count ${name}`);
      return n + value;
    }, 0);
  return {
    received: sum(
      "TcpInSegs",
      "UdpInDatagrams",
      "UdpNoPorts",
      "UdpInErrors",
      "Udp6InDatagrams",
      "Udp6NoPorts",
    ),
    sent: sum("UdpOutDatagrams", "Udp6OutDatagrams"),
  };
}

const emptyGate = () => ({ pods: 0, knocks: 0, cameIn: 0, sent: 0, cameOut: 0 });

function add(sum: Record<keyof Gate, number>, more: Gate): void {
  for (const key of Object.keys(sum) as (keyof Gate)[]) sum[key] += more[key];
}
