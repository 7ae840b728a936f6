// Longest-prefix match over 1, 1 000 and 100 000 routes of each family, at addresses the routes cover and
// at random ones, and what building such a table costs.

import { createRoutes } from "../dataplane/change/routes.ts";
import { RouteKind, type RouteSpec } from "../dataplane/spec/routes.ts";
import * as routes from "../dataplane/table/routes.ts";
import * as hotLoop from "./hot-loop.ts";

const LOOKUPS = 1 << 16;
/** Minimum of two runs, ns, AMD EPYC, Node 20.20. */
const RECORDED: Record<string, number> = {
  "IPv4 1 covered": 3.2,
  "IPv4 1 random": 3.0,
  "IPv4 1000 covered": 3.2,
  "IPv4 1000 random": 3.0,
  "IPv4 100000 covered": 9.8,
  "IPv4 100000 random": 10.2,
  "IPv6 1 covered": 10.2,
  "IPv6 1 random": 7.1,
  "IPv6 1000 covered": 13.5,
  "IPv6 1000 random": 7.8,
  "IPv6 100000 covered": 97,
  "IPv6 100000 random": 27.5,
};

function createSpecs(family: 4 | 6, count: number, random: () => number): RouteSpec[] {
  const none = { gw0: 0, gw1: 0, gw2: 0, gw3: 0, src0: 0, src1: 0, src2: 0, src3: 0 };
  return Array.from({ length: count }, (_, i) => {
    const shared = { family, kind: RouteKind.VTEP, vtep: i, mtu: 1450, port: 1, ...none };
    if (family === 4) {
      // Up to 4 096 pod networks of a cluster, /24s in 10/8; a full table's worth beyond that.
      const addr = i < 4096 ? 0x0a000000 | (i << 8) : random();
      return {
        ...shared,
        w0: 0,
        w1: 0,
        w2: 0xffff,
        w3: addr,
        prefixLen: i < 4096 ? 24 : 16 + (random() & 7),
      };
    }
    const w0 = i < 4096 ? 0xfd001024 | 0 : 0x20000000 | (random() & 0x1fffffff);
    return {
      ...shared,
      w0,
      w1: i < 4096 ? i : random(),
      w2: 0,
      w3: 0,
      prefixLen: i < 4096 ? 64 : 32 + (random() & 31),
    };
  });
}

function measureFamily(family: 4 | 6, count: number): void {
  const random = hotLoop.createRandom(hotLoop.SEED);
  const specs = createSpecs(family, count, random);
  const started = process.hrtime.bigint();
  const table = createRoutes(specs);
  const buildMs = Number(process.hrtime.bigint() - started) / 1e6;
  const covered = new Int32Array(4 * LOOKUPS);
  const anywhere = new Int32Array(4 * LOOKUPS);
  for (let i = 0; i < LOOKUPS; i++) {
    const spec = specs[(random() >>> 1) % count];
    covered.set([spec.w0, spec.w1, family === 6 ? random() : spec.w2, spec.w3 | (random() & 0xff)], 4 * i);
    anywhere.set(family === 6 ? [random(), random(), random(), random()] : [0, 0, 0xffff, random()], 4 * i);
  }
  const bytes = table.memory.byteLength;
  console.log(
    `IPv${family}, ${count} routes: built in ${buildMs.toFixed(1)} ms, ${(bytes / 1024).toFixed(0)} KiB`,
  );
  for (const [kind, addresses] of [
    ["covered", covered],
    ["random", anywhere],
  ] as const) {
    const name = `IPv${family} ${count} ${kind}`;
    const round = family === 4 ? () => lookups4(table, addresses) : () => lookups6(table, addresses);
    hotLoop.measure(name, LOOKUPS, round, RECORDED[name]);
  }
}

function lookups4(table: routes.Routes, addresses: Int32Array): number {
  let sum = 0;
  for (let i = 3; i < addresses.length; i += 4) sum += routes.lookup4(table, addresses[i]);
  return sum;
}

function lookups6(table: routes.Routes, addresses: Int32Array): number {
  let sum = 0;
  for (let i = 0; i < addresses.length; i += 4) {
    sum += routes.lookup6(table, addresses[i], addresses[i + 1], addresses[i + 2], addresses[i + 3]);
  }
  return sum;
}

hotLoop.printHeader("routes");
for (const family of [4, 6] as const) for (const count of [1, 1000, 100_000]) measureFamily(family, count);
hotLoop.printSink();
