// Routes: longest-prefix match for both families. Compiled from a list, never changed; a change of the
// cluster's nodes makes a new table that is swapped in between two batches.
//
// IPv4: a trie of strides 16, 8, 8: one to three dependent loads whatever the number of routes, 3 ns. It
// costs 256 KiB for the first level and 1 KiB for each /16 (or /24) that holds longer prefixes; a cluster
// of 5 000 nodes with a /24 each touches 20 of them. IPv6: indexed ranges (prefix-ranges.ts), because at
// 128 bits a trie of that stride would take a megabyte for a thousand scattered /64s.
//
// Of two routes with the same prefix the earlier in the list wins. There is no metric and no multipath: the
// compiler has chosen before.
import { ColumnCarver, columnBytes, HEADER_BYTES, Header } from "../../base/columns.ts";
import { PodwireError } from "../../base/errors.ts";
import * as create from "./create-prefix-ranges.ts";
import * as prefixRanges from "./prefix-ranges.ts";
import * as words128 from "./words128.ts";

const LAYOUT = 0x52545301; // "RTS", version 1
const ROOT_SIZE = 1 << 16;
const BLOCK_SIZE = 256;

const { LAYOUT: H_LAYOUT, USED, OWN } = Header;
const H_TRIE = OWN; //      cells of the IPv4 trie, 0: no IPv4 route
const H_RANGES = OWN + 1; // IPv6 ranges …
const H_NODES = OWN + 2; // … and their index
const H_CELLS = OWN + 3;

export const RouteKind = Object.freeze({
  LOCAL: 0, //       deliver to the node's own stack
  PODS: 1, //        connected pod subnet
  ONLINK: 2, //      on the fabric, resolve the destination itself
  GATEWAY: 3, //     on the fabric, resolve the gateway
  VTEP: 4, //        through the overlay
  UNREACHABLE: 5, // drop, ICMP host unreachable
  BLACKHOLE: 6, //   drop silently
  PROHIBIT: 7, //    drop, ICMP administratively prohibited
} as const);
export type RouteKind = (typeof RouteKind)[keyof typeof RouteKind];

/** One route as the compiler gives it; addresses are v4-mapped words. */
export interface RouteSpec {
  readonly family: 4 | 6;
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  readonly prefixLen: number; // 0–32 or 0–128, by family
  readonly kind: number; //      RouteKind
  readonly gw0: number;
  readonly gw1: number;
  readonly gw2: number;
  readonly gw3: number;
  readonly vtep: number; //      index in the VTEP table, -1: none
  readonly mtu: number; //       bytes of the largest IP packet
  readonly port: number; //      PortId to leave by, -1: none
  readonly src0: number; //      our address towards there: masquerade and ICMP source
  readonly src1: number;
  readonly src2: number;
  readonly src3: number;
}

export class RouteError extends PodwireError {}

export class Routes {
  readonly memory: ArrayBufferLike;
  readonly header: Int32Array;
  readonly count: number;
  // Columns by route index.
  readonly kind: Uint8Array;
  readonly family: Uint8Array;
  readonly prefixLen: Uint8Array; // as in the spec: 0–32 for IPv4
  readonly dst0: Int32Array; //     prefix, host bits cleared
  readonly dst1: Int32Array;
  readonly dst2: Int32Array;
  readonly dst3: Int32Array;
  readonly gw0: Int32Array;
  readonly gw1: Int32Array;
  readonly gw2: Int32Array;
  readonly gw3: Int32Array;
  readonly vtep: Int32Array;
  readonly mtu: Int32Array; //       bytes
  readonly port: Int32Array;
  readonly src0: Int32Array;
  readonly src1: Int32Array;
  readonly src2: Int32Array;
  readonly src3: Int32Array;
  /** Cell: 0 none, > 0 route + 1, < 0 minus the index of the next level's block. */
  readonly trie: Int32Array;
  readonly ranges: prefixRanges.PrefixRanges;
  /** Opens memory that `createRoutes` has filled. */
  constructor(memory: ArrayBufferLike) {
    const carve = new ColumnCarver(memory);
    this.memory = memory;
    this.header = carve.header();
    carve.counters();
    if (this.header[H_LAYOUT] !== LAYOUT) throw new RangeError("memory holds no routes");
    const count = this.header[USED];
    this.count = count;
    this.dst0 = carve.int32(count);
    this.dst1 = carve.int32(count);
    this.dst2 = carve.int32(count);
    this.dst3 = carve.int32(count);
    this.gw0 = carve.int32(count);
    this.gw1 = carve.int32(count);
    this.gw2 = carve.int32(count);
    this.gw3 = carve.int32(count);
    this.vtep = carve.int32(count);
    this.mtu = carve.int32(count);
    this.port = carve.int32(count);
    this.src0 = carve.int32(count);
    this.src1 = carve.int32(count);
    this.src2 = carve.int32(count);
    this.src3 = carve.int32(count);
    this.kind = carve.uint8(count);
    this.family = carve.uint8(count);
    this.prefixLen = carve.uint8(count);
    this.trie = carve.int32(this.header[H_TRIE]);
    this.ranges = new prefixRanges.PrefixRanges(carve, {
      ranges: this.header[H_RANGES],
      nodes: this.header[H_NODES],
      cells: this.header[H_CELLS],
    });
  }

