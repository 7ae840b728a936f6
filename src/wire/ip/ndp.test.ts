import fc from "fast-check";
import t from "tap";
import { dirty, fromHex, toHex, viewOf } from "../../testing/frames/bytes.ts";
import * as ndp from "./ndp.ts";

const TARGET = "fd000000000000000000000000000003";
const SOLICITATION = `8700 6947 00000000 ${TARGET} 0101 0a580af40102`; // as Linux sent it
const ADVERTISEMENT = `8800 084a 60000000 ${TARGET} 0201 0a580af40103`;
const target = [0xfd000000 | 0, 0, 0, 3] as const;

t.test("a solicitation from Linux reads as what it is", async (t) => {
  const view = viewOf(fromHex(SOLICITATION));
  t.ok(ndp.isWellFormed(view, 0, 32));
  t.same(
    [0, 1, 2, 3].map((i) => ndp.targetWord(view, 0, i)),
    target,
  );
  const option = ndp.findOption(view, 0, 32, ndp.OPTION_SOURCE_LINK);
  t.equal(option, 24);
  t.equal(ndp.linkHi(view, option), 0x0a58);
  t.equal(ndp.linkLo(view, option), 0x0af40102);
  t.equal(ndp.findOption(view, 0, 32, ndp.OPTION_TARGET_LINK), -1);
});

t.test("an advertisement from Linux reads as what it is", async (t) => {
  const view = viewOf(fromHex(ADVERTISEMENT));
  t.ok(ndp.isWellFormed(view, 0, 32));
  t.equal(ndp.advertisementFlags(view, 0), ndp.NA_SOLICITED | ndp.NA_OVERRIDE);
  t.equal(ndp.findOption(view, 0, 32, ndp.OPTION_TARGET_LINK), 24);
});

t.test("emit writes the same bytes but for the checksum, and not one more", async (t) => {
  const bytes = dirty(34);
  const view = viewOf(bytes);
  ndp.emitSolicitation(view, 1, ...target);
  ndp.emitLinkOption(view, 25, ndp.OPTION_SOURCE_LINK, 0x0a58, 0x0af40102);
  t.equal(toHex(bytes), `a5${SOLICITATION.replace("6947", "0000").replaceAll(" ", "")}a5`);
  ndp.emitAdvertisement(view, 1, ndp.NA_SOLICITED | ndp.NA_OVERRIDE, ...target);
  ndp.emitLinkOption(view, 25, ndp.OPTION_TARGET_LINK, 0x0a58, 0x0af40103);
  t.equal(toHex(bytes), `a5${ADVERTISEMENT.replace("084a", "0000").replaceAll(" ", "")}a5`);
});

t.test("messages of routers and to them are known by their form", async (t) => {
  const mtu = "0501 0000 000005aa";
  const prefix = `0304 40c0 00001c20 00000e10 00000000 ${TARGET}`;
  const advertisement = fromHex(`8600 0000 40800708 00000000 00000000 ${mtu} ${prefix}`);
  t.ok(ndp.isWellFormed(viewOf(advertisement), 0, advertisement.length));
  t.equal(ndp.findOption(viewOf(advertisement), 0, advertisement.length, 3), 24);
  t.ok(ndp.isWellFormed(viewOf(fromHex("8500 0000 00000000")), 0, 8), "a solicitation is eight bytes");
});

const bad = [
  { name: "23 bytes", hex: `8700 0000 00000000 ${TARGET}`.slice(0, -2) },
  { name: "code 1", hex: `8701 0000 00000000 ${TARGET}` },
  { name: "another type", hex: `8000 0000 00000000 ${TARGET}` },
  { name: "an option of length 0", hex: `8700 0000 00000000 ${TARGET} 0100 000000000000` },
  { name: "an option past the end", hex: `8700 0000 00000000 ${TARGET} 0102 000000000000` },
  { name: "half an option", hex: `8700 0000 00000000 ${TARGET} 0101 0000` },
  { name: "a prefix option of 8 bytes", hex: `8700 0000 00000000 ${TARGET} 0301 000000000000` },
  { name: "less than an ICMPv6 header", hex: "8500 0000" },
];
for (const c of bad) {
  t.test(`refused: ${c.name}`, async (t) => {
    const bytes = fromHex(c.hex);
    t.notOk(ndp.isWellFormed(viewOf(bytes), 0, bytes.length));
  });
}

t.test("a well-formed message never makes an accessor or the option walk throw", async () => {
  const type = fc.integer({ min: 133, max: 136 });
  fc.assert(
    fc.property(type, fc.uint8Array({ minLength: 8, maxLength: 90 }), (kind, bytes) => {
      bytes.set([kind, 0]);
      for (const at of [8, 16, 24, 32]) if (bytes.length > at + 1) bytes[at + 1] = 1;
      const view = viewOf(bytes);
      for (const option of [1, 2, 3, 5]) ndp.findOption(view, 0, bytes.length, option);
      if (!ndp.isWellFormed(view, 0, bytes.length)) return true;
      const link = ndp.findOption(view, 0, bytes.length, ndp.OPTION_SOURCE_LINK);
      if (link >= 0) ndp.linkLo(view, link);
      if (kind >= 135) ndp.targetWord(view, 0, 3);
      return true;
    }),
  );
});
