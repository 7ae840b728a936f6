import t from "tap";
import { formatSpan, nthOfSpan, parseSpan, placeIn, spansOverlap } from "./address-span.ts";
import { formatIp, ip } from "./ip.ts";

t.test("a span is a CIDR or two ends, both of them in it", async (t) => {
  const cases: [string, string, number][] = [
    ["192.168.50.240/28", "192.168.50.240-192.168.50.255", 16],
    ["192.168.50.7/32", "192.168.50.7-192.168.50.7", 1],
    ["192.168.50.200-192.168.50.209", "192.168.50.200-192.168.50.209", 10],
    ["192.168.50.200 - 192.168.50.209", "192.168.50.200-192.168.50.209", 10],
    ["192.168.50.9-192.168.50.9", "192.168.50.9-192.168.50.9", 1],
    ["127.255.255.255-128.0.0.0", "127.255.255.255-128.0.0.0", 2],
    ["fd00::f0/124", "fd00::f0-fd00::ff", 16],
    ["fd00::ffff:ffff-fd00::1:0:0", "fd00::ffff:ffff-fd00::1:0:0", 2],
    ["fd00:0:0:1:ffff:ffff:ffff:ffff-fd00:0:0:2::1", "fd00::1:ffff:ffff:ffff:ffff-fd00:0:0:2::1", 3],
    ["fd00::/64", "fd00::-fd00::7fff:fffe", 0x7fffffff],
  ];
  for (const [text, want, size] of cases) {
    const span = parseSpan(text);
    t.ok(span, text);
    if (span !== null) t.same([formatSpan(span), span.size], [want, size], text);
  }
});

t.test("what leaves a doubt is no span", async (t) => {
  for (const text of [
    "192.168.50.241/28",
    "192.168.50.9-192.168.50.8",
    "192.168.50.9",
    "192.168.050.1/32",
    "192.168.50.1-fd00::1",
    "fd00::2-fd00::1",
    "fd00:1::-fd00::1",
    "a-b-c",
    "",
  ])
    t.equal(parseSpan(text), null, text);
});

t.test("places count from the first address on", async (t) => {
  const span = parseSpan("192.168.50.250-192.168.51.4");
  if (span === null) throw new Error("no span");
  t.equal(placeIn(span, ip("192.168.50.250")), 0);
  t.equal(placeIn(span, ip("192.168.51.4")), 10);
  t.equal(placeIn(span, ip("192.168.51.5")), -1);
  t.equal(placeIn(span, ip("192.168.50.249")), -1);
  t.equal(placeIn(span, ip("fd00::1")), -1);
  t.equal(formatIp(nthOfSpan(span, 6)), "192.168.51.0");
  const other = (text: string) => parseSpan(text) ?? span;
  t.equal(spansOverlap(span, other("192.168.51.4-192.168.51.9")), true);
  t.equal(spansOverlap(span, other("192.168.50.0/24")), true);
  t.equal(spansOverlap(span, other("192.168.51.5-192.168.51.9")), false);
});
