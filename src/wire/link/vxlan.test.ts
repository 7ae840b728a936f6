import fc from "fast-check";
import t from "tap";
import type { Vni } from "../../base/ids.ts";
import { dirty, fromHex, toHex, viewOf } from "../../testing/frames/bytes.ts";
import * as vxlan from "./vxlan.ts";

const forms = [
  { name: "as Linux sends it", hex: "08000000 00000700", want: true },
  { name: "reserved bits set", hex: "ff123456 00000799", want: true },
  { name: "no valid VNI", hex: "f7000000 00000700", want: false },
  { name: "7 bytes", hex: "08000000 000007", want: false },
];
for (const c of forms) {
  t.test(`${c.want ? "well formed" : "refused"}: ${c.name}`, async (t) => {
    const bytes = fromHex(c.hex);
    t.equal(vxlan.isWellFormed(viewOf(bytes), 0, bytes.length), c.want);
    if (c.want) t.equal(vxlan.vni(viewOf(bytes), 0), 7);
  });
}

t.test("emit writes eight bytes and not one more", async (t) => {
  const bytes = dirty(10);
  vxlan.emit(viewOf(bytes), 1, 0xabcdef as Vni);
  t.equal(toHex(bytes), "a508000000abcdef00a5");
  t.equal(vxlan.flags(viewOf(bytes), 1), vxlan.FLAG_I);
});

t.test("parse of emit is identity for all 24 bits", async () => {
  fc.assert(
    fc.property(fc.nat({ max: 0xffffff }), (vni) => {
      const view = viewOf(dirty(8));
      vxlan.emit(view, 0, vni as Vni);
      return vxlan.isWellFormed(view, 0, 8) && vxlan.vni(view, 0) === vni;
    }),
  );
});
