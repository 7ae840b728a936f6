// A small SCTP endpoint on raw sockets, for kernels without SCTP: one stream, one message. The server answers each
// message with a line of JSON: whom it saw, and how many bytes came. What has a wrong CRC is not heard.
//   node sctp-peer.js serve PORT
//   node sctp-peer.js ask ADDRESS PORT [BYTES [SECONDS]]     prints the answer, stays for SECONDS, then shuts down
import { randomInt } from "node:crypto";
import { isIPv6 } from "node:net";
import * as raw from "raw-socket";
import { viewOf } from "../../src/testing/frames/bytes.ts";
import * as build from "../../src/testing/frames/frame-builder.ts";
import type { SctpChunk } from "../../src/testing/frames/frame-options.ts";
import * as chunk from "../../src/testing/frames/sctp-chunks.ts";
import * as sctp from "../../src/wire/transport/sctp.ts";

const PROTOCOL = 132;
const IPV6_HEADERS = 54;
const DATA_HEADER = 16; // chunk header, TSN, stream, sequence number, protocol
const RETRY_MS = 400;
const GIVE_UP_MS = 6000;

interface Packet {
  readonly from: string;
  readonly srcPort: number;
  readonly dstPort: number;
  readonly vtag: number;
  readonly chunks: readonly { readonly type: number; readonly at: number; readonly len: number }[];
  readonly bytes: Uint8Array;
}

/** Sockets in use: one that is collected is closed, and the process ends with the last. */
const open: raw.Socket[] = [];

/** A raw socket that speaks SCTP packets. */
class Link {
  readonly #socket: raw.Socket;
  onPacket: (packet: Packet) => void = () => {};

  constructor(v6: boolean) {
    const addressFamily = v6 ? raw.AddressFamily.IPv6 : raw.AddressFamily.IPv4;
    this.#socket = raw.createSocket({ protocol: PROTOCOL, addressFamily, bufferSize: 65_536 });
    open.push(this.#socket);
    this.#socket.on("error", () => {}); // an ICMP error: whoever waits tries again
    this.#socket.on("message", (buffer: Buffer, from: string) => {
      const skip = v6 ? 0 : (buffer[0] & 15) * 4;
      const packet = parse(Uint8Array.from(buffer.subarray(skip)), from);
      if (packet !== undefined) this.onPacket(packet);
    });
  }

  send(to: string, srcPort: number, dstPort: number, vtag: number, chunks: readonly SctpChunk[]): void {
    // Addresses are not under the CRC, so any of a family will do for the frame that is cut off again.
    const frame = build.sctpFrame({ src: "fd00::1", dst: "fd00::2", srcPort, dstPort, vtag, chunks });
    const packet = Buffer.from(frame.subarray(IPV6_HEADERS));
    this.#socket.send(packet, 0, packet.length, to, null, () => {});
  }
}

function parse(bytes: Uint8Array, from: string): Packet | undefined {
  const view = viewOf(bytes);
  const end = bytes.length;
  if (!sctp.isWellFormed(view, 0, end) || !sctp.checksumOk(view, 0, end)) return undefined;
  const chunks: { type: number; at: number; len: number }[] = [];
  for (let at = sctp.firstChunk(view, 0, end); at >= 0; at = sctp.nextChunk(view, at, end)) {
    chunks.push({ type: sctp.chunkType(view, at), at, len: sctp.chunkLen(view, at) });
  }
  const [srcPort, dstPort] = [sctp.srcPort(view, 0), sctp.dstPort(view, 0)];
  return { from, srcPort, dstPort, vtag: sctp.vtag(view, 0), chunks, bytes };
}

const has = (packet: Packet, type: number) => packet.chunks.find((one) => one.type === type);

function serve(port: number): void {
  for (const v6 of [false, true]) {
    const link = new Link(v6);
    const peers = new Map<string, { theirs: number; mine: number }>();
    link.onPacket = (packet) => {
      if (packet.dstPort !== port) return;
      const key = `${packet.from} ${packet.srcPort}`;
      const answer = (vtag: number, ...chunks: SctpChunk[]) =>
        link.send(packet.from, port, packet.srcPort, vtag, chunks);
      const init = has(packet, 1);
      if (init !== undefined) {
        const theirs = sctp.initTag(viewOf(packet.bytes), init.at);
        const known = peers.get(key);
        const peer = known?.theirs === theirs ? known : { theirs, mine: randomInt(1, 2 ** 31) };
        peers.set(key, peer);
        answer(theirs, chunk.initAck(peer.mine));
        return;
      }
      const peer = peers.get(key);
      if (peer === undefined || packet.vtag !== peer.mine) return;
      if (has(packet, 10) !== undefined) answer(peer.theirs, chunk.cookieAck);
      const data = has(packet, 0);
      if (data !== undefined) {
        const seen = { client: packet.from, port: packet.srcPort, bytes: data.len - DATA_HEADER };
        answer(peer.theirs, chunk.sack, chunk.data(JSON.stringify(seen)));
      }
      if (has(packet, 7) !== undefined) answer(peer.theirs, chunk.shutdownAck);
    };
  }
  console.log("listening");
}

async function ask(host: string, port: number, bytes: number, seconds: number): Promise<void> {
  const link = new Link(isIPv6(host));
  const mine = randomInt(1, 2 ** 31);
  const source = randomInt(33_000, 60_000);
  const heard: Packet[] = [];
  let wake = () => {};
  link.onPacket = (packet) => {
    if (packet.srcPort !== port || packet.dstPort !== source || packet.vtag !== mine) return;
    heard.push(packet);
    wake();
  };
  /** Says something until a chunk of `type` comes back. */
  const until = async (type: number, vtag: number, ...chunks: SctpChunk[]): Promise<Packet> => {
    for (const end = Date.now() + GIVE_UP_MS; Date.now() < end; ) {
      link.send(host, source, port, vtag, chunks);
      const retry = Date.now() + RETRY_MS;
      while (Date.now() < retry) {
        const found = heard.find((packet) => has(packet, type) !== undefined);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => {
          wake = resolve;
          setTimeout(resolve, retry - Date.now());
        });
      }
    }
    throw new Error(`no chunk of type ${type} from ${host}`);
  };
  const ack = await until(2, 0, chunk.init(mine));
  const theirs = sctp.initTag(viewOf(ack.bytes), has(ack, 2)?.at ?? 0);
  await until(11, theirs, chunk.cookieEcho);
  const answer = await until(0, theirs, chunk.data("a".repeat(bytes)));
  const { at, len } = has(answer, 0) ?? { at: 0, len: 0 };
  console.log(Buffer.from(answer.bytes.subarray(at + DATA_HEADER, at + len)).toString());
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  await until(8, theirs, chunk.shutdown);
  link.send(host, source, port, theirs, [chunk.shutdownComplete()]);
  setTimeout(() => process.exit(0), 50);
}

const [verb, ...rest] = process.argv.slice(2);
if (verb === "serve") serve(Number(rest[0]));
else {
  ask(rest[0], Number(rest[1]), Number(rest[2] ?? 10), Number(rest[3] ?? 0)).catch((error: Error) => {
    console.error(error.message);
    process.exit(1);
  });
}
