// Which pods a node attaches, and that a change of one is no work for the others.
import fc from "fast-check";
import t from "tap";
import type { Pod } from "../kube/objects.ts";
import { ObjectGraph } from "../watch/desired-state.ts";
import { compilePods } from "./local-pods.ts";

interface Given {
  readonly name: string;
  readonly node?: string;
  readonly ip?: string;
  readonly phase?: string;
  readonly hostNetwork?: boolean;
  readonly annotations?: Record<string, string>;
}

const podOf = ({ name, node = "n1", ip, phase = "Running", hostNetwork = false, annotations = {} }: Given) =>
  ({
    ...{
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default", uid: `u-${name}`, annotations },
    },
    spec: { nodeName: node, hostNetwork, containers: [] },
    status: { phase, ...(ip === undefined ? {} : { podIPs: [{ ip }] }) },
  }) as unknown as Pod;

function graphOf(...given: Given[]): ObjectGraph {
  const graph = new ObjectGraph();
  for (const each of given) graph.onEvent({ type: "ADDED", object: podOf(each) });
  return graph;
}

t.test(
  "a node attaches its own pods that have addresses, a network of their own, and are not over",
  async (t) => {
    const graph = graphOf(
      { name: "b", ip: "10.244.1.3" },
      { name: "a", ip: "10.244.1.2", annotations: { "podwire.dev/mac": "02:00:00:00:00:07" } },
      { name: "c", ip: "10.244.2.2", node: "n2" },
      { name: "d", ip: "192.168.50.11", hostNetwork: true },
      { name: "e", ip: "10.244.1.4", phase: "Succeeded" },
      { name: "f" },
    );
    const pods = compilePods(graph, "n1");
    t.same(
      pods.map(({ key, mac: { hi, lo } }) => [key, hi, lo]),
      [
        ["default/a", 0x0200, 7],
        ["default/b", 0x0a58, 0x0af40103],
      ],
    );
  },
);

t.test(
  "a pod that did not change is the same as before, one that did is what its object says now",
  async (t) => {
    const graph = graphOf({ name: "a", ip: "10.244.1.2" }, { name: "b", ip: "10.244.1.3" });
    const before = compilePods(graph, "n1");
    const netns = { "podwire.dev/netns": "/run/netns/b" };
    graph.onEvent({ type: "MODIFIED", object: podOf({ name: "b", ip: "10.244.1.3", annotations: netns }) });
    const [a, b] = compilePods(graph, "n1");
    t.equal(a, before[0]);
    t.equal(b.netns, "/run/netns/b");
    graph.onEvent({ type: "MODIFIED", object: podOf({ name: "a", ip: "10.244.1.2", phase: "Failed" }) });
    t.same(compilePods(graph, "n1"), [b]);
    graph.onEvent({ type: "MODIFIED", object: podOf({ name: "a", ip: "10.244.1.9" }) });
    t.same(
      compilePods(graph, "n1").map(({ key, addresses }) => [key, addresses[0].w3 & 0xff]),
      [
        ["default/a", 9],
        ["default/b", 3],
      ],
    );
  },
);

t.test("whatever changed before, pods are those that a graph of the last objects alone gives", async () => {
  const given = fc.record({
    name: fc.constantFrom("a", "b", "c"),
    node: fc.constantFrom("n1", "n2"),
    ip: fc.option(fc.constantFrom("10.244.1.2", "10.244.1.3"), { nil: undefined }),
    phase: fc.constantFrom("Pending", "Running", "Failed"),
  });
  fc.assert(
    fc.property(fc.array(given, { maxLength: 12 }), (changes) => {
      const graph = new ObjectGraph();
      const last = new Map<string, Given>();
      for (const each of changes as Given[]) {
        graph.onEvent({ type: last.has(each.name) ? "MODIFIED" : "ADDED", object: podOf(each) });
        last.set(each.name, each);
        compilePods(graph, "n1");
      }
      const [is, should] = [graph, graphOf(...last.values())].map((g) => compilePods(g, "n1"));
      return JSON.stringify(is) === JSON.stringify(should);
    }),
  );
});
