// Machines with one NIC each, that is the kernel's: namespaces on one fabric, whose agents share it. Beside them a
// router, behind which the world is, and pods. Nothing of a machine is prepared but what any has: an address and a route.
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { formatIp } from "../../src/base/ip.ts";
import { PODWIRE, ROOT } from "../../src/testing/lab/lab.ts";
import { type Running, run, start, until } from "../../src/testing/lab/process.ts";
import type { Namespaces } from "./namespaces.ts";

export const WORLD = { 4: "203.0.113.9", 6: "2001:db8:9::9" } as const;
/** A neighbour with another MAC address than before is found by kernels after some seconds. */
const REACHED_MS = 15_000;
/** As the image starts it. */
const MAIN = join(ROOT, "build/bundle/cli/main.js");
const STARTED_MS = 40_000;
const NODES = ["n1", "n2"] as const;
const PODS = { a: "n1", b: "n2" } as const;
export const nodeIp = (i: number, family: 4 | 6 = 4): string =>
  family === 4 ? `192.168.77.1${i}` : `fd00:77::1${i}`;
export const podIp = (i: number, family: 4 | 6 = 4): string =>
  family === 4 ? `10.244.${i}.2` : `fd00:10:244:${i}::2`;

interface Machines {
  readonly folder: string;
  /** What ends with the test, the last one first. */
  readonly running: Running[];
  /** Starts the agent of a machine. */
  readonly agent: (i: number) => Promise<Running>;
}

