import fc from "fast-check";
import t from "tap";
import type { Ipv4Addr } from "../../base/ids.ts";
import { Protocol } from "../../base/protocols.ts";
import { dirty, fromHex, toHex, viewOf } from "../../testing/frames/bytes.ts";
import { wordsMod } from "../../testing/frames/frame-checker.ts";
import * as ipv4 from "./ipv4.ts";

const TEXTBOOK = "45000073 00004000 4011b861 c0a80001 c0a800c7"; // total length 115, UDP
const addr = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map((n) => n as Ipv4Addr);
const u16 = fc.nat({ max: 0xffff });
const u8 = fc.nat({ max: 0xff });
/** Headers with any field values and a right checksum. */
const header = fc
  .tuple(u8, u16, u16, u16, u8, u8, addr, addr)
  .map(([tos, len, id, frag, ttl, proto, a, b]) => {
    const bytes = dirty(20);
    ipv4.emit(viewOf(bytes), 0, tos, len, id, frag, ttl, proto, a, b);
    return bytes;
  });

t.test("a header reads as what it is", async (t) => {
  const view = viewOf(fromHex(TEXTBOOK));
  t.ok(ipv4.checksumOk(view, 0));
  t.equal(ipv4.headerLen(view, 0), 20);
  t.equal(ipv4.tos(view, 0), 0);
  t.equal(ipv4.totalLen(view, 0), 115);
  t.equal(ipv4.id(view, 0), 0);
  t.equal(ipv4.flagsFragment(view, 0), 0x4000);
  t.ok(ipv4.dontFragment(view, 0));
  t.notOk(ipv4.moreFragments(view, 0));
  t.notOk(ipv4.isFragment(view, 0));
  t.equal(ipv4.fragOffset(view, 0), 0);
  t.equal(ipv4.ttl(view, 0), 64);
  t.equal(ipv4.proto(view, 0), Protocol.UDP);
  t.equal(ipv4.checksum(view, 0), 0xb861);
  t.equal(ipv4.src(view, 0), -1062731775, "192.168.0.1 as an i32");
  t.equal(ipv4.dst(view, 0), 0xc0a800c7 | 0);
});

t.test("emit writes the same bytes, and not one more", async (t) => {
  const bytes = dirty(22);
  const [src, dst] = [0xc0a80001 | 0, 0xc0a800c7 | 0] as [Ipv4Addr, Ipv4Addr];
  ipv4.emit(viewOf(bytes), 1, 0, 115, 0, ipv4.FLAG_DF, 64, Protocol.UDP, src, dst);
  t.equal(toHex(bytes), `a5${TEXTBOOK.replaceAll(" ", "")}a5`);
});

const forms = [
  { name: "minimal header", hex: "45000014 00000000 40110000 0a000001 0a000002", want: true },
  {
    name: "Ethernet padding behind it",
    hex: "45000014 00000000 40110000 0a000001 0a000002 0000",
    want: true,
  },
  { name: "19 bytes", hex: "45000014 00000000 40110000 0a000001 0a0000", want: false },
  { name: "version 6", hex: "65000014 00000000 40110000 0a000001 0a000002", want: false },
  { name: "IHL below 5", hex: "44000014 00000000 40110000 0a000001 0a000002", want: false },
  {
    name: "IHL past the total length",
    hex: "46000014 00000000 40110000 0a000001 0a000002 01010101",
    want: false,
  },
  { name: "options", hex: "46000018 00000000 40110000 0a000001 0a000002 01010101", want: true },
  { name: "total length past the frame", hex: "45000015 00000000 40110000 0a000001 0a000002", want: false },
  { name: "total length below the header", hex: "45000013 00000000 40110000 0a000001 0a000002", want: false },
];
for (const c of forms) {
  t.test(`${c.want ? "well formed" : "refused"}: ${c.name}`, async (t) => {
    const bytes = fromHex(c.hex);
    t.equal(ipv4.isWellFormed(viewOf(bytes), 0, bytes.length), c.want);
  });
}

