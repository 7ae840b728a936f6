// Joining held to one promise: whoever cuts what was joined, as a kernel does, has the segments that came, byte for byte
// and in their order. PSH in the middle, FIN, URG, other options, timestamps that go back, gaps, other flows, wrong sums:
// a frame that merged across any of them could not be cut back. The cutter here is written from the RFCs and
// Linux' tcp_gso_segment, without wire/.
import * as fc from "fast-check";
import t from "tap";
import { concat, dirty, toHex, viewOf } from "../testing/frames/bytes.ts";
import { tcpFrame } from "../testing/frames/frame-builder.ts";
import { wordsMod } from "../testing/frames/frame-checker.ts";
import * as twin from "../wire/bytes/offload.ts";
import { loadNative } from "./binding.ts";

const IN = 256;
const OUT = 40_000;
const ARENA = 120_000;
const MAX_DESC = 100;
const PREFIX = 8;
const ETH = 14;
const FIN_PSH = 0x09;
const CWR = 0x80;

/** Cuts one superframe, given with its ten bytes of virtio header; anything else is passed as it is. */
function cut(vnet: Uint8Array, frame: Uint8Array): Uint8Array[] {
  if (vnet[1] === 0) return [frame];
  const v6 = frame[ETH] >> 4 === 6;
  const l4 = ETH + (v6 ? 40 : 20);
  const head = l4 + (frame[l4 + 12] >> 4) * 4;
  const size = vnet[4] + 256 * vnet[5];
  const pieces: Uint8Array[] = [];
  for (let at = head; at < frame.length; at += size) {
    const piece = concat(frame.subarray(0, head), frame.subarray(at, at + size));
    const view = viewOf(piece);
    if (at + size < frame.length) piece[l4 + 13] &= ~FIN_PSH;
    if (at > head) piece[l4 + 13] &= ~CWR;
    view.setUint32(l4 + 4, (view.getUint32(l4 + 4) + at - head) >>> 0);
    if (v6) view.setUint16(ETH + 4, piece.length - ETH - 40);
    else {
      view.setUint16(ETH + 2, piece.length - ETH);
      view.setUint16(ETH + 4, (view.getUint16(ETH + 4) + pieces.length) & 0xffff);
      view.setUint16(ETH + 10, 0);
      view.setUint16(ETH + 10, 65_535 - wordsMod(piece.subarray(ETH, ETH + 20)));
    }
    const len = piece.length - l4;
    const addresses = v6 ? piece.subarray(ETH + 8, ETH + 40) : piece.subarray(ETH + 12, ETH + 20);
    view.setUint16(l4 + 16, 0);
    const sum = wordsMod(concat(addresses, Uint8Array.of(0, 6, len >> 8, len & 255), piece.subarray(l4)));
    view.setUint16(l4 + 16, 65_535 - sum);
    pieces.push(piece);
  }
  return pieces;
}

/** Numbers mean nothing where DF is set (RFC 6864), and 0 and 0xffff are one sum. */
function comparable(frame: Uint8Array): string {
  const bytes = frame.slice();
  if (bytes[ETH] >> 4 === 4 && (bytes[ETH + 6] & 0x40) !== 0)
    bytes.fill(0, ETH + 4, ETH + 6).fill(0, ETH + 10, ETH + 12);
  const l4 = ETH + (bytes[ETH] >> 4 === 6 ? 40 : 20);
  if (bytes[l4 + 16] === 255 && bytes[l4 + 17] === 255) bytes.fill(0, l4 + 16, l4 + 18);
  return toHex(bytes);
}

const PLAIN = {
  flow: 0,
  flags: ".",
  short: 0,
  gap: 0,
  ack: 0,
  window: 0,
  stamp: 0,
  tos: 0,
  idJump: 0,
  damage: 0,
};
const disturbed = fc.record({
  flow: fc.constantFrom(0, 0, 0, 0, 1, 2),
  flags: fc.constantFrom(".", ".", ".", ".", "P.", "F.", "U.", "W.", "E.", "EW.", "S.", "R."),
  short: fc.constantFrom(0, 0, 0, 0, 1, 7),
  gap: fc.constantFrom(0, 0, 0, 0, 0, 1, -100),
  ack: fc.constantFrom(0, 0, 0, 0, 1),
  window: fc.constantFrom(0, 0, 0, 0, 1),
  stamp: fc.constantFrom(0, 0, 0, 0, 1, -1),
  tos: fc.constantFrom(0, 0, 0, 0, 2, 3),
  idJump: fc.constantFrom(0, 0, 0, 0, 5),
  damage: fc.constantFrom(0, 0, 0, 0, 0, 0, 1),
});
/** Mostly nothing is wrong, or nothing would be joined. */
const step = fc.oneof({ weight: 7, arbitrary: fc.constant(PLAIN) }, { weight: 1, arbitrary: disturbed });
const stream = fc.record({
  v6: fc.boolean(),
  stamped: fc.boolean(),
  dontFragment: fc.boolean(),
  mss: fc.constantFrom(8, 33, 100, 536, 537, 1001, 1398),
  seq: fc.constantFrom(0, 1000, 0x7fff_fff0, -50),
  steps: fc.array(step, { minLength: 1, maxLength: 24 }),
});

