import fc from "fast-check";
import t from "tap";
import { dirty, fromHex, toHex, viewOf } from "../../testing/frames/bytes.ts";
import * as ethernet from "./ethernet.ts";

const golden = viewOf(fromHex("0a580af40102 0a580af40103 0800 45"));
const untagged = "0a580af40102 0a580af40103";

t.test("a frame from Linux reads as what it is", async (t) => {
  t.ok(ethernet.isWellFormed(golden, 0, 15));
  t.equal(ethernet.dstHi(golden, 0), 0x0a58);
  t.equal(ethernet.dstLo(golden, 0), 0x0af40102);
  t.equal(ethernet.srcHi(golden, 0), 0x0a58);
  t.equal(ethernet.srcLo(golden, 0), 0x0af40103);
  t.equal(ethernet.etherType(golden, 0), ethernet.ETHERTYPE_IPV4);
  t.equal(ethernet.payloadOffset(golden, 0, 15), 14);
  t.equal(ethernet.payloadType(golden, 0, 15), 0x0800);
});

const tagCases = [
  { name: "no tag", hex: "0800", type: 0x0800, offset: 14 },
  { name: "one 802.1Q tag", hex: "8100 0005 86dd", type: 0x86dd, offset: 18 },
  { name: "802.1ad and 802.1Q", hex: "88a8 0005 8100 0006 0806", type: 0x0806, offset: 22 },
  {
    name: "a third tag is not looked behind",
    hex: "8100 0001 8100 0002 8100 0003 0800",
    type: 0x8100,
    offset: 22,
  },
  { name: "header cut", hex: "08", type: -1, offset: -1 },
  { name: "tag cut", hex: "8100 0005 86", type: -1, offset: -1 },
  { name: "second tag cut", hex: "88a8 0005 8100 0006 08", type: -1, offset: -1 },
];
for (const c of tagCases) {
  t.test(`payload behind tags: ${c.name}`, async (t) => {
    const bytes = fromHex(untagged + c.hex);
    t.equal(ethernet.payloadType(viewOf(bytes), 0, bytes.length), c.type);
    t.equal(ethernet.payloadOffset(viewOf(bytes), 0, bytes.length), c.offset);
  });
}

t.test("the VLAN identifier is the low 12 bits of the tag", async (t) => {
  const tagged = viewOf(fromHex(`${untagged} 8100 e005 0800`));
  t.ok(ethernet.isTagged(tagged, 0));
  t.equal(ethernet.vlanId(tagged, 0), 5);
  t.notOk(ethernet.isTagged(golden, 0));
});

t.test("group addresses are told by the lowest bit of the first byte", async (t) => {
  t.ok(ethernet.isMulticast(0x0100));
  t.ok(ethernet.isMulticast(0x3333));
  t.ok(ethernet.isMulticast(0xffff));
  t.notOk(ethernet.isMulticast(0x0a58));
  t.ok(ethernet.isBroadcast(0xffff, -1));
  t.notOk(ethernet.isBroadcast(0xffff, 1));
});

t.test("emit writes fourteen bytes and not one more", async (t) => {
  const bytes = dirty(16);
  ethernet.emit(viewOf(bytes), 1, 0xffff, -1, 0x0a58, 0x0af40102, 0x0806);
  t.equal(toHex(bytes), "a5ffffffffffff0a580af401020806a5");
});

t.test("parse of emit is identity", async () => {
  const hi = fc.nat({ max: 0xffff });
  const lo = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(hi, lo, hi, lo, hi, (dh, dl, sh, sl, type) => {
      const v = viewOf(dirty(14));
      ethernet.emit(v, 0, dh, dl, sh, sl, type);
      const same =
        ethernet.dstHi(v, 0) === dh && ethernet.dstLo(v, 0) === dl && ethernet.etherType(v, 0) === type;
      return same && ethernet.srcHi(v, 0) === sh && ethernet.srcLo(v, 0) === sl;
    }),
  );
});

t.test("looking behind tags never reads past the frame", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
      const at = ethernet.payloadOffset(viewOf(bytes), 0, bytes.length);
      ethernet.payloadType(viewOf(bytes), 0, bytes.length);
      return at === -1 || (at >= 14 && at <= bytes.length);
    }),
  );
});
