// FTP's words about a data connection: PORT and the reply 227 (RFC 959 §4.1.2, §5.4; RFC 1123 §4.1.2.6), EPRT and the
// reply 229 (RFC 2428 §2, §3). Found at the beginning of a line, by the same rules as Linux' nf_conntrack_ftp.
// Pure over (view, offsets); nothing allocates.

export const FtpKind = Object.freeze({ NONE: 0, PORT: 1, EPRT: 2, PASV: 3, EPSV: 4 } as const);

/** What `find` says besides a kind: the beginning of such a word, or one whose numbers cannot be read. */
export const INCOMPLETE = -1;

/** Words of a result: offset and bytes of the text that names the address, whether it names one, the port … */
export const R_OFF = 0;
export const R_LEN = 1;
export const R_HAS_ADDRESS = 2;
export const R_PORT = 3;
/** … and the address as in a tuple: four words, IPv4 as v4-mapped. */
export const R_ADDRESS = 4;
export const RESULT_WORDS = 9;
const CURSOR = 8;
/** The longest text that `write` makes: EPRT with an IPv6 address. */
export const TEXT_MAX = 52;

const ZERO = 0x30;
const NINE = 0x39;
const COMMA = 0x2c;
const DOT = 0x2e;
const COLON = 0x3a;
const SPACE = 0x20;
const OPEN = 0x28;
const CR = 0x0d;
const PIPE = 0x7c;
const V4_MAPPED = 0xffff;
// The words, as four upper-case letters.
const WORD_PORT = 0x504f5254;
const WORD_EPRT = 0x45505254;
const WORD_227 = 0x32323720;
const WORD_229 = 0x32323920;
const WORD_LEN = 4;

/**
 * Looks for a data connection's address in the line at `from` … `end`: in a client's command, or in a server's reply.
 * Returns the kind and fills `out`, or NONE, or INCOMPLETE. `isV6`: family of the control connection.
 */
export function find(
  view: DataView,
  from: number,
  end: number,
  isReply: boolean,
  isV6: boolean,
  out: Int32Array,
): number {
  const plain = isReply ? WORD_227 : WORD_PORT;
  const extended = isReply ? WORD_229 : WORD_EPRT;
  const known = end - from > WORD_LEN ? WORD_LEN : end - from;
  if (begins(view, from, known, plain)) {
    if (known < WORD_LEN || end - from === WORD_LEN) return INCOMPLETE;
    if (isV6) return FtpKind.NONE;
    return isReply ? readPasv(view, from + WORD_LEN, end, out) : readPort(view, from + WORD_LEN, end, out);
  }
  if (begins(view, from, known, extended)) {
    if (known < WORD_LEN || end - from === WORD_LEN) return INCOMPLETE;
    return isReply
      ? readEpsv(view, from + WORD_LEN, end, out)
      : readEprt(view, from + WORD_LEN, end, isV6, out);
  }
  return FtpKind.NONE;
}

/** Do the first `n` bytes spell `word`, small or capital? */
function begins(view: DataView, from: number, n: number, word: number): boolean {
  if (n === 0) return false;
  for (let i = 0; i < n; i++) {
    const c = view.getUint8(from + i);
    const upper = c >= 0x61 && c <= 0x7a ? c - 0x20 : c;
    if (upper !== ((word >>> (24 - 8 * i)) & 0xff)) return false;
  }
  return true;
}

/** Offset behind the next `c`, or -1. */
function after(view: DataView, from: number, end: number, c: number): number {
  for (let at = from; at < end - 1; at++) if (view.getUint8(at) === c) return at + 1;
  return -1;
}

function readPort(view: DataView, from: number, end: number, out: Int32Array): number {
  const at = after(view, from, end, SPACE);
  if (at < 0) return INCOMPLETE;
  return readSix(view, at, end, CR, out) ? FtpKind.PORT : INCOMPLETE;
}

/** RFC 1123: the reply may have anything before its numbers, and no parentheses. */
function readPasv(view: DataView, from: number, end: number, out: Int32Array): number {
  let at = from;
  while (at < end && !isDigit(view.getUint8(at))) at++;
  return readSix(view, at, end, 0, out) ? FtpKind.PASV : INCOMPLETE;
}

