// The bound on UDP that waits in a device, by the kernel that keeps it. Needs root.
import { execFileSync } from "node:child_process";
import t from "tap";
import { IoKind } from "../../src/base/addon.ts";
import { PacketFlag, TapFlag, TapOffload } from "../../src/native/binding.ts";
import { arpFrame, tcpFrame, udpFrame, vxlanFrame } from "../../src/testing/frames/frame-builder.ts";
import { Frames, NO_VNET, native, type Vnet } from "../support/frames.ts";
import { Namespaces } from "../support/namespaces.ts";

const { PACKET_VNET, TAP_VNET } = IoKind;
const LIMIT = 65_536;
const FRAME_COST = 3072;
const PIECE_COST = 1024;
const TUNNEL_PORT = 8472;
const BUFFER = 1 << 23;
const SENDS = PacketFlag.VNET_HDR | PacketFlag.IGNORE_OUTGOING | PacketFlag.QDISC_BYPASS;
const V4 = { src: "10.1.1.1", dst: "10.1.1.2" };
const V6 = { src: "fd00::1", dst: "fd00::2" };
const SUPERFRAME: Vnet = {
  ...NO_VNET,
  flags: 1,
  gsoType: 5,
  hdrLen: 42,
  gsoSize: 1000,
  csumStart: 34,
  csumOffset: 6,
};
/** What is counted, and what is not. */
const DATAGRAMS: readonly [string, Uint8Array, Vnet][] = [
  ["UDP over IPv4", udpFrame({ ...V4, payload: 1000 }), NO_VNET],
  ["UDP over IPv6", udpFrame({ ...V6, payload: 1000 }), NO_VNET],
  ["a superframe of UDP", udpFrame({ ...V4, payload: 5000 }), SUPERFRAME],
];
const OTHERS: readonly [string, Uint8Array][] = [
  ["TCP", tcpFrame({ ...V4, payload: 1000 })],
  ["ARP", arpFrame({ senderIp: V4.src, targetIp: V4.dst })],
  ["a frame with a header alone", tcpFrame(V4).subarray(0, 14)],
];
const spaces = new Namespaces("pwt-native-bound");
spaces.add("a", "b");
for (const name of ["a", "b"]) {
  const [program, ...args] = spaces.command(name, "sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
  execFileSync(program, args); // kernels have nothing to say of their own, then
}

/** As many as come in one after the other while what waits costs no more than the limit. */
const roomFor = (frame: Uint8Array, { gsoSize }: Vnet): number => {
  const pieces = gsoSize === 0 ? 0 : Math.floor(frame.length / gsoSize);
  return Math.floor(LIMIT / (FRAME_COST + (frame.length >> 2) + pieces * PIECE_COST)) + 1;
};

/** One by one: where many are sent at once, one that was refused is tried twice. */
function flood(f: Frames, fd: number, frame: Uint8Array, count: number, vnet: Vnet = NO_VNET): number {
  let sent = 0;
  for (let i = 0; i < count; i++) sent += f.send(fd, PACKET_VNET, [frame], vnet);
  return sent;
}

/** A TAP whose queue is bounded, and a socket behind it by which frames come in. */
function boundedTap(name: string, limit = LIMIT): { tap: number; behind: number; frames: Frames } {
  const tap = native.openTap(spaces.path("a"), name, TapFlag.VNET_HDR);
  native.tapOffload(
    tap,
    TapOffload.CSUM | TapOffload.TSO4 | TapOffload.TSO6 | TapOffload.USO4 | TapOffload.USO6,
  );
  spaces.ip("a", `link set ${name} addrgenmode none up`);
  const behind = native.openPacket(spaces.path("a"), name, SENDS, BUFFER, BUFFER);
  const frames = new Frames(64);
  frames.receive(tap, TAP_VNET);
  const result = native.boundQueue(tap, TAP_VNET, 0, limit);
  if (result < 0) throw new Error(`boundQueue: ${result}`);
  return { tap, behind, frames };
}

t.test("a TAP takes no more UDP than its bound, and all else", async (t) => {
  const { tap, behind, frames } = boundedTap("tap0");
  for (const [what, frame, vnet] of DATAGRAMS) {
    const room = roomFor(frame, vnet);
    t.equal(flood(frames, behind, frame, 50, vnet), room, `${what}: the sender is told`);
    for (const [other, bytes] of OTHERS) t.equal(frames.send(behind, PACKET_VNET, [bytes]), 1, other);
    t.equal(frames.receive(tap, TAP_VNET, room).length, room, `${what}: as many as there is room for`);
    t.equal(frames.receive(tap, TAP_VNET).length, OTHERS.length, `${what}: all of the others`);
    t.equal(native.queueDrops(tap), 50 - room, what);
    t.equal(native.queueDrops(tap), 0, "told once");
  }
  native.closeFd(behind);
  native.closeFd(tap);
});

t.test("what was read makes room for as much, without the queue ever being empty", async (t) => {
  const { tap, behind, frames } = boundedTap("tap1");
  for (const [what, frame, vnet] of DATAGRAMS) {
    const room = roomFor(frame, vnet);
    flood(frames, behind, frame, 50, vnet);
    for (let round = 0; round < 5; round++) {
      t.equal(frames.receive(tap, TAP_VNET, 5).length, 5);
      flood(frames, behind, frame, 50, vnet);
    }
    t.equal(frames.receive(tap, TAP_VNET).length, room, what);
  }
  native.closeFd(behind);
  native.closeFd(tap);
});

t.test("a limit of 0 is no bound, and takes away one that is there", async (t) => {
  const { tap, behind, frames } = boundedTap("tap2");
  t.equal(native.boundQueue(tap, TAP_VNET, 0, 0), 0);
  flood(frames, behind, DATAGRAMS[0][1], 60);
  t.equal(frames.receive(tap, TAP_VNET).length, 60);
  native.closeFd(behind);
  native.closeFd(tap);
});

t.test("a device whose reader is dead refuses nothing", async (t) => {
  const { tap, behind, frames } = boundedTap("tap3", 1);
  await new Promise((resolve) => setTimeout(resolve, 2100));
  flood(frames, behind, DATAGRAMS[0][1], 60);
  t.equal(frames.receive(tap, TAP_VNET).length, 60);
  native.closeFd(behind);
  native.closeFd(tap);
});

t.test("at a packet socket the packet inside the tunnel counts", async (t) => {
  spaces.connect("a", "b");
  const sender = native.openPacket(spaces.path("a"), "eth0", SENDS, BUFFER, BUFFER);
  const socket = native.openPacket(spaces.path("b"), "eth0", SENDS, BUFFER, BUFFER);
  const frames = new Frames(64);
  t.equal(native.boundQueue(socket, PACKET_VNET, TUNNEL_PORT, LIMIT), 0);
  const stats = new Float64Array(2);
  const inTunnel = (inner: Uint8Array, outer = V4) => vxlanFrame({ ...outer, inner, dstPort: TUNNEL_PORT });
  const link = { ...V4, srcMac: "02:00:00:00:00:0a", dstMac: "02:00:00:00:00:0b" };
  const came = async (frame: Uint8Array, count: number) => {
    const isIt = (got: { frame: Uint8Array }) => Buffer.compare(got.frame, frame) === 0;
    const past = stats[0];
    flood(frames, sender, frame, 40);
    for (let i = 0; i < 400 && stats[0] < past + 40; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5)); // a busy kernel hands them on later
      native.packetStats(socket, stats);
    }
    return (await frames.collect(socket, PACKET_VNET, count, isIt)).length;
  };
  for (const [what, frame] of [
    ["UDP", udpFrame({ ...link, payload: 100 })],
    ["UDP in VXLAN", inTunnel(udpFrame({ ...V4, payload: 100 }))],
    ["IPv6 in VXLAN", inTunnel(udpFrame({ ...V6, payload: 100 }))],
    ["VXLAN over IPv6", inTunnel(udpFrame({ ...V4, payload: 100 }), V6)],
  ] as const) {
    const room = roomFor(frame, NO_VNET);
    const before = stats[1];
    t.equal(await came(frame, room), room, what);
    t.strictSame(frames.receive(socket, PACKET_VNET), [], `${what}: no more than these`);
    t.equal(stats[1] - before, 40 - room, `${what}: counted as dropped`);
  }
  t.equal(await came(inTunnel(tcpFrame({ ...V4, payload: 100 })), 40), 40, "TCP in VXLAN");
  t.equal(await came(inTunnel(tcpFrame({ ...V4, payload: 100 }), V6), 40), 40, "TCP in VXLAN over IPv6");
  native.closeFd(sender);
  native.closeFd(socket);
});
