// A node without a lab, in a network namespace: two pods are on it, another is elsewhere; at the other end of its uplink
// is a kernel's end of the tunnel, as flannel has it.
import { join } from "node:path";
import { ROOT } from "../../src/testing/lab/lab.ts";
import { type Running, start } from "../../src/testing/lab/process.ts";
import type { Namespaces } from "./namespaces.ts";

export const PODS = { web: "10.244.1.2", shell: "10.244.1.3" };

/** Link-layer addresses are made of IPv4 addresses. */
const macOf = (ip: string) =>
  `0a:58:${ip
    .split(".")
    .map((n) => Number(n).toString(16).padStart(2, "0"))
    .join(":")}`;

type Pods = Readonly<Record<string, string>>;

export function objects(
  namespaces: Namespaces,
  pods: Pods = PODS,
): ({ kind: string } & Record<string, unknown>)[] {
  const pod = (name: string, nodeName: string, ip: string, netns: string) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", annotations: { "podwire.dev/netns": netns } },
    spec: { nodeName, containers: [{ name: "main", image: "none" }] },
    status: { phase: "Running", podIP: ip, podIPs: [{ ip }] },
  });
  const node = (name: string, podCIDR: string, address: string) => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name },
    spec: { podCIDR, podCIDRs: [podCIDR] },
    status: { addresses: [{ type: "InternalIP", address }] },
  });
  return [
    node("node1", "10.244.1.0/24", "192.168.77.11"),
    node("node2", "10.244.2.0/24", "192.168.77.12"),
    ...Object.entries(pods).map(([name, ip]) => pod(name, "node1", ip, namespaces.path(name))),
    pod("far", "node2", "10.244.2.2", "/run/netns/far"),
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace: "default" },
      spec: { clusterIP: "10.96.0.80", clusterIPs: ["10.96.0.80"], ports: [{ port: 80, targetPort: 8080 }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        name: "web-1",
        namespace: "default",
        labels: { "kubernetes.io/service-name": "web" },
      },
      addressType: "IPv4",
      ports: [{ name: "", port: 8080, protocol: "TCP" }],
      endpoints: [{ addresses: [PODS.web], conditions: { ready: true }, nodeName: "node1" }],
    },
  ];
}

/** node2, without pods: it answers through the tunnel. */
function makePeer(namespaces: Namespaces): void {
  const peer = (words: string) => namespaces.ip("peer", words);
  peer("link set eth1 up");
  peer("addr add 192.168.77.12/24 dev eth1");
  peer("link add vx1 type vxlan id 1 dstport 8472 remote 192.168.77.11 dev eth1 nolearning");
  peer("link set vx1 address 0e:01:c0:a8:4d:0c mtu 1450 up");
  peer("addr add 10.244.2.0/32 dev vx1");
  peer("route add 10.244.1.0/24 via 10.244.1.0 dev vx1 onlink");
  peer("neigh add 10.244.1.0 lladdr 0e:01:c0:a8:4d:0b dev vx1");
}

/** Makes the namespaces `node`, `peer`, `web` and `shell`, or of other pods. */
export function makeNode(namespaces: Namespaces, pods: Pods = PODS): void {
  namespaces.add("peer");
  makeMachine(namespaces, pods, `eth1 netns ${namespaces.nameOf("peer")}`);
  makePeer(namespaces);
}

/** The same without a peer. `other`: name and place of the uplink's other end, as ip(8) takes them. */
export function makeMachine(namespaces: Namespaces, pods: Pods, other: string): void {
  namespaces.add("node", ...Object.keys(pods));
  const node = (words: string) => namespaces.ip("node", words);
  node(`link add eth1 type veth peer name ${other}`);
  node("link set eth1 up arp off");
  node("tuntap add dev host0 mode tap vnet_hdr");
  node("link set host0 up");
  for (const address of ["192.168.77.11/24", "10.244.1.1/32", "10.244.1.0/32"])
    node(`addr add ${address} dev host0`);
  node("route add 10.244.1.0/24 dev host0 src 10.244.1.1");
  node("route add 10.96.0.0/12 via 169.254.1.1 dev host0 onlink src 192.168.77.11");
  for (const [name, ip] of Object.entries(pods)) {
    namespaces.ip(name, "tuntap add dev eth0 mode tap vnet_hdr");
    namespaces.ip(name, `link set eth0 address ${macOf(ip)} mtu 1450 up`);
    namespaces.ip(name, `addr add ${ip}/24 dev eth0`);
    namespaces.ip(name, "route add default via 10.244.1.1");
  }
}

/** Its configuration, without the source of its objects. */
export const CONFIG = {
  apiVersion: "podwire.dev/v1alpha1",
  kind: "AgentConfiguration",
  nodeName: "node1",
  clusterCIDR: "10.244.0.0/16",
  serviceCIDR: "10.96.0.0/12",
  overlay: { type: "vxlan", vni: 1, port: 8472 },
  uplink: { interface: "eth1" },
  host: { interface: "host0" },
};

/** Of a node whose pods come by the CNI plug-in, in both families: its objects are in `folder`/objects.json. */
export function cniConfig(namespaces: Namespaces, folder: string): object {
  return {
    ...{ ...CONFIG, socket: join(folder, "agent.sock"), netns: namespaces.path("node") },
    ...{ clusterCIDR: "10.244.0.0/16,fd00:10:244::/56", source: { files: [`${folder}/objects.json`] } },
    cni: { leaseFile: `${folder}/leases.json` },
    proxy: { metricsBindAddress: "", healthzBindAddress: "" },
  };
}

/** Serves HTTP on port 8080 of the pod. */
export function startWeb(namespaces: Namespaces): Promise<Running> {
  const serve = `echo on; exec ${ROOT}/vagrant/pod-http web`;
  return start(["ip", "netns", "exec", namespaces.nameOf("web"), "sh", "-c", serve], /on/);
}
