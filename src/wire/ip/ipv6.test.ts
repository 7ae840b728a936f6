import fc from "fast-check";
import t from "tap";
import { dirty, fromHex, toHex, viewOf } from "../../testing/frames/bytes.ts";
import * as ipv6 from "./ipv6.ts";

const ADDRESSES = "fd000000000000000000000000000002 fd000000000000000000000000000003";
// An echo request as Linux sent it: flow label 0x4c6cf, 24 bytes of ICMPv6, hop limit 64.
const ECHO = `6004c6cf 0018 3a 40 ${ADDRESSES}`;
const view = viewOf(fromHex(`${ECHO} ${"00".repeat(24)}`));

t.test("a header from Linux reads as what it is", async (t) => {
  t.ok(ipv6.isWellFormed(view, 0, 64));
  t.equal(ipv6.trafficClass(view, 0), 0);
  t.equal(ipv6.flowLabel(view, 0), 0x4c6cf);
  t.equal(ipv6.payloadLen(view, 0), 24);
  t.equal(ipv6.nextHeader(view, 0), 58);
  t.equal(ipv6.hopLimit(view, 0), 64);
  t.same(
    [0, 1, 2, 3].map((i) => ipv6.srcWord(view, 0, i)),
    [0xfd000000 | 0, 0, 0, 2],
  );
  t.same(
    [0, 1, 2, 3].map((i) => ipv6.dstWord(view, 0, i)),
    [0xfd000000 | 0, 0, 0, 3],
  );
});

t.test("emit and setters write forty bytes and not one more", async (t) => {
  const bytes = dirty(42);
  const v = viewOf(bytes);
  ipv6.emit(v, 1, 0, 0x4c6cf, 24, 58, 64);
  ipv6.setSrc(v, 1, 0xfd000000 | 0, 0, 0, 2);
  ipv6.setDst(v, 1, 0xfd000000 | 0, 0, 0, 3);
  t.equal(toHex(bytes), `a5${ECHO.replaceAll(" ", "")}a5`);
  ipv6.setTrafficClass(v, 1, 0xff);
  t.equal(ipv6.flowLabel(v, 1), 0x4c6cf, "the neighbouring field is left alone");
  ipv6.setFlowLabel(v, 1, 0x12345);
  ipv6.setPayloadLen(v, 1, 1);
  ipv6.setNextHeader(v, 1, 6);
  ipv6.setHopLimit(v, 1, 9);
  ipv6.decrementHopLimit(v, 1);
  ipv6.setSrcWord(v, 1, 3, -1);
  ipv6.setDstWord(v, 1, 0, 7);
  t.equal(
    toHex(bytes.subarray(1, 41)),
    "6ff12345000106 08 fd0000000000000000000000ffffffff 00000007000000000000000000000003".replaceAll(" ", ""),
  );
});

const forms = [
  { name: "header alone", hex: `60000000 0000 3b 40 ${ADDRESSES}`, want: true },
  { name: "39 bytes", hex: `60000000 0000 3b 40 ${ADDRESSES}`.slice(0, -2), want: false },
  { name: "version 4", hex: `40000000 0000 3b 40 ${ADDRESSES}`, want: false },
  { name: "payload past the frame", hex: `60000000 0001 3b 40 ${ADDRESSES}`, want: false },
  { name: "padding behind the payload", hex: `60000000 0001 3b 40 ${ADDRESSES} 0000`, want: true },
];
for (const c of forms) {
  t.test(`${c.want ? "well formed" : "refused"}: ${c.name}`, async (t) => {
    const bytes = fromHex(c.hex);
    t.equal(ipv6.isWellFormed(viewOf(bytes), 0, bytes.length), c.want);
  });
}

