// Routes: longest-prefix match for both families. Made of a list (change/routes.ts), never changed; a change of the
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
import * as prefixRanges from "./prefix-ranges.ts";
import * as words128 from "./words128.ts";

const LAYOUT = 0x52545301; // "RTS", version 1

const { LAYOUT: H_LAYOUT, USED, OWN } = Header;
const H_TRIE = OWN; //      cells of the IPv4 trie, 0: no IPv4 route
const H_RANGES = OWN + 1; // IPv6 ranges …
const H_NODES = OWN + 2; // … and their index
const H_CELLS = OWN + 3;

/** How much a table holds. */
export interface RouteSizes {
  readonly count: number;
  readonly trieCells: number;
  readonly ranges: prefixRanges.RangeCounts;
}
const NO_ROUTES: RouteSizes = { count: 0, trieCells: 0, ranges: prefixRanges.NO_PREFIXES };

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
  /** Opens memory that holds routes; with `sizes` lays it out for them. Without memory: no routes. */
  constructor(memory?: ArrayBufferLike, sizes: RouteSizes | undefined = memory ? undefined : NO_ROUTES) {
    this.memory = memory ?? new ArrayBuffer(Routes.bytesFor(NO_ROUTES));
    const carve = new ColumnCarver(this.memory);
    this.header = carve.header();
    carve.counters();
    if (sizes !== undefined) layOut(this.header, sizes);
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

  static bytesFor({ count, trieCells, ranges }: RouteSizes): number {
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

function layOut(header: Int32Array, sizes: RouteSizes): void {
  header[H_LAYOUT] = LAYOUT;
  header[USED] = sizes.count;
  header[H_TRIE] = sizes.trieCells;
  header[H_RANGES] = sizes.ranges.ranges;
  header[H_NODES] = sizes.ranges.nodes;
  header[H_CELLS] = sizes.ranges.cells;
}
