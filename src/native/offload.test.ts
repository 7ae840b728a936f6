// The addon's byte work against its TypeScript twins: equal results for equal arguments, whatever the
// arguments, and both right by a slow third way (frames built by testing/frame-builder, sums by the
// definition of RFC 1071).
import * as fc from "fast-check";
import t from "tap";
import { concat, dirty } from "../testing/frames/bytes.ts";
import { tcpFrame } from "../testing/frames/frame-builder.ts";
import type { TcpOptions } from "../testing/frames/frame-options.ts";
import * as twin from "../wire/bytes/offload.ts";
import { loadNative } from "./binding.ts";

const native = loadNative();
const EINVAL = -22;
const FRAME = 256; //    where tests put a superframe
const PREFIX = 64; //    and the bytes that go before each segment
const OUT = 20_000; //   and what is made of it
const ARENA = 60_000;
const TCP_CHECKSUM_AT = 16;

/** A superframe, where its headers lie, and how to cut it. */
interface Superframe {
  readonly bytes: Uint8Array;
  readonly l3: number;
  readonly l4: number;
  readonly headerLen: number;
}

function superframe(options: TcpOptions): Superframe {
  const bytes = tcpFrame(options);
  const l3 = 14 + 4 * (options.vlans?.length ?? 0);
  const l4 = l3 + (bytes[l3] >> 4 === 6 ? 40 : (bytes[l3] & 15) * 4);
  bytes.fill(0x5a, l4 + TCP_CHECKSUM_AT, l4 + TCP_CHECKSUM_AT + 2); // must not be read
  return { bytes, l3, l4, headerLen: l4 + (bytes[l4 + 12] >> 4) * 4 };
}

const byte = fc.nat({ max: 255 });
const payload = fc
  .tuple(fc.nat({ max: 6000 }), fc.nat())
  .map(([length, seed]) => Uint8Array.from({ length }, (_, i) => Math.imul(i + seed, 0x9e3779b1) >>> 24));
const tcpOptions: fc.Arbitrary<TcpOptions> = fc
  .record({
    v6: fc.boolean(),
    tos: fc.constantFrom(0, 1, 2, 3, 0xb8),
    ttl: fc.constantFrom(1, 64, 255),
    id: fc.constantFrom(0, 1, 0xfffe, 0xffff),
    dontFragment: fc.boolean(),
    seq: fc.constantFrom(0, 1, 0x7fffffff, -1, -3000),
    ack: fc.integer(),
    flags: fc.constantFrom(".", "P.", "F.", "FP.", "E.", "EW.", "W.", "PEW.", "S", "R", "U."),
    window: fc.nat({ max: 65535 }),
    stamped: fc.boolean(),
    tagged: fc.constantFrom(0, 0, 0, 1),
    payload,
  })
  .map((r) => ({
    src: r.v6 ? "fd00::1:2" : "10.244.1.2",
    dst: r.v6 ? "fd00::2:3" : "10.244.2.3",
    tos: r.tos,
    ttl: r.ttl,
    id: r.id,
    dontFragment: r.dontFragment,
    seq: r.seq,
    ack: r.ack,
    flags: r.flags,
    window: r.window,
    payload: r.payload,
    vlans: r.tagged ? [7] : [],
    ...(r.stamped ? { timestamps: [123456, 654321] as const } : {}),
  }));

/** RFC 1071 by definition. */
function slowSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i] * 256 : bytes[i];
  while (sum > 0xffff) sum = (sum % 65536) + Math.floor(sum / 65536);
  return sum;
}

function tcpSum(frame: Uint8Array): number {
  const isV6 = frame[14] >> 4 === 6;
  const l4 = 14 + (isV6 ? 40 : 20);
  const length = frame.length - l4;
  const addresses = isV6 ? frame.slice(22, 54) : frame.slice(26, 34);
  return slowSum(concat(addresses, Uint8Array.of(0, 6, length >> 8, length & 255), frame.slice(l4)));
}

