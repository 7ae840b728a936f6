// Machines with one NIC each, that is the kernel's: namespaces on one fabric, whose agents share it. Beside them a
// router, behind which the world is, and pods. Nothing of a machine is prepared but what any has: an address and a route.
import { execFileSync } from "node:child_process";
import { ROOT } from "../../src/testing/lab/lab.ts";
import { type Running, start } from "../../src/testing/lab/process.ts";
import type { Namespaces } from "./namespaces.ts";

export const WORLD = { 4: "203.0.113.9", 6: "2001:db8:9::9" } as const;
const NODES = ["n1", "n2"] as const;
const PODS = { a: "n1", b: "n2" } as const;
export const nodeIp = (i: number, family: 4 | 6 = 4): string =>
  family === 4 ? `192.168.77.1${i}` : `fd00:77::1${i}`;
export const podIp = (i: number, family: 4 | 6 = 4): string =>
  family === 4 ? `10.244.${i}.2` : `fd00:10:244:${i}::2`;

/** The fabric, two machines, the router, and on each machine one pod. */
export function makeMachines(namespaces: Namespaces): void {
  namespaces.add("fab", "out", ...NODES, ...Object.keys(PODS));
  for (const name of ["out", ...NODES])
    execFileSync("ip", [
      "netns",
      "exec",
      namespaces.nameOf(name),
      "sysctl",
      "-qw",
      "net.ipv6.conf.default.accept_dad=0",
    ]);
  namespaces.ip("fab", "link add br0 type bridge forward_delay 0 mcast_snooping 0");
  namespaces.ip("fab", "link set br0 up");
  for (const [i, name] of ["out", ...NODES].entries()) {
    namespaces.ip("fab", `link add port${i} type veth peer name eth0 netns ${namespaces.nameOf(name)}`);
    namespaces.ip("fab", `link set port${i} master br0 up`);
    namespaces.ip(name, "link set eth0 up");
  }
  for (const [i, name] of ["out", ...NODES].entries()) {
    const [four, six] = i === 0 ? ["192.168.77.1", "fd00:77::1"] : [nodeIp(i), nodeIp(i, 6)];
    namespaces.ip(name, `addr add ${four}/24 dev eth0`);
    namespaces.ip(name, `addr add ${six}/64 dev eth0 nodad`);
    if (i === 0) continue;
    namespaces.ip(name, "route add default via 192.168.77.1");
    namespaces.ip(name, "route add default via fd00:77::1");
  }
  namespaces.ip("out", `addr add ${WORLD[4]}/32 dev lo`);
  namespaces.ip("out", `addr add ${WORLD[6]}/128 dev lo`);
  for (const [i, name] of Object.keys(PODS).entries()) makePod(namespaces, name, i + 1);
}

function makePod(namespaces: Namespaces, name: string, node: number): void {
  namespaces.ip(name, "tuntap add dev eth0 mode tap vnet_hdr");
  namespaces.ip(name, `link set eth0 address ${podMac(node)} mtu 1450 up`);
  namespaces.ip(name, `addr add ${podIp(node)}/24 dev eth0`);
  namespaces.ip(name, `addr add ${podIp(node, 6)}/64 dev eth0 nodad`);
  namespaces.ip(name, `route add default via 10.244.${node}.1`);
  namespaces.ip(name, `route add default via fd00:10:244:${node}::1`);
}

/** As the agent makes it of the pod's IPv4 address. */
const podMac = (node: number): string => `0a:58:0a:f4:0${node}:02`;

export function objects(namespaces: Namespaces): object[] {
  const node = (i: number) => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: `n${i}` },
    spec: { podCIDR: `10.244.${i}.0/24`, podCIDRs: [`10.244.${i}.0/24`, `fd00:10:244:${i}::/64`] },
    status: { addresses: [nodeIp(i), nodeIp(i, 6)].map((address) => ({ type: "InternalIP", address })) },
  });
  const pod = (name: string, i: number) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", annotations: { "podwire.dev/netns": namespaces.path(name) } },
    spec: { nodeName: `n${i}`, containers: [{ name: "main", image: "none" }] },
    status: { phase: "Running", podIP: podIp(i), podIPs: [4, 6].map((f) => ({ ip: podIp(i, f as 4 | 6) })) },
  });
  return [
    ...[1, 2].map(node),
    pod("a", 1),
    pod("b", 2),
    ...service("near", 1, { nodePort: 30081, externalIPs: ["203.0.113.81"] }),
    ...service("far", 2, { nodePort: 30082, externalIPs: ["203.0.113.82", nodeIp(1)], port: 82 }),
    ...hostService("own", 83, 30083),
  ];
}

/** A service of both families whose one endpoint is the pod of node `i`. */
function service(
  name: string,
  i: number,
  { nodePort, externalIPs, port = 80 }: { nodePort: number; externalIPs: string[]; port?: number },
): object[] {
  const slice = (family: 4 | 6) => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${name}-${family}`,
      namespace: "default",
      labels: { "kubernetes.io/service-name": name },
    },
    addressType: `IPv${family}`,
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    endpoints: [{ addresses: [podIp(i, family)], conditions: { ready: true }, nodeName: `n${i}` }],
  });
  const clusterIPs = [`10.96.0.8${i}`, `fd00:10:96::8${i}`];
  const ports = [{ port, targetPort: 8080, nodePort }];
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: "default" },
      spec: {
        ...{ type: "NodePort", clusterIP: clusterIPs[0], clusterIPs, externalIPs, ports },
        ...{ ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" },
      },
    },
    slice(4),
    slice(6),
  ];
}

/** One whose endpoint is a program of machine 1's own, on its network. */
function hostService(name: string, port: number, nodePort: number): object[] {
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: "default" },
      spec: {
        ...{ type: "NodePort", clusterIP: "10.96.0.83", clusterIPs: ["10.96.0.83"] },
        ports: [{ port, targetPort: 2280, nodePort }],
      },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, namespace: "default", labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "", port: 2280, protocol: "TCP" }],
      endpoints: [{ addresses: [nodeIp(1)], conditions: { ready: true }, nodeName: "n1" }],
    },
  ];
}

export function agentConfig(i: number, folder: string, uplink?: object): object {
  return {
    apiVersion: "podwire.dev/v1alpha1",
    kind: "AgentConfiguration",
    nodeName: `n${i}`,
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/48",
    serviceCIDR: "10.96.0.0/12,fd00:10:96::/112",
    ...(uplink !== undefined && { uplink }),
    socket: `${folder}/n${i}.sock`,
    source: { files: [`${folder}/objects.json`] },
  };
}

/** Answers HTTP with its name and the client that it saw, in both families. */
export function startWeb(namespaces: Namespaces, name: string, port = 8080): Promise<Running> {
  const listen = `TCP6-LISTEN:${port},fork,reuseaddr,ipv6only=0`;
  const serve = `echo on; exec socat ${listen} "EXEC:${ROOT}/vagrant/pod-http ${name} answer"`;
  return start(["ip", "netns", "exec", namespaces.nameOf(name), "sh", "-c", serve], /on/);
}
