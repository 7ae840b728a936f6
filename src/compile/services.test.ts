import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import t from "tap";
import { ip } from "../base/ip.ts";
import { readProxyConfig } from "../config/proxy.ts";
import * as serviceChange from "../dataplane/change/services.ts";
import type { ServiceUpdate } from "../dataplane/spec/services.ts";
import * as services from "../dataplane/table/service/services.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { manifestOf } from "../kube/manifest/manifest.ts";
import type { KubeObject } from "../kube/objects.ts";
import { frontendName } from "../testing/world/frontend-name.ts";
import { ObjectGraph } from "../watch/desired-state.ts";
import { proxySettings } from "./proxy-settings.ts";
import { ServiceCompiler } from "./services.ts";

const config = readProxyConfig({ clusterCIDR: "10.244.0.0/16" }, new FieldProblems());
const settings = proxySettings({
  config,
  nodeName: "node1",
  node: undefined,
  localIps: [ip("192.168.50.11")],
});

function service(name: string, spec: object): KubeObject {
  const ports = [{ port: 80 }];
  const object = { apiVersion: "v1", kind: "Service", metadata: { name }, spec: { ports, ...spec } };
  return manifestOf(object, "test").object;
}

function slice(name: string, owner: string, addresses: string[], node = "node2"): KubeObject {
  const object = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, labels: { "kubernetes.io/service-name": owner } },
    addressType: "IPv4",
    ports: [{ port: 8080 }],
    endpoints: addresses.map((address) => ({
      addresses: [address],
      conditions: { ready: true },
      nodeName: node,
    })),
  };
  return manifestOf(object, "test").object;
}

/** Graph, compiler and the plane's table, fed as the agent feeds them. */
class Chain {
  readonly graph = new ObjectGraph();
  readonly compiler = new ServiceCompiler(settings);
  readonly table = new services.Services(8, 8);

  put(object: KubeObject): void {
    this.graph.onEvent({ type: "MODIFIED", object });
  }

  drop(object: KubeObject): void {
    this.graph.onEvent({ type: "DELETED", object });
  }

  flush(): ServiceUpdate {
    const keys = [...this.graph.take().services];
    this.compiler.prepare(this.graph, keys.slice(keys.length >> 1)); // half of them beforehand, half at once
    const update = this.compiler.update(this.graph, keys);
    serviceChange.update(this.table, update);
    return update;
  }

  /** What was told last, without the ids, which depend on the order of arrival. */
  told(): string {
    const specs = [...this.compiler.specs()].map(({ id, ...spec }) => JSON.stringify(spec));
    return specs.sort().join("\n");
  }

  /** Name of the service port that the plane finds at an address. */
  holder(address: string, port = 80): string {
    const { w0, w1, w2, w3 } = ip(address);
    const found = services.find(this.table, w0, w1, w2, w3, port, (4 << 8) | 6);
    return frontendName(this.table, found);
  }
}

t.test("ids are stable, a removed service port is told by its id, names are found by id", async (t) => {
  const chain = new Chain();
  const a = service("a", { clusterIP: "10.96.0.10" });
  chain.put(a);
  chain.put(slice("a-1", "a", ["10.244.2.2"]));
  const [{ id }] = chain.flush().upsert;
  chain.put(slice("a-1", "a", ["10.244.2.2", "10.244.2.3"]));
  t.match(chain.flush(), { upsert: [{ id, endpoints: { length: 2 } }], remove: [] });
  t.equal(chain.compiler.nameOf(id), "default/a");
  chain.drop(a);
  t.same(chain.flush(), { upsert: [], remove: [id] });
  t.equal(chain.compiler.nameOf(id), undefined);
  chain.put(a);
  t.not(chain.flush().upsert[0].id, id);
});

