// The mesh of objects: who is of it, and who is a node's proxy. Whatever the order of events, the plane's table holds the
// addresses that an evaluation from scratch finds.
import t from "tap";
import { formatIp } from "../base/ip.ts";
import { MeshLayout, putMembersInForce } from "../dataplane/change/mesh.ts";
import { TUPLE_WORDS } from "../dataplane/table/connection/tuple.ts";
import * as members from "../dataplane/table/mesh-members.ts";
import type { Tables } from "../dataplane/tables.ts";
import { Prng } from "../testing/prng.ts";
import { words } from "../testing/world/test-cluster.ts";
import { ObjectGraph } from "../watch/desired-state.ts";
import { MeshCompiler } from "./mesh.ts";

interface PodFacts {
  readonly node?: string;
  readonly ips?: readonly string[];
  readonly labels?: Record<string, string>;
  readonly more?: { spec?: object; status?: object; metadata?: object };
}

const PROXY = { "app.kubernetes.io/name": "podwire-mesh" };
const ready = (status: "True" | "False"): NonNullable<PodFacts["more"]> => ({
  status: { conditions: [{ type: "Ready", status }] },
});

class World {
  readonly graph = new ObjectGraph();
  readonly compiler = new MeshCompiler("node1");
  readonly layout = new MeshLayout();
  /** As the plane has it. */
  readonly tables = { meshMembers: new members.MeshMembers() } as Tables;

  namespace(name: string, label?: string): void {
    const labels = label === undefined ? {} : { "podwire.dev/mesh": label };
    this.#tell("ADDED", { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  }

  pod(key: string, { node = "node1", ips = [], labels = {}, more = {} }: PodFacts = {}): void {
    const [namespace, name] = key.split("/");
    this.#tell("ADDED", {
      ...{ apiVersion: "v1", kind: "Pod", metadata: { namespace, name, labels, ...more.metadata } },
      spec: { nodeName: node, containers: [], ...more.spec },
      status: { phase: "Running", podIPs: ips.map((ip) => ({ ip })), ...more.status },
    });
  }

  gone(key: string): void {
    this.#tell("DELETED", this.graph.pods.get(key));
  }

  #tell(type: string, object: unknown): void {
    this.graph.onEvent({ type, object } as never);
  }

  /** What a plane is told. */
  take() {
    const update = this.compiler.update(this.graph, this.graph.take());
    if (update === undefined) return undefined;
    putMembersInForce(this.tables, this.layout.parts(update), true);
    const { isOn, proxy, set, remove } = update;
    const texts = (list: typeof set): string[] => list.map(formatIp).sort();
    return {
      ...{ isOn, set: texts(set), remove: texts(remove) },
      proxy: proxy && `${proxy.addresses.map(formatIp)} ${proxy.isReady ? "ready" : "away"}`,
    };
  }

  has(address: string): boolean {
    const key = new Int32Array(TUPLE_WORDS);
    const { w0, w1, w2, w3 } = words(address);
    key.set([w0, w1, w2, w3]);
    return members.has(this.tables.meshMembers, key, 0);
  }
}

t.test("pods of labelled namespaces are of the mesh, of every node and both families", async (t) => {
  const world = new World();
  world.namespace("shop");
  world.pod("shop/a", { ips: ["10.244.1.2", "fd00:10:244:1::2"] });
  t.equal(world.take(), undefined, "no mesh, nothing to tell");
  world.namespace("shop", "disabled");
  t.equal(world.take(), undefined, "enabled is the one word");
  world.namespace("shop", "enabled");
  world.pod("shop/b", { node: "node2", ips: ["10.244.2.2"] });
  world.pod("other/c", { ips: ["10.244.1.9"] });
  const set = ["10.244.1.2", "10.244.2.2", "fd00:10:244:1::2"];
  t.same(world.take(), { isOn: true, proxy: undefined, set, remove: [] });
  t.same(
    [...set, "10.244.1.9"].map((each) => world.has(each)),
    [true, true, true, false],
  );
  world.namespace("shop", "enabled");
  t.equal(world.take(), undefined, "nothing has changed");
  world.gone("shop/b");
  t.match(world.take(), { set: [], remove: ["10.244.2.2"] });
  world.namespace("shop");
  t.match(world.take(), { isOn: false, remove: ["10.244.1.2", "fd00:10:244:1::2"] });
});

