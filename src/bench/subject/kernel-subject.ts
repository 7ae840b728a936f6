// The Linux kernel doing podwire's work, in flannel's layout: two nodes, a bridge on each, VXLAN between them, and
// kube-proxy's DNAT by iptables on the client's node. Pods a and b are on node 1, pod c on node 2. The nodes are
// connected by a cable (one veth pair) or, with `bridge`, by a bridge in a namespace of its own, as podwire's labs are.
import { onExit, run } from "../shell.ts";
import { inNetns, ip, type Route, type Subject, TCP_PORTS, UDP_PORTS } from "./subject.ts";

const MTU = 1450; // 1500 of the underlay less 50 bytes of VXLAN, as the pods of a podwire lab have it
const SERVICE_B = "10.96.0.101";
const SERVICE_C = "10.96.0.102";
const NAMESPACES = ["n1", "n2", "a", "b", "c", "fabric"] as const;
type Place = Record<(typeof NAMESPACES)[number], string>;

const file = (name: string) => `/run/netns/${name}`;

export async function makeKernelSubject(kind: "kernel" | "kernel-bridge"): Promise<Subject> {
  const hasBridge = kind === "kernel-bridge";
  const prefix = hasBridge ? "pwb-br" : "pwb";
  const place = Object.fromEntries(NAMESPACES.map((name) => [name, `${prefix}-${name}`])) as Place;
  const made = Object.values(place).filter((name) => hasBridge || name !== place.fabric);
  const remove = async () => {
    for (const name of made) await run(["ip", "netns", "del", name], { mayFail: true });
  };
  await remove();
  onExit(remove);
  for (const name of made) await run(["ip", "netns", "add", name]);
  await (hasBridge ? makeBridge(place) : makeCable(place));
  await makeNode(place, 1);
  await makeNode(place, 2);
  await makePod(place.n1, place.a, 1, 2);
  await makePod(place.n1, place.b, 1, 3);
  await makePod(place.n2, place.c, 2, 2);
  await loadRules(place.n1);
  // On one node the two are the same.
  const all = routes(place);
  return { name: kind, routes: hasBridge ? all.filter((route) => route.path === "overlay") : all };
}

async function makeCable(place: Place): Promise<void> {
  const link = "link add u1 netns N1 type veth peer name u2 netns N2";
  await run(["ip", ...link.replace("N1", place.n1).replace("N2", place.n2).split(" ")]);
}

async function makeBridge(place: Place): Promise<void> {
  await ip(file(place.fabric), [
    "link set lo up",
    "link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
    "link set br0 up",
    ...[1, 2].flatMap((j) => [
      `link add p${j} type veth peer name u${j} netns ${j === 1 ? place.n1 : place.n2}`,
      `link set p${j} master br0 up`,
    ]),
  ]);
  // Where br_netfilter is loaded, a lab's fabric is kept out of iptables too.
  const sysctl = ["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0"];
  await run(inNetns(file(place.fabric), ...sysctl), { mayFail: true });
}

async function makeNode(place: Place, j: 1 | 2): Promise<void> {
  const netns = file(place[`n${j}`]);
  const other = 3 - j;
  const vtep = (n: number) => `02:00:00:00:0${n}:aa`;
  await ip(netns, [
    "link set lo up",
    `link set u${j} up`,
    `addr add 192.168.50.${j}/24 dev u${j}`,
    "link add cbr0 type bridge",
    `link set cbr0 address 02:00:00:00:0${j}:fe mtu ${MTU} up`,
    `addr add 10.244.${j}.1/24 dev cbr0`,
    `link add flannel.1 type vxlan id 1 dstport 8472 local 192.168.50.${j} dev u${j} nolearning`,
    `link set flannel.1 address ${vtep(j)} up`,
    `addr add 10.244.${j}.0/32 dev flannel.1`,
    `neigh add 10.244.${other}.0 lladdr ${vtep(other)} dev flannel.1`,
    `route add 10.244.${other}.0/24 via 10.244.${other}.0 dev flannel.1 onlink`,
  ]);
  await run(
    inNetns(netns, "bridge", "fdb", "append", vtep(other), "dev", "flannel.1", "dst", `192.168.50.${other}`),
  );
  await run(inNetns(netns, "sysctl", "-qw", "net.ipv4.ip_forward=1"));
  // Present only with br_netfilter; where it is missing, bridged frames do not cross iptables: the kernel's
  // advantage.
  await run(inNetns(netns, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1"), { mayFail: true });
}

async function makePod(nodeNetns: string, netns: string, node: number, host: number): Promise<void> {
  const port = `v${netns.slice(-1)}`;
  const pair = ["type", "veth", "peer", "name", "eth0", "netns", netns];
  await run(["ip", "link", "add", port, "netns", nodeNetns, ...pair]);
  await ip(file(nodeNetns), [`link set ${port} master cbr0 mtu ${MTU} up`]);
  await ip(file(netns), [
    "link set lo up",
    `link set eth0 mtu ${MTU} up`,
    `addr add 10.244.${node}.${host}/24 dev eth0`,
    `route add default via 10.244.${node}.1`,
  ]);
}

async function loadRules(netns: string): Promise<void> {
  const dnat = (chain: string, to: string) => [
    ...TCP_PORTS.map((p) => `-A ${chain} -p tcp --dport ${p} -j DNAT --to-destination ${to}:${p}`),
    ...UDP_PORTS.map((p) => `-A ${chain} -p udp --dport ${p} -j DNAT --to-destination ${to}:${p}`),
  ];
  const rules = [
    "*nat",
    ":KUBE-SERVICES - [0:0]",
    ":KUBE-SVC-B - [0:0]",
    ":KUBE-SVC-C - [0:0]",
    "-A PREROUTING -j KUBE-SERVICES",
    `-A KUBE-SERVICES -d ${SERVICE_B}/32 -j KUBE-SVC-B`,
    `-A KUBE-SERVICES -d ${SERVICE_C}/32 -j KUBE-SVC-C`,
    ...dnat("KUBE-SVC-B", "10.244.1.3"),
    ...dnat("KUBE-SVC-C", "10.244.2.2"),
    "COMMIT",
  ];
  await run(inNetns(file(netns), "iptables-restore"), { input: `${rules.join("\n")}\n` });
}

function routes(place: Place): Route[] {
  const client = { clientNetns: file(place.a), clientDevice: "eth0", clientAddress: "10.244.1.2" };
  const b = { ...client, path: "same-node" as const, serverNetns: file(place.b), serverDevice: "eth0" };
  const c = { ...client, path: "overlay" as const, serverNetns: file(place.c), serverDevice: "eth0" };
  return [
    { ...b, target: "pod", address: "10.244.1.3" },
    { ...b, target: "service", address: SERVICE_B },
    { ...c, target: "pod", address: "10.244.2.2" },
    { ...c, target: "service", address: SERVICE_C },
  ];
}
