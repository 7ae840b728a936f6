// Every cell of a matrix as an evaluator has it that reads the API's text alone, over random clusters; groups say of each
// pair what its cell says; and a thousand pods are no matter.
import t from "tap";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { hostsOf } from "../../testing/policy/cells.ts";
import { type Cluster, clusterOf, type Named } from "../../testing/policy/cluster.ts";
import { evaluate } from "../../testing/policy/evaluator.ts";
import { laterCluster, type RandomCluster, randomCluster } from "../../testing/policy/random-cluster.ts";
import { PORTS } from "../../testing/policy/random-policies.ts";
import { addressEnd, type End, type Port, podEnds, portText } from "./ends.ts";
import { type Asked, cellsOf, grouped, portsAt } from "./matrix.ts";
import { Reach } from "./reach.ts";

const ASKED: readonly Port[] = [
  ...PORTS.map((port) => ({ port, protocol: "TCP" })),
  { port: 79, protocol: "TCP" },
  { port: 80, protocol: "UDP" },
  { port: 8080, protocol: "SCTP" },
  { port: 0, protocol: "ICMP" },
];
const CLUSTERS = 24;

function read(objects: readonly Named[]): KubeObject[] {
  const text = objects.map((object) => JSON.stringify(object)).join("\n---\n");
  return parseManifests([{ file: "cluster", text }]).map(({ object }) => object);
}

function askedOf({ ground, families, objects }: RandomCluster): { reach: Reach; asked: Asked } {
  const all = read(objects);
  const pods = podEnds(all);
  const taken = new Set(pods.flatMap(({ pod }) => (pod?.status.podIPs ?? []).map(({ ip }) => ip)));
  const others = families.flatMap((family) => hostsOf(ground, family)).filter((host) => !taken.has(host));
  const ends = [...pods, ...others.map((host) => addressEnd(host) as End)];
  return { reach: new Reach(all), asked: { from: ends, to: ends, ports: ASKED } };
}

/** In every family that both have; undefined: in none. */
function judged(cluster: Cluster, from: End, to: End, port: Port): boolean | undefined {
  const textsOf = ({ pod, name }: End): string[] =>
    pod === undefined ? [name] : (pod.status.podIPs ?? []).flatMap(({ ip }) => ip ?? []);
  const isSix = (text: string): boolean => text.includes(":");
  const answers = textsOf(from).flatMap((source) =>
    textsOf(to)
      .filter((target) => isSix(target) === isSix(source))
      .map((target) => evaluate(cluster, { from: source, to: target, ...port }).allowed),
  );
  return answers.length === 0 ? undefined : answers.every(Boolean);
}

t.test(`every cell of ${CLUSTERS} random clusters, before and after a change`, async (t) => {
  const wrong: string[] = [];
  const counts = { allowed: 0, denied: 0 };
  for (let seed = 1; seed <= CLUSTERS; seed++) {
    const before = randomCluster(seed);
    for (const state of [before, laterCluster(before, seed)]) {
      const cluster = clusterOf(state.objects);
      const { reach, asked } = askedOf(state);
      for (const from of asked.from) {
        for (const to of asked.to) {
          for (const port of ASKED) {
            const wanted = judged(cluster, from, to, port) ?? false;
            const { allowed, reason } = reach.cell(from, to, port);
            counts[wanted ? "allowed" : "denied"]++;
            if (from.pod === undefined && to.pod === undefined) continue;
            if (allowed !== wanted)
              wrong.push(`${seed}: ${from.name} -> ${to.name} ${portText(port)}: ${allowed}: ${reason}`);
          }
        }
      }
    }
  }
  t.same(wrong.slice(0, 10), []);
  t.ok(counts.allowed > 5000 && counts.denied > 5000, JSON.stringify(counts));
});

