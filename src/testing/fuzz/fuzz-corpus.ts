// The hostile runs' frames, made before the run: a hundred million cannot be mutated one by one. A corpus is one
// array of bytes with columns beside it; `deliver` copies an entry to where a frame lies in the arena and changes a
// few bytes more, all from (seed, number), so that any frame of a run can be made again.
import * as checksum from "../../wire/bytes/checksum.ts";
import { checkFrame } from "../frames/frame-checker.ts";
import { withChecksums, withPartialChecksum } from "../frames/frame-offload.ts";
import { mutate } from "../frames/mutate.ts";
import type { VirtioFrame } from "../frames/virtio-frames.ts";
import { Prng } from "../prng.ts";
import { macOf, VXLAN_PORT } from "../world/test-cluster.ts";
import type { TestNode } from "../world/test-node.ts";
import * as crafted from "./fuzz-crafted.ts";
import { overlaySamples } from "./fuzz-overlay.ts";
import { dressed, pipelineSamples } from "./fuzz-pipeline.ts";

const VNET = 10;
const PLAIN = new Uint8Array(VNET);
/** Of 256 frames, how many are of each kind. */
const KINDS = [
  ["good", 40],
  ["mutated", 56],
  ["truncated", 24],
  ["lying lengths", 32],
  ["options", 16],
  ["extension headers", 20],
  ["fragments", 28],
  ["loops and tunnels", 16],
  ["neighbours", 8],
  ["superframes", 4],
  ["random bytes", 12],
] as const;
export const KIND_NAMES: readonly string[] = KINDS.map(([name]) => name);
/** The ports a frame may come in by, in the order of a test node's ports. */
export const PORT_NAMES = ["host", "uplink", "pod2", "pod3"] as const;
const TRUNCATED_MAX = 200;
const POD2_MAC = macOf("10.244.1.2");
const POD3_MAC = macOf("10.244.1.3");

interface Entry {
  readonly frame: Uint8Array;
  readonly virtio: Uint8Array;
}

export class Corpus {
  readonly bytes: Uint8Array; //  per entry: virtio header, frame
  readonly off: Int32Array; //    where each entry's virtio header begins
  readonly len: Int32Array; //    bytes of the frame
  readonly port: Uint8Array; //   index into PORT_NAMES
  readonly good: Uint8Array; //   1: nothing is wrong with it
  readonly first: Int32Array; //  first entry of each kind, and one more
  readonly kindOf = new Uint8Array(256);

  constructor(node: TestNode, seed: number, perKind = 3000) {
    const random = new Prng(seed);
    const kinds = entriesOf(node, random, perKind);
    const all = kinds.flat();
    const total = all.reduce((sum, { frame }) => sum + VNET + frame.length, 0);
    this.bytes = new Uint8Array(total);
    this.off = new Int32Array(all.length);
    this.len = new Int32Array(all.length);
    this.port = new Uint8Array(all.length);
    this.good = new Uint8Array(all.length);
    this.first = new Int32Array(kinds.length + 1);
    let at = 0;
    all.forEach((entry, i) => {
      const frame = aimed(node, entry.frame, random);
      const virtio = entry.virtio;
      this.off[i] = at;
      this.len[i] = frame.length;
      this.port[i] = portOf(node, frame);
      this.good[i] = checkFrame(frame, { virtio, vxlanPorts: [VXLAN_PORT] }).length === 0 ? 1 : 0;
      this.bytes.set(virtio, at);
      this.bytes.set(frame, at + VNET);
      at += VNET + frame.length;
    });
    kinds.forEach((entries, k) => {
      this.first[k + 1] = this.first[k] + entries.length;
    });
    let slot = 0;
    KINDS.forEach(([, share], k) => {
      for (let n = 0; n < share; n++) this.kindOf[slot++] = k;
    });
  }
}

/** The same for every corpus, which changes only copies. */
let samplesOfAll: readonly Uint8Array[] | undefined;

function entriesOf(node: TestNode, random: Prng, n: number): Entry[][] {
  samplesOfAll ??= [...pipelineSamples(), ...overlaySamples()];
  const samples = samplesOfAll;
  const plain = (frame: Uint8Array): Entry => ({ frame, virtio: PLAIN });
  const times = (count: number, make: () => Entry): Entry[] => Array.from({ length: count }, make);
  const large = crafted.superframes(node);
  return [
    samples.flatMap((frame) => [plain(frame), withPartialChecksum(frame) ?? plain(frame)]),
    times(2 * n, () => dressed(mutate(random.pick(samples), random.pick(samples), random), random)),
    samples.flatMap((frame) =>
      Array.from({ length: Math.min(frame.length, TRUNCATED_MAX) }, (_, k) => plain(frame.slice(0, k))),
    ),
    times(n, () => plain(crafted.lyingLength(random.pick(samples), random))),
    times(n, () => plain(crafted.optionFrame(node, random))),
    times(n, () => plain(crafted.chainFrame(node, random))),
    crafted.fragmentFrames(node, random, n).map(plain),
    times(n >> 1, () => plain(crafted.loopFrame(node, random))),
    times(n >> 1, () => plain(crafted.neighborFrame(node, random))),
    [...large, ...times(n >> 5, () => lying(random.pick(large), random))],
    times(n >> 2, () => plain(crafted.randomBytes(random, random.below(random.below(8) === 0 ? 1500 : 120)))),
  ];
}

