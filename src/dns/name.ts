/**
 * Domain names in three forms. As a message has it: labels with their lengths in front, a zero at the end (RFC 1035
 * §3.1). As a key: the same octets, a character each, with ASCII letters in lower case (RFC 4343). As text: for people
 * and for names that Kubernetes makes, which have neither dots nor other octets within a label.
 */

const NAME_MAX = 255; // octets in a message, lengths and the zero counted
const LABEL_MAX = 63;
const POINTER = 0xc0; // RFC 1035 §4.1.4: the two highest bits of a length
const HIGH = /[\u0080-\u00ff]/;
/** What has a meaning of its own in names as text (RFC 1035 §5.1), and what cannot be printed. */
const ESCAPED = /[^!-~]|[.\\"();@$]/g;

/** First octet after an uncompressed name, -1: it is none, or ends beyond `end`. */
export function nameEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  for (;;) {
    if (at >= end) return -1;
    const length = bytes[at];
    if (length > LABEL_MAX) return -1;
    at += length + 1;
    if (at - from > NAME_MAX) return -1;
    if (length === 0) return at;
  }
}

/** First octet after a name that may be compressed, -1: it ends beyond `end`. Where it points to is not looked at. */
export function skipName(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  for (;;) {
    if (at >= end) return -1;
    const length = bytes[at];
    if (length >= POINTER) return at + 2 <= end ? at + 2 : -1;
    if (length > LABEL_MAX) return -1;
    at += length + 1;
    if (length === 0) return at;
  }
}

/** The key of the name at these octets, which is one. Names of other octets than ASCII's are kept as they are. */
export function nameKey(bytes: Buffer, from: number, end: number): string {
  const text = bytes.toString("latin1", from, end);
  return HIGH.test(text) ? text : text.toLowerCase(); // lengths are below "A"
}

/** Labels of a key, the leftmost first. */
export function labelsOf(key: string): string[] {
  const labels: string[] = [];
  for (let at = 0; ; ) {
    const length = key.charCodeAt(at);
    if (length === 0 || Number.isNaN(length)) return labels;
    labels.push(key.slice(at + 1, at + 1 + length));
    at += length + 1;
  }
}

/** As text, without the dot at the end; "." is the root. */
export function nameText(labels: readonly string[]): string {
  return labels.length === 0 ? "." : labels.map((label) => label.replace(ESCAPED, escaped)).join(".");
}

function escaped(char: string): string {
  const code = char.charCodeAt(0);
  return code > 0x20 && code < 0x7f ? `\\${char}` : `\\${String(code).padStart(3, "0")}`;
}

/** Labels of a name as Kubernetes or a file has it; a dot at the end is left out. */
export function splitName(text: string): string[] {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  return name === "" ? [] : name.toLowerCase().split(".");
}

/** A name that can be sent: no label empty or longer than 63 octets, 255 in all. */
export function fits(labels: readonly string[]): boolean {
  const octets = labels.reduce((sum, label) => sum + label.length + 1, 1);
  return octets <= NAME_MAX && labels.every((label) => label.length > 0 && label.length <= LABEL_MAX);
}

/** The key of these labels. */
export function keyOfLabels(labels: readonly string[]): string {
  return `${labels.map((label) => String.fromCharCode(label.length) + label).join("")}\0`;
}

/** How many labels stand before this suffix; -1: the name does not end with it. */
export function labelsBefore(labels: readonly string[], suffix: readonly string[]): number {
  const before = labels.length - suffix.length;
  return before >= 0 && suffix.every((label, i) => labels[before + i] === label) ? before : -1;
}