t.test("sums and copying sums are those of RFC 1071, with any seed, at any offset and length", async () => {
  const bytes = fc.uint8Array({ minLength: 0, maxLength: 700 });
  fc.assert(
    fc.property(bytes, fc.nat({ max: 64 }), fc.integer(), (data, off, seed) => {
      const arena = dirty(1600);
      arena.set(data, off);
      const mine = twin.checksum(arena, off, data.length, seed);
      const head = Uint8Array.of(seed >>> 24, (seed >>> 16) & 255, (seed >>> 8) & 255, seed & 255);
      if (mine !== slowSum(concat(head, data))) return false;
      if (native.checksum(arena, off, data.length, seed) !== mine) return false;
      const other = arena.slice();
      if (native.copyChecksum(arena, 801, off, data.length, seed) !== mine) return false;
      if (twin.copyChecksum(other, 801, off, data.length, seed) !== mine) return false;
      const isCopied = arena.subarray(801, 801 + data.length).every((b, i) => b === data[i]);
      return isCopied && Buffer.compare(arena, other) === 0;
    }),
  );
});

t.test("a long run of 0xff and an odd tail neither overflow nor lose a carry", async (t) => {
  const arena = new Uint8Array(200_000).fill(0xff);
  for (const len of [1, 2, 63, 64, 65, 16383, 16384, 16385, 65535, 199_999, 200_000]) {
    const want = slowSum(arena.subarray(0, len));
    t.equal(twin.checksum(arena, 0, len, 0), want, `twin, ${len} bytes`);
    t.equal(native.checksum(arena, 0, len, 0), want, `C, ${len} bytes`);
  }
});

t.test("sums refuse what lies outside the arena, or overlaps", async (t) => {
  const arena = dirty(100);
  for (const io of [native, twin]) {
    for (const [off, len] of [
      [-1, 4],
      [0, -1],
      [97, 4],
      [101, 0],
      [0x7fffffff, 0x7fffffff],
    ] as const) {
      t.equal(io.checksum(arena, off, len, 0), EINVAL);
      t.equal(io.copyChecksum(arena, off, 0, len, 0), EINVAL);
      t.equal(io.copyChecksum(arena, 0, off, len, 0), EINVAL);
    }
    t.equal(io.copyChecksum(arena, 10, 5, 6, 0), EINVAL, "overlap");
    t.equal(io.checksum(arena, 100, 0, 0), 0, "nothing at the very end is allowed");
  }
  t.strictSame(arena, dirty(100));
});

function segment(
  io: Pick<typeof twin, "segmentTcp">,
  arena: Uint8Array,
  f: Superframe,
  gso: number,
  from: number,
  outBytes: number,
  prefixLen: number,
  result: Int32Array,
): number {
  const len = f.bytes.length;
  const [l3, l4] = [FRAME + f.l3, FRAME + f.l4];
  return io.segmentTcp(arena, FRAME, len, l3, l4, gso, from, OUT, outBytes, PREFIX, prefixLen, result);
}

function arenaWith(f: Superframe): Uint8Array {
  const arena = dirty(ARENA);
  arena.set(f.bytes, FRAME);
  return arena;
}

t.test("C and its twin cut superframes into the same bytes", async () => {
  const mss = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 100, max: 1500 }));
  const room = fc.oneof(fc.constant(ARENA - OUT), fc.nat({ max: 4000 }));
  fc.assert(
    fc.property(
      tcpOptions,
      mss,
      fc.nat({ max: 5 }),
      room,
      fc.nat({ max: 20 }),
      (options, gso, skip, outBytes, pre) => {
        const f = superframe(options);
        const from = skip * gso;
        const a = arenaWith(f);
        const b = arenaWith(f);
        const ra = new Int32Array(3);
        const rb = new Int32Array(3);
        const na = segment(native, a, f, gso, from, outBytes, pre, ra);
        const nb = segment(twin, b, f, gso, from, outBytes, pre, rb);
        return na === nb && Buffer.compare(a, b) === 0 && ra.join() === rb.join();
      },
    ),
    { numRuns: 400 },
  );
});

