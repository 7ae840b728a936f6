import t from "tap";
import { parseManifests } from "../kube/manifest/manifest.ts";
import type { Pod } from "../kube/objects.ts";
import { calicoInterfaceName } from "./interface-name.ts";
import { workloadEndpointOf } from "./workload-endpoint.ts";

function pod(spec: string, more = ""): Pod {
  const text = `{ apiVersion: v1, kind: Pod, metadata: { name: web-1, namespace: shop, labels: { app: web } },
    spec: { ${spec} }${more} }`;
  return parseManifests([{ file: "a.yaml", text }])[0].object as Pod;
}

t.test("interfaces are called as Calico calls them", async (t) => {
  // printf shop.web-1 | sha1sum
  t.equal(calicoInterfaceName("shop", "web-1"), "cali751425ce827");
  t.equal(calicoInterfaceName("default", "web"), "cali68caf03a5f4");
});

t.test("a pod on a node is an endpoint", async (t) => {
  const ports =
    "ports: [{ name: http, containerPort: 80 }, { containerPort: 9 }, { containerPort: 53, hostPort: 53, protocol: UDP }]";
  const status = ", status: { podIPs: [{ ip: 10.244.1.5 }, { ip: 'fd00::5' }] }";
  t.same(workloadEndpointOf(pod(`nodeName: node-a, containers: [{ name: c, image: i, ${ports} }]`, status)), {
    apiVersion: "projectcalico.org/v3",
    kind: "WorkloadEndpoint",
    metadata: {
      name: "node--a-k8s-web--1-eth0",
      namespace: "shop",
      labels: {
        app: "web",
        "projectcalico.org/namespace": "shop",
        "projectcalico.org/orchestrator": "k8s",
        "projectcalico.org/serviceaccount": "default",
      },
    },
    spec: {
      orchestrator: "k8s",
      node: "node-a",
      pod: "web-1",
      endpoint: "eth0",
      serviceAccountName: "default",
      ipNetworks: ["10.244.1.5/32", "fd00::5/128"],
      profiles: ["kns.shop", "ksa.shop.default"],
      interfaceName: "cali751425ce827",
      ports: [
        { name: "http", protocol: "TCP", port: 80, hostPort: 0, hostIP: "" },
        { name: "", protocol: "UDP", port: 53, hostPort: 53, hostIP: "" },
      ],
    },
  });
});

t.test("which pods are none, and which have no address", async (t) => {
  const containers = "containers: [{ name: c, image: i }]";
  t.equal(workloadEndpointOf(pod(containers)), undefined, "no node has it");
  t.equal(workloadEndpointOf(pod(`nodeName: n1, hostNetwork: true, ${containers}`)), undefined);
  const over = pod(`nodeName: n1, ${containers}`, ", status: { phase: Succeeded, podIP: 10.244.1.5 }");
  t.equal(workloadEndpointOf(over)?.spec.ipNetworks, undefined, "it ended, another pod may have it");
  const account = "x".repeat(63);
  const long = workloadEndpointOf(pod(`nodeName: n1, serviceAccountName: ${account}, ${containers}`));
  t.equal(long?.metadata.labels?.["projectcalico.org/serviceaccount"], undefined);
  t.same(long?.spec.profiles, ["kns.shop", `ksa.shop.${account}`]);
});
