import fc from "fast-check";
import t from "tap";
import type { Ipv4Addr } from "../../base/ids.ts";
import { dirty, fromHex, patched, toHex, viewOf } from "../../testing/frames/bytes.ts";
import * as arp from "./arp.ts";

// inside a VXLAN frame of golden-frames.ts: 192.168.77.2 is at 16:ec:fa:e3:97:a7
const REPLY = "0001080006040002 16ecfae397a7 c0a84d02 a296d6d46d0b c0a84d01";

t.test("a reply from Linux reads as what it is", async (t) => {
  const view = viewOf(fromHex(REPLY));
  t.ok(arp.isWellFormed(view, 0, 28));
  t.equal(arp.op(view, 0), arp.OP_REPLY);
  t.equal(arp.senderHi(view, 0), 0x16ec);
  t.equal(arp.senderLo(view, 0), 0xfae397a7 | 0);
  t.equal(arp.senderIp(view, 0), 0xc0a84d02 | 0);
  t.equal(arp.targetHi(view, 0), 0xa296);
  t.equal(arp.targetLo(view, 0), 0xd6d46d0b | 0);
  t.equal(arp.targetIp(view, 0), 0xc0a84d01 | 0);
});

t.test("emit writes the same bytes, and not one more", async (t) => {
  const bytes = dirty(30);
  const [spa, tpa] = [0xc0a84d02 | 0, 0xc0a84d01 | 0] as [Ipv4Addr, Ipv4Addr];
  arp.emit(viewOf(bytes), 1, arp.OP_REPLY, 0x16ec, 0xfae397a7 | 0, spa, 0xa296, 0xd6d46d0b | 0, tpa);
  t.equal(toHex(bytes), `a5${REPLY.replaceAll(" ", "")}a5`);
});

const bad = [
  { name: "27 bytes", bytes: fromHex(REPLY).subarray(0, 27) },
  { name: "hardware type 6", bytes: patched(fromHex(REPLY), 1, 6) },
  { name: "protocol type IPv6", bytes: patched(fromHex(REPLY), 2, 0x86, 0xdd) },
  { name: "hardware address of 8 bytes", bytes: patched(fromHex(REPLY), 4, 8) },
  { name: "protocol address of 16 bytes", bytes: patched(fromHex(REPLY), 5, 16) },
];
for (const { name, bytes } of bad) {
  t.test(`refused: ${name}`, async (t) => {
    t.notOk(arp.isWellFormed(viewOf(bytes), 0, bytes.length));
  });
}

t.test("parse of emit is identity", async () => {
  const hi = fc.nat({ max: 0xffff });
  const lo = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(hi, hi, lo, lo, hi, lo, lo, (op, sh, sl, sip, th, tl, tip) => {
      const v = viewOf(dirty(28));
      arp.emit(v, 0, op, sh, sl, sip as Ipv4Addr, th, tl, tip as Ipv4Addr);
      const sender = arp.senderHi(v, 0) === sh && arp.senderLo(v, 0) === sl && arp.senderIp(v, 0) === sip;
      const target = arp.targetHi(v, 0) === th && arp.targetLo(v, 0) === tl && arp.targetIp(v, 0) === tip;
      return arp.isWellFormed(v, 0, 28) && arp.op(v, 0) === op && sender && target;
    }),
  );
});
