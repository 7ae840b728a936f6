// Traffic of many kinds in a lab, and captures of it at many places, for tests of `replay`: what goes well, what is
// refused, what is too long, what takes long, and what stations say without being asked.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PODWIRE, type TestLab } from "../../src/testing/lab/lab.ts";
import {
  NODE_PORT,
  pod,
  service,
  standardObjects,
  UDP_NODE_PORT,
  UDP_PORT,
} from "../../src/testing/lab/objects.ts";
import { type Running, sleep, start } from "../../src/testing/lab/process.ts";

const PEER = fileURLToPath(new URL("./sctp-peer.js", import.meta.url));
const SCTP_PORT = 2905;
const CLOSED = 9998;
const ECHO_PORT = 7000;
export const NODE1 = "192.168.50.11";
const NODE2 = "192.168.50.12";
export const OUTSIDE = "192.168.50.100";

export function trafficObjects(): object[] {
  const dual = { ipFamilyPolicy: "RequireDualStack" };
  const ports = (...list: object[]) => ({ type: "ClusterIP", selector: { app: "web" }, ports: list });
  const tcp = (name: string, port: number, targetPort: number) => ({
    name,
    protocol: "TCP",
    port,
    targetPort,
  });
  const udp = (name: string, port: number, targetPort: number) => ({
    name,
    protocol: "UDP",
    port,
    targetPort,
  });
  return [
    ...standardObjects().filter((each) => (each as { kind: string }).kind !== "Service"),
    pod("echo-2", "node2", {
      app: "echo",
      command: ["socat", `TCP-LISTEN:${ECHO_PORT},fork,reuseaddr`, "EXEC:cat"],
    }),
    pod("m3ua-2", "node2", { app: "m3ua", command: [process.execPath, PEER, "serve", String(SCTP_PORT)] }),
    service("web", dual),
    service("closed", { ...ports(udp("udp", 53, CLOSED), tcp("tcp", 80, CLOSED)), ...dual }),
    service("sticky", { ...ports(tcp("http", 80, 8080)), sessionAffinity: "ClientIP" }),
    service("echo", { ...ports(tcp("echo", 7, ECHO_PORT)), selector: { app: "echo" } }),
    service("m3ua", {
      ...ports({ name: "sctp", protocol: "SCTP", port: 29050, targetPort: SCTP_PORT }),
      selector: { app: "m3ua" },
    }),
  ];
}

const curl = (url: string) => ["curl", "-sS", "--max-time", "4", url];
const sh = (script: string) => ["sh", "-c", script];
const datagram = (bytes: number, to: string) =>
  sh(`head -c ${bytes} /dev/zero | tr '\\0' a | socat -t 0.5 - ${to}`);

interface Addresses {
  readonly web: string;
  readonly web6: string;
  readonly closed: string;
  readonly closed6: string;
  readonly sticky: string;
  readonly echo: string;
  readonly m3ua: string;
  readonly far: string;
  readonly near: string;
}

async function addressesOf(lab: TestLab): Promise<Addresses> {
  const ips = async (name: string): Promise<string[]> =>
    (await lab.json("get", "services", name)).spec.clusterIPs;
  const [[web, web6], [closed, closed6], [sticky], [echo], [m3ua]] = await Promise.all(
    ["web", "closed", "sticky", "echo", "m3ua"].map(ips),
  );
  const [near, far] = await Promise.all(["web-1", "web-2"].map((name) => lab.podAddress(name)));
  return { web, web6, closed, closed6, sticky, echo, m3ua, near, far };
}