const fragments = [
  { name: "first", field: 0x2000, offset: 0, more: true, fragment: true },
  { name: "middle", field: 0x2001, offset: 8, more: true, fragment: true },
  { name: "last, at the largest offset", field: 0x1fff, offset: 65528, more: false, fragment: true },
  { name: "whole, reserved bit and DF set", field: 0xc000, offset: 0, more: false, fragment: false },
];
for (const c of fragments) {
  t.test(`fragment fields: ${c.name}`, async (t) => {
    const view = viewOf(fromHex(TEXTBOOK));
    ipv4.setFlagsFragment(view, 0, c.field);
    t.equal(ipv4.fragOffset(view, 0), c.offset);
    t.equal(ipv4.moreFragments(view, 0), c.more);
    t.equal(ipv4.isFragment(view, 0), c.fragment);
  });
}

t.test("raw setters write their field and leave the checksum alone", async (t) => {
  const view = viewOf(fromHex(TEXTBOOK));
  ipv4.setTotalLen(view, 0, 1500);
  ipv4.setId(view, 0, 0xbeef);
  ipv4.setTos(view, 0, 0xb8);
  ipv4.setTtl(view, 0, 1);
  t.same(
    [ipv4.totalLen(view, 0), ipv4.id(view, 0), ipv4.tos(view, 0), ipv4.ttl(view, 0), ipv4.checksum(view, 0)],
    [1500, 0xbeef, 0xb8, 1, 0xb861],
  );
});

t.test("every setter that promises it leaves the checksum as a full computation would make it", async () => {
  fc.assert(
    fc.property(header, addr, addr, u8, (bytes, src, dst, tos) => {
      const view = viewOf(bytes);
      ipv4.setSrcAndChecksum(view, 0, src);
      ipv4.setDstAndChecksum(view, 0, dst);
      ipv4.setTosAndChecksum(view, 0, tos);
      if (ipv4.ttl(view, 0) > 0) ipv4.decrementTtl(view, 0);
      const repaired = ipv4.checksum(view, 0);
      ipv4.computeChecksum(view, 0);
      const set = ipv4.src(view, 0) === src && ipv4.dst(view, 0) === dst && ipv4.tos(view, 0) === tos;
      return set && repaired === ipv4.checksum(view, 0) && ipv4.checksumOk(view, 0) && wordsMod(bytes) === 0;
    }),
  );
});

t.test("one hop less is one hop less", async (t) => {
  const view = viewOf(fromHex(TEXTBOOK));
  ipv4.decrementTtl(view, 0);
  t.equal(ipv4.ttl(view, 0), 63);
  t.equal(ipv4.proto(view, 0), 17);
  t.ok(ipv4.checksumOk(view, 0));
});

t.test("a flipped bit fails the checksum", async () => {
  fc.assert(
    fc.property(header, fc.nat({ max: 159 }), (bytes, bit) => {
      bytes[bit >> 3] ^= 1 << (bit & 7);
      return bit < 8 || !ipv4.checksumOk(viewOf(bytes), 0); // byte 0 says how much is summed
    }),
  );
});

t.test("a well-formed header never makes an accessor throw", async () => {
  const bytes = fc.uint8Array({ maxLength: 80 });
  fc.assert(
    fc.property(bytes, fc.nat({ max: 90 }), fc.boolean(), (b, off, plausible) => {
      if (plausible && off < b.length) b[off] = 0x40 | (b[off] & 0x0f);
      if (plausible && off + 3 < b.length) b[off + 2] = 0;
      const view = viewOf(b);
      if (!ipv4.isWellFormed(view, off, b.length)) return true;
      ipv4.hasSourceRoute(view, off);
      ipv4.checksumOk(view, off);
      ipv4.src(view, off);
      ipv4.dst(view, off);
      return (
        ipv4.totalLen(view, off) >= ipv4.headerLen(view, off) && off + ipv4.totalLen(view, off) <= b.length
      );
    }),
  );
});
