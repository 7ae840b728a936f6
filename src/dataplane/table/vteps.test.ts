import * as fc from "fast-check";
import t from "tap";
import { createVteps } from "../change/vteps.ts";
import * as vteps from "./vteps.ts";

t.test("a VTEP is found by its node's address and by its MAC", async (t) => {
  const specs = [
    { w0: 0, w1: 0, w2: 0xffff, w3: 0x0a000001, macHi: 0x0e01, macLo: 1 },
    { w0: 0x20010db8, w1: 0, w2: 0, w3: 7, macHi: 0x0e01, macLo: 2 },
  ];
  const table = createVteps(specs, (bytes) => new SharedArrayBuffer(bytes));
  t.equal(vteps.findByOuter(table, 0, 0, 0xffff, 0x0a000001), 0);
  t.equal(vteps.findByOuter(table, 0x20010db8, 0, 0, 7), 1);
  t.equal(vteps.findByOuter(table, 0, 0, 0xffff, 0x0a000002), -1);
  t.equal(vteps.findByMac(table, 0x0e01, 2), 1);
  t.equal(vteps.findByMac(table, 0x0e02, 2), -1);
});

t.test("an empty table knows nobody", async (t) => {
  const table = createVteps([]);
  t.equal(vteps.findByOuter(table, 0, 0, 0, 0), -1);
  t.equal(vteps.findByMac(table, 0, 0), -1);
});

t.test("lookups agree with a search of the list: the first that matches", async () => {
  const word = fc.integer({ min: -2, max: 2 });
  const spec = fc.record({ w0: word, w1: word, w2: word, w3: word, macHi: fc.nat(3), macLo: word });
  fc.assert(
    fc.property(fc.array(spec, { maxLength: 60 }), fc.array(spec), (specs, probes) => {
      const table = createVteps(specs);
      return [...specs, ...probes].every(
        (p) =>
          vteps.findByOuter(table, p.w0, p.w1, p.w2, p.w3) ===
            specs.findIndex((s) => s.w0 === p.w0 && s.w1 === p.w1 && s.w2 === p.w2 && s.w3 === p.w3) &&
          vteps.findByMac(table, p.macHi, p.macLo) ===
            specs.findIndex((s) => s.macHi === p.macHi && s.macLo === p.macLo),
      );
    }),
  );
});