  static bytesFor(count: number, trieCells: number, ranges: prefixRanges.RangeCounts): number {
    const columns = 15 * columnBytes(count, 4) + 3 * columnBytes(count, 1);
    return HEADER_BYTES + columns + columnBytes(trieCells, 4) + prefixRanges.PrefixRanges.bytesFor(ranges);
  }
}

/** Index of the longest route that covers the IPv4 address, or -1. */
export function lookup4(t: Routes, addr: number): number {
  if (t.trie.length === 0) return -1;
  let cell = t.trie[addr >>> 16];
  if (cell < 0) {
    cell = t.trie[((addr >>> 8) & 0xff) - cell];
    if (cell < 0) cell = t.trie[(addr & 0xff) - cell];
  }
  return cell - 1;
}

/** Index of the longest route that covers the IPv6 address, or -1. */
export function lookup6(t: Routes, w0: number, w1: number, w2: number, w3: number): number {
  return prefixRanges.lookup(t.ranges, w0, w1, w2, w3);
}

/** As lookup4 or lookup6, for a v4-mapped key that does not say its family. */
export function lookup(t: Routes, w0: number, w1: number, w2: number, w3: number): number {
  if (w2 === words128.V4_MAPPED && (w0 | w1) === 0) return lookup4(t, w3);
  return lookup6(t, w0, w1, w2, w3);
}

/** Compiles a list. Throws RouteError for a prefix length that the family does not have. */
export function createRoutes(
  specs: readonly RouteSpec[],
  allocate: (bytes: number) => ArrayBufferLike = (bytes) => new ArrayBuffer(bytes),
): Routes {
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
  const plan = create.createRangePlan(
    v6.map((index) => ({ ...specs[index], bits: specs[index].prefixLen })),
    v6,
  );
  const ranges = create.createCounts(plan);
  const memory = allocate(Routes.bytesFor(specs.length, trie.length, ranges));
  const header = new ColumnCarver(memory).header();
  header[H_LAYOUT] = LAYOUT;
  header[USED] = specs.length;
  header[H_TRIE] = trie.length;
  header[H_RANGES] = ranges.ranges;
  header[H_NODES] = ranges.nodes;
  header[H_CELLS] = ranges.cells;
  const routes = new Routes(memory);
  for (const [index, spec] of specs.entries()) createRow(routes, index, spec);
  routes.trie.set(trie);
  create.createPrefixRanges(plan, new ColumnCarver(memory, routes.ranges.start0.byteOffset));
  return routes;
}

/** Cold: a route as the spec it came from, host bits cleared. */
export function describe(t: Routes, index: number): RouteSpec {
  return {
    family: t.family[index] as 4 | 6,
    w0: t.dst0[index],
    w1: t.dst1[index],
    w2: t.dst2[index],
    w3: t.dst3[index],
    prefixLen: t.prefixLen[index],
    kind: t.kind[index],
    gw0: t.gw0[index],
    gw1: t.gw1[index],
    gw2: t.gw2[index],
    gw3: t.gw3[index],
    vtep: t.vtep[index],
    mtu: t.mtu[index],
    port: t.port[index],
    src0: t.src0[index],
    src1: t.src1[index],
    src2: t.src2[index],
    src3: t.src3[index],
  };
}

function createRow(t: Routes, index: number, spec: RouteSpec): void {
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
