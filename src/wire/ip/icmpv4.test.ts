import fc from "fast-check";
import t from "tap";
import { dirty, fromHex, toHex, viewOf } from "../../testing/frames/bytes.ts";
import { wordsMod } from "../../testing/frames/frame-checker.ts";
import * as icmpv4 from "./icmpv4.ts";

t.test("an echo request from Linux reads as what it is", async (t) => {
  const view = viewOf(fromHex("0800 bca2 2ccc 0001 3b17006b00000000cb0d080000000000"));
  t.ok(icmpv4.isWellFormed(view, 0, 24));
  t.ok(icmpv4.checksumOk(view, 0, 24));
  t.notOk(icmpv4.isWellFormed(view, 0, 7));
  t.equal(icmpv4.type(view, 0), icmpv4.TYPE_ECHO_REQUEST);
  t.equal(icmpv4.code(view, 0), 0);
  t.equal(icmpv4.checksum(view, 0), 0xbca2);
  t.equal(icmpv4.id(view, 0), 0x2ccc);
  t.equal(icmpv4.seq(view, 0), 1);
  t.equal(icmpv4.rest(view, 0), 0x2ccc0001);
  t.ok(icmpv4.isEcho(8) && icmpv4.isEcho(0) && !icmpv4.isEcho(3));
});

t.test("fragmentation needed carries the MTU, and the packet behind eight bytes", async (t) => {
  const view = viewOf(fromHex("0304 0000 0000 05aa 45"));
  t.equal(icmpv4.mtu(view, 0), 1450);
  t.equal(icmpv4.code(view, 0), icmpv4.CODE_FRAGMENTATION_NEEDED);
  t.equal(view.getUint8(icmpv4.innerOffset(0)), 0x45);
});

t.test("errors are the types that quote a packet", async (t) => {
  const errors = Array.from({ length: 256 }, (_, type) => type).filter(icmpv4.isError);
  t.same(errors, [3, 4, 5, 11, 12]);
});

t.test("emit and setters write eight bytes and not one more", async (t) => {
  const bytes = dirty(10);
  const view = viewOf(bytes);
  icmpv4.emit(view, 1, 3, 4, 1450);
  t.equal(toHex(bytes), "a503040000000005aaa5");
  icmpv4.setType(view, 1, 0);
  icmpv4.setCode(view, 1, 1);
  icmpv4.setChecksum(view, 1, 2);
  icmpv4.setId(view, 1, 3);
  icmpv4.setSeq(view, 1, 4);
  t.equal(toHex(bytes), "a50001000200030004a5");
});

t.test("a computed checksum is right for any message, even or odd", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 99 }), (bytes) => {
      const view = viewOf(bytes);
      icmpv4.computeChecksum(view, 0, bytes.length);
      const sound = icmpv4.checksumOk(view, 0, bytes.length) && wordsMod(bytes) === 0;
      bytes[7] ^= 1;
      return sound && !icmpv4.checksumOk(view, 0, bytes.length);
    }),
  );
});
