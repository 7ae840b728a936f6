import * as fc from "fast-check";
import t from "tap";
import { createRoutes } from "../change/routes.ts";
import { RouteKind, type RouteSpec } from "../spec/routes.ts";
import * as routes from "./routes.ts";
import * as words128 from "./words128.ts";

const { GATEWAY, ONLINK, PODS, VTEP } = RouteKind;

function spec4(addr: number, prefixLen: number, more: Partial<RouteSpec> = {}): RouteSpec {
  return { ...spec6(0, 0, 0xffff, addr, prefixLen), family: 4, ...more };
}

function spec6(w0: number, w1: number, w2: number, w3: number, prefixLen: number): RouteSpec {
  const none = { gw0: 0, gw1: 0, gw2: 0, gw3: 0, src0: 0, src1: 0, src2: 0, src3: 0 };
  return { family: 6, w0, w1, w2, w3, prefixLen, kind: ONLINK, vtep: -1, mtu: 1500, port: 1, ...none };
}

/**
 * The definition, as slow as can be: of all routes that cover the address the longest, of equal ones the
 * first.
 */
function naive(specs: RouteSpec[], family: number, w: [number, number, number, number]): number {
  let best = -1;
  for (const [i, s] of specs.entries()) {
    if (s.family !== family) continue;
    const bits = family === 4 ? s.prefixLen + 96 : s.prefixLen;
    const covers = [s.w0, s.w1, s.w2, s.w3].every(
      (word, k) => ((word ^ w[k]) & words128.maskWord(bits, k)) === 0,
    );
    if (covers && (best < 0 || s.prefixLen > specs[best].prefixLen)) best = i;
  }
  return best;
}

t.test("the longest prefix wins, whatever the order of the list", async (t) => {
  const specs = [
    spec4(0, 0, { kind: GATEWAY }),
    spec4(0x0af40100, 24, { kind: PODS }),
    spec4(0x0af40000, 16, { kind: VTEP }),
    spec4(0x0af40107, 32),
    spec4(0x0af40180, 25),
  ];
  for (const list of [specs, specs.toReversed()]) {
    const table = createRoutes(list);
    const at = (addr: number) => list[routes.lookup4(table, addr)]?.prefixLen;
    t.equal(at(0x08080808), 0);
    t.equal(at(0x0af4ffff), 16);
    t.equal(at(0x0af40101), 24);
    t.equal(at(0x0af40107), 32);
    t.equal(at(0x0af401ff), 25);
    t.equal(at(-1), 0, "255.255.255.255");
  }
});

t.test("no route is -1", async (t) => {
  const empty = createRoutes([]);
  t.equal(routes.lookup4(empty, 1), -1);
  t.equal(routes.lookup6(empty, 0, 0, 0, 1), -1);
  const one = createRoutes([spec4(0x0a000000, 8)]);
  t.equal(routes.lookup4(one, 0x0b000000), -1);
  t.equal(routes.lookup6(one, 0, 0, 0xffff, 0x0a000001), -1, "an IPv4 route is no IPv6 route");
});

t.test("of two routes with one prefix the first in the list wins", async (t) => {
  const table = createRoutes([
    spec4(0x0a000001, 8),
    spec4(0x0a000000, 8),
    spec6(0x20010db8, 0, 0, 0, 32),
    spec6(0x20010db8, 1, 0, 0, 32),
  ]);
  t.equal(routes.lookup4(table, 0x0a0a0a0a), 0);
  t.equal(routes.lookup6(table, 0x20010db8, 5, 5, 5), 2);
});

t.test("a route that ends at the last address, one that begins at the first", async (t) => {
  const table = createRoutes([spec6(-1, -1, -1, -1, 128), spec6(-1, 0, 0, 0, 8), spec6(0, 0, 0, 0, 1)]);
  t.equal(routes.lookup6(table, -1, -1, -1, -1), 0);
  t.equal(routes.lookup6(table, -1, -1, -1, -2), 1);
  t.equal(routes.lookup6(table, 0, 0, 0, 0), 2);
  t.equal(routes.lookup6(table, 1 << 31, 0, 0, 0), -1);
});

t.test("a prefix length that the family does not have is refused with its place in the list", async (t) => {
  for (const bad of [-1, 33, 1.5, Number.NaN]) {
    t.throws(() => createRoutes([spec4(0, 0), spec4(0, bad)]), {
      code: "ROUTE_BAD_PREFIX",
      data: { index: 1 },
    });
  }
  t.throws(() => createRoutes([spec6(0, 0, 0, 0, 129)]), { code: "ROUTE_BAD_PREFIX" });
});