t.test("the pieces are what a sender without offloads would have sent", async () => {
  const untagged = tcpOptions.filter((o) => o.vlans?.length === 0);
  fc.assert(
    fc.property(untagged, fc.integer({ min: 100, max: 1500 }), (options, gso) => {
      const f = superframe(options);
      const arena = arenaWith(f);
      const result = new Int32Array(3);
      const done = segment(native, arena, f, gso, 0, ARENA - OUT, 8, result);
      const data = options.payload as Uint8Array;
      if (done !== data.length || result[0] !== Math.ceil(data.length / gso)) return false;
      const want: Uint8Array[] = [];
      for (let at = 0; at < data.length; at += gso) {
        const isLast = at + gso >= data.length;
        let flags = options.flags as string;
        if (!isLast) flags = flags.replace(/[FP]/g, "");
        if (at > 0) flags = flags.replace("W", "");
        const id = ((options.id as number) + at / gso) & 0xffff;
        const piece = { ...options, flags, id, seq: ((options.seq as number) + at) | 0 };
        want.push(dirty(8), tcpFrame({ ...piece, payload: data.slice(at, at + gso) }));
      }
      return Buffer.compare(concat(...want), arena.subarray(OUT, OUT + result[1])) === 0;
    }),
  );
});

t.test("cutting in two calls gives the bytes of cutting in one", async (t) => {
  const f = superframe({ src: "10.0.0.1", dst: "10.0.0.2", flags: "FP.EW", id: 0xffff, payload: 5000 });
  const whole = arenaWith(f);
  const split = arenaWith(f);
  const result = new Int32Array(3);
  t.equal(segment(native, whole, f, 999, 0, ARENA - OUT, 8, result), 5000);
  const [segments, bytes, stride] = result;
  t.equal(segments, 6);
  t.equal(stride, 8 + f.headerLen + 999);
  const first = segment(native, split, f, 999, 0, 2 * stride + 100, 8, result);
  t.equal(first, 2 * 999);
  const head = split.slice(OUT, OUT + result[1]);
  t.equal(segment(native, split, f, 999, first, ARENA - OUT, 8, result), 5000 - first);
  const both = concat(head, split.subarray(OUT, OUT + result[1]));
  t.strictSame(Buffer.compare(both, whole.subarray(OUT, OUT + bytes)), 0);
});

t.test("C and its twin refuse the same arguments, and write nothing then", async () => {
  const odd = fc.constantFrom(
    -1,
    0,
    1,
    13,
    14,
    20,
    40,
    255,
    256,
    270,
    290,
    59_990,
    60_000,
    0x7fffffff,
    -0x80000000,
  );
  const args = fc.array(odd, { minLength: 10, maxLength: 10 });
  const keep = fc.array(fc.boolean(), { minLength: 10, maxLength: 10 });
  const f = superframe({ src: "10.0.0.1", dst: "10.0.0.2", payload: 3000 });
  const good = [FRAME, f.bytes.length, FRAME + f.l3, FRAME + f.l4, 1400, 0, OUT, 9000, PREFIX, 8];
  fc.assert(
    fc.property(args, keep, (wild, isKept) => {
      const v = wild.map((value, i) => (isKept[i] ? good[i] : value));
      const a = arenaWith(f);
      const b = arenaWith(f);
      const ra = new Int32Array(3);
      const rb = new Int32Array(3);
      const na = native.segmentTcp(a, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], ra);
      const nb = twin.segmentTcp(b, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], rb);
      if (na < 0 && Buffer.compare(a, arenaWith(f)) !== 0) return false;
      return na === nb && Buffer.compare(a, b) === 0 && ra.join() === rb.join();
    }),
    { numRuns: 1000 },
  );
});

interface Joined {
  readonly frames: number;
  readonly consumed: number;
  readonly list: readonly { vnet: string; frame: Uint8Array }[];
}

