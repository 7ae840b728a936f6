import fc from "fast-check";
import t from "tap";
import type { L4Port } from "../../base/ids.ts";
import { dirty, fromHex, toHex, viewOf } from "../../testing/frames/bytes.ts";
import * as tcp from "./tcp.ts";

// A SYN as Linux sends it: MSS 1460, SACK permitted, timestamps, window scale 10.
const SYN =
  "da2e1f90 7048d176 00000000 a002faf0 8e9f0000 020405b4 0402080a d7ff9302 00000000 0103030a".replaceAll(
    " ",
    "",
  );
const syn = viewOf(fromHex(SYN));
const withOptions = (hex: string): DataView => {
  const options = fromHex(hex);
  return viewOf(
    fromHex(`00010002 00000000 00000000 ${((20 + options.length) << 2).toString(16)}020000 00000000 ${hex}`),
  );
};

t.test("a SYN from Linux reads as what it is", async (t) => {
  t.ok(tcp.isWellFormed(syn, 0, 40));
  t.equal(tcp.srcPort(syn, 0), 55854);
  t.equal(tcp.dstPort(syn, 0), 8080);
  t.equal(tcp.seq(syn, 0), 1883820406);
  t.equal(tcp.ack(syn, 0), 0);
  t.equal(tcp.headerLen(syn, 0), 40);
  t.equal(tcp.flags(syn, 0), tcp.FLAG_SYN);
  t.equal(tcp.window(syn, 0), 64240);
  t.equal(tcp.checksum(syn, 0), 0x8e9f);
  t.equal(tcp.urgent(syn, 0), 0);
  t.equal(tcp.mss(syn, 0), 1460);
  t.equal(tcp.mssOffset(syn, 0), 22);
  t.equal(tcp.wscale(syn, 0), 10);
  t.ok(tcp.sackPermitted(syn, 0));
  t.equal(syn.getInt32(tcp.timestampsOffset(syn, 0)), 3623850754 | 0);
});

t.test("emit and setters write twenty bytes and not one more", async (t) => {
  const bytes = dirty(22);
  const view = viewOf(bytes);
  tcp.emit(view, 1, 55854 as L4Port, 8080 as L4Port, 1883820406, 0, 40, tcp.FLAG_SYN, 64240);
  t.equal(toHex(bytes), `a5${SYN.slice(0, 32)}00000000a5`);
  tcp.setSrcPort(view, 1, 1 as L4Port);
  tcp.setDstPort(view, 1, 2 as L4Port);
  tcp.setSeq(view, 1, -3);
  tcp.setAck(view, 1, 4);
  tcp.setHeaderLen(view, 1, 60);
  tcp.setFlags(view, 1, tcp.FLAG_CWR | tcp.FLAG_FIN);
  tcp.setWindow(view, 1, 5);
  tcp.setChecksum(view, 1, 6);
  tcp.setUrgent(view, 1, 7);
  t.equal(toHex(bytes), "a500010002fffffffd00000004f081000500060007a5");
});

const forms = [
  { name: "header of 20 bytes", hex: "00010002 00000000 00000000 50020000 00000000", want: true },
  { name: "19 bytes", hex: "00010002 00000000 00000000 50020000 000000", want: false },
  { name: "header length 16", hex: "00010002 00000000 00000000 40020000 00000000", want: false },
  { name: "header length past the packet", hex: "00010002 00000000 00000000 60020000 00000000", want: false },
];
for (const c of forms) {
  t.test(`${c.want ? "well formed" : "refused"}: ${c.name}`, async (t) => {
    const bytes = fromHex(c.hex);
    t.equal(tcp.isWellFormed(viewOf(bytes), 0, bytes.length), c.want);
  });
}

const optionCases = [
  { name: "no options", hex: "", mss: -1, wscale: -1 },
  { name: "MSS last", hex: "0101 0303 07 01 0204 05b4 0000", mss: 1460, wscale: 7 },
  { name: "MSS behind the end of the list", hex: "00 020405b4 000000", mss: -1, wscale: -1 },
  { name: "MSS of a wrong length", hex: "0203 05 01", mss: -1, wscale: -1 },
  { name: "MSS cut by the header's end", hex: "0101 0204", mss: -1, wscale: -1 },
  { name: "length 0 ends the walk", hex: "0500 0101 020405b4", mss: -1, wscale: -1 },
  { name: "what stands before a malformed option counts", hex: "020405b4 01010108", mss: 1460, wscale: -1 },
  { name: "a shift above 14 counts as 14", hex: "03030f00", mss: -1, wscale: 14 },
];
for (const c of optionCases) {
  t.test(`options: ${c.name}`, async (t) => {
    const view = withOptions(c.hex);
    t.equal(tcp.mss(view, 0), c.mss);
    t.equal(tcp.wscale(view, 0), c.wscale);
    t.equal(tcp.timestampsOffset(view, 0), -1);
    t.notOk(tcp.sackPermitted(view, 0));
  });
}

t.test("parse of emit is identity", async () => {
  const u16 = fc.nat({ max: 0xffff });
  const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const words = fc.integer({ min: 5, max: 15 });
  fc.assert(
    fc.property(
      u16,
      u16,
      i32,
      i32,
      words,
      fc.nat({ max: 255 }),
      u16,
      (from, to, seq, ack, len, flags, window) => {
        const v = viewOf(dirty(20));
        tcp.emit(v, 0, from as L4Port, to as L4Port, seq, ack, len * 4, flags, window);
        const ports = tcp.srcPort(v, 0) === from && tcp.dstPort(v, 0) === to;
        const numbers = tcp.seq(v, 0) === seq && tcp.ack(v, 0) === ack && tcp.headerLen(v, 0) === len * 4;
        return ports && numbers && tcp.flags(v, 0) === flags && tcp.window(v, 0) === window;
      },
    ),
  );
});

t.test("a well-formed header never makes an accessor or the option walk throw", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat({ max: 75 }), (bytes, off) => {
      const view = viewOf(bytes);
      if (!tcp.isWellFormed(view, off, bytes.length)) return true;
      tcp.urgent(view, off);
      tcp.sackPermitted(view, off);
      const inside = (at: number): boolean => at === -1 || at < off + tcp.headerLen(view, off);
      return (
        tcp.mss(view, off) <= 0xffff && tcp.wscale(view, off) <= 14 && inside(tcp.timestampsOffset(view, off))
      );
    }),
  );
});