t.test("objects that change nothing for the plane tell it nothing", async (t) => {
  const chain = new Chain();
  const a = service("a", { clusterIP: "10.96.0.10" });
  chain.put(a);
  chain.put(slice("a-1", "a", ["10.244.2.2"]));
  chain.flush();
  chain.put({ ...a, metadata: { ...a.metadata, annotations: { x: "y" }, resourceVersion: "7" } });
  t.same(chain.flush(), { upsert: [], remove: [] });
  t.same(chain.compiler.setSettings({ ...settings }), []);
  const keys = chain.compiler.setSettings({ ...settings, masqueradeAll: true });
  t.equal(chain.compiler.update(chain.graph, keys).upsert.length, 1);
});

t.test(
  "a slice that came before its Service counts when the Service comes; one that changes owner moves",
  async (t) => {
    const chain = new Chain();
    chain.put(slice("x", "a", ["10.244.2.2"]));
    t.same(chain.flush(), { upsert: [], remove: [] });
    chain.put(service("a", { clusterIP: "10.96.0.10" }));
    chain.put(service("b", { clusterIP: "10.96.0.11" }));
    chain.flush();
    chain.put(slice("x", "b", ["10.244.2.2"]));
    t.same(
      chain.flush().upsert.map((spec) => [spec.name, spec.endpoints.length]),
      [
        ["default/a", 0],
        ["default/b", 1],
      ],
    );
  },
);

t.test(
  "two claims to one address: the smaller name has it, the other gets it when the first lets go",
  async (t) => {
    const chain = new Chain();
    const claim = (name: string, n: number, ...externalIPs: string[]) =>
      service(name, { clusterIP: `10.96.0.${n}`, externalIPs });
    chain.put(claim("b", 2, "1.1.1.1"));
    chain.flush();
    t.equal(chain.holder("1.1.1.1"), "default/b");
    chain.put(claim("a", 1, "1.1.1.1"));
    chain.flush();
    t.equal(chain.holder("1.1.1.1"), "default/a");
    chain.put(claim("a", 1, "2.2.2.2"));
    chain.flush();
    t.equal(chain.holder("1.1.1.1"), "default/b");
    chain.put(claim("a", 1, "1.1.1.1"));
    chain.put(claim("b", 2, "2.2.2.2"));
    chain.flush();
    t.same(
      [chain.holder("1.1.1.1"), chain.holder("2.2.2.2")],
      ["default/a", "default/b"],
      "swapped in one update",
    );
    chain.drop(claim("a", 1));
    chain.put(claim("b", 2, "1.1.1.1"));
    chain.flush();
    t.same([chain.holder("1.1.1.1"), chain.holder("2.2.2.2")], ["default/b", ""]);
  },
);

t.test("service ports that hand an address over are named: they have to change together", async (t) => {
  const chain = new Chain();
  const claim = (name: string, n: number, ...externalIPs: string[]) =>
    service(name, { clusterIP: `10.96.0.${n}`, externalIPs });
  const idOf = (name: string) => [...chain.compiler.specs()].find((s) => s.name === `default/${name}`)?.id;
  for (const object of [claim("a", 1, "1.1.1.1"), claim("b", 2, "2.2.2.2"), claim("c", 3)]) chain.put(object);
  t.equal(chain.flush().together, undefined, "new ones take from nobody");
  const [a, b] = [idOf("a"), idOf("b")];
  chain.put(claim("a", 1, "2.2.2.2"));
  chain.put(claim("b", 2, "1.1.1.1"));
  chain.put(claim("c", 4));
  t.same(new Set(chain.flush().together), new Set([a, b]), "swapped");
  chain.drop(claim("a", 1));
  chain.put(claim("d", 1));
  chain.put(claim("c", 3));
  const update = chain.flush();
  t.same(update.remove, [a]);
  t.same(new Set(update.together), new Set([a, idOf("d")]), "one goes, another has its address");
});