t.test("columns come back as they went in, also through shared memory", async (t) => {
  const spec = spec4(0x0af40203, 24, {
    kind: VTEP,
    gw2: 0xffff,
    gw3: 0x0af40200,
    vtep: 4,
    mtu: 1450,
    port: 9,
    src2: 0xffff,
    src3: 0x0af40100,
  });
  const table = createRoutes([spec, spec6(1, 2, 3, 4, 64)], (bytes) => new SharedArrayBuffer(bytes));
  const opened = new routes.Routes(table.memory);
  const { w0: dst0, w1: dst1, w2: dst2, w3: _, ...columns } = spec;
  const row = { dst0, dst1, dst2, dst3: 0x0af40200, ...columns };
  for (const [name, value] of Object.entries(row)) t.equal(opened[name as keyof typeof row][0], value, name);
  t.equal(routes.lookup(opened, 0, 0, 0xffff, 0x0af40299), 0);
  t.equal(routes.lookup(opened, 1, 2, 9, 9), 1);
  t.throws(() => new routes.Routes(new ArrayBuffer(4096)), RangeError);
});

t.test("a cluster of a thousand /64s beside link-local, a host route and a default", async (t) => {
  const pods = Array.from({ length: 1000 }, (_, node) => spec6(0xfd001024 | 0, node * 3, 0, 0, 64));
  const list = [
    spec6(0, 0, 0, 0, 0),
    spec6(0xfe80 << 16, 0, 0, 0, 10),
    ...pods,
    spec6(0xfd001024 | 0, 30, 0, 7, 128),
  ];
  const table = createRoutes(list);
  t.ok(table.memory.byteLength < 256 * 1024, "a few cache lines a route, not a kilobyte");
  for (let node = 0; node < 1000; node++) {
    if (routes.lookup6(table, 0xfd001024 | 0, node * 3, -1, -1) !== node + 2) t.fail(`node ${node}`);
    if (routes.lookup6(table, 0xfd001024 | 0, node * 3 + 1, 0, 0) !== 0) t.fail(`behind node ${node}`);
  }
  t.equal(routes.lookup6(table, 0xfd001024 | 0, 30, 0, 7), list.length - 1);
  t.equal(routes.lookup6(table, 0xfd001024 | 0, 30, 0, 8), 12);
  t.equal(routes.lookup6(table, 0xfebf << 16, 1, 1, 1), 1);
  t.equal(routes.lookup6(table, 0xfd001025 | 0, 0, 0, 0), 0);
});

// Few bits set near the places where the structures change level, so that prefixes nest and touch.
const word = fc.oneof(
  fc.constantFrom(0, -1, 1, 1 << 31, 0x7fffffff, 0x0a000000, 0x0a000100, 0x0a010000, 0x0a000001, 0x20010db8),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
);
const words = fc.tuple(word, word, word, word);
const route = fc.oneof(
  fc.tuple(word, fc.integer({ min: 0, max: 32 })).map(([addr, len]) => spec4(addr, len)),
  fc.tuple(words, fc.integer({ min: 0, max: 128 })).map(([w, len]) => spec6(...w, len)),
);

t.test(
  "lookup finds what the definition says, at random addresses and at both ends of every prefix",
  async () => {
    fc.assert(
      fc.property(fc.array(route, { maxLength: 40 }), fc.array(words, { maxLength: 20 }), (specs, probes) => {
        const table = createRoutes(specs);
        for (const s of specs) {
          const bits = s.family === 4 ? s.prefixLen + 96 : s.prefixLen;
          const first = [s.w0, s.w1, s.w2, s.w3].map((w, k) => w & words128.maskWord(bits, k));
          const last = first.map((w, k) => w | ~words128.maskWord(bits, k));
          const after = Int32Array.from(last);
          words128.increment(after, 0);
          probes.push(first as [number, number, number, number], last as [number, number, number, number]);
          probes.push([after[0], after[1], after[2], after[3]]);
        }
        return probes.every(
          (w) =>
            routes.lookup6(table, ...w) === naive(specs, 6, w) &&
            routes.lookup4(table, w[3]) === naive(specs, 4, [0, 0, 0xffff, w[3]]),
        );
      }),
      { numRuns: 300 },
    );
  },
);
