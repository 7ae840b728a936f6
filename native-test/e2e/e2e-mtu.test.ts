// Pods of MTU 9000 on a fabric of 1500, and a narrow path beyond the node: TCP goes on without a stall, tracepath sees
// the path, and mssClamp does what it says.
import t, { type Test } from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod, service } from "../../src/testing/lab/objects.ts";
import { behindNarrowLink } from "../support/narrow-link.ts";

const skip = cannotRun("iperf3", "tracepath", "ping", "tcpdump", "socat", "ip");
const DUAL = "10.244.0.0/16,fd00:10:244::/56";
const IPERF = 5201;
const BEHIND = "192.168.50.101"; // behind client "outside", over a link of 1300 bytes
const MINIMUM = 20_000_000;

/** Pods with jumbo frames; an iperf3 server on the other node, behind a Service as well. */
function objects(): object[] {
  const ports = [{ name: "iperf", protocol: "TCP", port: IPERF, targetPort: IPERF }];
  return [
    client("client-1", "node1"),
    pod("web-2", "node2", { app: "web", command: ["iperf3", "-s"] }),
    service("web", { type: "ClusterIP", ports, ipFamilyPolicy: "PreferDualStack" }),
  ];
}

async function jumbo(lab: TestLab): Promise<void> {
  for (const name of ["client-1", "web-2"])
    await lab.exec(name, ["ip", "link", "set", "eth0", "mtu", "9000", "gso_max_size", "61900"]);
}

async function bytesPerInterval(lab: TestLab, target: string, args: readonly string[]): Promise<number[]> {
  const command = ["iperf3", "-c", target, "-J", "-t", "1", "-i", "0.25", ...args];
  const report = JSON.parse((await lab.exec("client-1", command)).stdout);
  if (report.error !== undefined) throw new Error(report.error);
  return report.intervals.map((i: { sum: { bytes: number } }) => i.sum.bytes);
}

t.test("pods of MTU 9000 on a fabric of 1500", { skip }, async (t) => {
  const lab = await TestLab.up("mtu", { clusterCIDR: DUAL, objects: objects() });
  t.teardown(() => lab.down());
  await jumbo(lab);
  const [v4, v6] = (await lab.json("get", "pods", "web-2")).status.podIPs.map((e: { ip: string }) => e.ip);
  const { clusterIPs } = (await lab.json("get", "services", "web")).spec;
  t.test("as long as mssClamp is off, each end offers what its device takes", async (t) => {
    await offers(t, lab, [8960, 8940]);
  });
  const services = clusterIPs.map((ip: string) => [ip]);
  for (const [target, ...reverse] of [[v4], [v4, "-R"], [v6], [v6, "-R"], ...services]) {
    t.test(`TCP to ${target} ${reverse.join("")} does not stall`, async (t) => {
      await lab.exec("client-1", ["ip", "route", "flush", "cache"]);
      const intervals = await bytesPerInterval(lab, target, reverse);
      const sum = intervals.reduce((a, b) => a + b, 0);
      t.ok(sum > MINIMUM, `${sum} bytes`);
      t.same(
        intervals.filter((bytes) => bytes === 0),
        [],
        "no silence",
      );
    });
  }
  for (const [family, target] of [
    ["-4", v4],
    ["-6", v6],
  ]) {
    t.test(`tracepath ${family} shows where it narrows`, async (t) => {
      const { stdout } = await lab.exec("client-1", ["tracepath", family, "-n", "-l", "8000", target]);
      t.match(stdout, /pmtu 1450/);
      t.match(stdout, /reached/);
    });
  }
  t.test("IPv4 without DF is cut at the edge, with DF its sender is told", async (t) => {
    const ping = ["ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", "-s", "5000"];
    t.match((await lab.exec("client-1", [...ping, "-M", "dont", v4])).stdout, /2 received/);
    await lab.exec("client-1", ["ip", "route", "flush", "cache"]);
    const { stdout, stderr } = await lab.exec("client-1", [...ping, "-M", "do", v4]);
    t.match(stdout + stderr, /(mtu ?= ?1450|message too long)/);
  });
  t.test("TCP without path MTU discovery does not stall either", async (t) => {
    const discover = async (off: number): Promise<void> => {
      for (const name of ["client-1", "web-2"])
        await lab.exec(name, ["sysctl", "-w", `net.ipv4.ip_no_pmtu_disc=${off}`]);
    };
    await discover(1);
    const intervals = await bytesPerInterval(lab, v4, []);
    await discover(0);
    t.ok(intervals.reduce((a, b) => a + b, 0) > MINIMUM);
    t.same(
      intervals.filter((bytes) => bytes === 0),
      [],
    );
  });
  masqueradedNarrowLink(t, lab);
});

/** A machine behind the outside client, over a link of 1300 bytes: errors come back through masquerade. */
function masqueradedNarrowLink(t: Test, lab: TestLab): void {
  t.test("a narrow link beyond the node is found through masquerade", async (t) => {
    const router = `pw-${lab.name}-c-outside`;
    await behindNarrowLink(t, "pwt-mtu", { router, address: BEHIND, mtu: 1300 });
    const { stdout } = await lab.exec("client-1", ["tracepath", "-4", "-n", BEHIND]);
    t.match(stdout, /pmtu 1300/, "the error of the router beyond reaches the pod");
    t.match(stdout, /reached/);
    await lab.exec("client-1", ["ip", "route", "flush", "cache"]);
    const ping = ["ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", "-s", "1400", "-M", "do", BEHIND];
    const pinged = await lab.exec("client-1", ping);
    t.match(pinged.stdout + pinged.stderr, /mtu ?= ?1300/);
  });
}

t.test("mssClamp", { skip }, async (t) => {
  const lab = await TestLab.up("clamp", {
    clusterCIDR: DUAL,
    dataplane: { mssClamp: true },
    objects: objects(),
  });
  t.teardown(() => lab.down());
  await jumbo(lab);
  await offers(t, lab, [1410, 1390]);
});

/** What SYN and SYN-ACK offer when they arrive, in each family. */
async function offers(t: Test, lab: TestLab, sizes: readonly [v4: number, v6: number]): Promise<void> {
  const { podIPs } = (await lab.json("get", "pods", "web-2")).status;
  const tcpdump = [
    "tcpdump",
    "-i",
    "eth0",
    "-n",
    "-l",
    "--immediate-mode",
    `tcp port ${IPERF} or ip6 proto 6`,
  ];
  for (const [family, mss] of sizes.entries()) {
    const { ip } = podIPs[family];
    const server = await lab.startIn("web-2", tcpdump, /listening on/);
    const caller = await lab.startIn("client-1", tcpdump, /listening on/);
    const to = family === 0 ? `TCP4:${ip}:${IPERF}` : `TCP6:[${ip}]:${IPERF}`;
    await lab.exec("client-1", ["socat", "-u", "/dev/null", to]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const listener of [server, caller]) await listener.stop("SIGINT");
    t.equal(Number(/Flags \[S\].*?mss (\d+)/.exec(server.output())?.[1]), mss, `SYN to ${ip}`);
    t.equal(Number(/Flags \[S\.\].*?mss (\d+)/.exec(caller.output())?.[1]), mss, `SYN-ACK of ${ip}`);
  }
}
