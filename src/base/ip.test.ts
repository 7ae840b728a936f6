import fc from "fast-check";
import ipaddr from "ipaddr.js";
import t from "tap";
import * as ip from "./ip.ts";

const bad = [
  "010.0.0.1",
  "10.1",
  "10.0.0.256",
  "1.2.3.4.5",
  "0x7f.0.0.1",
  " 10.0.0.1",
  "10.0.0.1 ",
  "",
  "fe80::1%eth0",
  "::ffff:10.0.0.1",
  "1::2::3",
  "::00001",
  "12345::",
  "2001:db8::01.2.3.4",
  "2001:db8:1:2:3:4:5:6:7",
  "2001:db8",
  "[::1]",
];
for (const text of bad) {
  t.test(`${JSON.stringify(text)} is refused as an address`, async (t) => {
    t.equal(ip.parseIp(text), null);
    t.throws(() => ip.ip(text), { code: "IP_BAD_ADDRESS" });
  });
}

const canonical = [
  ["10.0.0.1", "10.0.0.1"],
  ["255.255.255.255", "255.255.255.255"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["::", "::"],
  ["::1", "::1"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
];
for (const [text, want] of canonical) {
  t.test(`${text} prints as ${want}`, async (t) => {
    t.equal(ip.formatIp(ip.ip(text)), want);
  });
}

t.test("an IPv4 address is v4-mapped, its word signed", async (t) => {
  t.same(ip.ip("192.168.0.1"), { family: 4, w0: 0, w1: 0, w2: 0xffff, w3: -1062731775 });
});

t.test(
  "CIDRs: /08, /33, a missing or empty length are refused, host bits are cleared and told",
  async (t) => {
    for (const text of ["10.0.0.0/08", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0", "::/129", "10.0.0.0/+8"]) {
      t.equal(ip.parseCidr(text), null, text);
    }
    t.throws(() => ip.cidr("10.0.0.0/33"), { code: "IP_BAD_CIDR" });
    t.equal(ip.formatCidr(ip.cidr("10.1.2.3/8")), "10.0.0.0/8");
    t.ok(ip.hasHostBits("10.1.2.3/8"));
    t.notOk(ip.hasHostBits("10.0.0.0/8"));
    t.equal(ip.prefixLen128(ip.cidr("10.0.0.0/8")), 104);
    t.equal(ip.formatCidr(ip.cidr("fd00:10:244:12::5/56")), "fd00:10:244::/56");
  },
);

t.test("a range contains its own addresses and no other family's", async (t) => {
  const range = ip.cidr("10.244.0.0/16");
  t.ok(ip.contains(range, ip.ip("10.244.255.255")));
  t.notOk(ip.contains(range, ip.ip("10.245.0.0")));
  t.notOk(ip.contains(ip.cidr("0.0.0.0/0"), ip.ip("::1")));
  t.ok(ip.contains(ip.cidr("0.0.0.0/0"), ip.ip("8.8.8.8")));
  t.ok(ip.overlaps(range, ip.cidr("10.244.7.0/24")));
  t.notOk(ip.overlaps(range, ip.cidr("10.96.0.0/12")));
});

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const words = fc.record({ w0: word, w1: word, w2: word, w3: word });

t.test("parse ∘ format is the identity in both families", async () => {
  fc.assert(
    fc.property(words, fc.boolean(), (w, v4) => {
      const a = v4 ? { ...w, w0: 0, w1: 0, w2: ip.V4_MAPPED } : w;
      return ip.sameIp(ip.ip(ip.formatIp(a)), a);
    }),
  );
});

t.test(
  "an IPv6 address is written as another writer of RFC 5952 does, zeros wherever they stand",
  async () => {
    const group = fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (g) => {
        const [w0, w1, w2, w3] = [0, 2, 4, 6].map((i) => (g[i] << 16) | g[i + 1]);
        const w = { w0, w1, w2, w3 };
        return ip.isV4Mapped(w) || ip.formatIp(w) === new ipaddr.IPv6(g).toRFC5952String();
      }),
      { numRuns: 2000 },
    );
  },
);

t.test("the n-th address of a range is at offset n, carries included", async () => {
  fc.assert(
    fc.property(words, fc.integer({ min: 0, max: 0x7ffffffe }), (w, n) => {
      const range = ip.network({ family: 6, ...w, w0: w.w0 | 1 }, 64);
      return ip.offsetIn(range, ip.nthIp(range, n)) === n;
    }),
  );
  t.equal(ip.formatIp(ip.nthIp(ip.cidr("10.0.0.0/8"), 256)), "10.0.1.0");
  t.equal(ip.formatIp(ip.addIp(ip.ip("fd00::ffff:ffff"), 1)), "fd00::1:0:0");
});

t.test("two addresses have one key only when they are the same", async () => {
  const v4 = fc.integer().map((w3) => ({ w0: 0, w1: 0, w2: ip.V4_MAPPED, w3 }));
  const few = fc.constantFrom(0, 1, -1, 0xffff, 0x10000, -65536);
  const near = fc.record({ w0: few, w1: few, w2: few, w3: few });
  const address = fc.oneof(words, v4, near);
  fc.assert(fc.property(address, address, (a, b) => (ip.ipKey(a) === ip.ipKey(b)) === ip.sameIp(a, b)));
});
