import t from "tap";
import type { KubeObject } from "../kube/objects.ts";
import { ObjectGraph } from "./desired-state.ts";

const object = (kind: string, name: string, more: object = {}): KubeObject =>
  ({ kind, metadata: { name, namespace: "default" }, ...more }) as KubeObject;
const pod = (name: string, nodeName: string): KubeObject => object("Pod", name, { spec: { nodeName } });
const slice = (name: string, service?: string): KubeObject => {
  const labels = service === undefined ? {} : { "kubernetes.io/service-name": service };
  return { ...object("EndpointSlice", name), metadata: { name, namespace: "default", labels } };
};

t.test("the pods of a node, before somebody asked for them and after", async (t) => {
  const graph = new ObjectGraph();
  const put = (object: KubeObject): void => graph.onEvent({ type: "MODIFIED", object });
  const on = (node: string): string[] => [...graph.podsOn(node).keys()].sort();
  put(pod("a", "node1"));
  put(pod("b", "node2"));
  t.same(on("node1"), ["default/a"]);
  put(pod("c", "node1"));
  put(pod("b", "node1"));
  put(pod("a", "node2"));
  t.same([on("node1"), on("node2")], [["default/b", "default/c"], ["default/a"]]);
  graph.onEvent({ type: "DELETED", object: object("Pod", "b") });
  t.same([on("node1"), graph.pods.size], [["default/c"], 2]);
});

t.test("slices stand by their Service, wherever they stood before", async (t) => {
  const graph = new ObjectGraph();
  const changed = (object: KubeObject, type: "MODIFIED" | "DELETED" = "MODIFIED"): string[] => {
    graph.onEvent({ type, object });
    return [...graph.take().services].sort();
  };
  const of = (service: string): string[] | undefined =>
    graph.slices.get(`default/${service}`)?.map(({ metadata }) => metadata.name);
  t.same(changed(slice("x", "a")), ["default/a"]);
  t.same(changed(slice("y", "a")), ["default/a"]);
  t.same(changed(slice("x", "b")), ["default/a", "default/b"]);
  t.same([of("a"), of("b")], [["y"], ["x"]]);
  t.same(changed(slice("x")), ["default/b"], "it is nobody's");
  t.same(changed(slice("y", "a")), ["default/a"], "the same once more");
  t.same([of("a"), of("b")], [["y"], undefined]);
  t.same(changed(object("EndpointSlice", "y"), "DELETED"), ["default/a"]);
  t.same([changed(slice("x"), "DELETED"), graph.slices.size], [[], 0]);
});
