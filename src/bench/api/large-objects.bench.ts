// What requests with objects of nearly three megabytes, the most that an API server takes, cost a lab's process: its time
// on a processor, which other programs do not change much. node build/src/bench/api/large-objects.bench.js
import { ServedCluster } from "../../testing/api-server/served-cluster.ts";

const BYTES = 2_900_000;
const ROUNDS = 3;
const MERGE = { type: "application/merge-patch+json" };
const APPLY = { type: "application/apply-patch+yaml" };

/** So many items that their JSON has BYTES octets. */
function items<T>(make: (i: number) => T): T[] {
  const made: T[] = [];
  for (let size = 0; size < BYTES; size += JSON.stringify(made[made.length - 1]).length + 1)
    made.push(make(made.length));
  return made;
}

interface Named {
  metadata: { name: string; labels?: object };
}

const policy = (name: string): Named => {
  const cidr = (i: number): string => `10.${i % 250}.${(i >> 8) % 250}.${i % 256}/32`;
  const from = items((i) => ({ ipBlock: { cidr: cidr(i) } }));
  return { metadata: { name }, spec: { podSelector: {}, ingress: [{ from }] } } as Named;
};

const custom = (name: string): Named => {
  const rows = items((i) => ({ name: `row-${i}`, count: i, labels: { app: `a${i % 7}`, tier: "x" } }));
  return { apiVersion: "example.org/v1", kind: "Big", metadata: { name }, spec: { rows } } as Named;
};

const deployment = (name: string): Named => {
  const env = items((i) => ({ name: `VARIABLE_${i}`, value: `value ${i}` }));
  const template = {
    metadata: { labels: { app: name } },
    spec: { containers: [{ name: "c", image: "i", env }] },
  };
  const spec = { replicas: 0, selector: { matchLabels: { app: name } }, template };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: { name }, spec } as Named;
};

const text = { type: "string" };
const rows = {
  ...{ type: "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] },
  items: {
    ...{ type: "object", required: ["name"] },
    properties: {
      name: text,
      count: { type: "integer" },
      labels: { type: "object", additionalProperties: text },
    },
  },
};
const schema = { type: "object", properties: { spec: { type: "object", properties: { rows } } } };
const definition = {
  metadata: { name: "bigs.example.org" },
  spec: {
    ...{ group: "example.org", scope: "Namespaced", names: { plural: "bigs", singular: "big", kind: "Big" } },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }],
  },
};

const served = new ServedCluster();
served.call("POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);

function measure(what: string, path: string, make: (name: string) => Named): void {
  const times = new Map<string, number[]>();
  served.watch(`${path}?watch=1`, () => {});
  const timed = (way: string, url: string, body: unknown, options?: { type: string }): string => {
    const json = JSON.stringify(body);
    const before = process.cpuUsage();
    const answer = served.ask(url, json, options);
    const { user, system } = process.cpuUsage(before);
    times.set(way, [...(times.get(way) ?? []), (user + system) / 1000]);
    return "body" in answer ? String(answer.body) : "";
  };
  for (let round = 0; round < ROUNDS; round++) {
    const [own, applied] = [`own-${round}`, `applied-${round}`];
    const live = JSON.parse(timed("POST", `POST ${path}`, make(own))) as Named;
    live.metadata.labels = { a: "b" };
    timed("PUT", `PUT ${path}/${own}`, live);
    timed("PATCH", `PATCH ${path}/${own}`, { metadata: { labels: { c: "d" } } }, MERGE);
    const again = make(applied);
    const [apiVersion, kind] = [
      (live as { apiVersion?: string }).apiVersion,
      (live as { kind?: string }).kind,
    ];
    timed("apply", `PATCH ${path}/${applied}?fieldManager=me`, { ...again, apiVersion, kind }, APPLY);
    again.metadata.labels = { a: "b" };
    timed("apply again", `PATCH ${path}/${applied}?fieldManager=me`, { ...again, apiVersion, kind }, APPLY);
    for (const name of [own, applied]) served.ask(`DELETE ${path}/${name}`);
  }
  const shown = [...times].map(
    ([way, each]) => `${way} ${each.sort((a, b) => a - b)[ROUNDS >> 1].toFixed(0)} ms`,
  );
  console.log(`${what.padEnd(36)}${shown.join(", ")}`);
}

measure(
  "NetworkPolicy of ipBlocks:",
  "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
  policy,
);
measure("custom resource, a list by names:", "/apis/example.org/v1/namespaces/default/bigs", custom);
measure("Deployment with variables:", "/apis/apps/v1/namespaces/default/deployments", deployment);
served.api.close();
