import * as fc from "fast-check";
import t from "tap";
import type { IpWords } from "../../base/ip.ts";
import * as localAddresses from "./local-addresses.ts";

const small = fc.integer({ min: -2, max: 2 });
const address = fc.record({ w0: small, w1: small, w2: small, w3: small });

t.test("an empty set holds nothing, not even the zero address", async (t) => {
  t.notOk(localAddresses.has(new localAddresses.LocalAddresses([]), 0, 0, 0, 0));
});

t.test("the zero address is a member like any other", async (t) => {
  const set = new localAddresses.LocalAddresses([{ w0: 0, w1: 0, w2: 0, w3: 0 }]);
  t.ok(localAddresses.has(set, 0, 0, 0, 0));
  t.notOk(localAddresses.has(set, 0, 0, 0, 1));
});

t.test("the set holds exactly what it was made of", async () => {
  const key = (a: IpWords) => `${a.w0},${a.w1},${a.w2},${a.w3}`;
  fc.assert(
    fc.property(fc.array(address, { maxLength: 40 }), fc.array(address), (members, probes) => {
      const set = new localAddresses.LocalAddresses(members);
      const model = new Set(members.map(key));
      if (set.taken.reduce((n, slot) => n + slot, 0) !== model.size) return false;
      return [...members, ...probes].every(
        (a) => localAddresses.has(set, a.w0, a.w1, a.w2, a.w3) === model.has(key(a)),
      );
    }),
  );
});
