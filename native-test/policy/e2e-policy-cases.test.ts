// The worked cases of src/compile/policy/testdata on real packets: their pods in a lab of two nodes, in both families, and
// each set of policies tried from every pod to every pod, by TCP and UDP as the case says; some by SCTP and ping, too.
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { run, until } from "../../src/testing/lab/process.ts";
import type { Cluster } from "../../src/testing/policy/cluster.ts";
import { evaluate } from "../../src/testing/policy/evaluator.ts";
import { type CasePod, type PolicyCase, policyCases } from "../../src/testing/policy/policy-case.ts";
import { testNamespace } from "../../src/testing/world/policy-world.ts";
import type { Target } from "../support/live/knocker.ts";
import { addressesOfPod, isReady, LiveLab, netnsOf, type StoredPod } from "../support/live/live-lab.ts";

const OTHER_PORTS = "doc/named-port-differs-per-pod"; // its pods are the others' with other names of ports
const KNOCKER = fileURLToPath(new URL("../support/live/knocker.js", import.meta.url));
const PEER = fileURLToPath(new URL("../support/sctp-peer.js", import.meta.url));
const DEADLINE_MS = 900; // Linux repeats a SYN after a second
/** Of what may pass: nothing is sent twice, so what is lost never comes, and on a busy machine a program is late. */
const ANSWERED_MS = 5000;
/** In each pod: a SYN leaves once. */
const ONE_SYN = ["ip", "ip6"]
  .map((family) => {
    const key = `${family} daddr . tcp sport . tcp dport`;
    return `table ${family} once {
      set seen { typeof ${key}; flags dynamic; size 65536; }
      chain out {
        type filter hook output priority 0;
        tcp flags & (syn | ack) == syn ${key} @seen drop
        tcp flags & (syn | ack) == syn add @seen { ${key} }
      }
    }`;
  })
  .join("\n");
const CASES = policyCases().filter(({ name }) => name !== OTHER_PORTS);
const skip = cannotRun("ping", "nft");
const keyOf = ({ namespace, name }: { namespace?: string; name: string }): string => `${namespace}/${name}`;

/** Of two sets of cases, with their own namespaces each, the pods and the ports that one of them tries. */
function everyPod(): { pod: CasePod; tested: Set<string> }[] {
  const found = new Map<string, { pod: CasePod; tested: Set<string> }>();
  for (const { pods, tested } of CASES) {
    for (const pod of pods) {
      const one = found.get(keyOf(pod)) ?? { pod, tested: new Set() };
      for (const port of tested) one.tested.add(port);
      found.set(keyOf(pod), one);
    }
  }
  return [...found.values()];
}

/** An echo server at each port that is tried, an SCTP one at the first of its ports. */
function objectOf({ pod, tested }: { pod: CasePod; tested: Set<string> }, i: number): object {
  const named = new Map(
    pod.ports.map((text) => {
      const [, name, port] = /^(.*)=(.*)$/.exec(text) ?? [];
      return [port, name];
    }),
  );
  const ports = [...new Set([...tested, ...named.keys()])].map((text) => {
    const [port, protocol] = text.split("/");
    const name = named.get(text);
    return { containerPort: Number(port), protocol, ...(name !== undefined && { name }) };
  });
  const sctp = ports.filter(({ protocol }) => protocol === "SCTP");
  const command = [process.execPath, PEER, "serve", String(sctp[0].containerPort)];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: pod.name, namespace: pod.namespace, labels: pod.labels },
    spec: {
      nodeName: `node${(i % 2) + 1}`,
      containers: [
        { name: "main", image: "podwire/echo", ports: ports.filter(({ protocol }) => protocol !== "SCTP") },
        { name: "sctp", image: "podwire/host", command, ports: sctp },
      ],
    },
  };
}

/** A program in each pod that asks what it is told to. */
class Asker {
  readonly #child: ReturnType<LiveLab["spawn"]>;
  readonly #lines: NodeJS.EventEmitter;

