// Policies, labels, namespaces and pods change while pods ask each other and a stream runs: nothing that is allowed
// before and after a change fails, nothing that is denied before and after passes (src/testing/policy/live-judge.ts).
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { TestLab } from "../../../src/testing/lab/lab.ts";
import { sleep, until } from "../../../src/testing/lab/process.ts";
import {
  judgeLive,
  type Knock,
  type LiveVerdict,
  type Period,
} from "../../../src/testing/policy/live-judge.ts";
import { PORT_NAMES, PORTS, PolicyDrawer } from "../../../src/testing/policy/random-policies.ts";
import { NAMESPACE_KEYS, POD_KEYS, randomLabels } from "../../../src/testing/policy/random-selector.ts";
import { Prng } from "../../../src/testing/prng.ts";
import { monotonicMs, type Question, type Target } from "./knocker.ts";
import { addressesOfPod, isReady, LiveLab, type StoredPod } from "./live-lab.ts";

const KNOCKER = fileURLToPath(new URL("./knocker.js", import.meta.url));
const NAMESPACES = ["alpha", "beta", "gamma"];
const FIXED = NAMESPACES.flatMap((namespace, i) =>
  [1, 2].map((n) => ({ namespace, name: `p${n}`, node: `node${((i + n) % 2) + 1}` })),
);
const ASKERS = FIXED.slice(0, 4);
const DEADLINE_MS = 500;
const STREAM_RATE = "100M";
const STREAM_PORT = "5201";
const SETTLE_MS = 1000;

export interface LiveOptions {
  readonly changes: number;
  readonly seed: number;
  readonly perSec: number;
  /** At least so long between two changes. */
  readonly pauseMs: number;
  readonly progress?: (text: string) => void;
}

export interface LiveReport {
  readonly changes: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly questions: number;
  readonly passed: number;
  readonly verdict: LiveVerdict;
  /** From when a change was asked for until every plane worked with it: median, longest. */
  readonly inForceMs: readonly [median: number, longest: number];
  readonly stream: { readonly mbits: number; readonly stalls: number; readonly error: string };
}

/** One line for each thing that is not as promised. */
export function liveFaults({ verdict, stream }: LiveReport): string[] {
  return [
    ...verdict.wrong,
    ...(stream.error === "" ? [] : [`the stream broke: ${stream.error}`]),
    ...(stream.stalls === 0 ? [] : [`the stream stood still for ${stream.stalls} seconds`]),
  ];
}

/** Brings a lab up, changes it so many times, takes it down. */
export async function liveChanges(labName: string, options: LiveOptions): Promise<LiveReport> {
  const random = new Prng(options.seed);
  const lab = await TestLab.up(labName, {
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
    objects: [
      ...NAMESPACES.map((name) => ({
        ...{ apiVersion: "v1", kind: "Namespace" },
        metadata: { name, labels: randomLabels(random, NAMESPACE_KEYS) },
      })),
      ...FIXED.map(({ namespace, name, node }) => echoPod(random, namespace, name, node)),
      ...["node1", "node2"].map((node) => streamPod(node)),
    ],
  });
  try {
    return await new LiveRun(new LiveLab(lab), random, options).run();
  } finally {
    await lab.down();
  }
}

function echoPod(random: Prng, namespace: string, name: string, node: string): object {
  const named = PORTS.map((containerPort, i) => ({
    ...{ containerPort, protocol: "TCP" },
    ...(i < PORT_NAMES.length && { name: PORT_NAMES[(i + random.below(2)) % PORT_NAMES.length] }),
  }));
  const ports = named.filter((one, i) => named.findIndex(({ name }) => name === one.name) === i || !one.name);
  const all = PORTS.flatMap((containerPort) =>
    ["TCP", "UDP"]
      .filter((protocol) => protocol === "UDP" || !ports.some((one) => one.containerPort === containerPort))
      .map((protocol) => ({ containerPort, protocol })),
  );
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: randomLabels(random, POD_KEYS) },
    spec: {
      nodeName: node,
      containers: [{ name: "main", image: "podwire/echo", ports: [...ports, ...all] }],
    },
  };
}

function streamPod(node: string): object {
  const container = { name: "main", image: "podwire/host", command: ["sleep", "infinity"] };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `stream-${node}`, namespace: "alpha", labels: { app: "web" } },
    spec: { nodeName: node, containers: [container] },
  };
}

