import t from "tap";
import { dirty, fromHex, toHex, viewOf } from "../../testing/frames/bytes.ts";
import * as virtio from "./virtio-net.ts";

t.test("the header of a TCP superframe reads as what it is", async (t) => {
  const view = viewOf(fromHex("01 81 4200 b405 2200 1000"));
  t.equal(virtio.flags(view, 0), virtio.NEEDS_CSUM);
  t.ok(virtio.needsCsum(view, 0));
  t.equal(virtio.gsoType(view, 0), virtio.GSO_TCPV4 | virtio.GSO_ECN);
  t.equal(virtio.hdrLen(view, 0), 66);
  t.equal(virtio.gsoSize(view, 0), 1460);
  t.equal(virtio.csumStart(view, 0), 34);
  t.equal(virtio.csumOffset(view, 0), 16);
});

t.test("emit and clear write ten bytes and not one more", async (t) => {
  const bytes = dirty(12);
  virtio.emit(viewOf(bytes), 1, virtio.NEEDS_CSUM, virtio.GSO_TCPV6, 66, 1440, 54, 16);
  t.equal(toHex(bytes), "a501044200a00536001000a5");
  virtio.clear(viewOf(bytes), 1);
  t.equal(toHex(bytes), "a500000000000000000000a5");
  t.notOk(virtio.needsCsum(viewOf(bytes), 1));
});

t.test("a header that asks for anything is not plain", async (t) => {
  t.ok(virtio.isPlain(viewOf(fromHex("00 00 0000 0000 0000 0000")), 0));
  t.ok(virtio.isPlain(viewOf(fromHex("00 00 0000 b405 2200 1000")), 0), "sizes without a kind say nothing");
  for (const hex of ["01 00 0000", "02 00 0000", "00 01 0000", "00 80 0000", "00 00 4200"]) {
    t.notOk(virtio.isPlain(viewOf(fromHex(`${hex} 0000 0000 0000`)), 0), hex);
  }
});