interface Step {
  readonly flow: number;
  readonly flags: string;
  readonly short: number;
  readonly gap: number;
  readonly ack: number;
  readonly window: number;
  readonly stamp: number;
  readonly tos: number;
  readonly idJump: number;
  readonly damage: number;
}

interface Stream {
  readonly v6: boolean;
  readonly stamped: boolean;
  readonly dontFragment: boolean;
  readonly mss: number;
  readonly seq: number;
  readonly steps: readonly Step[];
}

/** The segments of up to three flows, with disturbances, as they lie behind one another in a tunnel superframe. */
function segmentsOf(s: Stream): { frames: Uint8Array[]; stride: number } {
  const seqs = [s.seq, s.seq + 7, s.seq];
  const ids = [1, 65_530, 9];
  let stampNow = 5000;
  const frames = s.steps.map((d, n) => {
    const bytes = s.mss - (d.short > 0 ? Math.min(d.short, s.mss - 1) : 0);
    stampNow += d.stamp;
    seqs[d.flow] += d.gap;
    ids[d.flow] += d.idJump;
    const frame = tcpFrame({
      src: s.v6 ? "fd00::1" : "10.244.1.2",
      dst: s.v6 ? "fd00::2" : "10.244.2.2",
      srcPort: 40_000 + d.flow,
      seq: seqs[d.flow] | 0,
      ack: 77 + d.ack,
      window: 500 + d.window,
      tos: d.tos,
      id: ids[d.flow] & 0xffff,
      dontFragment: s.dontFragment,
      flags: d.flags,
      payload: Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + n * 31) & 255),
      ...(s.stamped ? { timestamps: [stampNow, 1] as const } : {}),
    });
    seqs[d.flow] += bytes;
    ids[d.flow] += 1;
    if (d.damage > 0) frame[frame.length - 1] ^= 0x11;
    return frame;
  });
  // A superframe's pieces are of one length: what is shorter ends it, so the rest would be another superframe.
  return { frames, stride: PREFIX + Math.max(...frames.map((f) => f.length)) };
}

/** What `coalesce` makes of the segments, run by run of pieces of one length. */
function joined(
  io: Pick<typeof twin, "coalesce">,
  frames: readonly Uint8Array[],
  stride: number,
): Uint8Array[][] {
  const results: Uint8Array[][] = [];
  for (let from = 0; from < frames.length; ) {
    let to = from + 1;
    while (to < frames.length && PREFIX + frames[to - 1].length === stride) to++;
    const wire = concat(...frames.slice(from, to).map((f) => concat(dirty(PREFIX), f)));
    const size = to - from === 1 ? wire.length : stride;
    const arena = dirty(ARENA);
    arena.set(wire, IN);
    const desc = new Int32Array(2 * MAX_DESC + 1);
    const n = io.coalesce(arena, IN, wire.length, size, PREFIX, OUT, ARENA - OUT, desc, MAX_DESC);
    if (desc[2 * MAX_DESC] !== wire.length)
      throw new Error(`${desc[2 * MAX_DESC]} of ${wire.length} bytes taken`);
    for (let i = 0; i < n; i++) {
      const [off, len] = [desc[2 * i], desc[2 * i + 1]];
      results.push([arena.slice(off - 10, off), arena.slice(off, off + len)]);
    }
    from = to;
  }
  return results;
}

for (const [name, io] of [
  ["the addon", loadNative()],
  ["its twin", twin],
] as const) {
  t.test(`${name}: cutting what was joined gives what came, in its order`, async (t) => {
    let merged = 0;
    fc.assert(
      fc.property(stream, (s) => {
        const { frames, stride } = segmentsOf(s);
        const results = joined(io, frames, stride);
        merged += frames.length - results.length;
        const back = results.flatMap(([vnet, frame]) => cut(vnet, frame));
        return back.map(comparable).join("\n") === frames.map(comparable).join("\n");
      }),
      { numRuns: 1500 },
    );
    t.ok(merged > 1000, `${merged} segments joined others`);
  });
}

for (const [what, flags, over, frames] of [
  ["PSH ends a superframe", [".", "P.", ".", "."], {}, 2],
  ["FIN is never joined", [".", ".", "F.", "."], {}, 3],
  ["URG is never joined", [".", "U.", "."], {}, 3],
  ["CWR may only be on the first", ["W.", ".", "W.", "."], {}, 2],
] as const) {
  t.test(what, async (t) => {
    const s = { v6: false, stamped: true, dontFragment: true, mss: 100, seq: 5, ...over };
    const { frames: segments, stride } = segmentsOf({
      ...s,
      steps: flags.map((f) => ({ ...PLAIN, flags: f })),
    });
    for (const io of [loadNative(), twin]) t.equal(joined(io, segments, stride).length, frames);
  });
}

t.test("timestamps that go back, or forward, are not joined", async (t) => {
  const steps = [0, 0, -1, 0, 1, 0].map((stamp) => ({ ...PLAIN, stamp }));
  const s = { v6: true, stamped: true, dontFragment: true, mss: 100, seq: -150, steps };
  const { frames, stride } = segmentsOf(s);
  for (const io of [loadNative(), twin]) t.equal(joined(io, frames, stride).length, 3);
});
