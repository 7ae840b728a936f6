import fc from "fast-check";
import t from "tap";
import type { L4Port } from "../../base/ids.ts";
import { dirty, fromHex, toHex, viewOf } from "../../testing/frames/bytes.ts";
import * as udp from "./udp.ts";

// What Linux sent from port 56600 to 53: "hello".
const HELLO = "dd180035 000dc6c7 68656c6c6f";

t.test("a datagram from Linux reads as what it is", async (t) => {
  const view = viewOf(fromHex(HELLO));
  t.ok(udp.isWellFormed(view, 0, 13));
  t.equal(udp.srcPort(view, 0), 56600);
  t.equal(udp.dstPort(view, 0), 53);
  t.equal(udp.length(view, 0), 13);
  t.equal(udp.checksum(view, 0), 0xc6c7);
});

t.test("emit and setters write eight bytes and not one more", async (t) => {
  const bytes = dirty(10);
  udp.emit(viewOf(bytes), 1, 56600 as L4Port, 53 as L4Port, 13);
  t.equal(toHex(bytes), "a5dd180035000d0000a5");
  udp.setSrcPort(viewOf(bytes), 1, 1 as L4Port);
  udp.setDstPort(viewOf(bytes), 1, 2 as L4Port);
  udp.setLength(viewOf(bytes), 1, 3);
  udp.setChecksum(viewOf(bytes), 1, 4);
  t.equal(toHex(bytes), "a50001000200030004a5");
});

const forms = [
  { name: "header alone", hex: "00010002 0008 0000", want: true },
  { name: "bytes behind the length", hex: "00010002 0008 0000 ffff", want: true },
  { name: "7 bytes", hex: "00010002 0008 00", want: false },
  { name: "length 7", hex: "00010002 0007 0000", want: false },
  { name: "length 0 of a jumbogram", hex: "00010002 0000 0000", want: false },
  { name: "length past the packet", hex: "00010002 0009 0000", want: false },
];
for (const c of forms) {
  t.test(`${c.want ? "well formed" : "refused"}: ${c.name}`, async (t) => {
    const bytes = fromHex(c.hex);
    t.equal(udp.isWellFormed(viewOf(bytes), 0, bytes.length), c.want);
  });
}

t.test("parse of emit is identity", async () => {
  const u16 = fc.nat({ max: 0xffff });
  fc.assert(
    fc.property(u16, u16, u16, (from, to, len) => {
      const v = viewOf(dirty(8));
      udp.emit(v, 0, from as L4Port, to as L4Port, len);
      const ports = udp.srcPort(v, 0) === from && udp.dstPort(v, 0) === to;
      return ports && udp.length(v, 0) === len && udp.checksum(v, 0) === 0;
    }),
  );
});
