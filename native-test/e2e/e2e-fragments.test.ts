// Fragments between real stacks: out of order, doubled, overlapping, tiny, never complete; through a Service to the other
// node, through a node port and masquerade. A pod's packet socket sends them, kernels at both ends judge: the echo server
// only answers what its kernel could join and whose checksum is right.
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import t, { type Test } from "tap";
import { IoKind } from "../../src/base/addon.ts";
import { PacketFlag } from "../../src/native/binding.ts";
import { fragmentOf, fragmentsOf } from "../../src/testing/frames/fragment-frames.ts";
import { udpFrame } from "../../src/testing/frames/frame-builder.ts";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { UDP_PORT } from "../../src/testing/lab/objects.ts";
import { sleep, until } from "../../src/testing/lab/process.ts";
import { Prng } from "../../src/testing/prng.ts";
import { fragmentsOf6 } from "../../src/testing/world/dual-stack.ts";
import { Frames, native } from "../support/frames.ts";
import { clusterIP6, dualStackObjects, podAddress6 } from "../support/ipv6-scenario.ts";

const skip = cannotRun("socat", "nmap", "hping3", "ping", "tcpdump");
const OUTSIDE = "192.168.50.100";
const ETH = 14;

t.test("fragments", { skip }, async (t) => {
  const lab = await TestLab.up("fragments", {
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
    objects: dualStackObjects(),
  });
  t.teardown(() => lab.down());
  const pod = { v4: await lab.podAddress("client-1"), v6: await podAddress6(lab, "client-1") };
  const service = { v4: await lab.clusterIP("web"), v6: await clusterIP6(lab) };
  const { items } = await lab.json("show", "ports", "--node", "node1");
  const srcMac = items.find((port: { name: string }) => port.name === "eth0 default/client-1").mac;
  const link = { srcMac, dstMac: "0a:58:0a:f4:01:01" };
  const fd = native.openPacket(
    `/run/netns/pw-${lab.name}-p-default-client-1`,
    "eth0",
    PacketFlag.QDISC_BYPASS,
    0,
    4 << 20,
  );
  if (fd < 0) throw new Error(`cannot open a packet socket: ${fd}`);
  t.teardown(() => native.closeFd(fd));
  const frames = new Frames(64);
  let lastPort = 41_000;

  function send(pieces: readonly Uint8Array[]): void {
    for (let at = 0; at < pieces.length; at += 48) {
      const some = pieces.slice(at, at + 48);
      if (frames.send(fd, IoKind.PACKET, some) !== some.length) throw new Error("frames were not taken");
    }
  }
  /** A datagram of the pod, and the number it is known by. */
  function datagram(dst: string, bytes: number): { frame: Uint8Array; port: number; payload: Buffer } {
    const payload = randomBytes(bytes);
    const port = ++lastPort;
    const src = dst.includes(":") ? pod.v6 : pod.v4;
    const frame = udpFrame({
      ...{ ...link, src, dst, srcPort: port, dstPort: UDP_PORT, payload, id: port, dontFragment: false },
    });
    return { frame, port, payload };
  }
  /** Sends what `cut` makes of a datagram to a UDP echo; whether the same bytes come back to the pod. */
  async function isEchoed(
    dst: string,
    bytes: number,
    cut: (frame: Uint8Array) => Uint8Array[],
    expected = true,
  ): Promise<boolean> {
    const { frame, port, payload } = datagram(dst, bytes);
    const kind = dst.includes(":") ? "UDP6" : "UDP4";
    const output = `${lab.folder}/echo-${port}`;
    const receive = ["socat", "-d", "-d", "-u", "-b65536", `${kind}-RECV:${port}`, `CREATE:${output}`];
    const receiver = await lab.startIn("client-1", receive, /starting data transfer loop/);
    send(cut(frame));
    const whole = async (): Promise<boolean> => (await readFile(output)).length >= bytes;
    if (expected) await until(`${bytes} bytes of ${dst}`, whole, 3000).catch(() => {});
    else await sleep(400);
    await receiver.stop();
    const got = await readFile(output);
    if (got.length > 0 && !got.equals(payload)) throw new Error(`${got.length} other bytes came back`);
    return got.length > 0;
  }
  const dropped = async (reason: string): Promise<number> => {
    const { items } = await lab.json("show", "drops", "--node", "node1");
    return items.find((item: { reason: string }) => item.reason === reason)?.packets ?? 0;
  };
  const shuffled = (pieces: Uint8Array[]): Uint8Array[] => {
    const random = new Prng(lastPort);
    const ranked = pieces.map((piece) => ({ piece, rank: random.below(1 << 20) }));
    return ranked.sort((a, b) => a.rank - b.rank).map(({ piece }) => piece);
  };
  /** Every one twice, but for the last, which completes the datagram: what comes after it begins a new one. */
  const doubled = (pieces: Uint8Array[]): Uint8Array[] => [...pieces.slice(0, -1), ...pieces];

  const outside = ["socat", "-b65536", `UDP4-RECVFROM:${UDP_PORT},fork`, "EXEC:cat"];
  const echo = await lab.startIn(
    "client/outside",
    ["sh", "-c", `echo started; exec ${outside.join(" ")}`],
    /started/,
  );
  t.teardown(() => echo.stop());
  await until("the echo server outside", () => isEchoed(OUTSIDE, 20, (frame) => [frame]));

  const ways: readonly (readonly [string, string, number])[] = [
    ["a ClusterIP", service.v4, 4],
    ["masquerade", OUTSIDE, 4],
    ["a ClusterIP over IPv6", service.v6, 6],
  ];
  for (const [way, dst, family] of ways) {
    const cut = (frame: Uint8Array, bytes: number): Uint8Array[] =>
      family === 4 ? fragmentsOf(frame, bytes) : fragmentsOf6(frame, bytes, lastPort);
    const orders: Record<string, (pieces: Uint8Array[]) => Uint8Array[]> = {
      "in order": (pieces) => pieces,
      "the last one first": (pieces) => pieces.toReversed(),
      "in any order": shuffled,
      "each one twice": doubled,
    };
    for (const [order, arrange] of Object.entries(orders)) {
      t.test(`${way}: ${order}`, async (t) => {
        // Of 8 bytes each at first: ports, length and checksum come in one, data in the others.
        for (const [bytes, piece] of [
          [600, 16],
          [6000, 1232],
          [30_000, 1232],
        ]) {
          const echoed = await isEchoed(dst, bytes, (frame) => arrange(cut(frame, piece)));
          t.ok(echoed, `${bytes} bytes in pieces of ${piece}`);
        }
      });
    }
    t.test(`${way}: one that is missing keeps the others from passing`, async (t) => {
      t.notOk(await isEchoed(dst, 6000, (frame) => cut(frame, 1232).toSpliced(2, 1), false));
    });
  }

  /** Overlaps that would give the receiver other bytes, or ports, than a filter saw. */
  const attacks: Record<string, (frame: Uint8Array) => Uint8Array[]> = {
    "data twice, the second time other": (frame) => {
      const other = Uint8Array.from(frame);
      other.fill(0x41, ETH + 20 + 500);
      return [
        fragmentOf(frame, 0, 800, true),
        fragmentOf(other, 400, 1008, true),
        fragmentOf(frame, 1008, 1608, false),
      ];
    },
    "the header twice, with another port": (frame) => {
      const other = Uint8Array.from(frame);
      other[ETH + 20 + 3] ^= 1;
      return [
        fragmentOf(frame, 0, 16, true),
        fragmentOf(other, 0, 24, true),
        fragmentOf(frame, 16, 800, true),
        fragmentOf(frame, 800, 1608, false),
      ];
    },
    "a teardrop: inside of what is there": (frame) => [
      fragmentOf(frame, 0, 800, true),
      fragmentOf(frame, 1608 - 8, 1608, false),
      fragmentOf(frame, 792, 1608, true),
    ],
    "two ends": (frame) => [
      fragmentOf(frame, 800, 1608, false),
      fragmentOf(frame, 400, 800, false),
      fragmentOf(frame, 0, 400, true),
    ],
  };
  for (const [attack, cut] of Object.entries(attacks)) {
    t.test(`overlap is given up: ${attack}`, async (t) => {
      const before = await dropped("FRAGMENT_OVERLAP");
      t.notOk(await isEchoed(service.v4, 1600, cut, false));
      t.ok((await dropped("FRAGMENT_OVERLAP")) > before);
    });
  }

  t.test("nmap's tiny fragments (-f: a TCP header in three) see what its whole packets see", async (t) => {
    const scan = async (...flags: string[]): Promise<string[]> => {
      const nmap = ["nmap", "-n", "-Pn", "--disable-arp-ping", "-sS", "-p", "80,81", ...flags, service.v4];
      return (await lab.exec("client-1", nmap)).stdout.match(/^\d+\/tcp .*$/gm) ?? [];
    };
    const whole = await scan();
    t.match(whole, [/^80\/tcp open/]);
    t.same(await scan("-f"), whole);
  });

  t.test("a flood of fragments that never become whole is bounded, and harms nobody (hping3)", async (t) => {
    const before = await dropped("FRAGMENT_QUEUE_FULL");
    const flood = [
      "hping3",
      "-q",
      "-2",
      "-p",
      String(UDP_PORT),
      "-x",
      "-d",
      "512",
      "-c",
      "6000",
      "-i",
      "u200",
      service.v4,
    ];
    const flooding = lab.exec("client-2", flood.with(-1, await lab.podAddress("web-1")), {
      timeoutMs: 20_000,
    });
    const own = lab.exec("client-1", flood, { timeoutMs: 20_000 });
    const ping = [
      "ping",
      "-n",
      "-c",
      "10",
      "-i",
      "0.1",
      "-W",
      "2",
      "-s",
      "4000",
      await lab.podAddress("web-2"),
    ];
    await sleep(200);
    t.match((await lab.exec("client-1", ping)).stdout, /10 received/, "fragments of others are joined");
    await Promise.all([flooding, own]);
    t.ok((await dropped("FRAGMENT_QUEUE_FULL")) > before + 1000);
    await served(t);
  });

  async function served(t: Test): Promise<void> {
    t.ok(await isEchoed(service.v4, 6000, (frame) => fragmentsOf(frame, 1232)));
    const drops = await lab.json("show", "drops");
    const wrong = drops.items.filter((d: { reason: string }) => d.reason === "INTERNAL_ERROR");
    t.same(wrong, []);
  }
});
