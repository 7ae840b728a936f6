import t from "tap";
import { dirty, fromHex, toHex, viewOf } from "../testing/bytes.ts";
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
