import t from "tap";
import type { KubeObject } from "../kube/objects.ts";
import { ObjectGraph } from "../watch/desired-state.ts";
import { followedObjects } from "./followed-objects.ts";

const graph = new ObjectGraph();
const put = (kind: string, name: string, namespace?: string, labels?: Record<string, string>): void => {
  const object = { kind, metadata: { name, ...(namespace && { namespace }), ...(labels && { labels }) } };
  graph.onEvent({ type: "ADDED", object: object as KubeObject });
};
put("Pod", "b", "default");
put("Pod", "a", "default");
put("Pod", "z", "abc");
put("Node", "node1");
put("ClusterNetworkPolicy", "guard");
put("EndpointSlice", "web-1", "default", { "kubernetes.io/service-name": "web" });
put("EndpointSlice", "web-2", "default", { "kubernetes.io/service-name": "web" });

const names = (word: string, namespace: string | null = null): string[] =>
  followedObjects(graph, "node1", word, namespace).items.map(({ metadata }) => metadata.name);

t.test("objects by kubectl's words, by namespace and name", async (t) => {
  t.same(names("po"), ["z", "a", "b"]);
  t.same(names("Pod", "default"), ["a", "b"]);
  t.same(names("nodes", "default"), ["node1"], "a node is in no namespace");
  t.same(names("endpointslices.discovery.k8s.io"), ["web-1", "web-2"]);
  t.same(names("cnp", "default"), ["guard"], "nor is a cluster's policy");
  t.same(names("ep"), [], "they became slices");
  const { plural, namespaced, apiVersion } = followedObjects(graph, "node1", "netpol", null);
  t.same([plural, namespaced, apiVersion], ["networkpolicies", true, "networking.k8s.io/v1"]);
});

t.test("what an agent does not follow, and what is no kind, is said", async (t) => {
  t.throws(() => names("deploy"), {
    code: "UNKNOWN_KIND",
    status: 404,
    message: /^deployments: the agent of node1 does not follow them: it follows Namespace, Node, .*, Pod$/,
  });
  t.throws(() => names("foos"), {
    code: "UNKNOWN_KIND",
    message: `the server doesn't have a resource type "foos"`,
  });
});