// `next` is the next header of the IPv6 header, `tail` what follows it; at = offset of the upper layer or -1
const chains = [
  { name: "no extension header", next: 6, tail: "", at: 40, proto: 6 },
  { name: "no next header", next: 59, tail: "", at: 40, proto: 59 },
  { name: "ESP is an upper layer", next: 50, tail: "", at: 40, proto: 50 },
  { name: "hop-by-hop", next: 0, tail: "3a00 050200000100", at: 48, proto: 58 },
  { name: "hop-by-hop of 16 bytes", next: 0, tail: "1101 0000000000000000000000000000", at: 56, proto: 17 },
  {
    name: "routing, then destination",
    next: 43,
    tail: "3c00000000000000 0600000000000000",
    at: 56,
    proto: 6,
  },
  {
    name: "authentication counts in words",
    next: 51,
    tail: "0604 0000 00000001 00000002 000000000000000000000000",
    at: 64,
    proto: 6,
  },
  { name: "an atomic fragment is walked through", next: 44, tail: "1100 0000 00000001", at: 48, proto: 17 },
  { name: "a first fragment ends the walk", next: 44, tail: "1100 0001 00000001", at: 40, proto: 44 },
  { name: "a later fragment ends the walk", next: 44, tail: "1100 0008 00000001", at: 40, proto: 44 },
  {
    name: "hop-by-hop, then a fragment",
    next: 0,
    tail: "2c00000000000000 0600 0001 00000001",
    at: 48,
    proto: 44,
  },
  { name: "extension header cut", next: 0, tail: "3a00 0502000001", at: -1, proto: 0 },
  { name: "extension header longer than the packet", next: 60, tail: "0601 000000000000", at: -1, proto: 0 },
  { name: "hop-by-hop not first", next: 60, tail: "0000000000000000 0600000000000000", at: -1, proto: 0 },
  {
    name: "eight headers",
    next: 60,
    tail: `${"3c00000000000000".repeat(7)}0600000000000000`,
    at: 104,
    proto: 6,
  },
  {
    name: "nine headers",
    next: 60,
    tail: `${"3c00000000000000".repeat(8)}0600000000000000`,
    at: -1,
    proto: 0,
  },
];
for (const c of chains) {
  t.test(`extension headers: ${c.name}`, async (t) => {
    const tail = fromHex(c.tail);
    const len = tail.length.toString(16).padStart(4, "0");
    const next = c.next.toString(16).padStart(2, "0");
    const bytes = fromHex(`ffff 60000000 ${len} ${next} 40 ${ADDRESSES} ${c.tail}`);
    const found = ipv6.findUpperLayer(viewOf(bytes), 2, bytes.length);
    if (c.at < 0) return void t.equal(found, -1);
    t.equal(ipv6.upperLayerOffset(2, found), c.at + 2);
    t.equal(ipv6.upperLayerProto(found), c.proto);
  });
}

t.test("the fragment header reads back as it was written, and nothing else is touched", async (t) => {
  const bytes = dirty(10);
  const v = viewOf(bytes);
  ipv6.emitFragment(v, 1, 17, 1448, true, -2);
  t.equal(toHex(bytes), "a5110005a9fffffffea5");
  t.equal(ipv6.fragNextHeader(v, 1), 17);
  t.equal(ipv6.fragOffset(v, 1), 1448);
  t.ok(ipv6.fragMore(v, 1));
  t.equal(ipv6.fragId(v, 1), -2);
});

t.test("on any well-formed header the walk neither throws nor leaves the packet", async () => {
  const next = fc.constantFrom(0, 6, 17, 43, 44, 50, 51, 58, 59, 60, 135, 255);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 40, maxLength: 140 }), next, next, (bytes, first, second) => {
      bytes[0] = 0x60;
      bytes[4] = 0;
      bytes[5] = Math.min(bytes[5], bytes.length - 40);
      bytes[6] = first;
      if (bytes.length > 41) bytes[40] = second;
      if (bytes.length > 41) bytes[41] &= 1;
      const v = viewOf(bytes);
      const found = ipv6.findUpperLayer(v, 0, bytes.length);
      const at = ipv6.upperLayerOffset(0, found);
      return (
        ipv6.isWellFormed(v, 0, bytes.length) && (found < 0 || (at >= 40 && at <= 40 + ipv6.payloadLen(v, 0)))
      );
    }),
  );
});

t.test("parse of emit is identity", async () => {
  const u8 = fc.nat({ max: 255 });
  fc.assert(
    fc.property(
      u8,
      fc.nat({ max: 0xfffff }),
      fc.nat({ max: 0xffff }),
      u8,
      u8,
      (tc, flow, len, next, hops) => {
        const v = viewOf(dirty(8));
        ipv6.emit(v, 0, tc, flow, len, next, hops);
        const first = ipv6.trafficClass(v, 0) === tc && ipv6.flowLabel(v, 0) === flow;
        return (
          first &&
          ipv6.payloadLen(v, 0) === len &&
          ipv6.nextHeader(v, 0) === next &&
          ipv6.hopLimit(v, 0) === hops
        );
      },
    ),
  );
});

t.test(
  "the byte that names a header is found behind whatever extension headers stand before it",
  async (t) => {
    const addresses = "00".repeat(32);
    const cases = [
      { name: "none", hex: `60000000 0008 2c 40 ${addresses} 11000001 00000007`, at: 40, want: 6 },
      {
        name: "hop-by-hop and a routing header of 24 bytes",
        hex:
          `60000000 0028 00 40 ${addresses} 2b00010400000000 ` +
          `2c02000000000000 0000000000000000 0000000000000000 11000001 00000007`,
        at: 72,
        want: 48,
      },
    ];
    for (const { name, hex, at, want } of cases) {
      const view = viewOf(fromHex(hex));
      t.equal(ipv6.nextHeaderField(view, 0, at), want, name);
      t.equal(view.getUint8(want), ipv6.PROTO_FRAGMENT);
      t.equal(ipv6.upperLayerOffset(0, ipv6.findUpperLayer(view, 0, view.byteLength)), at);
    }
  },
);