/** A superframe whose virtio header or headers say something else than what follows. */
function lying({ frame, virtio }: VirtioFrame, random: Prng): Entry {
  const bytes = random.below(3) === 0 ? frame.slice(0, random.below(frame.length)) : frame.slice();
  const header = virtio.slice();
  for (let n = 1 + random.below(2); n > 0; n--) {
    if (random.below(3) > 0) header[random.below(VNET)] = random.below(256);
    else if (bytes.length > 0) bytes[random.below(Math.min(bytes.length, 140))] = random.below(256);
  }
  return { frame: random.below(2) === 0 ? withChecksums(bytes) : bytes, virtio: header };
}

/** Frames for stations that are not there would go no further than the bridge: most get a sender and the router. */
function aimed(node: TestNode, frame: Uint8Array, random: Prng): Uint8Array {
  if (frame.length < 14 || !isStranger(node, frame) || random.below(8) === 0) return frame;
  const bytes = frame.slice();
  const from = random.pick([POD2_MAC, POD3_MAC, node.uplinkMac, "02:00:00:00:00:64"]);
  const isOutside = from.startsWith("02") && from !== node.uplinkMac;
  setMac(bytes, 0, isOutside ? node.uplinkMac : node.gatewayMac);
  setMac(bytes, 6, from);
  return bytes;
}

/** A unicast frame to none of the node's addresses and none of its pods. */
function isStranger(node: TestNode, frame: Uint8Array): boolean {
  const to = macAt(frame, 0);
  const known = [node.gatewayMac, node.uplinkMac, POD2_MAC, POD3_MAC];
  return (frame[0] & 1) === 0 && !known.includes(to);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function macAt(frame: Uint8Array, at: number): string {
  let text = HEX[frame[at]] ?? "";
  for (let i = at + 1; i < at + 6 && i < frame.length; i++) text += `:${HEX[frame[i]]}`;
  return text;
}

function setMac(frame: Uint8Array, at: number, mac: string): void {
  mac.split(":").forEach((digits, i) => void (frame[at + i] = Number.parseInt(digits, 16)));
}

/** Where its source address says; the uplink for strangers. */
function portOf(node: TestNode, frame: Uint8Array): number {
  const from = macAt(frame, 6);
  if (from === node.uplinkMac) return 0;
  if (from === POD2_MAC) return 2;
  return from === POD3_MAC ? 3 : 1;
}

/** What the last `deliver` made: read at once, nothing is kept. */
export class Delivery {
  len = 0;
  port = 0;
  kind = 0;
  /** 1: an entry that nothing is wrong with, delivered as it is. */
  good = 0;
}

function mix(x: number): number {
  let h = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return h ^ (h >>> 16);
}

/** Frame `number` of the run with `seed`: its bytes to `off`, its virtio header before it. */
export function deliver(
  c: Corpus,
  seed: number,
  number: number,
  arena: Uint8Array,
  view: DataView,
  off: number,
  out: Delivery,
): void {
  const h = mix(mix(number + mix(seed)) ^ 0x9e3779b9);
  const g = mix(h + number);
  const kind = c.kindOf[h & 255];
  const first = c.first[kind];
  const i = first + ((g >>> 1) % (c.first[kind + 1] - first));
  const at = c.off[i];
  const len = c.len[i];
  arena.set(c.bytes.subarray(at, at + VNET + len), off - VNET);
  out.len = len;
  out.kind = kind;
  out.port = (h >>> 8) & 7 ? c.port[i] : (h >>> 11) & 3;
  out.good = c.good[i];
  const change = (h >>> 13) & 31;
  if (change >= 18 || (kind === 0 && change >= 4)) return;
  out.good = 0;
  changeFrame(arena, view, off, out, change, mix(g), mix(g + 1));
}

/** One more change, cheap enough for every frame. */
function changeFrame(
  a: Uint8Array,
  view: DataView,
  off: number,
  d: Delivery,
  change: number,
  r: number,
  s: number,
): void {
  const len = d.len;
  if (len < 34) return;
  const near = off + ((r >>> 8) % (len < 100 ? len : 100));
  if (change < 3)
    view.setUint16(off + 34, r & 0xffff); // another source port, or what lies there
  else if (change < 5)
    view.setUint16(off + 28, r & 0xffff); // another source address
  else if (change < 7) a[near] = r;
  else if (change < 9) a[near] ^= 1 << (r & 7);
  else if (change === 9) a[near] = s & 1 ? 0 : 255;
  else if (change === 10) view.setUint16(near < off + len - 1 ? near : off, len - ((s >>> 4) & 63));
  else if (change < 13) d.len = (r >>> 4) % len;
  else if (change === 13) a[off - 10 + ((r >>> 4) % VNET)] = s;
  else if (change === 14) for (let k = 14; k < len && k < 64; k++) a[off + k] = Math.imul(r, k) >>> 13;
  else if (change === 15)
    view.setInt32(off + 30, s); // any destination
  else if (change === 16)
    a[off + 23] = s; // any protocol
  else a[off + 22] = s & 3; // a time to live that ends
  if ((s & 0x700) !== 0 && a[off + 12] === 8 && a[off + 13] === 0) mendHeader(view, off + 14, off + d.len);
}

/** Most changed IPv4 headers get their sum back, or nothing else of the frame would be looked at. */
function mendHeader(view: DataView, ip: number, end: number): void {
  const bytes = (view.getUint8(ip) & 15) << 2;
  if (bytes < 20 || ip + bytes > end) return;
  view.setUint16(ip + 10, 0);
  view.setUint16(ip + 10, checksum.finish(checksum.sum(view, ip, bytes, 0)));
}