/** With web servers in pods, in the world and on n1 (port 2280), and agents' files. All of it goes with the test. */
export async function setUp(t: Test, namespaces: Namespaces): Promise<Machines> {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-nic-"));
  const running: Running[] = [];
  t.teardown(async () => {
    for (const each of running.reverse()) await each.stop("SIGKILL");
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  makeMachines(namespaces);
  await writeFiles(namespaces, folder);
  await layPrograms(join(folder, "bin"));
  for (const name of ["a", "b", "out"]) running.push(await startWeb(namespaces, name));
  running.push(await startWeb(namespaces, "n1", 2280));
  return { folder, running, agent: (i) => startAgent(namespaces, folder, i, running) };
}

/** The fabric, two machines, the router, and on each machine one pod. */
function makeMachines(namespaces: Namespaces): void {
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

function objects(namespaces: Namespaces): object[] {
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
    ...datagramService(),
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

/** UDP, to the pod of machine 1. */
function datagramService(): object[] {
  const metadata = { name: "datagrams", namespace: "default" };
  const labels = { "kubernetes.io/service-name": "datagrams" };
  const port = { port: 53, protocol: "UDP", targetPort: 5300, nodePort: 30053 };
  const clusterIPs = ["10.96.0.84", "fd00:10:96::84"];
  const families = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" };
  const slice = (family: 4 | 6) => ({
    ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: `IPv${family}` },
    metadata: { ...metadata, name: `datagrams-${family}`, labels },
    ports: [{ name: "", port: 5300, protocol: "UDP" }],
    endpoints: [{ addresses: [podIp(1, family)], conditions: { ready: true }, nodeName: "n1" }],
  });
  const spec = { type: "NodePort", clusterIP: clusterIPs[0], clusterIPs, ports: [port], ...families };
  return [{ apiVersion: "v1", kind: "Service", metadata, spec }, slice(4), slice(6)];
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

/** Objects and the configurations of both agents; nobody names an uplink. */
async function writeFiles(namespaces: Namespaces, folder: string): Promise<void> {
  const list = { apiVersion: "v1", kind: "List", items: objects(namespaces) };
  await writeFile(join(folder, "objects.json"), JSON.stringify(list));
  for (const i of [1, 2]) await writeFile(join(folder, `n${i}.yaml`), JSON.stringify(agentConfig(i, folder)));
}

/** The programs that the container image has, which are all that an agent may need. */
async function layPrograms(folder: string): Promise<void> {
  const [, list = ""] =
    /^programs=\((.*)\)$/m.exec(await readFile(join(ROOT, "scripts/image"), "utf8")) ?? [];
  await mkdir(folder);
  for (const name of list.split(" ")) {
    const path = execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    await symlink(path.startsWith("/") ? path : `/bin/${name}`, join(folder, name));
  }
}

/** Among `running` it is ended with the test. */
async function startAgent(
  namespaces: Namespaces,
  folder: string,
  i: number,
  running: Running[],
): Promise<Running> {
  const command = [process.execPath, MAIN, "agent", "--config", join(folder, `n${i}.yaml`)];
  const inside = ["ip", "netns", "exec", namespaces.nameOf(`n${i}`), "env", `PATH=${join(folder, "bin")}`];
  const each = await start([...inside, ...command], /data plane running/, STARTED_MS);
  running.push(each);
  return each;
}

/** Answers what it says; throws when it does not end in order. */
export async function cleanUp(namespaces: Namespaces, folder: string, i: number): Promise<string> {
  const words = `${PODWIRE} agent --cleanup --config ${join(folder, `n${i}.yaml`)}`;
  const { status, stdout, stderr } = await run(namespaces.command(`n${i}`, words));
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** Who answers, and whom it saw: "pod b saw 10.244.1.2"; or what curl says. */
export async function get(namespaces: Namespaces, from: string, url: string): Promise<string> {
  const words = `curl -gsS --connect-timeout 2 --max-time 3 ${url}`;
  const { stdout, stderr } = await run(namespaces.command(from, words));
  const written = (_: string, text: string): string => {
    const groups = text.split(":").map((group) => Number.parseInt(group, 16));
    const [w0, w1, w2, w3] = [0, 2, 4, 6].map((i) => (groups[i] << 16) | groups[i + 1]);
    return formatIp({ w0, w1, w2, w3 });
  };
  return (stdout || stderr)
    .trim()
    .replace(/:\d+$/, "")
    .replace(/\[(.*)\]/, written);
}

/** Asks until the answer is right, for some seconds; one test for each way. */
export async function reaches(
  t: Test,
  namespaces: Namespaces,
  ways: readonly (readonly [from: string, target: string, answer: string])[],
): Promise<void> {
  for (const [from, target, wanted] of ways) {
    let got = "";
    const isRight = async () => (got = await get(namespaces, from, `http://${target}/`)) === wanted;
    await until(target, isRight, REACHED_MS).catch(() => {});
    t.equal(got, wanted, `${from} > ${target}`);
  }
}

/** What of a machine must be as it was. */
export async function snapshot(namespaces: Namespaces, name: string): Promise<Record<string, string>> {
  const commands = {
    rules: "ip rule; ip -6 rule",
    routes: "ip route show table all | grep -v cache; ip -6 route show table all",
    addresses: "ip -o addr | sed 's/ valid_lft.*//'",
    links: "ip -br link",
    nftables: "nft list ruleset",
    tc: "tc qdisc; tc filter show dev eth0 ingress",
    sysctls: "sysctl -a 2>/dev/null | grep -E '^net' | grep -vE 'nf_conntrack_count|base_reachable|random'",
  };
  const found: Record<string, string> = {};
  for (const [what, command] of Object.entries(commands)) {
    const inside = ["ip", "netns", "exec", namespaces.nameOf(name), "sh", "-c", command];
    found[what] = (await run(inside)).stdout;
  }
  return found;
}

/** Answers HTTP with its name and the client that it saw, in both families. */
function startWeb(namespaces: Namespaces, name: string, port = 8080): Promise<Running> {
  const listen = `TCP6-LISTEN:${port},fork,reuseaddr,ipv6only=0`;
  const serve = `echo on; exec socat ${listen} "EXEC:${ROOT}/vagrant/pod-http ${name} answer"`;
  return start(["ip", "netns", "exec", namespaces.nameOf(name), "sh", "-c", serve], /on/);
}