function join(
  io: Pick<typeof twin, "coalesce">,
  arena: Uint8Array,
  at: number,
  len: number,
  stride: number,
  prefixLen: number,
  outBytes: number,
  maxDesc: number,
): Joined {
  const desc = new Int32Array(2 * maxDesc + 1).fill(-7);
  const frames = io.coalesce(arena, at, len, stride, prefixLen, OUT, outBytes, desc, maxDesc);
  const list = [];
  for (let i = 0; i < frames; i++) {
    const [off, length] = [desc[2 * i], desc[2 * i + 1]];
    const vnet = Buffer.from(arena.subarray(off - 10, off)).toString("hex");
    list.push({ vnet, frame: arena.slice(off, off + length) });
  }
  return { frames, consumed: desc[2 * maxDesc], list };
}

/** One flow's segments with disturbances: what a receiver may find behind one outer header. */
const segmentsOnWire = fc
  .record({
    options: tcpOptions,
    gso: fc.integer({ min: 50, max: 700 }),
    prefixLen: fc.constantFrom(0, 8, 13),
    damage: fc.array(fc.record({ at: fc.nat(), value: byte }), { maxLength: 4 }),
    swap: fc.option(fc.tuple(fc.nat(), fc.nat())),
    cut: fc.nat({ max: 30 }),
  })
  .map((r) => {
    const f = superframe(r.options);
    const arena = arenaWith(f);
    const result = new Int32Array(3);
    segment(twin, arena, f, r.gso, 0, ARENA - OUT, r.prefixLen, result);
    const [count, bytes, stride] = result;
    const wire = arena.slice(OUT, OUT + Math.max(0, bytes - (r.cut < 20 ? 0 : r.cut)));
    if (wire.length > 0 && count > 2 && r.swap) {
      const [x, y] = r.swap.map((n) => (n % (count - 1)) * stride);
      const held = wire.slice(x, x + stride);
      wire.copyWithin(x, y, y + stride);
      wire.set(held.subarray(0, Math.min(stride, wire.length - y)), y);
    }
    // Half of the damage goes to headers: the first 80 bytes of a segment decide most.
    for (const d of r.damage) {
      const at = d.value & 1 ? d.at % wire.length : (d.at % Math.max(1, count)) * stride + (d.at % 80);
      if (at < wire.length) wire[at] = d.value;
    }
    return { wire, stride, prefixLen: r.prefixLen };
  });

t.test("C and its twin join the same segments into the same frames", async () => {
  const room = fc.oneof(fc.constant(ARENA - OUT), fc.nat({ max: 5000 }));
  fc.assert(
    fc.property(segmentsOnWire, room, fc.constantFrom(1, 2, 200), (w, outBytes, maxDesc) => {
      const a = dirty(ARENA);
      a.set(w.wire, FRAME);
      const b = a.slice();
      const x = join(native, a, FRAME, w.wire.length, w.stride, w.prefixLen, outBytes, maxDesc);
      const y = join(twin, b, FRAME, w.wire.length, w.stride, w.prefixLen, outBytes, maxDesc);
      const isTouched = [a, b].some(
        (arena) =>
          Buffer.compare(arena.subarray(FRAME, FRAME + w.wire.length), w.wire) !== 0 ||
          arena.subarray(OUT + outBytes).some((value) => value !== 0xa5),
      );
      const isSame = x.list.every((item, i) => {
        const other = y.list[i];
        return item.vnet === other.vnet && Buffer.compare(item.frame, other.frame) === 0;
      });
      return !isTouched && x.frames === y.frames && x.consumed === y.consumed && isSame;
    }),
    { numRuns: 800 },
  );
});

