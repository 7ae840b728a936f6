// The Linux kernel doing podwire's work, in flannel's layout: two nodes, a bridge on each, VXLAN between
// them, and kube-proxy's DNAT by iptables on the client's node. Pods a and b are on node 1, pod c on node
// 2.
import { onExit, run } from "./shell.ts";
import {
  DISCARD_PORT,
  IPERF_PORT,
  inNetns,
  ip,
  ROUND_TRIP_PORT,
  type Route,
  type Subject,
} from "./subject.ts";

const NAMESPACES = ["pwb-n1", "pwb-n2", "pwb-a", "pwb-b", "pwb-c"];
const file = (name: string) => `/run/netns/${name}`;
const MTU = 1450; // 1500 of the underlay less 50 bytes of VXLAN, as the pods of a podwire lab have it
const SERVICE_B = "10.96.0.101";
const SERVICE_C = "10.96.0.102";

export async function makeKernelSubject(): Promise<Subject> {
  const remove = async () => {
    for (const name of NAMESPACES) await run(["ip", "netns", "del", name], { mayFail: true });
  };
  await remove();
  onExit(remove);
  for (const name of NAMESPACES) await run(["ip", "netns", "add", name]);
  await run([
    "ip",
    "link",
    "add",
    "u1",
    "netns",
    "pwb-n1",
    "type",
    "veth",
    "peer",
    "name",
    "u2",
    "netns",
    "pwb-n2",
  ]);
  await makeNode(1);
  await makeNode(2);
  await makePod("pwb-a", 1, 2);
  await makePod("pwb-b", 1, 3);
  await makePod("pwb-c", 2, 2);
  await loadRules();
  return { name: "kernel", routes: routes() };
}

async function makeNode(j: number): Promise<void> {
  const netns = file(`pwb-n${j}`);
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

async function makePod(name: string, node: number, host: number): Promise<void> {
  const port = `v${name.slice(-1)}`;
  const pair = ["type", "veth", "peer", "name", "eth0", "netns", name];
  await run(["ip", "link", "add", port, "netns", `pwb-n${node}`, ...pair]);
  await ip(file(`pwb-n${node}`), [`link set ${port} master cbr0 mtu ${MTU} up`]);
  await ip(file(name), [
    "link set lo up",
    `link set eth0 mtu ${MTU} up`,
    `addr add 10.244.${node}.${host}/24 dev eth0`,
    `route add default via 10.244.${node}.1`,
  ]);
}

async function loadRules(): Promise<void> {
  const dnat = (chain: string, to: string) => [
    ...[IPERF_PORT, ROUND_TRIP_PORT].map(
      (p) => `-A ${chain} -p tcp --dport ${p} -j DNAT --to-destination ${to}:${p}`,
    ),
    ...[IPERF_PORT, DISCARD_PORT].map(
      (p) => `-A ${chain} -p udp --dport ${p} -j DNAT --to-destination ${to}:${p}`,
    ),
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
  await run(inNetns(file("pwb-n1"), "iptables-restore"), { input: `${rules.join("\n")}\n` });
}

function routes(): Route[] {
  const client = { clientNetns: file("pwb-a"), clientDevice: "eth0", clientAddress: "10.244.1.2" };
  const b = { ...client, path: "same-node" as const, serverNetns: file("pwb-b"), serverDevice: "eth0" };
  const c = { ...client, path: "overlay" as const, serverNetns: file("pwb-c"), serverDevice: "eth0" };
  return [
    { ...b, target: "pod", address: "10.244.1.3" },
    { ...b, target: "service", address: SERVICE_B },
    { ...c, target: "pod", address: "10.244.2.2" },
    { ...c, target: "service", address: SERVICE_C },
  ];
}
