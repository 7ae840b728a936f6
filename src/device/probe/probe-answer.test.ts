// What is an answer to a packet that asked, and what only looks like one.
import t from "tap";
import { type Ip, ip } from "../../base/ip.ts";
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import { answerTo } from "./probe-answer.ts";
import { type Probe, probeFrame } from "./probe-frame.ts";

const MAC = { hi: 0x0a58, lo: 1 };
const L4 = { 4: 34, 6: 54 } as const;
const PAIRS: readonly [Ip, Ip][] = [
  [ip("10.244.1.2"), ip("10.244.2.3")],
  [ip("fd00::2"), ip("fd00::3")],
];
const viewOf = (frame: Uint8Array): DataView =>
  new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
const probeOf = (src: Ip, dst: Ip, more: Partial<Probe>): Probe => ({
  ...{ src, dst, srcMac: MAC, dstMac: MAC, protocol: "ICMP", dstPort: 0, srcPort: 61_234, sequence: 7 },
  ...more,
});
/** The same from the other end. */
const back = (probe: Probe, more: Partial<Probe> = {}): DataView => {
  const { src, dst, srcPort, dstPort, protocol } = probe;
  const ports = protocol === "ICMP" ? {} : { srcPort: dstPort, dstPort: srcPort ?? 0 };
  return viewOf(probeFrame({ ...probe, src: dst, dst: src, ...ports, ...more }));
};

for (const [src, dst] of PAIRS) {
  const { family } = src;
  const l4 = L4[family];
  t.test(`IPv${family}: answers, and what is none`, async (t) => {
    const ping = probeOf(src, dst, {});
    const reply = (more: Partial<Probe> = {}): DataView => {
      const view = back(ping, more);
      view.setUint8(l4, family === 4 ? icmpv4.TYPE_ECHO_REPLY : icmpv6.TYPE_ECHO_REPLY);
      return view;
    };
    t.match(answerTo(ping, reply()), { kind: "answer" });
    t.equal(answerTo(ping, back(ping)), undefined, "a request is no answer");
    t.equal(answerTo(ping, reply({ sequence: 8 })), undefined, "of another request");
    t.equal(answerTo(ping, reply({ srcPort: 1 })), undefined, "of somebody else");
    t.equal(answerTo(ping, reply({ src: src })), undefined, "from another address");

    const syn = probeOf(src, dst, { protocol: "TCP", dstPort: 80 });
    const flags = (bits: number, more: Partial<Probe> = {}): DataView => {
      const view = back(syn, more);
      tcp.setFlags(view, l4, bits);
      return view;
    };
    t.match(answerTo(syn, flags(0x12)), { kind: "answer" });
    t.match(answerTo(syn, flags(0x14)), { kind: "refused" });
    t.equal(answerTo(syn, flags(0x10)), undefined);
    t.equal(answerTo(syn, flags(0x12, { srcPort: 81 })), undefined);

    const datagram = probeOf(src, dst, { protocol: "UDP", dstPort: 53, payload: Uint8Array.of(1, 2, 3) });
    t.same(answerTo(datagram, back(datagram, { payload: Uint8Array.of(9) }))?.payload, Uint8Array.of(9));
    t.equal(answerTo(syn, back(datagram)), undefined);
    t.equal(answerTo(ping, new DataView(new ArrayBuffer(10))), undefined);
    for (let end = 14; end < 60; end++)
      answerTo(ping, new DataView(reply().buffer, 0, Math.min(end, l4 + 8)));
  });

  t.test(`IPv${family}: errors that quote it`, async (t) => {
    const isV4 = family === 4;
    const router = isV4 ? ip("10.244.1.1") : ip("fd00::1");
    const error = (quoted: Probe, type: number, code: number, rest = 0): DataView => {
      const inner = probeFrame(quoted).subarray(14, 14 + (isV4 ? 28 : 48));
      const carrier = probeOf(router, src, { payload: inner });
      const view = viewOf(probeFrame(carrier));
      (isV4 ? icmpv4 : icmpv6).emit(view, l4, type, code, rest);
      return view;
    };
    const unreachable = isV4 ? icmpv4.TYPE_UNREACHABLE : icmpv6.TYPE_UNREACHABLE;
    for (const protocol of ["ICMP", "TCP", "UDP"] as const) {
      const probe = probeOf(src, dst, { protocol, dstPort: protocol === "ICMP" ? 0 : 80 });
      const text = isV4 ? "Packet filtered" : "Administratively prohibited";
      t.match(answerTo(probe, error(probe, unreachable, isV4 ? 13 : 1)), { kind: "error", text, from: /1$/ });
      t.equal(answerTo(probe, error({ ...probe, srcPort: 5 }, unreachable, 1)), undefined, "somebody else's");
    }
    const probe = probeOf(src, dst, {});
    const big = isV4 ? error(probe, 3, 4, 1400) : error(probe, icmpv6.TYPE_PACKET_TOO_BIG, 0, 1400);
    t.match(answerTo(probe, big), { kind: "error", mtu: 1400 });
  });
}
