import fc from "fast-check";
import t from "tap";
import { dirty, fromHex, toHex, viewOf } from "../../testing/frames/bytes.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { checkFrame } from "../../testing/frames/frame-checker.ts";
import { GOLDEN_FRAMES } from "../../testing/frames/golden-frames.ts";
import * as icmpv6 from "./icmpv6.ts";

const HEADERS = 14 + 40;
const golden = (name: string): Uint8Array =>
  fromHex(GOLDEN_FRAMES.find((frame) => frame.name === name)?.hex ?? "");

t.test("an echo request from Linux reads as what it is", async (t) => {
  const bytes = golden("ICMPv6 echo request");
  const view = viewOf(bytes);
  t.ok(icmpv6.isWellFormed(view, HEADERS, bytes.length));
  t.notOk(icmpv6.isWellFormed(view, HEADERS, HEADERS + 7));
  t.equal(icmpv6.type(view, HEADERS), icmpv6.TYPE_ECHO_REQUEST);
  t.equal(icmpv6.code(view, HEADERS), 0);
  t.equal(icmpv6.id(view, HEADERS), 11469);
  t.equal(icmpv6.seq(view, HEADERS), 1);
  t.equal(icmpv6.checksum(view, HEADERS), view.getUint16(HEADERS + 2));
  t.ok(icmpv6.checksumOk(view, HEADERS, bytes.length, 14));
  bytes[20] ^= 1; // the payload length is not looked at: the caller says how long the message is
  t.ok(icmpv6.checksumOk(view, HEADERS, bytes.length, 14));
  bytes[25] ^= 1; // the source address is
  t.notOk(icmpv6.checksumOk(view, HEADERS, bytes.length, 14));
});

t.test("types are told apart", async (t) => {
  t.ok(icmpv6.isError(icmpv6.TYPE_PACKET_TOO_BIG) && !icmpv6.isError(128));
  t.ok(icmpv6.isEcho(128) && icmpv6.isEcho(129) && !icmpv6.isEcho(130));
  const discovery = Array.from({ length: 256 }, (_, type) => type).filter(icmpv6.isNeighborDiscovery);
  t.same(discovery, [133, 134, 135, 136, 137]);
  const link = Array.from({ length: 256 }, (_, type) => type).filter(icmpv6.isLinkTalk);
  t.same(link, [130, 131, 132, 133, 134, 135, 136, 143]);
});

t.test("packet too big carries the MTU, and the packet behind eight bytes", async (t) => {
  const view = viewOf(fromHex("0200 0000 00000500 60"));
  t.equal(icmpv6.mtu(view, 0), 1280);
  t.equal(view.getUint8(icmpv6.innerOffset(0)), 0x60);
});

t.test("emit and setters write eight bytes and not one more", async (t) => {
  const bytes = dirty(10);
  const view = viewOf(bytes);
  icmpv6.emit(view, 1, 2, 0, 1280);
  t.equal(toHex(bytes), "a50200000000000500a5");
  t.equal(icmpv6.rest(view, 1), 1280);
  icmpv6.setType(view, 1, 129);
  icmpv6.setCode(view, 1, 1);
  icmpv6.setChecksum(view, 1, 2);
  icmpv6.setId(view, 1, 3);
  icmpv6.setSeq(view, 1, 4);
  t.equal(toHex(bytes), "a58101000200030004a5");
});

t.test("a computed checksum is right for any payload, even or odd", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 99 }), (payload) => {
      const bytes = build.echoFrame({ src: "fd00::2", dst: "fd00::3", payload });
      const view = viewOf(bytes);
      icmpv6.setChecksum(view, HEADERS, 0xa5a5);
      icmpv6.computeChecksum(view, HEADERS, bytes.length - HEADERS, 14);
      return checkFrame(bytes).length === 0 && icmpv6.checksumOk(view, HEADERS, bytes.length, 14);
    }),
  );
});
