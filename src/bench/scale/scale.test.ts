import t from "tap";
import { brokenScale, formatScale, type ScaleRow } from "./scale.ts";

const good: ScaleRow = {
  ...{ services: 10_000, endpointsEach: 10, parseMs: 600, compileMs: 500, compileStepMs: 90, tableMs: 300 },
  ...{ updateMedianMs: 0.3, updateMaxMs: 2, loadHeldMs: 9, loadHeldCpuMs: 0.8, updateHeldMs: 9 },
  ...{
    updateHeldCpuMs: 0.2,
    mainCpuMs: 1500,
    residentMb: 300,
    newNs: 900,
    newAnyNs: 2000,
    establishedNs: 300,
  },
};

t.test("each promise that does not hold is named", async (t) => {
  const few = { ...good, services: 100 };
  t.same(brokenScale([few, good]), []);
  for (const [change, message] of [
    [{ parseMs: 900 }, "scale 10000 services: first load, ms: 1700, promised 1500"],
    [{ updateMaxMs: 5.1 }, "scale 10000 services: one slice, ms: 5.10, promised 5"],
    [{ updateHeldCpuMs: 1.2 }, "scale 10000 services: packets wait for one slice, ms: 1.20, promised 1"],
    [{ newNs: 2700 }, "scale 10000 services: new connection, of 100 services': 3, promised 2"],
  ] as const) {
    t.same(brokenScale([few, { ...good, ...change }]), [message]);
  }
  const large = { ...good, services: 100_000, updateMaxMs: 9 };
  t.same(brokenScale([few, { ...large, parseMs: 9000 }]), [], "its load alone is promised of more");
  t.same(brokenScale([few, { ...large, parseMs: 12_000 }]), [
    "scale 100000 services: first load, ms: 12800, promised 12000",
  ]);
});

t.test("the table has a line for each size", async (t) => {
  t.equal(formatScale([good, good]).split("\n").length, 3);
});