class LiveRun {
  readonly #lab: LiveLab;
  readonly #random: Prng;
  readonly #options: LiveOptions;
  readonly #periods: { fromMs: number; toMs: number; cluster: Period["cluster"] }[] = [];
  readonly #counts: Record<string, number> = {};
  readonly #knocks: Knock[] = [];
  #policies: PolicyDrawer;
  #ends: (() => Promise<void>)[] = [];
  #tell: ((targets: readonly Target[]) => void)[] = [];
  #comers = 0;

  constructor(lab: LiveLab, random: Prng, options: LiveOptions) {
    this.#lab = lab;
    this.#random = random;
    this.#options = options;
    this.#policies = new PolicyDrawer(random, { namespaces: NAMESPACES, blocks: [] });
  }

  async run(): Promise<LiveReport> {
    const { changes, pauseMs, progress } = this.#options;
    await this.#lab.inForce();
    this.#policies = new PolicyDrawer(this.#random, { namespaces: NAMESPACES, blocks: await this.#blocks() });
    this.#periods.push({ fromMs: 0, toMs: 0, cluster: await this.#lab.cluster() });
    const stream = await this.#startStream();
    for (const { name, namespace } of ASKERS) await this.#startAsker(await this.#lab.pod(name, namespace));
    await this.#tellTargets();
    const beganMs = monotonicMs();
    const took: number[] = [];
    for (let n = 1; n <= changes; n++) {
      const askedMs = monotonicMs();
      const { what, inForceMs } = await this.#change();
      this.#counts[what] = (this.#counts[what] ?? 0) + 1;
      if (what !== "pods") took.push(inForceMs - askedMs);
      if (n % 100 === 0) progress?.(`${n} changes, ${this.#knocks.length} questions`);
      await sleep(Math.max(0, askedMs + pauseMs - monotonicMs()));
    }
    await sleep(SETTLE_MS);
    const seconds = (monotonicMs() - beganMs) / 1000;
    for (const end of this.#ends) await end();
    this.#periods[this.#periods.length - 1].toMs = monotonicMs();
    took.sort((a, b) => a - b);
    return {
      changes: this.#counts,
      seconds,
      questions: this.#knocks.length,
      passed: this.#knocks.filter(({ passed }) => passed).length,
      verdict: judgeLive(this.#periods, this.#knocks),
      inForceMs: [took[took.length >> 1], took[took.length - 1]],
      stream: await stream(),
    };
  }

  /** One change, until it is in force everywhere: then the state before it is over. */
  async #change(): Promise<{ what: string; inForceMs: number }> {
    const fromMs = monotonicMs();
    const what = await this.#drawChange();
    const inForceMs = await this.#lab.inForce();
    this.#periods[this.#periods.length - 1].toMs = monotonicMs();
    this.#periods.push({ fromMs, toMs: Number.POSITIVE_INFINITY, cluster: await this.#lab.cluster() });
    if (what === "pods") await this.#tellTargets();
    return { what, inForceMs };
  }

  async #drawChange(): Promise<string> {
    const random = this.#random;
    const draw = random.below(20);
    if (draw < 6) {
      const { name, namespace } = random.pick(FIXED);
      await this.#lab.relabel(await this.#lab.pod(name, namespace), randomLabels(random, POD_KEYS));
      return "labels of pods";
    }
    if (draw < 9) {
      const chosen = random.pick(NAMESPACES);
      const all = await this.#lab.objects("namespaces");
      const namespace = all.find(({ metadata }) => metadata.name === chosen);
      if (namespace !== undefined) await this.#lab.relabel(namespace, randomLabels(random, NAMESPACE_KEYS));
      return "labels of namespaces";
    }
    if (draw < 13) {
      await this.#lab.apply(this.#policies.networkPolicy(`np-${random.below(5)}`));
      return "NetworkPolicies";
    }
    if (draw < 16) {
      await this.#lab.apply(this.#policies.clusterPolicy(`cnp-${random.below(3)}`));
      return "ClusterNetworkPolicies";
    }
    if (draw < 19) return this.#removePolicy();
    return this.#comeAndGo();
  }

  async #removePolicy(): Promise<string> {
    const kinds = await Promise.all(
      ["networkpolicies", "clusternetworkpolicies"].map((k) => this.#lab.objects(k)),
    );
    const all = kinds.flat();
    if (all.length > 0) {
      const { kind, metadata } = this.#random.pick(all);
      await this.#lab.remove(kind, metadata.name, metadata.namespace);
    }
    return "policies removed";
  }