t.test("groups say of each pair what its cell says, and hold each pair once", async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const { reach, asked } = askedOf(randomCluster(seed));
    for (const ports of [ASKED, []]) {
      const own = { ...asked, ports };
      const cells = new Map(
        [...cellsOf(reach, own)].map((cell) => [`${cell.from} ${cell.to} ${portText(cell)}`, cell]),
      );
      const { rows, columns, answers } = grouped(reach, own, ({ allowed }) => `${allowed}`);
      let pairs = 0;
      for (const [r, row] of rows.entries()) {
        for (const [c, { ends, port }] of columns.entries()) {
          for (const from of row.ends) {
            for (const to of ends) {
              pairs++;
              const cell = cells.get(`${from.name} ${to.name} ${portText(port)}`);
              const told = answers[r][c]?.allowed ?? true;
              if (from !== to && cell?.answer.allowed !== told) t.fail(`${seed}: ${from.name} -> ${to.name}`);
            }
          }
        }
      }
      t.equal(pairs, cells.size);
    }
  }
});

const tierPod = (i: number): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: `p-${i}`, namespace: `ns-${i % 10}`, labels: { app: `app-${i % 50}` } },
  spec: {
    nodeName: `node-${i % 5}`,
    containers: [{ name: "c", image: "i", ports: [{ containerPort: 80 + (i % 2) }] }],
  },
  status: { phase: "Running", podIP: `10.244.${i >> 8}.${i & 255}` },
});

t.test("a thousand pods, a hundred policies: a million cells in seconds, few of them asked", async (t) => {
  const policy = (i: number): object => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: `p-${i}`, namespace: `ns-${i % 10}` },
    spec: {
      podSelector: { matchLabels: { app: `app-${i % 50}` } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: `app-${(i * 7) % 50}` } } }] }],
    },
  });
  const objects = read([
    ...Array.from({ length: 1000 }, (_, i) => tierPod(i)),
    ...Array.from({ length: 100 }, (_, i) => policy(i)),
  ] as Named[]);
  const began = process.cpuUsage();
  const reach = new Reach(objects);
  const ends = podEnds(objects);
  const asked: Asked = { from: ends, to: ends, ports: [] };
  let allowed = 0;
  let cells = 0;
  for (const cell of cellsOf(reach, asked)) {
    cells++;
    if (cell.answer.allowed) allowed++;
  }
  const { rows, columns } = grouped(reach, asked, (answer) => `${answer.allowed}`);
  const { user } = process.cpuUsage(began);
  t.equal(cells, 1_000_000);
  t.ok(allowed > 1000 && allowed < cells);
  t.ok(rows.length <= 51 && columns.length <= 102, `${rows.length} rows, ${columns.length} columns`);
  t.ok(user < 20e6, `${user / 1e6} s`);
});

t.test("a pod is let in by its own node alone, and answers are told apart by that", async (t) => {
  const node = (name: string, address: string): object => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name },
    status: { addresses: [{ type: "InternalIP", address }] },
  });
  const objects = read([
    node("node-0", "192.168.50.10"),
    node("node-1", "192.168.50.11"),
    tierPod(0),
    tierPod(50),
    { ...tierPod(100), spec: { ...(tierPod(100) as { spec: object }).spec, nodeName: "node-1" } },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "closed", namespace: "ns-0" },
      spec: { podSelector: {} },
    },
  ] as Named[]);
  const reach = new Reach(objects);
  const from = [addressEnd("192.168.50.10") as End, addressEnd("192.168.50.11") as End];
  const asked: Asked = { from, to: podEnds(objects), ports: [{ port: 80, protocol: "TCP" }] };
  t.same(
    [...cellsOf(reach, asked)].map(({ answer }) => answer.allowed),
    [true, false, true, false, true, false],
  );
  const { columns } = grouped(reach, asked, ({ allowed }) => `${allowed}`);
  t.same(
    columns.map(({ ends }) => ends.map(({ name }) => name)),
    [["ns-0/p-0", "ns-0/p-50"], ["ns-0/p-100"]],
  );
  t.same(portsAt(asked.to[0], []), [{ port: 80, protocol: "TCP" }]);
});