/** Who sends what, one after the other. What is refused ends with a status of its own, which does not matter. */
function traffic(a: Addresses): readonly (readonly [from: string, command: string[], times?: number])[] {
  const ping = (...words: string[]) => ["ping", "-c", "2", "-i", "0.2", "-W", "1", ...words];
  const trace = (to: string, ...words: string[]) => [
    "traceroute",
    "-n",
    "-q",
    "1",
    "-m",
    "4",
    "-w",
    "1",
    ...words,
    to,
  ];
  return [
    ["client-1", curl(`http://${a.web}/`), 3],
    ["client-1", curl(`http://[${a.web6}]/`), 2],
    ["client-1", curl(`http://${a.sticky}/`), 2],
    ["client-2", curl(`http://${a.web}/`), 2],
    ["node/node1", curl(`http://${a.web}/`), 2],
    ["node/node2", curl(`http://${a.web}/`), 2],
    ["client/outside", curl(`http://${NODE1}:${NODE_PORT}/`), 3],
    ["client/outside", curl(`http://${NODE2}:${NODE_PORT}/`), 3],
    ["client/outside", datagram(20, `UDP:${NODE2}:${UDP_NODE_PORT}`), 2],
    ["client-1", curl(`http://${NODE2}:${NODE_PORT}/`)],
    ["client-1", datagram(10, `UDP:${a.web}:${UDP_PORT}`), 2],
    ["client-1", datagram(3000, `UDP:${a.web}:${UDP_PORT}`), 2],
    ["client-1", datagram(3000, `UDP:[${a.web6}]:${UDP_PORT}`)],
    ["web-1", curl(`http://${a.web}/`), 3],
    ["client-1", datagram(10, `UDP:${a.closed}:53`), 2],
    ["client-1", datagram(10, `UDP:[${a.closed6}]:53`), 2],
    ["client-1", curl(`http://${a.closed}/`), 2],
    ["client-1", datagram(10, `UDP:${OUTSIDE}:${CLOSED}`)],
    ["client-1", curl(`http://${a.far}:${CLOSED}/`)],
    ["client-1", ping("-s", "4000", a.far)],
    ["client-1", ping("-M", "do", "-s", "1460", a.far)],
    ["client-1", ping("-t", "1", a.far)],
    ["client-1", trace(a.far)],
    ["client-1", trace(OUTSIDE, "-I")],
    ["client-1", ping(OUTSIDE)],
    ["client-1", [process.execPath, PEER, "ask", a.m3ua, "29050", "3000", "0"]],
    ["client-1", sh(`printf x | socat -t 0.2 - TCP:${a.echo}:7,linger=0`)],
    ["client-1", sh(`sleep 4 | socat - TCP:${a.echo}:7,keepalive,keepidle=1,keepintvl=1`)],
    ...noise("client-1"),
    ...noise("client/outside"),
  ];
}

function noise(from: string): [string, string[]][] {
  const timed = (seconds: number, ...words: string[]) => ["timeout", String(seconds), ...words];
  return [
    [from, sh("printf mdns | socat -t 0.1 - UDP4-DATAGRAM:224.0.0.251:5353")],
    [from, timed(1, "socat", "-u", "UDP4-RECV:5354,ip-add-membership=224.0.0.251:eth0", "-")],
    [from, sh("printf dhcp | socat -t 0.1 - UDP4-DATAGRAM:255.255.255.255:67,broadcast,bind=:68")],
    [from, ["ping", "-c", "1", "-W", "1", "ff02::1%eth0"]],
    [from, ["ping", "-c", "1", "-W", "1", "ff02::2%eth0"]],
  ];
}

/** Name of the capture, where it is taken, whose node, and tcpdump's further words. */
export type Place = readonly [
  name: string,
  workload: string,
  device: string,
  node: string,
  ...more: string[],
];

export const PLACES: readonly Place[] = [
  ["client", "client-1", "eth0", "node1"],
  ["server", "web-1", "eth0", "node1"],
  ["uplink", "node/node1", "eth0", "node1"],
  ["host", "node/node1", "host0", "node1"],
  ["any", "node/node1", "any", "node1"],
  ["far-client", "client-2", "eth0", "node2"],
  ["far-uplink", "node/node2", "eth0", "node2"],
  ["far-any", "node/node2", "any", "node2"],
];
/** Begun in the middle of connections. */
export const LATE: readonly Place[] = [
  ["late-client", "client-1", "eth0", "node1"],
  ["late-uplink", "node/node1", "eth0", "node1"],
];

/** Takes captures at these places into the lab's folder: `NAME.pcap`. `late` ones are begun within connections. */
export async function capture(lab: TestLab, places: readonly Place[], late: readonly Place[]): Promise<void> {
  const { folder } = lab;
  const tcpdump = async ([name, workload, device, , ...more]: Place): Promise<Running> => {
    const words = ["tcpdump", "-i", device, "-U", "-Z", "root", ...more, "-w", join(folder, `${name}.pcap`)];
    return start([PODWIRE, "--lab", lab.name, "exec", workload, "--", ...words], /listening on/);
  };
  const all = await addressesOf(lab);
  const running = await Promise.all(places.map(tcpdump));
  const talk = (from: string, to: string, seconds: number) =>
    lab.exec(from, sh(`for i in $(seq ${seconds}); do echo $i; sleep 1; done | socat -t 1 - TCP:${to}`));
  const long = [talk("client-1", `${all.echo}:7`, 6), talk("client/outside", `${NODE1}:${NODE_PORT}`, 6)];
  await sleep(2500);
  running.push(...(await Promise.all(late.map(tcpdump))));
  await Promise.all(long);
  for (const [from, command, times = 1] of traffic(all)) {
    for (let i = 0; i < times; i++) await lab.exec(from, command, { timeoutMs: 20_000 });
  }
  await sleep(300); // tcpdump's own delay
  await Promise.all(running.map((each) => each.stop("SIGINT")));
}