/** h1,h2,h3,h4,p1,p2 and then `term` (0: anything). */
function readSix(view: DataView, from: number, end: number, term: number, out: Int32Array): boolean {
  out[CURSOR] = from;
  const address = readQuad(view, end, COMMA, out);
  if (out[CURSOR] < 0 || !skip(view, end, COMMA, out)) return false;
  const high = readNumber(view, end, 255, out);
  if (high < 0 || !skip(view, end, COMMA, out)) return false;
  const low = readNumber(view, end, 255, out);
  const at = out[CURSOR];
  if (low < 0 || at >= end || (term !== 0 && view.getUint8(at) !== term)) return false;
  out[R_OFF] = from;
  out[R_LEN] = at - from;
  out[R_PORT] = (high << 8) | low;
  setV4(address, out);
  return true;
}

/** Four numbers with `separator` between them, as an IPv4 address; the cursor is -1 when they are none. */
function readQuad(view: DataView, end: number, separator: number, out: Int32Array): number {
  let address = 0;
  for (let i = 0; i < 4; i++) {
    const n = i > 0 && !skip(view, end, separator, out) ? -1 : readNumber(view, end, 255, out);
    if (n < 0) {
      out[CURSOR] = -1;
      return 0;
    }
    address = (address << 8) | n;
  }
  return address;
}

/** <d>1<d>address<d>port<d>, 2 for IPv6; <d> is any visible character but a digit. */
function readEprt(view: DataView, from: number, end: number, isV6: boolean, out: Int32Array): number {
  const at = after(view, from, end, SPACE);
  if (at < 0 || at + 3 >= end) return INCOMPLETE;
  const d = view.getUint8(at);
  if (!isDelimiter(d) || view.getUint8(at + 2) !== d) return INCOMPLETE;
  if (view.getUint8(at + 1) !== (isV6 ? ZERO + 2 : ZERO + 1)) return INCOMPLETE;
  out[CURSOR] = at + 3;
  if (isV6) readV6(view, end, out);
  else setV4(readQuad(view, end, DOT, out), out);
  if (out[CURSOR] < 0 || !skip(view, end, d, out)) return INCOMPLETE;
  return readPortNumber(view, at, end, d, out) ? FtpKind.EPRT : INCOMPLETE;
}

/** (<d><d><d>port<d>): the address is that of the control connection. */
function readEpsv(view: DataView, from: number, end: number, out: Int32Array): number {
  const at = after(view, from, end, OPEN);
  if (at < 0 || at + 3 >= end) return INCOMPLETE;
  const d = view.getUint8(at);
  if (!isDelimiter(d) || view.getUint8(at + 1) !== d || view.getUint8(at + 2) !== d) return INCOMPLETE;
  out[CURSOR] = at + 3;
  out[R_HAS_ADDRESS] = 0;
  return readPortNumber(view, at, end, d, out) ? FtpKind.EPSV : INCOMPLETE;
}

function readPortNumber(view: DataView, from: number, end: number, d: number, out: Int32Array): boolean {
  const port = readNumber(view, end, 65_535, out);
  if (port <= 0 || !skip(view, end, d, out)) return false;
  out[R_OFF] = from;
  out[R_LEN] = out[CURSOR] - from;
  out[R_PORT] = port;
  return true;
}

/** An IPv6 address in any of its texts (RFC 4291 §2.2, without dotted quads); the cursor is -1 when it is none. */
function readV6(view: DataView, end: number, out: Int32Array): void {
  let at = out[CURSOR];
  let groups = 0;
  let gap = -1; // index of the group before which "::" stands
  for (let i = 0; i < 4; i++) out[R_ADDRESS + i] = 0;
  while (groups < 8 && at < end) {
    if (view.getUint8(at) === COLON && at + 1 < end && view.getUint8(at + 1) === COLON) {
      if (gap >= 0) break;
      gap = groups;
      at += 2;
    } else if (groups > 0 && gap !== groups) {
      if (view.getUint8(at) !== COLON) break;
      at++;
    }
    let value = 0;
    let digits = 0;
    while (at < end && digits < 4 && hexOf(view.getUint8(at)) >= 0) {
      value = (value << 4) | hexOf(view.getUint8(at));
      at++;
      digits++;
    }
    if (digits === 0) break;
    out[R_ADDRESS + (groups >> 1)] |= (groups & 1) === 0 ? value << 16 : value;
    groups++;
  }
  out[CURSOR] = at;
  out[R_HAS_ADDRESS] = 1;
  if (gap < 0 ? groups !== 8 : groups > 7) out[CURSOR] = -1;
  else if (gap >= 0) spread(out, gap, groups);
}

