import t from "tap";
import { cidr, contains, ip } from "../base/ip.ts";
import type { EndpointSlice, Node, Pod } from "../kube/objects.ts";
import { makeCluster, makeNode } from "../testing/world/make-cluster.ts";

const TEXT = `
{ apiVersion: v1, kind: Pod, metadata: { name: early, labels: { app: web } },
  spec: { nodeName: node9, containers: [{ name: a, image: a, ports: [{ name: http, containerPort: 8080 }] }] } }
---
{ apiVersion: v1, kind: Service, metadata: { name: web },
  spec: { selector: { app: web }, ports: [{ port: 80, targetPort: http }] } }
`;

t.test("a pod that names a node which is not there has its address when the node comes", async (t) => {
  const cluster = makeCluster();
  cluster.apply([{ file: "a.yaml", text: TEXT }]);
  const pod = (): Pod => cluster.get("Pod", "default/early") as Pod;
  t.equal(pod().status.podIPs, undefined);
  const changes: string[] = [];
  cluster.onChange(({ type, object }) => changes.push(`${type} ${object.kind} ${object.metadata.name}`));
  cluster.update(makeNode("node8", "192.168.50.18"));
  t.same(changes, ["ADDED Node node8"], "another node is nothing to it");
  cluster.update(makeNode("node9", "192.168.50.19"));
  const address = pod().status.podIP ?? "";
  const range = (cluster.get("Node", "node9") as Node).spec.podCIDR ?? "";
  t.ok(contains(cidr(range), ip(address)), `${address} in ${range}`);
  const [slice] = cluster.list("EndpointSlice") as EndpointSlice[];
  t.same(
    slice.endpoints.map(({ addresses, nodeName }) => ({ addresses, nodeName })),
    [{ addresses: [address], nodeName: "node9" }],
  );
  changes.length = 0;
  const node = cluster.get("Node", "node9") as Node;
  cluster.update({ ...node, metadata: { ...node.metadata, labels: { a: "b" } } });
  t.same(changes, ["MODIFIED Node node9"], "it keeps what it has");
});