t.test("not of it: pods with their node's address, ended ones, and the proxies", async (t) => {
  const world = new World();
  for (const name of ["shop", "podwire-system"]) world.namespace(name, "enabled");
  world.pod("shop/host", { ips: ["192.168.50.11"], more: { spec: { hostNetwork: true } } });
  world.pod("shop/done", { ips: ["10.244.1.3"], more: { status: { phase: "Succeeded" } } });
  world.pod("podwire-system/proxy", { ips: ["10.244.1.4"], labels: PROXY });
  world.pod("podwire-system/other", { ips: ["10.244.1.5"] });
  t.match(world.take(), { set: ["10.244.1.5"], proxy: "10.244.1.4 ready" });
});

t.test("an address that the next pod has already stays in", async (t) => {
  const world = new World();
  world.namespace("shop", "enabled");
  world.pod("shop/old", { ips: ["10.244.1.2"] });
  world.take();
  world.pod("shop/new", { ips: ["10.244.1.2"] });
  t.equal(world.take(), undefined);
  world.gone("shop/old");
  t.equal(world.take(), undefined);
  t.ok(world.has("10.244.1.2"));
});

t.test("the proxy is the node's pod of that name and namespace; who is ready comes first", async (t) => {
  const world = new World();
  world.namespace("shop", "enabled");
  world.pod("podwire-system/far", { node: "node2", ips: ["10.244.2.4"], labels: PROXY });
  world.pod("shop/false", { ips: ["10.244.1.9"], labels: PROXY });
  t.match(world.take(), { proxy: undefined, set: ["10.244.1.9"] });
  world.pod("podwire-system/a", { ips: ["10.244.1.4"], labels: PROXY, more: ready("False") });
  t.match(world.take(), { proxy: "10.244.1.4 away" });
  world.pod("podwire-system/a", { ips: ["10.244.1.4"], labels: PROXY, more: ready("True") });
  t.match(world.take(), { proxy: "10.244.1.4 ready" });
  world.pod("podwire-system/b", { ips: ["10.244.1.5"], labels: PROXY, more: ready("False") });
  t.equal(world.take(), undefined, "the one that is ready stays");
  const leaving = { ...ready("True"), metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } };
  world.pod("podwire-system/a", { ips: ["10.244.1.4"], labels: PROXY, more: leaving });
  t.match(world.take(), { proxy: "10.244.1.4 away" }, "its connections are still with it");
  world.pod("podwire-system/b", { ips: ["10.244.1.5"], labels: PROXY, more: ready("True") });
  t.match(world.take(), { proxy: "10.244.1.5 ready" });
  world.namespace("shop");
  t.match(world.take(), { isOn: false, proxy: "10.244.1.5 ready" }, "for connections that are left");
  world.gone("podwire-system/b");
  t.match(world.take(), { isOn: false, proxy: "10.244.1.4 away" });
});

t.test(
  "a thousand pods, whatever comes when: the table is what an evaluation from scratch finds",
  async (t) => {
    const seed = Date.now() & 0xffff;
    t.comment(`seed ${seed}`);
    const random = new Prng(seed);
    const world = new World();
    const namespaces = ["a", "b", "c"];
    const address = (): string => `10.244.${random.below(4)}.${2 + random.below(100)}`;
    for (let round = 0; round < 400; round++) {
      const events = round % 40 === 0 ? 600 : random.below(6);
      for (let i = 0; i < events; i++) {
        const key = `${random.pick(namespaces)}/p${random.below(400)}`;
        if (random.below(4) === 0 && world.graph.pods.has(key)) world.gone(key);
        else world.pod(key, { ips: [address(), `fd00::${1 + random.below(300)}`].slice(random.below(2)) });
      }
      if (random.below(6) === 0)
        world.namespace(random.pick(namespaces), random.pick(["enabled", "disabled", undefined]));
      world.take();
      const wanted = new Set<string>();
      for (const [key, pod] of world.graph.pods) {
        const labels = world.graph.namespaces.get(key.split("/")[0])?.metadata.labels ?? {};
        if (labels["podwire.dev/mesh"] !== "enabled") continue;
        for (const { ip = "" } of pod.status.podIPs ?? []) wanted.add(ip);
      }
      const held = world.tables.meshMembers.words.filter((word, i) => i % 8 === 4 && word !== 0).length;
      const missing = [...wanted].filter((each) => !world.has(each));
      if (held !== wanted.size || missing.length > 0)
        t.fail(`round ${round}: ${held}, not ${wanted.size}: ${missing}`);
    }
  },
);
