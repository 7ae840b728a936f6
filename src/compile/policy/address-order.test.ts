// Which addresses lie in a prefix, against asking each: while they come and go, in any order, of both families.
import fc from "fast-check";
import t from "tap";
import { cidr, contains, type Ip, ip, prefixLen128 } from "../../base/ip.ts";
import { AddressOrder, countOf, cut } from "./address-order.ts";

const TEXTS = [
  "0.0.0.0",
  "10.0.0.1",
  "10.0.0.2",
  "10.0.1.0",
  "200.0.0.1",
  "255.255.255.255",
  "::1",
  "fd00::1",
];
const PREFIXES = [
  "0.0.0.0/0",
  "10.0.0.0/8",
  "10.0.0.0/24",
  "10.0.0.2/32",
  "255.0.0.0/8",
  "fd00::/8",
  "::/120",
];
const addresses = TEXTS.map((text) => ({ text, ...ip(text) }));

function prefixOf(text: string) {
  const range = cidr(text);
  return { ...range, bits: prefixLen128(range) };
}

function holds(prefix: string, address: Ip): boolean {
  return cidr(prefix).family === address.family && contains(cidr(prefix), address);
}

t.test("a prefix's addresses stand side by side, whatever came and went", async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.subarray(addresses), fc.constantFrom(...PREFIXES), fc.constantFrom(...PREFIXES))),
      (rounds) => {
        const order = new AddressOrder<(typeof addresses)[number]>();
        let there: readonly (typeof addresses)[number][] = [];
        for (const [wanted, prefix, hole] of rounds) {
          for (const one of wanted) if (!there.includes(one)) order.add(one);
          for (const one of there) if (!wanted.includes(one)) order.delete(one);
          there = wanted;
          const runs = cut([order.runOf(prefixOf(prefix))], order.runOf(prefixOf(hole)));
          const found = order.at(runs).map(({ text }) => text);
          const expected = wanted
            .filter((address) => holds(prefix, address) && !holds(hole, address))
            .map(({ text }) => text);
          if (countOf(runs) !== expected.length) throw new Error(`${countOf(runs)}, not ${expected.length}`);
          if (found.sort().join() !== expected.sort().join()) throw new Error(`${found}, not ${expected}`);
        }
      },
    ),
    { numRuns: 300, seed: 20_261_202 },
  );
  t.pass("300 ways");
});