  /** A pod comes, or the one that came goes: the next one may have its address. */
  async #comeAndGo(): Promise<string> {
    const pods = await this.#lab.objects<StoredPod>("pods");
    const comer = pods.find(({ metadata }) => metadata.name.startsWith("comer-"));
    if (comer !== undefined) {
      const { name, namespace } = comer.metadata;
      await this.#lab.remove("Pod", name, namespace);
      return "pods";
    }
    const [name, namespace] = [`comer-${++this.#comers}`, this.#random.pick(NAMESPACES)];
    await this.#lab.apply(echoPod(this.#random, namespace, name, this.#random.pick(["node1", "node2"])));
    await until(`${name} to be ready`, async () => isReady(await this.#lab.pod(name, namespace)), 20_000);
    return "pods";
  }

  async #blocks(): Promise<string[]> {
    const pods = await this.#lab.objects<StoredPod>("pods");
    const hosts = pods.flatMap(addressesOfPod).map((ip) => `${ip}/${ip.includes(":") ? 128 : 32}`);
    return [
      "0.0.0.0/0",
      "::/0",
      "10.244.0.0/16",
      "10.244.1.0/24",
      "fd00:10:244:1::/64",
      "fd00::/8",
      ...hosts,
    ];
  }

  async #tellTargets(): Promise<void> {
    const pods = (await this.#lab.objects<StoredPod>("pods")).filter(
      ({ metadata }) => !metadata.name.startsWith("stream-"),
    );
    const targets = pods
      .flatMap(addressesOfPod)
      .flatMap((address) =>
        PORTS.flatMap((port) => (["TCP", "UDP"] as const).map((protocol) => ({ protocol, address, port }))),
      );
    for (const tell of this.#tell) tell(targets);
  }

  async #startAsker(pod: StoredPod): Promise<void> {
    const child = this.#lab.spawn(pod, [process.execPath, KNOCKER, "run"]);
    const addresses = addressesOfPod(pod);
    const { stdin, stdout } = child;
    if (stdin === null || stdout === null) throw new Error("no pipes");
    let rest = "";
    stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const question = JSON.parse(line) as Question;
        const from = addresses.find((ip) => ip.includes(":") === question.address.includes(":")) ?? "";
        this.#knocks.push({ ...question, from });
      }
    });
    const perSec = this.#options.perSec / ASKERS.length;
    stdin.write(`${JSON.stringify({ perSec, deadlineMs: DEADLINE_MS })}\n`);
    this.#tell.push((targets) => stdin.write(`${JSON.stringify({ targets })}\n`));
    const closed = once(child, "close");
    this.#ends.push(async () => {
      stdin.end();
      await closed;
    });
  }

  /** A stream that began before the first policy: by `keep` it goes on whatever comes. */
  async #startStream(): Promise<() => Promise<LiveReport["stream"]>> {
    const [client, server] = await Promise.all(
      ["node1", "node2"].map((n) => this.#lab.pod(`stream-${n}`, "alpha")),
    );
    const serving = this.#lab.spawn(server, ["iperf3", "-s", "-1", "-p", STREAM_PORT]);
    serving.stdout?.resume();
    await sleep(500);
    const [address] = addressesOfPod(server);
    const words = ["iperf3", "-c", address, "-p", STREAM_PORT, "-b", STREAM_RATE, "-t", "3600", "-J"];
    const child = this.#lab.spawn(client, words);
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const closed = once(child, "close");
    await sleep(SETTLE_MS);
    return async () => {
      child.kill("SIGINT"); // it then tells what it has measured so far
      await closed;
      const { intervals = [], end, error = "" } = JSON.parse(text) as StreamText;
      // The last one is as long as it was when the stream ended.
      const stalls = intervals.slice(0, -1).filter(({ sum }) => sum.bytes === 0).length;
      const ended = /interrupt/.test(error) ? "" : error;
      return { mbits: (end?.sum_sent?.bits_per_second ?? 0) / 1e6, stalls, error: ended };
    };
  }
}

interface StreamText {
  readonly intervals?: { readonly sum: { readonly bytes: number } }[];
  readonly end?: { readonly sum_sent?: { readonly bits_per_second: number } };
  readonly error?: string;
}