t.test("joining undoes cutting", async () => {
  // SYN, RST, URG and FIN stop joining; PSH may only stand on the last segment, where cutting leaves it.
  const plain = tcpOptions.filter((o) => !/[SRUF]/.test(o.flags as string) && o.vlans?.length === 0);
  fc.assert(
    fc.property(plain, fc.integer({ min: 50, max: 1500 }), (options, gso) => {
      const f = superframe(options);
      const data = options.payload as Uint8Array;
      if (data.length <= gso) return true;
      const arena = arenaWith(f);
      const result = new Int32Array(3);
      segment(native, arena, f, gso, 0, ARENA - OUT, 8, result);
      const wire = arena.slice(OUT, OUT + result[1]);
      const back = dirty(ARENA);
      back.set(wire, FRAME);
      const { frames, list } = join(native, back, FRAME, wire.length, result[2], 8, ARENA - OUT, 8);
      if (frames !== 1 || list[0].frame.length !== f.bytes.length) return false;
      const gsoType = (options.src.includes(":") ? 4 : 1) | (/W/.test(options.flags as string) ? 0x80 : 0);
      const vnet = new Uint8Array(new Uint16Array([1 | (gsoType << 8), f.headerLen, gso, f.l4, 16]).buffer);
      const field = f.l4 + TCP_CHECKSUM_AT;
      const got = list[0].frame.slice();
      const pseudo = (got[field] << 8) | got[field + 1];
      const folded = slowSum(concat(Uint8Array.of(~pseudo >> 8, ~pseudo), pseudoHeader(got, f.l4)));
      got.fill(0x5a, field, field + 2);
      return (
        list[0].vnet === Buffer.from(vnet).toString("hex") &&
        folded === 0xffff &&
        Buffer.compare(got, f.bytes) === 0
      );
    }),
  );
});

function pseudoHeader(frame: Uint8Array, l4: number): Uint8Array {
  const length = frame.length - l4;
  const addresses = l4 === 54 ? frame.slice(22, 54) : frame.slice(26, 34);
  return concat(addresses, Uint8Array.of(0, 6, length >> 8, length & 255));
}

t.test("a segment with a wrong checksum is passed as it came, and what follows starts anew", async (t) => {
  const piece = (i: number): Uint8Array =>
    tcpFrame({ src: "10.0.0.1", dst: "10.0.0.2", seq: 1000 + i * 100, id: i, payload: 100 });
  const pieces = [0, 1, 2, 3, 4].map(piece);
  pieces[2][80] ^= 1;
  const wire = concat(...pieces);
  for (const io of [native, twin]) {
    const arena = dirty(ARENA);
    arena.set(wire, FRAME);
    const { list } = join(io, arena, FRAME, wire.length, pieces[0].length, 0, ARENA - OUT, 8);
    t.strictSame(
      list.map(({ frame, vnet }) => [frame.length - 54, vnet.slice(0, 4)]),
      [
        [200, "0101"],
        [100, "0000"],
        [200, "0101"],
      ],
    );
    t.strictSame(list[1].frame, pieces[2]);
    t.not(tcpSum(list[1].frame), 0xffff);
  }
});

