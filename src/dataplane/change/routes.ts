/** Makes the table of routes: rows, the IPv4 trie painted shortest prefix first, and the IPv6 ranges. */
import { PodwireError } from "../../base/errors.ts";
import type { RouteSpec } from "../spec/routes.ts";
import * as routes from "../table/routes.ts";
import * as words128 from "../table/words128.ts";
import { countsOf, fillRanges, planRanges } from "./prefix-ranges.ts";

const ROOT_SIZE = 1 << 16;
const BLOCK_SIZE = 256;

class RouteError extends PodwireError {}

/** Compiles a list. Throws RouteError for a prefix length that the family does not have. */
export function createRoutes(
  specs: readonly RouteSpec[],
  allocate: (bytes: number) => ArrayBufferLike = (bytes) => new ArrayBuffer(bytes),
): routes.Routes {
  for (const [index, spec] of specs.entries()) {
    const bitsMax = spec.family === 4 ? 32 : 128;
    if (!Number.isInteger(spec.prefixLen) || spec.prefixLen < 0 || spec.prefixLen > bitsMax) {
      throw new RouteError(`route ${index}: prefix length ${spec.prefixLen} is not in 0–${bitsMax}`, {
        code: "ROUTE_BAD_PREFIX",
        index,
      });
    }
  }
  const trie = createTrie4(specs);
  const v6 = Array.from(specs.keys()).filter((index) => specs[index].family === 6);
  const plan = planRanges(
    v6.map((index) => ({ ...specs[index], bits: specs[index].prefixLen })),
    v6,
  );
  const sizes = { count: specs.length, trieCells: trie.length, ranges: countsOf(plan) };
  const t = new routes.Routes(allocate(routes.Routes.bytesFor(sizes)), sizes);
  for (const [index, spec] of specs.entries()) fillRow(t, index, spec);
  t.trie.set(trie);
  fillRanges(t.ranges, plan);
  return t;
}

function fillRow(t: routes.Routes, index: number, spec: RouteSpec): void {
  const bits = spec.family === 4 ? spec.prefixLen + words128.V4_PREFIX_BITS : spec.prefixLen;
  t.family[index] = spec.family;
  t.prefixLen[index] = spec.prefixLen;
  t.dst0[index] = spec.w0 & words128.maskWord(bits, 0);
  t.dst1[index] = spec.w1 & words128.maskWord(bits, 1);
  t.dst2[index] = spec.w2 & words128.maskWord(bits, 2);
  t.dst3[index] = spec.w3 & words128.maskWord(bits, 3);
  t.kind[index] = spec.kind;
  t.gw0[index] = spec.gw0;
  t.gw1[index] = spec.gw1;
  t.gw2[index] = spec.gw2;
  t.gw3[index] = spec.gw3;
  t.vtep[index] = spec.vtep;
  t.mtu[index] = spec.mtu;
  t.port[index] = spec.port;
  t.src0[index] = spec.src0;
  t.src1[index] = spec.src1;
  t.src2[index] = spec.src2;
  t.src3[index] = spec.src3;
}

/**
 * Paints shorter prefixes first, so that longer ones cover them; of equal ones the first in the list comes
 * last.
 */
function createTrie4(specs: readonly RouteSpec[]): Int32Array {
  const order = Array.from(specs.keys())
    .filter((index) => specs[index].family === 4)
    .sort((a, b) => specs[a].prefixLen - specs[b].prefixLen || b - a);
  if (order.length === 0) return new Int32Array(0);
  const split16 = new Set<number>();
  const split24 = new Set<number>();
  for (const index of order) {
    if (specs[index].prefixLen > 16) split16.add(specs[index].w3 >>> 16);
    if (specs[index].prefixLen > 24) split24.add(specs[index].w3 >>> 8);
  }
  const trie = new Int32Array(ROOT_SIZE + BLOCK_SIZE * (split16.size + split24.size));
  let nextBlock = ROOT_SIZE;
  const split = (cell: number): number => {
    if (trie[cell] >= 0) {
      trie.fill(trie[cell], nextBlock, nextBlock + BLOCK_SIZE); // the block inherits what covered its cell
      trie[cell] = -nextBlock;
      nextBlock += BLOCK_SIZE;
    }
    return -trie[cell];
  };
  for (const index of order) {
    const { prefixLen } = specs[index];
    const addr = specs[index].w3 & words128.maskWord(prefixLen, 0);
    let cell = addr >>> 16;
    if (prefixLen > 16) cell = split(cell) + ((addr >>> 8) & 0xff);
    if (prefixLen > 24) cell = split(cell) + (addr & 0xff);
    const levelEnd = prefixLen > 24 ? 32 : prefixLen > 16 ? 24 : 16;
    trie.fill(index + 1, cell, cell + 2 ** (levelEnd - prefixLen));
  }
  return trie;
}
