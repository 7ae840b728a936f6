// What people use to look at a network shows the same through podwire as through Linux. Node 1 is podwire's, node 2
// the kernel's, and the lab is its own mirror image: each program runs once from node 1's side and once from node
// 2's, and what it prints must be the same once the addresses are exchanged and the times are gone.
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, HTTP_PORT, pod, service, UDP_PORT } from "../../src/testing/lab/objects.ts";

const skip = cannotRun("traceroute", "tracepath", "mtr", "ping", "nmap", "hping3", "iptables");

/** One side of the mirror: where programs run and what they look at. */
interface Side {
  readonly client: string;
  /** Of a Service whose only pod is on the other node. */
  readonly clusterIP: string;
  readonly farPod: string;
  readonly node: string;
  readonly nodePort: number;
  readonly udpNodePort: number;
}

const OUTSIDE = "192.168.50.100";

/** What is left of a program's output: no times, no names, no process ids, no random ports; the mirror image's addresses. */
function essence(text: string, own: Side, mirrored: boolean): string[] {
  let rest = text
    .replaceAll(own.clusterIP, "CLUSTER-IP")
    .replaceAll(String(own.nodePort), "NODE-PORT")
    .replaceAll(String(own.udpNodePort), "UDP-NODE-PORT");
  if (mirrored) {
    rest = rest.replace(/10\.244\.([12])\./g, (_, n) => `10.244.${3 - n}.`);
    rest = rest.replace(/192\.168\.50\.1([12])\b/g, (_, n) => `192.168.50.1${3 - n}`);
  }
  return rest
    .split("\n")
    .map((line) =>
      line
        .replace(/\d+(\.\d+)? ?ms\b/g, "")
        .replace(/^HOST: \S+/, "HOST:") // pods have names of their own
        .replace(/\d+\.\d+s latency|in \d+\.\d+ seconds|time=?[\d.]+|id=\d+/g, "")
        .replace(/[\d.]+\/[\d.]+\/[\d.]+(\/[\d.]+)?/g, "")
        .replace(/\s+/g, " ")
        .trim(),
    )
    .filter((line) => line !== "" && !/^(Starting Nmap|Start:|rtt|round-trip|HPING)/.test(line));
}

/** The programs, by what is looked at. mtr's report without its statistics of time. */
const mtr = (...args: string[]) => ["mtr", "-n", "-r", "-c", "1", "-G", "1", "-m", "6", "-o", "LSR", ...args];
const traceroute = (...args: string[]) => ["traceroute", "-n", "-q", "1", "-w", "2", "-m", "5", ...args];
const nmap = (...args: string[]) => [
  "nmap",
  "-n",
  "-Pn",
  "--max-retries",
  "1",
  "--disable-arp-ping",
  ...args,
];
const TOOLS: Record<string, (s: Side) => string[]> = {
  "traceroute, UDP, to a pod": (s) => traceroute(s.farPod),
  "traceroute, ICMP, to a pod": (s) => traceroute("-I", s.farPod),
  "tracepath to a pod": (s) => ["tracepath", "-n", "-m", "5", s.farPod],
  "traceroute, UDP, to a service": (s) => traceroute("-U", "-p", String(UDP_PORT), s.clusterIP),
  "traceroute, TCP, to a service": (s) => traceroute("-T", "-p", "80", s.clusterIP),
  "mtr, TCP, to a service": (s) => mtr("-T", "-P", "80", s.clusterIP),
  "mtr to a pod": (s) => mtr(s.farPod),
  "nmap of a service": (s) => nmap("-sS", "-p", "80,81", s.clusterIP),
  "hping3 to a service": (s) => ["hping3", "-n", "-S", "-p", "80", "-c", "1", s.clusterIP],
  "traceroute out of the cluster": () => traceroute(OUTSIDE),
  "traceroute, TCP, out of the cluster": () => traceroute("-T", "-p", "9", OUTSIDE),
  "ping out of the cluster": () => ["ping", "-n", "-c", "1", "-s", "1400", OUTSIDE],
  "nmap out of the cluster": () => nmap("-sU", "-p", "9", OUTSIDE),
};
const OUTSIDE_TOOLS: Record<string, (s: Side) => string[]> = {
  "traceroute, TCP, to a node port": (s) => traceroute("-T", "-p", String(s.nodePort), s.node),
  "traceroute, UDP, to a node port": (s) => traceroute("-U", "-p", String(s.udpNodePort), s.node),
  "mtr, TCP, to a node port": (s) => mtr("-T", "-P", String(s.nodePort), s.node),
  "nmap of a node port": (s) => nmap("-sT", "-p", String(s.nodePort), s.node),
  "hping3 to a node port": (s) => ["hping3", "-n", "-S", "-p", String(s.nodePort), "-c", "1", s.node],
};

const ports = (nodePort: number, udpNodePort: number) => ({
  ports: [
    { name: "http", protocol: "TCP", port: 80, targetPort: HTTP_PORT, nodePort },
    { name: "udp", protocol: "UDP", port: UDP_PORT, targetPort: UDP_PORT, nodePort: udpNodePort },
  ],
});

t.test("programs see the same through podwire and through the kernel", { skip }, async (t) => {
  const lab = await TestLab.up("programs", {
    nodes: [{ name: "node1" }, { name: "node2", agent: "kernel" }],
    objects: [
      client("client-1", "node1"),
      client("client-2", "node2"),
      pod("web-1", "node1"),
      pod("web-2", "node2"),
      service("web-1", ports(30_081, 30_091)),
      service("web-2", ports(30_082, 30_092)),
    ],
  });
  t.teardown(() => lab.down());
  const side = async (n: 1 | 2): Promise<Side> => ({
    client: `client-${n}`,
    clusterIP: await lab.clusterIP(`web-${3 - n}`),
    farPod: await lab.podAddress(`web-${3 - n}`),
    node: `192.168.50.1${n}`,
    nodePort: 30_080 + n,
    udpNodePort: 30_090 + n,
  });
  const podwire = await side(1);
  const kernel = await side(2);
  const compare = async (t: Test, tools: typeof TOOLS, from: (s: Side) => string): Promise<void> => {
    const look = async (s: Side, name: string): Promise<string[]> => {
      const { stdout, stderr } = await lab.exec(from(s), tools[name](s), { timeoutMs: 30_000 });
      return essence(`${stdout}\n${stderr}`, s, s === kernel);
    };
    // One after the other: routers answer a host with one error a second, after the first six (icmp_ratelimit).
    for (const name of Object.keys(tools)) {
      const looked = look(podwire, name);
      // Two of mtr on one host have the same source ports, and take each other's answers for their own.
      if (from(podwire) === from(kernel)) await looked;
      const [ours, theirs] = await Promise.all([looked, look(kernel, name), sleep(1000)]);
      t.ok(theirs.length > 0, `${name}: something was seen`);
      t.same(ours, theirs, `${name}: ${theirs.join(" | ")}`);
    }
  };
  // The first packets find neighbours out, and may be late.
  for (const s of [podwire, kernel])
    await lab.exec(s.client, ["ping", "-n", "-c", "2", "-i", "0.2", s.farPod]);
  await t.test("from pods", (t) => compare(t, TOOLS, (s) => s.client));
  await t.test("from outside", (t) => compare(t, OUTSIDE_TOOLS, () => "client/outside"));
});
