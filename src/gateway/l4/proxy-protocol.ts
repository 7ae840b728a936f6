// PROXY protocol, versions 1 and 2 (proxy-protocol.txt of HAProxy, 2020/03/05): who opened a connection, told by whoever
// carried it here in front of its first bytes. Read as it comes in, and written. Of version 2 addresses of TCP, UDP and
// Unix sockets; its further fields (TLV) are held to their lengths, CRC32c is checked where it is there, the others are
// passed over. A header that is not right ends the connection: guessing would let a client say who it is.
import { familyOf, formatIp, type Ip, type IpWords, parseIp, V4_MAPPED } from "../../base/ip.ts";
import * as crc32c from "../../wire/bytes/crc32c.ts";

export interface End {
  readonly address: Ip;
  readonly port: number;
}

export interface ProxyHeader {
  readonly version: 1 | 2;
  /** Who opened the connection, and to where. Undefined: the proxy's own (LOCAL), or of no family that is known here. */
  readonly from: End | undefined;
  readonly to: End | undefined;
  /** Bytes that it had. */
  readonly length: number;
}

export type ProxyState =
  | { readonly kind: "more" }
  | { readonly kind: "header"; readonly header: ProxyHeader }
  /** The connection begins with something else. */
  | { readonly kind: "none" }
  /** `reason`: one sentence without an end. */
  | { readonly kind: "bad"; readonly reason: string };

const MORE: ProxyState = { kind: "more" };
const NONE: ProxyState = { kind: "none" };
const V1_PREFIX = Buffer.from("PROXY ", "latin1");
/** CRLF counted. */
const V1_MAX = 107;
const V2_SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const V2_HEADER = 16;
/** Of addresses and further fields: senders stay below 536 bytes with all of it. */
const V2_MAX = 4096;
const TLV_CRC32C = 0x03;
const ADDRESSES: Readonly<Record<number, number>> = { 0: 0, 1: 12, 2: 36, 3: 216 };

/** `bytes`: all that has come from the start on. Bytes behind the header are not looked at. */
export function readProxyHeader(bytes: Buffer): ProxyState {
  const isV2 = begins(bytes, V2_SIGNATURE);
  if (isV2) return bytes.length < V2_HEADER ? MORE : readV2(bytes);
  if (begins(bytes, V1_PREFIX)) return bytes.length < V1_PREFIX.length ? MORE : readV1(bytes);
  return NONE;
}

/** As far as there are bytes. */
function begins(bytes: Buffer, prefix: Buffer): boolean {
  const length = Math.min(bytes.length, prefix.length);
  return bytes.subarray(0, length).equals(prefix.subarray(0, length));
}

function bad(reason: string): ProxyState {
  return { kind: "bad", reason: `its PROXY header ${reason}` };
}

function readV1(bytes: Buffer): ProxyState {
  const line = bytes.subarray(0, V1_MAX);
  const end = line.indexOf("\r\n");
  if (end < 0) {
    if (bytes.length >= V1_MAX) return bad(`does not end within ${V1_MAX} bytes`);
    return line.subarray(0, -1).includes("\r") || line.includes("\n") ? bad("does not end with CR LF") : MORE;
  }
  const text = line.subarray(0, end).toString("latin1");
  if (/[\r\n]/.test(text)) return bad("does not end with CR LF"); // as where the rest has not come yet
  const length = end + 2;
  const [, family, ...rest] = text.split(" ");
  // Whatever follows UNKNOWN is to be passed over.
  if (family === "UNKNOWN")
    return { kind: "header", header: { version: 1, from: undefined, to: undefined, length } };
  if (family !== "TCP4" && family !== "TCP6") return bad("is of another family than TCP4, TCP6 and UNKNOWN");
  const [source = "", destination = "", sourcePort, destinationPort, ...more] = rest;
  const from = readEnd(family, source, sourcePort);
  const to = readEnd(family, destination, destinationPort);
  if (from === undefined || to === undefined || more.length > 0)
    return bad("does not have two addresses and two ports");
  return { kind: "header", header: { version: 1, from, to, length } };
}

function readEnd(family: "TCP4" | "TCP6", text: string, portText: string | undefined): End | undefined {
  // What an IPv6 socket took from an IPv4 client is written so by some; nobody else writes such addresses.
  const mapped = family === "TCP6" ? /^::ffff:([\d.]+)$/i.exec(text)?.[1] : undefined;
  const address = parseIp(mapped ?? text);
  const port = readPort(portText);
  const isOfFamily = mapped !== undefined || address?.family === (family === "TCP4" ? 4 : 6);
  return address === null || port === undefined || !isOfFamily ? undefined : { address, port };
}

function readPort(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:0|[1-9]\d{0,4})$/.test(text)) return undefined;
  return Number(text) <= 65_535 ? Number(text) : undefined;
}