t.test("service ports are counted as the plane was told of them", async (t) => {
  const chain = new Chain();
  const ports = [
    { name: "x", port: 80, nodePort: 30000 },
    { name: "y", port: 81, nodePort: 30001 },
  ];
  const far = { clusterIP: "10.96.0.2", type: "NodePort", ports, externalTrafficPolicy: "Local" };
  chain.put(service("web", { clusterIP: "10.96.0.1" }));
  chain.put(service("far", far));
  chain.put(service("in", { clusterIP: "10.96.0.3", internalTrafficPolicy: "Local" }));
  const slices = ["web", "far", "in"].map((name) => slice(name, name, ["10.244.2.2"]));
  for (const object of slices) chain.put(object);
  const none = { servicePorts: 0, hostPorts: 0, noLocalInternal: 0, noLocalExternal: 0 };
  t.same(chain.compiler.counts, none, "nothing was told yet");
  chain.flush();
  t.same(
    chain.compiler.counts,
    { ...none, servicePorts: 4, noLocalInternal: 1 },
    "far's slice has no such ports",
  );
  const named = { ...slices[1], ports: [{ name: "y", port: 8080, protocol: "TCP" }] } as KubeObject;
  chain.put(named);
  chain.flush();
  t.same(chain.compiler.counts, { ...none, servicePorts: 4, noLocalInternal: 1, noLocalExternal: 1 });
  chain.drop(service("far", far));
  chain.put(slice("in", "in", ["10.244.1.2"], "node1"));
  chain.flush();
  t.same(chain.compiler.counts, { ...none, servicePorts: 2 });
});

t.test("what was compiled beforehand is not used for a later change", async (t) => {
  const chain = new Chain();
  chain.put(service("a", { clusterIP: "10.96.0.1" }));
  chain.compiler.prepare(chain.graph, ["default/a"]);
  chain.flush();
  chain.put(slice("s", "a", ["10.244.2.2"]));
  t.equal(chain.flush().upsert[0].endpoints.length, 1);
});

// Named objects with variants; a state chooses one variant, or none, of each.
const variants: Record<string, KubeObject[]> = {
  a: [
    service("a", { clusterIP: "10.96.0.1", externalIPs: ["1.1.1.1", "2.2.2.2"] }),
    service("a", { clusterIP: "10.96.0.1", type: "NodePort", ports: [{ port: 80, nodePort: 30000 }] }),
  ],
  b: [
    service("b", { clusterIP: "10.96.0.2", externalIPs: ["1.1.1.1"] }),
    service("b", {
      clusterIP: "10.96.0.2",
      externalIPs: ["2.2.2.2"],
      ports: [
        { name: "x", port: 80 },
        { name: "y", port: 81 },
      ],
    }),
  ],
  c: [
    service("c", {
      clusterIP: "10.96.0.3",
      externalIPs: ["1.1.1.1", "2.2.2.2"],
      externalTrafficPolicy: "Local",
    }),
    service("c", { clusterIP: "None" }),
  ],
  "s-a": [slice("s", "a", ["10.244.2.2", "10.244.2.3"]), slice("s", "b", ["10.244.2.2"])],
  "t-a": [slice("t", "a", ["10.244.2.3", "10.244.2.4"], "node1"), slice("t", "c", ["10.244.2.9"], "node1")],
};
const names = Object.keys(variants);
const state = fc.record(Object.fromEntries(names.map((name) => [name, fc.integer({ min: -1, max: 1 })])));
const flags = fc.array(fc.boolean(), { minLength: names.length, maxLength: names.length });
const walk = fc.record({
  state,
  order: fc.shuffledSubarray(names, { minLength: names.length }),
  flush: flags,
  twice: flags,
});

