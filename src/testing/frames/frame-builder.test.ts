import t from "tap";
import { concat, fromHex, patched, toHex, viewOf } from "./bytes.ts";
import * as build from "./frame-builder.ts";
import { checkFrame, checkVirtioFrame, crc32c, wordsMod } from "./frame-checker.ts";
import { GOLDEN_FRAMES } from "./golden-frames.ts";

const v4 = { src: "10.244.1.2", dst: "10.96.0.1" };
const v6 = { src: "fd00::2", dst: "fd00::3" };
const options = { mss: 1460, sackPermitted: true, timestamps: [1, 2], wscale: 7 } as const;
const frames: Record<string, Uint8Array> = {
  "TCP SYN with options": build.tcpFrame({ ...v4, flags: "S", ...options }),
  "TCP with an odd payload": build.tcpFrame({ ...v4, flags: "P.", payload: 333 }),
  "TCP over IPv6": build.tcpFrame({ ...v6, payload: "hello" }),
  UDP: build.udpFrame({ ...v4, payload: "hello" }),
  "UDP without a checksum": build.udpFrame({ ...v4, payload: "hello", checksum: false }),
  "UDP with IP options": build.udpFrame({ ...v4, ipOptions: fromHex("94040000"), payload: 9 }),
  "UDP over IPv6 behind a VLAN tag": build.udpFrame({ ...v6, vlans: [5], payload: 9 }),
  "ICMP echo": build.echoFrame(v4),
  "ICMPv6 echo reply": build.echoFrame({ ...v6, reply: true }),
  "ICMP error": build.icmpErrorFrame({ ...v4, type: 3, code: 4, rest: 1450, about: build.udpFrame(v4) }),
  "ICMPv6 error": build.icmpErrorFrame({ ...v6, type: 2, code: 0, rest: 1280, about: build.tcpFrame(v6) }),
  ARP: build.arpFrame({ senderIp: "10.244.1.2", targetIp: "10.244.1.1" }),
  "ARP behind two tags": build.arpFrame({ senderIp: "10.244.1.2", targetIp: "10.244.1.1", vlans: [5, 6] }),
  VXLAN: build.vxlanFrame({ ...v4, inner: build.tcpFrame({ ...v6, payload: 100 }) }),
  "VXLAN with a checksum": build.vxlanFrame({ ...v4, inner: build.echoFrame(v4), checksum: true }),
  "neighbour solicitation": build.neighborSolicitationFrame({
    ...v6,
    target: "fd00::3",
    mac: "0a:58:00:00:00:01",
  }),
  "neighbour advertisement": build.neighborAdvertisementFrame({ ...v6, target: "fd00::3" }),
  SCTP: build.sctpFrame({
    ...v4,
    chunks: [
      { type: 1, value: 16 },
      { type: 0, value: 13 },
    ],
  }),
};

for (const [name, frame] of Object.entries(frames)) {
  t.test(`the checker, which shares no code with the builder, accepts: ${name}`, async (t) => {
    t.same(checkFrame(frame), []);
  });
}

for (const { name, hex } of GOLDEN_FRAMES) {
  t.test(`the checker accepts what Linux sent: ${name}`, async (t) => {
    t.same(checkFrame(fromHex(hex)), []);
  });
}

t.test("every flipped bit of an IPv4 TCP packet is noticed", async (t) => {
  const frame = build.tcpFrame({ ...v4, payload: 20 });
  for (let at = 14; at < frame.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      t.not(checkFrame(patched(frame, at, frame[at] ^ (1 << bit))).length, 0, `byte ${at} bit ${bit}`);
    }
  }
});

t.test("the checker judges a partial checksum by its virtio-net header", async (t) => {
  const frame = build.tcpFrame({ ...v4, payload: 20 });
  const pseudo = wordsMod(Uint8Array.from([...frame.subarray(26, 34), 0, 6, 0, 40]));
  const partial = patched(frame, 50, pseudo >> 8, pseudo & 255);
  const header = fromHex("01 00 0000 0000 2200 1000");
  t.same(checkVirtioFrame(concat(header, partial)), []);
  t.match(checkVirtioFrame(concat(header, frame)).join(), /partial TCP checksum/);
  t.match(checkFrame(partial).join(), /TCP checksum is off/);
  t.match(
    checkVirtioFrame(concat(fromHex("01 00 0000 0000 2000 1000"), partial)).join(),
    /NEEDS_CSUM points/,
  );
  t.match(checkVirtioFrame(concat(fromHex("01 04 3600 0500 2200 1000"), partial)).join(), /gso_type 4/);
  t.same(checkVirtioFrame(concat(fromHex("01 01 3600 0500 2200 1000"), partial)), []);
});

t.test("the checker looks into each VXLAN segment of a UDP superframe", async (t) => {
  const inner = build.tcpFrame({ ...v4, payload: 20 });
  const segment = concat(fromHex("0800000000000100"), inner);
  const bad = patched(segment, 60, segment[60] ^ 1);
  const gso = (payload: Uint8Array): Uint8Array => {
    const frame = build.udpFrame({ ...v4, dstPort: 8472, payload, checksum: false });
    return concat(fromHex(`00 05 2a00 ${toHex(Uint8Array.of(segment.length))}00 0000 0000`), frame);
  };
  t.same(checkVirtioFrame(gso(concat(segment, segment, segment))), []);
  t.match(checkVirtioFrame(gso(concat(segment, bad, segment))), [/^inner 1: TCP checksum/]);
});

t.test("the checker never throws on truncated frames", async (t) => {
  for (const frame of Object.values(frames)) {
    for (let len = 0; len < frame.length; len++) t.type(checkFrame(frame.subarray(0, len)), Array);
  }
});

t.test("the checker's own sums agree with published values", async (t) => {
  t.equal(wordsMod(fromHex("0001f203f4f5f6f7")), 0xddf2, "RFC 1071 §3");
  t.equal(crc32c(new Uint8Array(32)), 0x8a9136aa, "RFC 3720 B.4");
  t.equal(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
});

t.test("text that is no address is an error of the test that wrote it", async (t) => {
  t.throws(() => build.ip("10.0.0.256"));
  t.throws(() => build.ip6("10.0.0.1"));
  t.throws(() => build.mac("0a:58"));
  t.throws(() => build.tcpFlags("X"));
  t.throws(() => fromHex("abc"));
  t.equal(viewOf(fromHex("0102").subarray(1)).getUint8(0), 2);
});
