// What is written as Latin-1 is a byte for each character: one that has no such byte is written in its bytes of UTF-8, so
// that no letter is cut down to the end of a line (U+010A would be a line feed).

const WIDE = /[\u0100-\uffff]+/g;

export function octets(text: string): string {
  return text.replace(WIDE, (letters) => Buffer.from(letters).toString("latin1"));
}
