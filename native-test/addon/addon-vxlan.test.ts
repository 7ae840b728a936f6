// A kernel VXLAN device on the other side of a veth pair: what its TCP superframes look like on our packet
// socket. The rules in src/native/batch-io.c were written down from this; the test keeps them true. Needs
// root.
import t from "tap";
import { IoKind } from "../../src/base/addon.ts";
import { PacketFlag, TapFlag } from "../../src/native/binding.ts";
import { fromHex } from "../../src/testing/frames/bytes.ts";
import { run, start } from "../../src/testing/lab/process.ts";
import { Frames, NO_VNET, native, type Received } from "../support/frames.ts";
import { Namespaces } from "../support/namespaces.ts";

const OUTER_BYTES = 50;
const spaces = new Namespaces("pwt-native-vxlan");
spaces.add("a", "b");
spaces.connect("a", "b");
spaces.ip("b", "addr add 192.168.7.2/24 dev eth0");
spaces.ip("b", "neigh add 192.168.7.1 lladdr 02:00:00:00:00:0a dev eth0");
spaces.ip("b", "link add vx0 type vxlan id 1 dstport 8472 local 192.168.7.2 dev eth0 nolearning");
spaces.ip("b", "link set vx0 address 02:00:00:00:00:bb addrgenmode none up");
spaces.ip("b", "addr add 10.9.0.2/24 dev vx0");
spaces.ip("b", "neigh add 10.9.0.1 lladdr 02:00:00:00:00:aa dev vx0");
spaces.ip("a", "tuntap add dev tap0 mode tap vnet_hdr");
spaces.ip("a", "link set tap0 address 02:00:00:00:00:aa mtu 1450 addrgenmode none up");
spaces.ip("a", "addr add 10.9.0.1/24 dev tap0");
spaces.ip("a", "neigh add 10.9.0.2 lladdr 02:00:00:00:00:bb dev tap0");

const OUTER = fromHex(
  `02000000000b 02000000000a 0800 4500 0000 0000 4000 4011 0000 c0a80701 c0a80702
   c350 2118 0000 0000 08000000 00000100`,
);

/** Puts the kernel's headers around the frame at `off`: outer IPv4, UDP without checksum, VXLAN. */
function encapsulate(frames: Frames, off: number, len: number): number {
  const { arena, view } = frames;
  const vnet = frames.vnetAt(off);
  if (vnet.flags & 1) {
    const start = off + vnet.csumStart;
    view.setUint16(start + vnet.csumOffset, ~native.checksum(arena, start, len - vnet.csumStart, 0));
  }
  const outer = off - OUTER_BYTES;
  arena.set(OUTER, outer);
  view.setUint16(outer + 16, len + 36);
  view.setUint16(outer + 24, ~native.checksum(arena, outer + 14, 20, 0));
  view.setUint16(outer + 38, len + 16);
  frames.putVnet(outer, NO_VNET);
  return outer;
}

/** Strips the outer headers: what is left is a frame, perhaps a superframe, for the TAP. */
function decapsulate(frames: Frames, off: number): number {
  const vnet = frames.vnetAt(off);
  const inner = off + OUTER_BYTES;
  const isPartial = (vnet.flags & 1) !== 0;
  frames.putVnet(
    inner,
    isPartial ? { ...vnet, hdrLen: 0, csumStart: vnet.csumStart - OUTER_BYTES } : NO_VNET,
  );
  return inner;
}

t.test(
  "tunnelled superframes of the kernel arrive whole, and their inner frame is ready for a TAP",
  async (t) => {
    await run([
      "bridge",
      "-n",
      spaces.nameOf("b"),
      ..."fdb append 02:00:00:00:00:aa dev vx0 dst 192.168.7.1".split(" "),
    ]);
    const tap = native.openTap(spaces.path("a"), "tap0", TapFlag.VNET_HDR);
    native.tapOffload(tap, 1); // checksum only: encapsulate above does not cut
    const flags = PacketFlag.VNET_HDR | PacketFlag.IGNORE_OUTGOING;
    const uplink = native.openPacket(spaces.path("a"), "eth0", flags, 1 << 24, 1 << 24);
    const server = await start(spaces.command("a", "iperf3 -s -1 --forceflush"), /listening/);
    const client = run(spaces.command("b", "iperf3 -c 10.9.0.1 -n 200M -J"));
    let isOver = false;
    client.finally(() => {
      isOver = true;
    });
    const fromKernel = new Frames();
    const fromPod = new Frames();
    const large: Received[] = [];
    const single: Received[] = [];
    while (!isOver) {
      const got = fromKernel.receive(uplink, IoKind.PACKET_VNET, 16);
      const offs = fromKernel.offs.slice();
      let count = 0;
      for (const [i, one] of got.entries()) {
        if (one.frame[23] !== 17 || one.frame[36] !== 0x21 || one.frame[37] !== 0x18) continue;
        if (one.vnet.gsoType !== 0 && large.length < 5) large.push(one);
        if (one.vnet.gsoType === 0 && one.vnet.flags === 1 && single.length < 5) single.push(one);
        fromKernel.offs[count] = decapsulate(fromKernel, offs[i]);
        fromKernel.lens[count++] = one.frame.length - OUTER_BYTES;
      }
      fromKernel.forward(tap, IoKind.TAP_VNET, count);
      fromKernel.offs.set(offs);
      const replies = fromPod.receive(tap, IoKind.TAP_VNET, 16).length;
      const slots = fromPod.offs.slice();
      for (let i = 0; i < replies; i++) {
        fromPod.offs[i] = encapsulate(fromPod, slots[i], fromPod.lens[i]);
        fromPod.lens[i] += OUTER_BYTES;
      }
      fromPod.forward(uplink, IoKind.PACKET_VNET, replies);
      fromPod.offs.set(slots);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const report = JSON.parse((await client).stdout);
    await server.stop();
    t.equal(report.error, undefined);
    t.ok(report.end.sum_received.bytes > 190e6, "everything arrived in the pod");

    t.ok(large.length > 0, "superframes were seen");
    for (const { frame, vnet } of large) {
      const view = new DataView(frame.buffer);
      const inner = frame.length - OUTER_BYTES;
      const tcp = 84;
      const seen = {
        ...{
          flags: vnet.flags,
          gsoType: vnet.gsoType,
          csumStart: vnet.csumStart,
          csumOffset: vnet.csumOffset,
        },
        ...{
          hdrLen: vnet.hdrLen,
          outer: view.getUint16(16),
          udp: view.getUint16(38),
          inner: view.getUint16(66),
        },
        innerIp: native.checksum(frame, 64, 20, 0),
        outerUdp: view.getUint16(40),
        tcpField: view.getUint16(tcp + 16),
      };
      t.match(seen, {
        ...{ flags: 1, gsoType: 1, csumStart: tcp, csumOffset: 16 },
        ...{
          hdrLen: tcp + (frame[tcp + 12] >> 4) * 4,
          outer: inner + 36,
          udp: inner + 16,
          inner: inner - 14,
        },
        innerIp: 0xffff,
        outerUdp: native.checksum(frame, 26, 8, 17 + inner + 16),
        tcpField: native.checksum(frame, 76, 8, 6 + inner - 34),
      });
    }
    for (const { vnet } of single) t.match(vnet, { gsoType: 0, csumStart: 84, csumOffset: 16 });
    native.closeFd(tap);
    native.closeFd(uplink);
  },
);
