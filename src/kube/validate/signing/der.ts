// Elements of ASN.1 as DER has them (X.690 §8.1, §10): a tag of one byte, a length of up to four, and what they hold.

/** Places in the bytes: `from` of its tag, `start` of what it holds, `end` behind it. */
export interface Element {
  readonly tag: number;
  readonly from: number;
  readonly start: number;
  readonly end: number;
}

export const SEQUENCE = 0x30;
export const BIT_STRING = 0x03;

/** Undefined: there is none, or it does not end before `end`. */
export function elementAt(der: Uint8Array, at: number, end = der.length): Element | undefined {
  if (at + 2 > end) return undefined;
  const first = der[at + 1];
  const count = first < 0x80 ? 0 : first & 0x7f;
  if (count > 4 || (first >= 0x80 && count === 0) || at + 2 + count > end) return undefined;
  let length = count === 0 ? first : 0;
  for (let i = 0; i < count; i++) length = length * 256 + der[at + 2 + i];
  const start = at + 2 + count;
  return start + length > end ? undefined : { tag: der[at], from: at, start, end: start + length };
}

/** What an element holds, one after another; undefined: it does not hold elements alone. */
export function partsOf(
  der: Uint8Array,
  { start, end }: Pick<Element, "start" | "end">,
): Element[] | undefined {
  const parts: Element[] = [];
  for (let at = start; at < end; at = parts[parts.length - 1].end) {
    const part = elementAt(der, at, end);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return parts;
}

/** The parts of the one SEQUENCE that the bytes are; undefined: they are none, or its parts have other tags. */
export function sequenceOf(der: Uint8Array, tags: readonly number[]): Element[] | undefined {
  const whole = elementAt(der, 0);
  if (whole?.tag !== SEQUENCE || whole.end !== der.length) return undefined;
  const parts = partsOf(der, whole);
  return parts?.length === tags.length && parts.every(({ tag }, i) => tag === tags[i]) ? parts : undefined;
}
