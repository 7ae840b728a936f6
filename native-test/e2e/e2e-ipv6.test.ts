// IPv6 beside IPv4, IPv6 alone, and a Linux kernel as the other node; tshark judges what arrives.
import { join } from "node:path";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { NODE_PORT, UDP_PORT } from "../../src/testing/lab/objects.ts";
import { type Running, run, start } from "../../src/testing/lab/process.ts";
import {
  clusterIP6,
  dualStackObjects,
  NODES6,
  pathScenario6,
  podAddress6,
  serviceScenario6,
  trafficScenario6,
} from "../support/ipv6-scenario.ts";
import { ask } from "../support/service-scenario.ts";
import { checkCapture, NOTHING_LEFT_TO_IT, nothingWrong } from "../support/tshark.ts";

const skip = cannotRun("curl", "ping", "traceroute", "tracepath", "socat", "iperf3");
const noCapture = skip || cannotRun("tcpdump", "tshark", "ethtool");
const noKernel = skip || cannotRun("iptables", "ip6tables");
const DUAL = "10.244.0.0/16,fd00:10:244::/56";
const ONLY6 = "fd00:10:244::/56";

t.test("a dual-stack lab", { skip }, async (t) => {
  const lab = await TestLab.up("v6", { clusterCIDR: DUAL, objects: dualStackObjects() });
  t.teardown(() => lab.down());
  pathScenario6(t, () => lab, 1450);
  serviceScenario6(t, () => lab);
  trafficScenario6(t, () => lab);
  t.test("IPv4 is as it was", async (t) => {
    const address = await lab.clusterIP("web");
    t.notMatch(address, /:/);
    t.equal((await ask(lab, "client-1", `http://${address}`, 20)).length, 20);
  });
  t.test("an address that another pod has is found to be a duplicate", async (t) => {
    const taken = await podAddress6(lab, "web-1");
    await lab.exec("client-1", ["ip", "addr", "add", `${taken}/64`, "dev", "eth0"]);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    t.match((await lab.exec("client-1", ["ip", "-6", "addr", "show", "dev", "eth0"])).stdout, /dadfailed/);
    await lab.exec("client-1", ["ip", "addr", "del", `${taken}/64`, "dev", "eth0"]);
  });
});

t.test("an IPv6-only lab", { skip }, async (t) => {
  const clients = [{ name: "outside", address: "fd00:192:168:50::100" }];
  const lab = await TestLab.up("v6only", { clusterCIDR: ONLY6, clients, objects: dualStackObjects() });
  t.teardown(() => lab.down());
  pathScenario6(t, () => lab, 1430);
  serviceScenario6(t, () => lab);
  trafficScenario6(t, () => lab);
});

t.test("a dual-stack lab with a kernel node", { skip: noKernel }, async (t) => {
  const nodes = [{ name: "node1" }, { name: "node2", agent: "kernel" as const }];
  const lab = await TestLab.up("v6kernel", { clusterCIDR: DUAL, nodes, objects: dualStackObjects() });
  t.teardown(() => lab.down());
  pathScenario6(t, () => lab, 1450);
  serviceScenario6(t, () => lab);
});

for (const [what, clusterCIDR, address] of [
  ["IPv6 over IPv4", DUAL, "192.168.50.100"],
  ["IPv6 over IPv6", ONLY6, "fd00:192:168:50::100"],
] as const) {
  t.test(`checksums of ${what} seen by tshark`, { skip: noCapture }, async (t) => {
    const clients = [{ name: "outside", address }];
    const lab = await TestLab.up("v6sums", { clusterCIDR, clients, objects: dualStackObjects() });
    t.teardown(() => lab.down());
    const file = (name: string) => join(lab.folder, `${name}.pcap`);
    const tcpdump = (name: string, device: string) => [
      "tcpdump",
      "-i",
      device,
      "-s0",
      "-U",
      "-Z",
      "root",
      "-B",
      "65536",
      "-c",
      "20000",
      "-w",
      file(name),
    ];
    const captures: Running[] = [];
    for (const node of ["node1", "node2"])
      await lab.exec(`node/${node}`, ["ethtool", "-K", "eth0", ...NOTHING_LEFT_TO_IT]);
    for (const pod of ["web-1", "web-2", "client-1"])
      captures.push(await lab.startIn(pod, tcpdump(pod, "eth0"), /listening on/));
    const fabric = ["nsenter", `--net=/run/netns/pw-${lab.name}-fabric`];
    const ports = JSON.parse((await run([...fabric, "ip", "-j", "link", "show", "master", "br0"])).stdout);
    captures.push(await start([...fabric, ...tcpdump("port", ports[0].ifname)], /listening on/));
    await sendEverything(lab);
    for (const capture of captures) await capture.stop("SIGINT");
    for (const name of ["web-1", "web-2", "client-1", "port"]) {
      const check = await checkCapture(file(name));
      nothingWrong(t, check);
      t.ok(check.complete + check.partial > 100, `${check.complete} complete, ${check.partial} partial`);
      if (name === "port") t.ok(check.tunnelled > 100, `${check.tunnelled} tunnel packets`);
    }
  });
}

async function sendEverything(lab: TestLab): Promise<void> {
  await ask(lab, "client-1", `http://[${await clusterIP6(lab)}]`, 50);
  await ask(lab, "node/node1", `http://[${await clusterIP6(lab)}]`, 10);
  for (const node of NODES6) await ask(lab, "client/outside", `http://[${node}]:${NODE_PORT}`, 30);
  for (const pod of ["web-1", "web-2"]) {
    const address = await podAddress6(lab, pod);
    await lab.exec("client-1", ["ping", "-6", "-n", "-c", "3", "-i", "0.2", "-s", "8000", address]);
    const udp = ["socat", "-b65536", "-t1", "-", `UDP6:[${address}]:${UDP_PORT}`];
    await lab.exec("client-1", udp, { input: Buffer.alloc(30_000, 7) });
    await lab.exec("client-1", ["traceroute", "-6", "-n", "-q", "1", "-w", "1", "-m", "4", address]);
    const server = await lab.startIn(pod, ["iperf3", "-s", "--forceflush"], /listening/);
    for (const reverse of [[], ["-R"]])
      await lab.exec("client-1", ["iperf3", "-6", "-c", address, "-n", "20M", ...reverse]);
    await server.stop();
  }
}