t.test("the table depends on the objects, never on the way there: orders, duplicates, batches", async () => {
  fc.assert(
    fc.property(fc.array(walk, { minLength: 1, maxLength: 6 }), (steps) => {
      const chain = new Chain();
      for (const step of steps) {
        for (const [i, name] of step.order.entries()) {
          const wanted = step.state[name];
          const times = step.twice[i] ? 2 : 1;
          for (let n = 0; n < times; n++) {
            if (wanted < 0) chain.drop(variants[name][0]);
            else chain.put(variants[name][wanted]);
          }
          if (step.flush[i]) chain.flush();
        }
      }
      chain.flush();
      const fresh = new Chain();
      const { state: last } = steps[steps.length - 1];
      for (const name of names) if (last[name] >= 0) fresh.put(variants[name][last[name]]);
      fresh.flush();
      const addresses = ["1.1.1.1", "2.2.2.2", "10.96.0.1", "10.96.0.2", "10.96.0.3"];
      const holders = (c: Chain) => addresses.map((a) => c.holder(a)).join();
      return chain.told() === fresh.told() && holders(chain) === holders(fresh);
    }),
    { numRuns: 300 },
  );
});

/** One slice of ten endpoints, or as many of one. */
function slicesOf(service: string, slices: number, third: number): KubeObject[] {
  return Array.from({ length: slices }, (_, s) => ({
    ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
    metadata: {
      name: `${service}-${s}`,
      namespace: "default",
      labels: { "kubernetes.io/service-name": service },
    },
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    endpoints: Array.from({ length: slices === 1 ? 10 : 1 }, (_, e) => ({
      addresses: [`10.${third}.${s}.${e + 1}`],
    })),
  })) as never;
}

t.test("of many slices one that changed is read again, and none of the others", async (t) => {
  const graph = new ObjectGraph();
  const service = { apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "default" } };
  const spec = {
    type: "ClusterIP",
    clusterIP: "10.96.0.1",
    clusterIPs: ["10.96.0.1"],
    ports: [{ port: 80 }],
  };
  const put = (object: object): void => graph.onEvent({ type: "ADDED", object: object as KubeObject });
  put({ ...service, spec, status: {} });
  const all = slicesOf("web", 6, 1);
  for (const slice of all) put(slice);
  const compiler = new ServiceCompiler(settings);
  const ends = (): number[] =>
    compiler
      .update(graph, ["default/web"])
      .upsert.flatMap(({ endpoints }) => endpoints.map(({ w3 }) => (w3 >> 8) & 255));
  t.same(ends(), [0, 1, 2, 3, 4, 5]);
  put({ ...all[2], endpoints: [] });
  t.same(ends(), [0, 1, 3, 4, 5]);
  put({ ...all[2], endpoints: [{ addresses: ["10.1.9.1"] }] });
  t.same(ends(), [0, 1, 3, 4, 5, 9]);
});

t.test("what is kept of an endpoint beside its slice", async (t) => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const SERVICES = 500;
  const graph = new ObjectGraph();
  for (let i = 0; i < SERVICES; i++) {
    const address = `10.97.${i >> 8}.${i & 255}`;
    const metadata = { name: `s${i}`, namespace: "default" };
    const spec = { type: "ClusterIP", clusterIP: address, clusterIPs: [address], ports: [{ port: 80 }] };
    graph.onEvent({
      type: "ADDED",
      object: { apiVersion: "v1", kind: "Service", metadata, spec, status: {} } as never,
    });
    for (const object of slicesOf(`s${i}`, 1, i & 127)) graph.onEvent({ type: "ADDED", object });
  }
  // In a process that other tests share a heap grows and shrinks for their sake, too: the least of some is its own.
  const kept: ServiceCompiler[] = [];
  const bytes = Array.from({ length: 5 }, () => {
    const compiler = new ServiceCompiler(settings);
    kept.push(compiler);
    collect();
    const before = process.memoryUsage().heapUsed;
    t.equal(compiler.update(graph, graph.services.keys()).upsert.length, SERVICES);
    collect();
    return (process.memoryUsage().heapUsed - before) / (SERVICES * 10);
  });
  const least = Math.min(...bytes);
  t.ok(least < 75, `${least.toFixed(0)} bytes of each; it was 500 while parsed slices and specs were kept`);
  t.same([...new Set(kept.map(({ size }) => size))], [SERVICES]);
});
