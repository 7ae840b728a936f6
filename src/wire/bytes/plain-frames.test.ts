import * as fc from "fast-check";
import t from "tap";
import { concat, dirty, toHex, viewOf } from "../../testing/frames/bytes.ts";
import { tcpFrame, udpFrame } from "../../testing/frames/frame-builder.ts";
import * as virtio from "../link/virtio-net.ts";
import { toPlainFrames } from "./plain-frames.ts";

const FRAME = 64;
const OUT = 80_000;
const ARENA = 200_000;
const EINVAL = -22;
const ADDRESSES = { src: "10.244.1.2", dst: "10.244.2.3" };
const ADDRESSES6 = { src: "fd00::1", dst: "fd00::2" };

interface Asked {
  readonly flags?: number;
  readonly gsoType?: number;
  readonly gsoSize?: number;
  readonly csumStart?: number;
  readonly csumOffset?: number;
}

function plain(frame: Uint8Array, asked: Asked, outBytes = ARENA - OUT) {
  const arena = dirty(ARENA);
  arena.set(frame, FRAME);
  const view = viewOf(arena);
  const { flags = 0, gsoType = 0, gsoSize = 0, csumStart = 0, csumOffset = 0 } = asked;
  virtio.emit(view, FRAME - virtio.HEADER_LEN, flags, gsoType, 0, gsoSize, csumStart, csumOffset);
  const result = new Int32Array(3);
  const count = toPlainFrames(arena, view, FRAME, frame.length, OUT, outBytes, result);
  const isKept = Buffer.compare(arena.subarray(FRAME, FRAME + frame.length), frame) === 0;
  return { count, isKept, bytes: arena.slice(OUT, OUT + (count < 0 ? 0 : result[1])), stride: result[2] };
}

/**
 * The frame with the pseudo-header's sum in its checksum field, as a sender with checksum offload leaves it.
 */
function withPartialSum(frame: Uint8Array, l4: number, field: number): Uint8Array {
  const copy = frame.slice();
  const isV6 = copy[14] >> 4 === 6;
  const proto = isV6 ? copy[20] : copy[23];
  const addresses = isV6 ? copy.subarray(22, 54) : copy.subarray(26, 34);
  let sum = proto + copy.length - l4;
  for (let i = 0; i < addresses.length; i += 2) sum += (addresses[i] << 8) | addresses[i + 1];
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  copy.set([sum >> 8, sum & 255], l4 + field);
  return copy;
}

t.test("a frame that asks for nothing is copied", async (t) => {
  const frame = tcpFrame({ ...ADDRESSES, payload: 100 });
  const { count, bytes, stride } = plain(frame, {});
  t.equal(count, 1);
  t.equal(stride, frame.length);
  t.equal(toHex(bytes), toHex(frame));
});

t.test("a partial checksum is completed in the copy alone", async (t) => {
  for (const addresses of [ADDRESSES, ADDRESSES6]) {
    const l4 = addresses === ADDRESSES ? 34 : 54;
    for (const [frame, field] of [
      [tcpFrame({ ...addresses, payload: 101 }), 16],
      [udpFrame({ ...addresses, payload: 101 }), 6],
    ] as const) {
      const partial = withPartialSum(frame, l4, field);
      const { isKept, bytes } = plain(partial, { flags: 1, csumStart: l4, csumOffset: field });
      t.equal(toHex(bytes), toHex(frame));
      t.ok(isKept);
    }
  }
});

t.test("a UDP checksum that comes out as zero is sent as 0xffff", async (t) => {
  // The payload's first word is chosen so that everything sums to 0xffff.
  const trial = udpFrame({ ...ADDRESSES, payload: Uint8Array.of(0, 0) });
  const frame = udpFrame({ ...ADDRESSES, payload: trial.slice(40, 42) });
  const partial = withPartialSum(frame, 34, 6);
  const { bytes } = plain(partial, { flags: 1, csumStart: 34, csumOffset: 6 });
  t.equal(toHex(bytes.subarray(40, 42)), "ffff");
});

t.test("a TCP checksum that comes out as zero is sent as zero: Wireshark calls 0xffff wrong", async (t) => {
  const trial = tcpFrame({ ...ADDRESSES, payload: Uint8Array.of(0, 0) });
  const frame = tcpFrame({ ...ADDRESSES, payload: trial.slice(50, 52) });
  const { bytes } = plain(withPartialSum(frame, 34, 16), { flags: 1, csumStart: 34, csumOffset: 16 });
  t.equal(toHex(bytes.subarray(50, 52)), "0000");
  t.equal(toHex(bytes), toHex(frame));
});

