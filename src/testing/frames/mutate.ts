// Frames gone wrong, the way forged and broken ones do: flipped bits, boundary values where lengths and types
// stand, cut, grown, pieces of one frame in another. Always a fresh buffer; at most 2 KiB.
import type { Prng } from "../prng.ts";

const MAX_BYTES = 2048;
const BYTES = [
  0, 1, 2, 4, 5, 6, 7, 8, 0x0f, 0x1f, 0x20, 0x3f, 0x40, 0x45, 0x46, 0x4f, 0x60, 0x7f, 0x80, 0xf0, 0xfe, 0xff,
];
const WORDS = [
  0, 1, 7, 8, 19, 20, 27, 28, 39, 40, 0x0800, 0x0806, 0x1fff, 0x2000, 0x2001, 0x4000, 0x7fff, 0x8000,
];
const MORE_WORDS = [0x8100, 0x86dd, 0x88a8, 0xfff8, 0xffff, 4789, 8472];
const PROTOCOLS = [0, 1, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132, 136, 255];

/** One to eight mutations of `frame`; `other` lends pieces. */
export function mutate(frame: Uint8Array, other: Uint8Array, random: Prng): Uint8Array {
  let bytes: Uint8Array = frame.slice();
  const rounds = 1 + random.below(random.below(4) === 0 ? 8 : 3);
  for (let i = 0; i < rounds; i++) bytes = mutateOnce(bytes, other, random);
  return bytes;
}

function mutateOnce(bytes: Uint8Array, other: Uint8Array, random: Prng): Uint8Array {
  switch (random.below(9)) {
    case 0:
      return at(bytes, random, (i) => [bytes[i] ^ (1 << random.below(8))]);
    case 1:
      return at(bytes, random, () => [random.pick(BYTES)]);
    case 2:
      return at(bytes, random, () => word(random.pick([...WORDS, ...MORE_WORDS])));
    case 3:
      return at(bytes, random, () => [random.pick(PROTOCOLS)]);
    case 4:
      return at(bytes, random, () => word(bytes.length - random.below(64)));
    case 5:
      return bytes.slice(0, random.below(bytes.length + 1));
    case 6:
      return grown(bytes, random);
    case 7:
      return spliced(bytes, other, random);
    default:
      return at(bytes, random, () => [random.below(256)]);
  }
}

/** Headers are where it matters: three of four mutations hit the first 100 bytes. */
function at(bytes: Uint8Array, random: Prng, value: (i: number) => readonly number[]): Uint8Array {
  if (bytes.length === 0) return bytes;
  const i = random.below(random.below(4) === 0 ? bytes.length : Math.min(100, bytes.length));
  value(i).forEach((byte, k) => {
    if (i + k < bytes.length) bytes[i + k] = byte;
  });
  return bytes;
}

function grown(bytes: Uint8Array, random: Prng): Uint8Array {
  const more = new Uint8Array(Math.min(MAX_BYTES, bytes.length + random.below(100)));
  more.set(bytes.subarray(0, more.length));
  return more;
}

function spliced(bytes: Uint8Array, other: Uint8Array, random: Prng): Uint8Array {
  const from = random.below(other.length);
  const piece = other.subarray(from, from + 1 + random.below(60));
  const to = random.below(bytes.length + 1);
  const tail =
    random.below(2) === 0 ? bytes.subarray(to) : bytes.subarray(Math.min(bytes.length, to + piece.length));
  return Uint8Array.from([...bytes.subarray(0, to), ...piece, ...tail].slice(0, MAX_BYTES));
}

function word(value: number): [number, number] {
  return [(value >> 8) & 0xff, value & 0xff];
}
