import fc from "fast-check";
import t from "tap";
import { Claims } from "./claims.ts";

t.test("whatever comes and goes: the smallest key has it, and who loses and who gets it is told", (t) => {
  const all = Array.from({ length: 6 }, (_, i) => ({ key: `k${i}` }));
  const move = fc.record({ who: fc.nat(5), claim: fc.constantFrom("a", "b"), adds: fc.boolean() });
  fc.assert(
    fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
      const claims = new Claims<(typeof all)[0]>();
      const model = new Map<string, Set<(typeof all)[0]>>([
        ["a", new Set()],
        ["b", new Set()],
      ]);
      for (const { who, claim, adds } of moves) {
        const there = model.get(claim)!;
        const one = all[who];
        if (adds === there.has(one)) continue;
        const least = () => all.find((each) => there.has(each));
        const before = least();
        if (adds) there.add(one);
        else there.delete(one);
        const after = least();
        const told = adds ? claims.add(claim, one) : claims.remove(claim, one);
        const expected = before === after ? undefined : adds ? before : after;
        if (told !== expected || claims.holder(claim) !== after) return false;
      }
      return true;
    }),
  );
  t.end();
});

t.test("a service that names an address twice claims it until it has let go twice", async (t) => {
  const claims = new Claims<{ key: string }>();
  const [a, b] = [{ key: "a" }, { key: "b" }];
  claims.add("x", b);
  t.equal(claims.add("x", a), b);
  t.equal(claims.add("x", a), undefined);
  t.equal(claims.remove("x", a), undefined);
  t.equal(claims.holder("x"), a);
  t.equal(claims.remove("x", a), b);
  t.equal(claims.remove("x", a), undefined, "it has none");
});

t.test("of thousands that claim one address few are looked at when one comes or goes", async (t) => {
  let looks = 0;
  const COUNT = 4096;
  const all = Array.from({ length: COUNT }, (_, i) => {
    const key = String((i * 1031) % COUNT).padStart(4, "0");
    return {
      get key() {
        looks++;
        return key;
      },
    };
  });
  const claims = new Claims<{ key: string }>();
  for (const each of all) claims.add("10.0.0.1", each);
  for (const each of all) claims.remove("10.0.0.1", each);
  t.equal(claims.holder("10.0.0.1"), undefined);
  t.ok(looks < COUNT * 2 * 14, `${looks} looks`);
});