function readV2(bytes: Buffer): ProxyState {
  const [version, command] = [bytes[12] >> 4, bytes[12] & 0x0f];
  const [family, transport] = [bytes[13] >> 4, bytes[13] & 0x0f];
  const bodyLength = bytes.readUInt16BE(14);
  if (version !== 2) return bad(`is of version ${version}`);
  if (command > 1) return bad(`has command ${command}, which nobody knows`);
  if (bodyLength > V2_MAX) return bad(`says that it has ${bodyLength} bytes: at most ${V2_MAX} are read`);
  const length = V2_HEADER + bodyLength;
  if (family > 3 || transport > 2) return bad("is of a family or a transport that nobody knows");
  const addressLength = ADDRESSES[family];
  if (command === 1 && bodyLength < addressLength) return bad("is too short for its addresses");
  if (bytes.length < length) return MORE;
  const header = bytes.subarray(0, length);
  const isKnown = command === 1 && (family === 1 || family === 2) && transport > 0;
  if (command === 1) {
    const problem = problemOfFields(header, V2_HEADER + addressLength);
    if (problem !== "") return bad(problem);
  }
  if (!isKnown) return { kind: "header", header: { version: 2, from: undefined, to: undefined, length } };
  const size = family === 1 ? 4 : 16;
  const at = V2_HEADER;
  const endAt = (i: number): End => ({
    address: addressAt(header, at + i * size, size),
    port: header.readUInt16BE(at + 2 * size + 2 * i),
  });
  const [from, to] = [endAt(0), endAt(1)];
  return { kind: "header", header: { version: 2, from, to, length } };
}

/** Type, length, value, one behind the other; "": they are right. */
function problemOfFields(header: Buffer, from: number): string {
  let at = from;
  while (at < header.length) {
    if (at + 3 > header.length) return "has a field that is cut off";
    const [type, length] = [header[at], header.readUInt16BE(at + 1)];
    const value = at + 3;
    if (value + length > header.length) return "has a field that is longer than what is left";
    if (type === TLV_CRC32C) {
      if (length !== 4) return "has a checksum of another length than four bytes";
      const copy = Buffer.from(header);
      copy.fill(0, value, value + 4);
      const view = new DataView(copy.buffer, copy.byteOffset, copy.length);
      if (~crc32c.update(view, 0, copy.length, -1) !== header.readInt32BE(value))
        return "does not fit its checksum";
    }
    at = value + length;
  }
  return "";
}

function addressAt(bytes: Buffer, at: number, size: number): Ip {
  if (size === 4) return { family: 4, w0: 0, w1: 0, w2: V4_MAPPED, w3: bytes.readInt32BE(at) };
  const [w0, w1, w2, w3] = [0, 4, 8, 12].map((i) => bytes.readInt32BE(at + i));
  const words: IpWords = { w0, w1, w2, w3 };
  return { ...words, family: familyOf(words) };
}

/** Both ends, or neither: then it is what the proxy itself asks (LOCAL; in version 1 UNKNOWN). */
export function writeProxyHeader(
  version: 1 | 2,
  ends: { readonly from: End; readonly to: End } | undefined,
): Buffer {
  const isV4 = ends?.from.address.family === 4 && ends.to.address.family === 4;
  return version === 1 ? writeV1(ends, isV4) : writeV2(ends, isV4);
}

type Ends = { readonly from: End; readonly to: End } | undefined;

function writeV1(ends: Ends, isV4: boolean): Buffer {
  if (ends === undefined) return Buffer.from("PROXY UNKNOWN\r\n", "latin1");
  const { from, to } = ends;
  // In a header of IPv6 an IPv4 address has to look like one, too.
  const text = ({ address }: End): string =>
    isV4 || address.family === 6 ? formatIp(address) : `::ffff:${formatIp(address)}`;
  const line = `PROXY TCP${isV4 ? 4 : 6} ${text(from)} ${text(to)} ${from.port} ${to.port}\r\n`;
  return Buffer.from(line, "latin1");
}

function writeV2(ends: Ends, isV4: boolean): Buffer {
  const size = isV4 ? 4 : 16;
  const body = Buffer.alloc(ends === undefined ? 0 : 2 * size + 4);
  const head = Buffer.alloc(4);
  head[0] = ends === undefined ? 0x20 : 0x21;
  head[1] = ends === undefined ? 0x00 : isV4 ? 0x11 : 0x21;
  head.writeUInt16BE(body.length, 2);
  if (ends !== undefined)
    for (const [i, { address, port }] of [ends.from, ends.to].entries()) {
      const { w0, w1, w2, w3 } = address;
      for (const [j, word] of (isV4 ? [w3] : [w0, w1, w2, w3]).entries())
        body.writeInt32BE(word, i * size + 4 * j);
      body.writeUInt16BE(port, 2 * size + 2 * i);
    }
  return Buffer.concat([V2_SIGNATURE, head, body]);
}