  constructor(live: LiveLab, pod: StoredPod) {
    this.#child = live.spawn(pod, [process.execPath, KNOCKER, "ask"]);
    if (this.#child.stdout === null) throw new Error("no pipe");
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  async ask(targets: readonly Target[]): Promise<boolean[]> {
    const line = once(this.#lines, "line");
    this.#child.stdin?.write(`${JSON.stringify({ deadlineMs: DEADLINE_MS, targets })}\n`);
    return JSON.parse(String((await line)[0])).passed;
  }

  stop(): void {
    this.#child.stdin?.end();
  }
}

/** What a case denies, as "x/a -> y/b 80/TCP". */
function deniedOf({ denied }: PolicyCase): Set<string> {
  return new Set(
    denied.flatMap((line) => {
      const [, pair, ports] = /^(\S+ -> \S+) (.*)$/.exec(line) ?? [];
      return ports.split(" ").map((port) => `${pair} ${port}`);
    }),
  );
}

/** The case's addresses are those of its own cluster; here blocks name the pods by the addresses they have in the lab. */
function policiesOf({ policies, pods }: PolicyCase, stored: ReadonlyMap<string, StoredPod>): object[] {
  let text = JSON.stringify(policies);
  for (const pod of pods) {
    const [v4] = addressesOfPod(stored.get(keyOf(pod)) as StoredPod);
    text = text.replaceAll(`"${pod.ip}/32"`, `"${v4}/32"`);
  }
  return JSON.parse(text);
}

/** A block of IPv4 addresses says nothing of IPv6: there the evaluator is asked. */
function expected(one: PolicyCase, cluster: Cluster, denied: ReadonlySet<string>, cell: Cell): boolean {
  const { words, from, to, protocol, port } = cell;
  if (to.includes(":") && JSON.stringify(one.policies).includes("ipBlock"))
    return evaluate(cluster, { from, to, protocol, port }).allowed;
  return !denied.has(words);
}

interface Cell {
  readonly words: string;
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly port: number;
}

t.test("worked cases on real packets", { skip }, async (t) => {
  const namespaces = new Map(CASES.flatMap((one) => one.namespaces.map((ns) => [ns.name, ns.labels])));
  const lab = await TestLab.up("policy-cases", {
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
    objects: [
      ...[...namespaces].map(([name, labels]) => testNamespace(name, labels)),
      ...everyPod().map(objectOf),
    ],
  });
  t.teardown(() => lab.down());
  const live = new LiveLab(lab);
  const list = async (): Promise<StoredPod[]> => live.objects<StoredPod>("pods");
  await until("all pods to be ready", async () => (await list()).every(isReady), 30_000);
  const stored = new Map((await list()).map((pod) => [keyOf(pod.metadata), pod]));
  for (const pod of stored.values()) {
    const { status, stderr } = await run(["ip", "netns", "exec", netnsOf(pod), "nft", "-f", "-"], {
      input: ONE_SYN,
    });
    t.equal(status, 0, stderr);
  }
  const askers = new Map([...stored].map(([key, pod]) => [key, new Asker(live, pod)]));
  t.teardown(() => {
    for (const asker of askers.values()) asker.stop();
  });
  const addressOf = (key: string, family: number): string =>
    addressesOfPod(stored.get(key) as StoredPod)[family];

  for (const one of CASES) {
    t.test(one.name, async (t) => {
      await live.apply(...policiesOf(one, stored));
      await live.inForce();
      const cluster = await live.cluster();
      const denied = deniedOf(one);
      const counts = { passed: 0, denied: 0 };
      const wrong: string[] = [];
      const judge = (cell: Cell, wanted: boolean, passed: boolean): void => {
        counts[passed ? "passed" : "denied"]++;
        if (passed !== wanted) wrong.push(`${cell.words} (${cell.to}) ${passed ? "passed" : "did not pass"}`);
      };
      const keys = one.pods.map(keyOf);
      const cellsOf = (from: string): Cell[] =>
        keys.flatMap((to) =>
          one.tested.flatMap((text) =>
            [0, 1].map((family) => {
              const [port, protocol] = text.split("/");
              const ends = { from: addressOf(from, family), to: addressOf(to, family) };
              return { words: `${from} -> ${to} ${text}`, ...ends, protocol, port: Number(port) };
            }),
          ),
        );
      const asked = keys.map(async (from) => {
        const cells = cellsOf(from).filter(({ protocol }) => protocol !== "SCTP");
        const wanted = cells.map((cell) => expected(one, cluster, denied, cell));
        const targets = cells.map(({ protocol, to, port }, i) => {
          const patience = wanted[i] ? { deadlineMs: ANSWERED_MS } : {};
          return { protocol, address: to, port, ...patience } as Target;
        });
        const passed = await (askers.get(from) as Asker).ask(targets);
        for (const [i, cell] of cells.entries()) judge(cell, wanted[i], passed[i]);
      });
      const [a, c] = [keys[0], keys[keys.length - 1]];
      const others = [
        [a, c],
        [c, a],
      ].flatMap(([from, to]) =>
        [0, 1].flatMap((family) => {
          const ends = { from: addressOf(from, family), to: addressOf(to, family) };
          const ping = { words: `${from} -> ${to} ping`, ...ends, protocol: "ICMP", port: 0 };
          const sctp = one.tested.find((text) => text.endsWith("/SCTP"));
          const port = Number(sctp?.split("/")[0]);
          const init = { words: `${from} -> ${to} ${sctp}`, ...ends, protocol: "SCTP", port };
          return [ping, ...(sctp === undefined ? [] : [init])].map(async (cell) => {
            const wanted = evaluate(cluster, cell).allowed;
            if (cell.protocol === "SCTP")
              t.equal(wanted, !denied.has(cell.words), `${cell.words} by the evaluator`);
            judge(cell, wanted, await knock(stored.get(from) as StoredPod, cell, wanted));
          });
        }),
      );
      await Promise.all([...asked, ...others]);
      t.same(wrong, [], `${counts.passed} passed, ${counts.denied} did not`);
      if (wrong.length > 0) t.comment(await lab.output(["show", "drops"]));
      for (const { kind, metadata } of one.policies)
        await live.remove(kind, metadata.name, metadata.namespace);
      await live.inForce();
    });
  }
});

/** A ping that may pass has more time, and so has an association: its program takes a while to start. */
async function knock(pod: StoredPod, { to, protocol, port }: Cell, wanted: boolean): Promise<boolean> {
  const command =
    protocol === "ICMP"
      ? ["ping", "-n", "-c", "1", "-W", wanted ? "5" : "1", to]
      : ["timeout", wanted ? "10" : "3", process.execPath, PEER, "ask", to, String(port), "10", "0"];
  return (await run(["ip", "netns", "exec", netnsOf(pod), ...command])).status === 0;
}