const reasons: { name: string; change: Partial<TcpOptions>; frames: number }[] = [
  { name: "nothing differs", change: {}, frames: 1 },
  { name: "another port", change: { srcPort: 4444 }, frames: 2 },
  { name: "another address", change: { src: "10.0.0.3" }, frames: 2 },
  { name: "another acknowledgement", change: { ack: 99 }, frames: 2 },
  { name: "another window", change: { window: 99 }, frames: 2 },
  { name: "another timestamp", change: { timestamps: [2, 1] }, frames: 2 },
  { name: "a gap", change: { seq: 1101 }, frames: 2 },
  { name: "an old segment", change: { seq: 1000 }, frames: 2 },
  { name: "another TOS", change: { tos: 3 }, frames: 2 },
  { name: "another TTL", change: { ttl: 63 }, frames: 2 },
  { name: "a FIN", change: { flags: "F." }, frames: 2 },
  { name: "a RST", change: { flags: "R." }, frames: 2 },
  { name: "ECE on one of them", change: { flags: "E." }, frames: 2 },
  { name: "CWR on the second", change: { flags: "W." }, frames: 2 },
  { name: "PSH on the second, which ends it", change: { flags: "P." }, frames: 1 },
  { name: "another id under DF", change: { id: 77 }, frames: 1 },
  { name: "another sender's MAC", change: { srcMac: "0a:58:0a:00:00:99" }, frames: 2 },
];
for (const { name, change, frames } of reasons) {
  t.test(`two segments join or not: ${name}`, async (t) => {
    const base: TcpOptions = {
      src: "10.0.0.1",
      dst: "10.0.0.2",
      seq: 1000,
      id: 5,
      ack: 1,
      timestamps: [1, 1],
    };
    const one = tcpFrame({ ...base, payload: 100 });
    const two = tcpFrame({ ...base, seq: 1100, id: 6, payload: 100, ...change });
    const wire = concat(one, two);
    for (const io of [native, twin]) {
      const arena = dirty(ARENA);
      arena.set(wire, FRAME);
      t.equal(join(io, arena, FRAME, wire.length, one.length, 0, ARENA - OUT, 8).frames, frames);
    }
  });
}

t.test("without DF the IPv4 ids must count up", async (t) => {
  for (const [id, frames] of [
    [6, 1],
    [7, 2],
    [5, 2],
  ]) {
    const base: TcpOptions = { src: "10.0.0.1", dst: "10.0.0.2", dontFragment: false, payload: 64 };
    const one = tcpFrame({ ...base, seq: 0, id: 5 });
    const wire = concat(one, tcpFrame({ ...base, seq: 64, id }));
    for (const io of [native, twin]) {
      const arena = dirty(ARENA);
      arena.set(wire, FRAME);
      t.equal(join(io, arena, FRAME, wire.length, one.length, 0, ARENA - OUT, 8).frames, frames);
    }
  }
});

t.test("joining refuses bad ranges, and says how far it came when room runs out", async (t) => {
  const one = tcpFrame({ src: "10.0.0.1", dst: "10.0.0.2", flags: "P.", payload: 100 });
  const wire = concat(one, one, one);
  for (const io of [native, twin]) {
    const arena = dirty(ARENA);
    arena.set(wire, FRAME);
    const desc = new Int32Array(9);
    const len = wire.length;
    const stride = one.length;
    t.equal(io.coalesce(arena, FRAME, len, stride, stride, OUT, 9000, desc, 4), EINVAL, "nothing but prefix");
    t.equal(io.coalesce(arena, FRAME, len, 0, 0, OUT, 9000, desc, 4), EINVAL, "no stride");
    t.equal(io.coalesce(arena, FRAME, len, stride, -1, OUT, 9000, desc, 4), EINVAL, "negative prefix");
    t.equal(io.coalesce(arena, ARENA - 9, 10, stride, 0, OUT, 9000, desc, 4), EINVAL, "input past the arena");
    t.equal(
      io.coalesce(arena, FRAME, len, stride, 0, ARENA - 9, 10, desc, 4),
      EINVAL,
      "output past the arena",
    );
    t.equal(io.coalesce(arena, FRAME, len, stride, 0, FRAME + 9, 9000, desc, 4), EINVAL, "overlap");
    t.equal(io.coalesce(arena, FRAME, len, stride, 0, OUT, 9000, desc, 5), EINVAL, "descriptors too few");
    t.equal(io.coalesce(arena, FRAME, len, stride, 0, OUT, 9000, desc, 0), EINVAL, "no descriptor");
    t.equal(io.coalesce(arena, FRAME, len, stride, 0, OUT, 100, desc, 4), -28, "not even one fits");
    t.equal(io.coalesce(arena, FRAME, len, stride, 0, OUT, 9000, desc, 2), 2);
    t.equal(desc[4], 2 * stride, "consumed");
    t.equal(io.coalesce(arena, FRAME, 0, stride, 0, OUT, 9000, desc, 4), 0, "nothing to do");
  }
});
