// What a pod must not do, tried with real programs: speak from another's addresses, answer ARP and ND for others, and
// send tunnel packets to nodes. The same attempts succeed in a lab with `antiSpoofing: false`, so they are real ones.
import t, { type Test } from "tap";
import * as build from "../../src/testing/frames/frame-builder.ts";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod } from "../../src/testing/lab/objects.ts";

const skip = cannotRun("nping", "hping3", "ping", "socat", "tcpdump");
const DUAL = "10.244.0.0/16,fd00:10:244::/56";
const NODE2 = "192.168.50.12";
const GATEWAY = { ip: "10.244.1.1", mac: "0a:58:0a:f4:01:01" };
const NOBODY = { v4: "10.244.1.77", v6: "fd00:10:244:1::77" };
const FORGED = "10.244.1.99";

for (const antiSpoofing of [true, false]) {
  t.test(`antiSpoofing ${antiSpoofing ? "on" : "off"}`, { skip }, async (t) => {
    const lab = await TestLab.up(antiSpoofing ? "spoofon" : "spoofoff", {
      clusterCIDR: DUAL,
      dataplane: { antiSpoofing },
      objects: [client("evil", "node1"), client("victim", "node1"), pod("web-2", "node2")],
    });
    t.teardown(() => lab.down());
    const evil = await addresses(lab, "evil");
    const web = await addresses(lab, "web-2");
    const dropped = (reason: string) => dropsOf(lab, reason);

    /** Runs the attempt while tcpdump listens in `where`; how many packets it saw. */
    async function seen(where: string, filter: string, attempt: () => Promise<unknown>): Promise<number> {
      const command = ["tcpdump", "-i", "eth0", "-n", "-l", "--immediate-mode", filter];
      const listener = await lab.startIn(where, command, /listening on/);
      await attempt();
      await new Promise((resolve) => setTimeout(resolve, 300));
      await listener.stop("SIGINT");
      return Number(/(\d+) packets? captured/.exec(listener.output())?.[1] ?? 0);
    }

    async function check(t: Test, reason: string, count: number): Promise<void> {
      if (antiSpoofing) t.equal(count, 0, "nothing arrives");
      else t.ok(count > 0, "it arrives");
      t.equal((await dropped(reason)) > 0, antiSpoofing, reason);
    }

    t.test("another's IPv4 address as source (nping)", async (t) => {
      const nping = ["nping", "--udp", "-p", "9000", "-c", "2", "--rate", "20", "-S", FORGED];
      const link = ["-e", "eth0", "--source-mac", evil.mac, "--dest-mac", GATEWAY.mac];
      const attempt = () => lab.exec("evil", [...nping, ...link, web.v4]);
      await check(t, "SPOOFED_SOURCE", await seen("web-2", `src host ${FORGED}`, attempt));
    });

    t.test("another's IPv6 address as source (ip, ping)", async (t) => {
      await lab.exec("evil", ["ip", "addr", "add", `${NOBODY.v6}/64`, "dev", "eth0", "nodad"]);
      const ping = ["ping", "-6", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", NOBODY.v6, web.v6];
      const count = await seen("web-2", `src host ${NOBODY.v6}`, () => lab.exec("evil", ping));
      await lab.exec("evil", ["ip", "addr", "del", `${NOBODY.v6}/64`, "dev", "eth0"]);
      await check(t, "SPOOFED_SOURCE", count);
    });

    t.test("another MAC as source (nping)", async (t) => {
      const nping = ["nping", "--udp", "-p", "9000", "-c", "2", "--rate", "20", "-S", evil.v4];
      const link = ["-e", "eth0", "--source-mac", "02:00:00:00:00:99", "--dest-mac", GATEWAY.mac];
      const attempt = () => lab.exec("evil", [...nping, ...link, web.v4]);
      await check(t, "SPOOFED_MAC", await seen("web-2", `udp and src host ${evil.v4}`, attempt));
    });

    t.test("an ARP answer for the gateway (nping)", async (t) => {
      await lab.exec("victim", ["ping", "-n", "-c", "1", "-W", "1", GATEWAY.ip]);
      const victim = await addresses(lab, "victim");
      // Linux believes no second answer within a second of the first (locktime).
      const nping = [
        "nping",
        "--arp",
        "--arp-type",
        "ARP-reply",
        "-c",
        "3",
        "--delay",
        "800ms",
        "-e",
        "eth0",
      ];
      const sender = ["--arp-sender-mac", evil.mac, "--arp-sender-ip", GATEWAY.ip];
      const target = ["--arp-target-mac", victim.mac, "--arp-target-ip", victim.v4];
      const link = ["--source-mac", evil.mac, "--dest-mac", victim.mac];
      await lab.exec("evil", [...nping, ...sender, ...target, ...link, victim.v4]);
      const { stdout } = await lab.exec("victim", ["ip", "neigh", "show", GATEWAY.ip]);
      t.match(stdout, antiSpoofing ? GATEWAY.mac : evil.mac, "whom the victim takes for its gateway");
      t.equal((await dropped("SPOOFED_NEIGHBOR")) > 0, antiSpoofing);
      await lab.exec("victim", ["ip", "neigh", "flush", "dev", "eth0"]);
    });

    for (const [family, address, claim] of [
      ["ARP", NOBODY.v4, ["ip", "addr", "add", `${NOBODY.v4}/32`, "dev", "lo"]],
      ["ND", NOBODY.v6, ["ip", "neigh", "add", "proxy", NOBODY.v6, "dev", "eth0"]],
    ] as const) {
      t.test(`${family} answers for an address it does not have (ip)`, async (t) => {
        const before = await dropped("SPOOFED_NEIGHBOR");
        for (const key of ["proxy_ndp", "forwarding"])
          await lab.exec("evil", ["sysctl", "-w", `net.ipv6.conf.all.${key}=1`]);
        await lab.exec("evil", claim);
        await lab.exec("victim", ["ping", "-n", "-c", "1", "-W", "1", address]);
        const { stdout } = await lab.exec("victim", ["ip", "neigh", "show", address]);
        if (antiSpoofing) t.notMatch(stdout, /lladdr/, "nobody has it");
        else t.match(stdout, evil.mac, "the victim believes it");
        t.equal((await dropped("SPOOFED_NEIGHBOR")) > before, antiSpoofing);
      });
    }

    t.test("VXLAN from a pod to another node (socat)", async (t) => {
      const inner = build.udpFrame({
        ...{ srcMac: "0e:01:c0:a8:32:0b", dstMac: "0e:01:c0:a8:32:0c" },
        ...{ src: FORGED, dst: web.v4, dstPort: 9000, payload: "by the back door" },
      });
      const input = Buffer.from(vxlanPayload(inner));
      const attempt = () => lab.exec("evil", ["socat", "-u", "-", `UDP4:${NODE2}:8472`], { input });
      await check(t, "TUNNEL_FROM_POD", await seen("web-2", `src host ${FORGED}`, attempt));
    });

    t.test("IP in IP from a pod to another node (hping3)", async (t) => {
      const hping3 = [
        "hping3",
        "-q",
        "--rawip",
        "--ipproto",
        "4",
        "-d",
        "40",
        "-c",
        "2",
        "-i",
        "u50000",
        NODE2,
      ];
      const count = await seen("node/node2", "ip proto 4", () => lab.exec("evil", hping3));
      if (antiSpoofing) t.equal(count, 0);
      else t.ok(count > 0);
    });

    t.test("what is its own passes, and what was refused is counted for its port", async (t) => {
      for (const to of [web.v4, web.v6, GATEWAY.ip]) {
        const { stdout } = await lab.exec("evil", ["ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", to]);
        t.match(stdout, /2 received/, to);
      }
      const { items } = await lab.json("show", "ports", "--node", "node1");
      const port = items.find((p: { name: string }) => p.name.includes("default/evil"));
      if (antiSpoofing) t.ok(port.rxDrops > 10, `${port.rxDrops} dropped`);
    });
  });
}

/** A VXLAN header with VNI 1, then the frame. */
function vxlanPayload(inner: Uint8Array): Uint8Array {
  return build.vxlanFrame({ inner, src: "0.0.0.0", dst: "0.0.0.0" }).subarray(14 + 20 + 8);
}

async function addresses(lab: TestLab, name: string): Promise<{ v4: string; v6: string; mac: string }> {
  const { status, metadata } = await lab.json("get", "pods", name);
  const [v4, v6] = status.podIPs.map((entry: { ip: string }) => entry.ip);
  return { v4, v6, mac: metadata.annotations["podwire.dev/mac"] };
}

async function dropsOf(lab: TestLab, reason: string): Promise<number> {
  const { items } = await lab.json("show", "drops", "--node", "node1");
  return items.find((d: { reason: string }) => d.reason === reason)?.packets ?? 0;
}