t.test("TCP superframes become the segments that a sender without offloads would have sent", async () => {
  const data = fc.integer({ min: 1, max: 5000 });
  fc.assert(
    fc.property(fc.boolean(), data, fc.integer({ min: 200, max: 1460 }), (isV6, length, gsoSize) => {
      const base = { ...(isV6 ? ADDRESSES6 : ADDRESSES), flags: "P.", vlans: length % 2 ? [9] : [] };
      const whole = tcpFrame({ ...base, payload: length });
      const payload = whole.slice(whole.length - length);
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < length; at += gsoSize) {
        const flags = at + gsoSize >= length ? "P." : ".";
        const id =
          pieces.length +
          (isV6 ? 0 : (whole[18 + 4 * base.vlans.length] << 8) | whole[19 + 4 * base.vlans.length]);
        const seq = tcpSeq(whole, isV6, base.vlans.length) + at;
        pieces.push(tcpFrame({ ...base, flags, id, seq, payload: payload.slice(at, at + gsoSize) }));
      }
      const csumStart = (isV6 ? 54 : 34) + 4 * base.vlans.length;
      const asked = { flags: 1, gsoType: isV6 ? 4 : 1, gsoSize, csumStart, csumOffset: 16 };
      const { count, bytes, isKept } = plain(whole, asked);
      return count === pieces.length && isKept && Buffer.compare(bytes, concat(...pieces)) === 0;
    }),
  );
});

function tcpSeq(frame: Uint8Array, isV6: boolean, vlans: number): number {
  return viewOf(frame).getInt32((isV6 ? 54 : 34) + 4 * vlans + 4);
}

t.test("UDP superframes become datagrams of their own", async (t) => {
  for (const addresses of [ADDRESSES, ADDRESSES6]) {
    for (const checksum of [true, false]) {
      const base = { ...addresses, checksum: checksum || addresses === ADDRESSES6, id: 0xffff };
      const whole = udpFrame({ ...base, payload: 2500 });
      const payload = whole.slice(whole.length - 2500);
      const pieces = [0, 1000, 2000].map((at, i) =>
        udpFrame({ ...base, id: (0xffff + i) & 0xffff, payload: payload.slice(at, at + 1000) }),
      );
      const csumStart = addresses === ADDRESSES ? 34 : 54;
      const { count, bytes, stride } = plain(whole, {
        flags: 1,
        gsoType: 5,
        gsoSize: 1000,
        csumStart,
        csumOffset: 6,
      });
      t.equal(count, 3);
      t.equal(stride, csumStart + 8 + 1000);
      t.equal(toHex(bytes), toHex(concat(...pieces)));
    }
  }
});

t.test("vnet headers that do not fit the frame are refused", async (t) => {
  const frame = tcpFrame({ ...ADDRESSES, payload: 100 });
  const cases: { name: string; asked: Asked }[] = [
    {
      name: "checksum field past the end",
      asked: { flags: 1, csumStart: frame.length - 10, csumOffset: 10 },
    },
    {
      name: "TCP header past the end",
      asked: { flags: 1, gsoType: 1, gsoSize: 50, csumStart: frame.length },
    },
    { name: "TCP header inside the IP header", asked: { flags: 1, gsoType: 1, gsoSize: 50, csumStart: 20 } },
    { name: "segments of nothing", asked: { flags: 1, gsoType: 1, gsoSize: 0, csumStart: 34 } },
    { name: "UDP segments of nothing", asked: { flags: 1, gsoType: 5, gsoSize: 0, csumStart: 34 } },
    {
      name: "UDP header past the end",
      asked: { flags: 1, gsoType: 5, gsoSize: 9, csumStart: frame.length - 4 },
    },
    { name: "an unknown kind", asked: { flags: 1, gsoType: 3, gsoSize: 50, csumStart: 34 } },
  ];
  for (const { name, asked } of cases) t.equal(plain(frame, asked).count, EINVAL, name);
});

t.test("too little room is told apart", async (t) => {
  const frame = tcpFrame({ ...ADDRESSES, payload: 1000 });
  t.equal(plain(frame, {}, 1000).count, -28);
  t.equal(
    plain(frame, { flags: 1, gsoType: 1, gsoSize: 300, csumStart: 34, csumOffset: 16 }, 900).count,
    -28,
  );
  t.equal(plain(frame, { flags: 1, gsoType: 5, gsoSize: 300, csumStart: 34, csumOffset: 6 }, 900).count, -28);
});

t.test("arbitrary bytes behind an arbitrary vnet header never make it throw or write elsewhere", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 24, maxLength: 400 }), fc.nat({ max: 900 }), (bytes, outBytes) => {
      const arena = dirty(3000);
      arena.set(bytes, 54);
      const result = new Int32Array(3);
      toPlainFrames(arena, viewOf(arena), 64, bytes.length - 10, 1000, outBytes, result);
      const isOutside = (_: number, i: number) =>
        i < 54 || (i >= 54 + bytes.length && i < 1000) || i >= 1000 + outBytes;
      return arena.filter(isOutside).every((byte) => byte === 0xa5);
    }),
    { numRuns: 500 },
  );
});
