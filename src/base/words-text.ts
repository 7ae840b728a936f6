/**
 * Words as a text of as few characters as they need, for what is kept of many and seldom read: a number below 64 takes
 * one byte, an address five, and a text has two words of its own where a typed array has twenty. Equal words make equal
 * texts.
 */
const PIECE = 4096; // characters that are made a text in one call: they are its arguments
const BYTES_A_WORD = 5;

let bytes = new Uint8Array(1 << 12);

/** Signed words of 32 bits: seven bits a character, the least significant first; the sign is the lowest bit. */
export function textOfWords(words: Int32Array): string {
  if (bytes.length < words.length * BYTES_A_WORD) bytes = new Uint8Array(2 * words.length * BYTES_A_WORD);
  let length = 0;
  for (const word of words) {
    let rest = ((word << 1) ^ (word >> 31)) >>> 0;
    for (; rest > 127; rest >>>= 7) bytes[length++] = (rest & 127) | 128;
    bytes[length++] = rest;
  }
  if (length <= PIECE) return textOf(bytes.subarray(0, length));
  const pieces: string[] = [];
  for (let at = 0; at < length; at += PIECE)
    pieces.push(textOf(bytes.subarray(at, Math.min(length, at + PIECE))));
  return pieces.join("");
}

/** Not by a spread, which takes six times as long. */
function textOf(characters: Uint8Array): string {
  return String.fromCharCode.apply(null, characters as unknown as number[]);
}

export function wordsOfText(text: string): Int32Array {
  const words = new Int32Array(text.length);
  let count = 0;
  let shift = 0;
  let word = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text.charCodeAt(at);
    word |= (byte & 127) << shift;
    shift += 7;
    if (byte > 127) continue;
    words[count++] = (word >>> 1) ^ -(word & 1);
    shift = 0;
    word = 0;
  }
  return words.subarray(0, count);
}
