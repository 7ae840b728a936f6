// A node whose network flannel has made, by the kernel alone: its devices, and of another node exactly the entries that
// flannel makes of that one's annotations. Beside it, a node of podwire's own, of both families.
import { spawnSync } from "node:child_process";
import type { Namespaces } from "./namespaces.ts";

const PREFIX = "flannel.alpha.coreos.com/";
/** A node's addresses, ranges and so on, of both families. */
export const NODES = {
  node1: { addresses: ["192.168.77.11", "fd00:77::11"], net: ["10.244.1", "fd00:10:244:1:"] },
  node2: { addresses: ["192.168.77.12", "fd00:77::12"], net: ["10.244.2", "fd00:10:244:2:"] },
} as const;
type NodeName = keyof typeof NODES;
type Annotations = Readonly<Record<string, string>>;

export function nodeObject(
  name: NodeName,
  annotations: Annotations = {},
  third: string = NODES[name].net[0],
): object {
  const { addresses, net } = NODES[name];
  const podCIDRs = [`${third}.0/24`, `${net[1]}:/64`];
  return {
    ...{ apiVersion: "v1", kind: "Node", metadata: { name, annotations } },
    spec: { podCIDR: podCIDRs[0], podCIDRs },
    status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) },
  };
}

/** What flannel writes. */
export function annotationsOf(type: "vxlan" | "host-gw", mac: string, mac6: string): Annotations {
  const [v4, v6] = NODES.node2.addresses;
  const data = (of: string): string => (type === "vxlan" ? `{"VNI":1,"VtepMAC":"${of}"}` : "null");
  const all = {
    ...{ "backend-type": type, "backend-data": data(mac), "backend-v6-data": data(mac6) },
    ...{ "kube-subnet-manager": "true", "public-ip": v4, "public-ipv6": v6 },
  };
  return Object.fromEntries(Object.entries(all).map(([key, value]) => [`${PREFIX}${key}`, value]));
}

/** The second family of a node and pods that `makeNode` has made, and the ways of the node's own programs. */
export function makeDualNode(namespaces: Namespaces, pods: readonly string[]): void {
  const node = (words: string) => namespaces.ip("node", words);
  const { addresses, net } = NODES.node1;
  for (const family of ["-4", "-6"]) node(`${family} rule add pref 10 iif eth1 blackhole`);
  for (const address of [`${addresses[1]}/128`, `${net[1]}:1/128`, `${net[1]}:/128`])
    node(`addr add ${address} dev host0 nodad`);
  node(`route add ${net[1]}:/64 dev host0 src ${net[1]}:1`);
  for (const [other, hop, source, pods] of [
    [NODES.node2.addresses[0], "169.254.1.1", addresses[0], "10.244.0.0/16"],
    [NODES.node2.addresses[1], "fe80::1", addresses[1], "fd00:10:244::/56"],
  ]) {
    node(`route add ${other} via ${hop} dev host0 onlink src ${source}`);
    const vtep = hop === "fe80::1" ? `${net[1]}:` : `${net[0]}.0`;
    node(`route add ${pods} via ${hop} dev host0 onlink src ${vtep} mtu 1430`);
  }
  for (const [index, pod] of pods.entries()) {
    namespaces.ip(pod, `addr add ${net[1]}:${index + 2}/64 dev eth0 nodad`);
    namespaces.ip(pod, `route add default via ${net[1]}:1`);
  }
}

/** In the namespace `peer` what the bridge plug-in makes of flannel's subnet.env, with a pod `far`. */
export function makeFarPod(namespaces: Namespaces): void {
  const { net } = NODES.node2;
  for (const words of [
    "link add cni0 mtu 1450 type bridge",
    "link set cni0 up",
    `addr add ${net[0]}.1/24 dev cni0`,
    `addr add ${net[1]}:1/64 dev cni0 nodad`,
    `link add veth0 mtu 1450 type veth peer name eth0 mtu 1450 netns ${namespaces.nameOf("far")}`,
    "link set veth0 master cni0 up",
  ])
    namespaces.ip("peer", words);
  for (const words of [
    "link set eth0 up",
    `addr add ${net[0]}.2/24 dev eth0`,
    `addr add ${net[1]}:2/64 dev eth0 nodad`,
    `route add default via ${net[0]}.1`,
    `route add default via ${net[1]}:1`,
  ])
    namespaces.ip("far", words);
}

export class FlannelNode {
  readonly #namespaces: Namespaces;

  /** Its devices as flanneld and the bridge plug-in leave them, and a pod `far`. */
  constructor(namespaces: Namespaces, macs: readonly [string, string]) {
    this.#namespaces = namespaces;
    const { addresses, net } = NODES.node2;
    for (const setting of ["ipv4.ip_forward", "ipv6.conf.all.forwarding"])
      this.#run(`sysctl -qw net.${setting}=1`);
    this.#ip("link set eth0 up");
    this.#ip(`addr add ${addresses[0]}/24 dev eth0`);
    this.#ip(`addr add ${addresses[1]}/64 dev eth0 nodad`);
    const vxlan = (name: string, local: string, mac: string) => {
      const own = `address ${mac} mtu 1450`; // over IPv6 the kernel makes 1430 of it
      this.#ip(`link add ${name} ${own} type vxlan id 1 dev eth0 local ${local} dstport 8472 nolearning`);
      this.#ip(`link set ${name} up`);
    };
    vxlan("flannel.1", addresses[0], macs[0]);
    vxlan("flannel-v6.1", addresses[1], macs[1]);
    this.#ip(`addr add ${net[0]}.0/32 dev flannel.1`);
    this.#ip(`addr add ${net[1]}:/128 dev flannel-v6.1 nodad`);
    makeFarPod(namespaces);
  }

  /** flanneld hears of node1: a permanent neighbour, where its MAC is, a route. Of host-gw: a route. */
  hears(annotations: Annotations): void {
    const [type, v4, v6] = ["backend-type", "public-ip", "public-ipv6"].map(
      (key) => annotations[PREFIX + key],
    );
    const { net } = NODES.node1;
    const both = [
      ["flannel.1", "backend-data", v4, `${net[0]}.0`, 24],
      ["flannel-v6.1", "backend-v6-data", v6, `${net[1]}:`, 64],
    ] as const;
    for (const [device, key, address, vtep, bits] of both) {
      if (type === "host-gw") {
        this.#ip(`route replace ${vtep}/${bits} via ${address} dev eth0`);
        continue;
      }
      const { VNI, VtepMAC } = JSON.parse(annotations[PREFIX + key]) as { VNI: number; VtepMAC: string };
      if (VNI !== 1) throw new Error(`VNI ${VNI}`);
      this.#ip(`neigh replace ${vtep} lladdr ${VtepMAC} dev ${device} nud permanent`);
      this.#run(`bridge fdb replace ${VtepMAC} dev ${device} dst ${address} self permanent`);
      this.#ip(`route replace ${vtep}/${bits} via ${vtep} dev ${device} onlink`);
    }
  }

  /** It starts without what it was, and makes new devices. */
  changeMacs(macs: readonly [string, string]): void {
    this.#ip(`link set flannel.1 address ${macs[0]}`);
    this.#ip(`link set flannel-v6.1 address ${macs[1]}`);
  }

  #ip(words: string): void {
    this.#namespaces.ip("peer", words);
  }

  #run(words: string): void {
    const [file, ...args] = this.#namespaces.command("peer", words);
    const { status, stderr } = spawnSync(file, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${words}: ${stderr}`);
  }
}