/** Moves the groups behind "::" to the end. */
function spread(out: Int32Array, gap: number, groups: number): void {
  for (let n = 0; n < groups - gap; n++) {
    const from = groups - 1 - n;
    const value = groupAt(out, from);
    setGroup(out, from, 0);
    setGroup(out, 7 - n, value);
  }
}

function groupAt(words: Int32Array, group: number): number {
  const word = words[R_ADDRESS + (group >> 1)];
  return (group & 1) === 0 ? word >>> 16 : word & 0xffff;
}

function setGroup(words: Int32Array, group: number, value: number): void {
  const i = R_ADDRESS + (group >> 1);
  words[i] = (group & 1) === 0 ? (words[i] & 0xffff) | (value << 16) : (words[i] & ~0xffff) | value;
}

function setV4(address: number, out: Int32Array): void {
  out[R_HAS_ADDRESS] = 1;
  out[R_ADDRESS] = 0;
  out[R_ADDRESS + 1] = 0;
  out[R_ADDRESS + 2] = V4_MAPPED;
  out[R_ADDRESS + 3] = address;
}

/** Decimal digits at the cursor, which moves behind them; -1: there are none, or the number is above `max`. */
function readNumber(view: DataView, end: number, max: number, out: Int32Array): number {
  let at = out[CURSOR];
  let value = 0;
  const from = at;
  while (at < end && isDigit(view.getUint8(at))) {
    value = value * 10 + view.getUint8(at) - ZERO;
    if (value > max) return -1;
    at++;
  }
  out[CURSOR] = at;
  return at === from ? -1 : value;
}

/** Moves the cursor over `c`; false when something else stands there. */
function skip(view: DataView, end: number, c: number, out: Int32Array): boolean {
  const at = out[CURSOR];
  if (at >= end || view.getUint8(at) !== c) return false;
  out[CURSOR] = at + 1;
  return true;
}

function isDigit(c: number): boolean {
  return c >= ZERO && c <= NINE;
}

function isDelimiter(c: number): boolean {
  return c > SPACE && c < 0x7f && !isDigit(c);
}

function hexOf(c: number): number {
  if (isDigit(c)) return c - ZERO;
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/**
 * Writes what shall stand in the place of a result's text to `bytes` at `at`: address words as in a tuple. At most
 * TEXT_MAX bytes; returns how many.
 */
export function write(
  bytes: Uint8Array,
  at: number,
  kind: number,
  isV6: boolean,
  address: Int32Array,
  addressAt: number,
  port: number,
): number {
  let end = at;
  const last = address[addressAt + 3];
  if (kind === FtpKind.PORT || kind === FtpKind.PASV) {
    end = writeQuad(bytes, end, last, COMMA);
    bytes[end++] = COMMA;
    end = writeNumber(bytes, end, port >>> 8, 10);
    bytes[end++] = COMMA;
    return writeNumber(bytes, end, port & 0xff, 10) - at;
  }
  bytes[end++] = PIPE;
  if (kind === FtpKind.EPRT) bytes[end++] = isV6 ? ZERO + 2 : ZERO + 1;
  bytes[end++] = PIPE;
  if (kind === FtpKind.EPRT) {
    if (!isV6) end = writeQuad(bytes, end, last, DOT);
    for (let group = 0; isV6 && group < 8; group++) {
      if (group > 0) bytes[end++] = COLON;
      const word = address[addressAt + (group >> 1)];
      end = writeNumber(bytes, end, (group & 1) === 0 ? word >>> 16 : word & 0xffff, 16);
    }
  }
  bytes[end++] = PIPE;
  end = writeNumber(bytes, end, port, 10);
  bytes[end++] = PIPE;
  return end - at;
}

function writeQuad(bytes: Uint8Array, at: number, address: number, separator: number): number {
  let end = at;
  for (let shift = 24; shift >= 0; shift -= 8) {
    end = writeNumber(bytes, end, (address >>> shift) & 0xff, 10);
    if (shift > 0) bytes[end++] = separator;
  }
  return end;
}

/** Returns the offset behind it. */
function writeNumber(bytes: Uint8Array, at: number, value: number, base: number): number {
  let unit = 1;
  while (value >= unit * base) unit *= base;
  let end = at;
  for (; unit >= 1; unit = (unit / base) | 0) {
    const digit = ((value / unit) | 0) % base;
    bytes[end++] = digit < 10 ? ZERO + digit : 0x57 + digit;
  }
  return end;
}
