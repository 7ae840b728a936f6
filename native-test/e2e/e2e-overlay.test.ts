// The tunnel, end to end, with a Linux kernel at its other side and one that is no node at all: congestion marks, source
// ports, networks and senders that are not ours, options of the kernel's device, broadcast and multicast.
import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { IoKind } from "../../src/base/addon.ts";
import { echoFrame } from "../../src/testing/frames/frame-builder.ts";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client } from "../../src/testing/lab/objects.ts";
import { sleep, until } from "../../src/testing/lab/process.ts";
import { Frames, native } from "../support/frames.ts";
import { NOTHING_LEFT_TO_IT } from "../support/tshark.ts";

const skip = cannotRun("ping", "tcpdump", "socat", "nft", "tshark", "ethtool");
const [NODE1, NODE2, OUTSIDE] = ["192.168.50.11", "192.168.50.12", "192.168.50.100"];
const VTEP1 = { ip: "10.244.1.0", mac: "0e:01:c0:a8:32:0b" };
const VTEP2 = { ip: "10.244.2.0", mac: "0e:01:c0:a8:32:0c" };
const KERNEL = "node/node2";
const PORT = 9100;

t.test("the overlay with a kernel at its other end", { skip }, async (t) => {
  const lab = await TestLab.up("overlay", {
    nodes: [{ name: "node1" }, { name: "node2", agent: "kernel" }],
    objects: [client("near", "node1"), client("near-2", "node1"), client("far", "node2")],
  });
  t.teardown(() => lab.down());
  const near = await lab.podAddress("near");
  const far = await lab.podAddress("far");

  const must = async (where: string, command: string[]): Promise<string> => {
    const { status, stdout, stderr } = await lab.exec(where, command);
    if (status !== 0) throw new Error(`${where}: ${command.join(" ")}: ${stderr}`);
    return stdout;
  };
  const ip = (where: string, ...lines: string[]): Promise<unknown> =>
    must(where, ["sh", "-ec", lines.map((line) => `ip ${line}`).join("\n")]);
  /** How many of three pings are answered. */
  const ping = async (from: string, to: string, ...flags: string[]): Promise<number> => {
    const { stdout } = await lab.exec(from, ["ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", ...flags, to]);
    return Number(/(\d+) received/.exec(stdout)?.[1]);
  };
  const dropped = async (reason: string): Promise<number> => {
    const { items } = await lab.json("show", "drops", "--node", "node1");
    return items.find((item: { reason: string }) => item.reason === reason)?.packets ?? 0;
  };
  /** What tcpdump prints in a place while `during` runs. */
  async function heard(where: string, filter: string, during: () => Promise<unknown>): Promise<string> {
    const command = ["tcpdump", "-i", "eth0", "-nvv", "-l", "--immediate-mode", filter];
    const listener = await lab.startIn(where, command, /listening on/);
    await during();
    await sleep(300);
    await listener.stop("SIGINT");
    return listener.output();
  }
  /** The kernel's tunnel device made anew, with more words of ip-link(8). */
  async function kernelTunnel(...words: string[]): Promise<void> {
    const device = "type vxlan id 1 dstport 8472 nolearning dev eth0";
    await ip(
      KERNEL,
      "link del flannel.1",
      `link add flannel.1 ${device} local ${NODE2} ${words.join(" ")}`,
      `link set flannel.1 address ${VTEP2.mac} mtu 1450 up`,
      `addr replace ${VTEP2.ip}/32 dev flannel.1`,
      `neigh replace ${VTEP1.ip} lladdr ${VTEP1.mac} dev flannel.1 nud permanent`,
      "route replace 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink",
    );
    await must(KERNEL, ["bridge", "fdb", "replace", VTEP1.mac, "dev", "flannel.1", "dst", NODE1]);
  }

  t.test(
    "a congestion mark of the fabric reaches the pod, and drops what knows no marks (nft, ping)",
    async (t) => {
      const rules = [
        "add table ip congestion",
        "add chain ip congestion out { type filter hook postrouting priority 0 ; }",
        "add rule ip congestion out udp dport 8472 ip ecn set ce",
      ];
      await must(KERNEL, ["nft", rules.join("; ")]);
      const echo = `icmp[0] == 8 and src host ${far}`;
      let answered = 0;
      const capable = await heard("near", echo, async () => {
        answered = await ping("far", near, "-Q", "2");
      });
      t.equal(answered, 3);
      t.equal(capable.match(/\(tos 0x3,CE/g)?.length, 3, capable);
      const before = await dropped("VXLAN_CONGESTION");
      t.equal(await ping("far", near), 0, "RFC 6040: a drop is the only mark for who knows no other");
      t.ok((await dropped("VXLAN_CONGESTION")) >= before + 3);
      await must(KERNEL, ["nft", "delete table ip congestion"]);
      t.equal(await ping("far", near), 3);
    },
  );

  t.test(
    "what comes through the tunnel is the agent's alone: the node's kernel does not look at it",
    async (t) => {
      const received = async (): Promise<number> => {
        const lines = (await must("node/node1", ["cat", "/proc/net/snmp"])).split("\n");
        const [columns, values] = lines
          .filter((line) => line.startsWith("Ip:"))
          .map((line) => line.split(" "));
        return Number(values[columns.indexOf("InReceives")]);
      };
      const { stdout } = await lab.exec("node/node1", ["tc", "filter", "show", "dev", "eth0", "ingress"]);
      const before = await received();
      t.equal((await lab.exec("far", ["ping", "-q", "-n", "-c", "40", "-i", "0.01", near])).status, 0);
      const looked = (await received()) - before;
      // Without classifiers of BPF in the kernel, a rule drops them after it has.
      t.equal(looked < 20, stdout.includes("bpf"), `${looked} of 40 packets: ${stdout}`);
    },
  );

  t.test("a pod's own ECN bits stand outside too, its DSCP does not (ping)", async (t) => {
    for (const [tos, outside] of [
      ["0x02", "0x2"],
      ["0x01", "0x1"],
      ["0xb8", "0x0"],
    ]) {
      const text = await heard(KERNEL, `src host ${NODE1} and udp port 8472`, () =>
        ping("near", far, "-Q", tos),
      );
      t.match(text, new RegExp(`\\(tos ${outside}[,)][^\\n]*proto UDP`), tos);
    }
  });

  t.test("a flow keeps its outer source port, flows differ in it (socat)", async (t) => {
    await must("node/node1", ["ethtool", "-K", "eth0", ...NOTHING_LEFT_TO_IT]); // or one frame may hold several
    const flows = Array.from({ length: 16 }, (_, i) => 20_001 + i);
    const send = flows.map((port) => `echo x | socat -u - UDP4:${far}:9,sourceport=${port}`).join("\n");
    const text = await heard(KERNEL, `src host ${NODE1} and udp port 8472`, () =>
      lab.exec("near", ["sh", "-c", `${send}\n${send}`]),
    );
    const ports = new Map<string, Set<string>>();
    for (const [, outer, inner] of text.matchAll(
      /192\.168\.50\.11\.(\d+) > [\s\S]*?10\.244\.1\.\d+\.(\d+) > /g,
    ))
      ports.set(inner, (ports.get(inner) ?? new Set()).add(outer));
    t.equal(ports.size, flows.length, text);
    t.ok([...ports.values()].every((outer) => outer.size === 1));
    const distinct = new Set([...ports.values()].flatMap((outer) => [...outer]));
    t.ok(distinct.size > 3 && distinct.size <= 8, `${distinct.size} of the eight that bundles have`);
    t.ok(
      [...distinct].every((port) => Number(port) >= 32_768),
      "RFC 7348: from the dynamic range",
    );
  });

  t.test("another network's number is refused (a second VXLAN device)", async (t) => {
    const before = await dropped("VXLAN_UNKNOWN_VNI");
    await ip(
      KERNEL,
      `link add vx7 type vxlan id 7 dstport 8472 local ${NODE2} remote ${NODE1} dev eth0`,
      "addr add 10.99.7.2/24 dev vx7",
      "link set vx7 up",
      `neigh replace 10.99.7.1 lladdr ${VTEP1.mac} dev vx7`,
    );
    t.equal(await ping(KERNEL, "10.99.7.1"), 0);
    t.ok((await dropped("VXLAN_UNKNOWN_VNI")) >= before + 3);
    await ip(KERNEL, "link del vx7");
  });

  t.test(
    "who is no node gets nothing into the tunnel, though it knows all addresses (a VXLAN device)",
    async (t) => {
      const before = await dropped("VXLAN_UNKNOWN_VTEP");
      const lines = (local: string) => [
        `link add vx1 type vxlan id 1 dstport 8472 local ${local} remote ${NODE1} dev eth0`,
        `link set vx1 address ${VTEP2.mac} up`,
        "addr add 10.244.2.99/32 dev vx1",
        `neigh replace ${VTEP1.ip} lladdr ${VTEP1.mac} dev vx1`,
        `route replace ${near} via ${VTEP1.ip} dev vx1 src 10.244.2.99 onlink`,
      ];
      await ip("client/outside", ...lines(OUTSIDE));
      const echo = "icmp and src host 10.244.2.99";
      const text = await heard("near", echo, () => ping("client/outside", near));
      t.match(text, /\b0 packets captured/);
      t.ok((await dropped("VXLAN_UNKNOWN_VTEP")) >= before + 3);
      // The same packets with a node's address outside are let in: it was that which was refused.
      await ip("client/outside", "link del vx1", `addr add ${NODE2}/32 dev eth0`, ...lines(NODE2));
      const forged = await heard("near", echo, () => ping("client/outside", near));
      t.match(forged, /\b3 packets captured/);
      await ip("client/outside", "link del vx1", `addr del ${NODE2}/32 dev eth0`);
    },
  );

  t.test("bits that RFC 7348 reserves are passed over (VXLAN-GBP)", async (t) => {
    await kernelTunnel("gbp");
    let answered = 0;
    const text = await heard(KERNEL, `dst host ${NODE1} and udp port 8472`, async () => {
      answered = await ping("far", near); // without a mark there is no policy to carry
      answered += await ping(KERNEL, near, "-m", "42");
    });
    t.match(text, /flags \[.*\] \(0x88\)/, "the kernel did set them");
    t.equal(answered, 6);
    await kernelTunnel();
  });

  for (const outer of ["udpcsum", "noudpcsum"]) {
    t.test(`TCP both ways with outer checksums, or without: ${outer} (socat)`, async (t) => {
      await kernelTunnel(outer);
      const stream = randomBytes(300_000);
      const file = join(lab.folder, `outer-${outer}.pcap`);
      const tcpdump = await lab.startIn(
        KERNEL,
        ["tcpdump", "-i", "eth0", "-U", "-Z", "root", "-w", file, `src host ${NODE2} and udp port 8472`],
        /listening on/,
      );
      for (const [from, to, address] of [
        ["far", "near", near],
        ["near", "far", far],
      ]) {
        const output = join(lab.folder, `${outer}-${to}`);
        const listen = ["socat", "-d", "-d", "-u", `TCP4-LISTEN:${PORT},reuseaddr`, `CREATE:${output}`];
        const receiver = await lab.startIn(to, listen, /listening on/);
        await lab.exec(from, ["socat", "-u", "-", `TCP4:${address}:${PORT}`], {
          input: stream,
          timeoutMs: 10_000,
        });
        const whole = async (): Promise<boolean> => (await readFile(output)).length >= stream.length;
        await until(`${stream.length} bytes at ${to}`, whole, 3000).catch(() => {});
        await receiver.stop();
        const sum = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
        t.equal(sum(await readFile(output)), sum(stream), `${from} to ${to}`);
      }
      await tcpdump.stop("SIGINT");
      const fields = ["-T", "fields", "-e", "udp.checksum", "-E", "occurrence=f"];
      const sums = (await must(KERNEL, ["tshark", "-r", file, ...fields]))
        .split("\n")
        .filter((line) => line !== "");
      t.ok(sums.length > 5);
      t.equal(
        sums.some((sum) => Number(sum) !== 0),
        outer === "udpcsum",
        "the kernel's outer checksums",
      );
    });
  }

  t.test(
    "a VLAN inside is nobody's, and broadcast inside reaches no pod (a packet socket, ping)",
    async (t) => {
      const [before, tagged] = [await dropped("VXLAN_INNER"), await dropped("UNSUPPORTED_L3")];
      // As a VLAN device on top of the tunnel's sends it; not every kernel has these.
      const echo = { srcMac: VTEP2.mac, dstMac: VTEP1.mac, src: VTEP2.ip, dst: near, echoId: 7, seq: 1 };
      for (const [vlans, count] of [
        [[], 1],
        [[5], 0],
      ] as const) {
        const text = await heard("near", `icmp[0] == 8`, () => sendFrom(lab, echoFrame({ ...echo, vlans })));
        t.match(text, new RegExp(`\\b${count} packets? captured`), `VLAN ${vlans.join() || "none"}`);
      }
      t.equal(await dropped("UNSUPPORTED_L3"), tagged + 1);
      const all = "ff:ff:ff:ff:ff:ff";
      await must(KERNEL, ["bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "flannel.1", "dst", NODE1]);
      const text = await heard("near", `icmp[0] == 8`, () =>
        sendFrom(lab, echoFrame({ ...echo, dstMac: all })),
      );
      t.match(text, /\b0 packets captured/);
      t.equal(await dropped("VXLAN_INNER"), before + 1);
      await kernelTunnel();
      t.equal(await ping(KERNEL, near), 3);
    },
  );

  t.test(
    "broadcast and multicast of a pod reach the node's other pods, not the tunnel (socat)",
    async (t) => {
      const group = "239.1.2.3";
      const receive = ["socat", "-d", "-d", "-u", `UDP4-RECV:${PORT},ip-add-membership=${group}:eth0`, "-"];
      for (const [where, got] of [
        ["near-2", /hello all/],
        ["far", /^(?![\s\S]*hello all)/],
      ] as const) {
        const receiver = await lab.startIn(where, receive, /starting data transfer loop/);
        const fabric = await heard(KERNEL, `src host ${NODE1} and udp port 8472`, async () => {
          for (const [to, flags] of [
            [group, "so-bindtodevice=eth0"],
            ["255.255.255.255", "broadcast,so-bindtodevice=eth0"],
          ]) {
            await lab.exec("near", ["socat", "-u", "-", `UDP4-DATAGRAM:${to}:${PORT},${flags}`], {
              input: `hello all at ${to}\n`,
            });
          }
        });
        await receiver.stop();
        t.match(receiver.output(), got, where);
        if (where === "near-2") t.match(receiver.output(), /at 239\.1\.2\.3[\s\S]*at 255\.255\.255\.255/);
        t.notMatch(fabric, /hello|239\.1\.2\.3|255\.255\.255\.255/);
      }
    },
  );
});

/** Sends a frame on the kernel node's tunnel device. */
async function sendFrom(lab: TestLab, frame: Uint8Array): Promise<void> {
  const fd = native.openPacket(`/run/netns/pw-${lab.name}-n-node2`, "flannel.1", 0, 0, 1 << 20);
  if (fd < 0) throw new Error(`cannot open a packet socket: ${fd}`);
  const sent = new Frames(1).send(fd, IoKind.PACKET, [frame]);
  native.closeFd(fd);
  if (sent !== 1) throw new Error("the frame was not taken");
}
