/**
 * Sends packets through a plane of nobody's (practice-plane.ts) before there are any. V8 compiles what has run often,
 * by what it saw until then: a thread that learns from its first stream compiles for seconds, and much of it twice, for
 * what it had not seen yet, a superframe or a bundle, makes what it has compiled void. So here it sees at once what most
 * packets are: to a Service and back, on the node and through the tunnel, TCP and UDP, one by one and joined, new and
 * known.
 */
import { closeSync, openSync } from "node:fs";
import type { Ipv4Addr, L4Port, Vni } from "../../base/ids.ts";
import { Protocol } from "../../base/protocols.ts";
import * as engine from "../../dataplane/engine.ts";
import { sumFrom, UNKNOWN } from "../../dataplane/packet/frame-sum.ts";
import type { Native } from "../../native/binding.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import * as vxlan from "../../wire/link/vxlan.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import {
  Address,
  At,
  createPracticePlane,
  ENDPOINT_PORT,
  MAC_HI,
  Mac,
  OVERLAY_MTU,
  SERVICE_PORT,
} from "./practice-plane.ts";

const { TCP, UDP } = Protocol;
const { FLAG_ACK, FLAG_FIN, FLAG_PSH, FLAG_SYN } = tcp;
const L3 = eth.HEADER_LEN;
const L4 = L3 + ipv4.HEADER_LEN_MIN;
const TUNNEL = L4 + udp.HEADER_LEN + vxlan.HEADER_LEN;
const MSS = OVERLAY_MTU - ipv4.HEADER_LEN_MIN - tcp.HEADER_LEN_MIN;
const STREAM = 2 * MSS;
const CLIENT_PORT = 41_000;
const WINDOW = 60_000;
const TTL = 64;
const OUTER_PORT = 50_000;
/** Of a connection: a stream each way, and a word. */
const CYCLES = 8;
const WORD = 40;
/** Frames of a batch where several come together. */
const MANY = 16;

interface Ends {
  readonly from: number;
  readonly fromMac: number;
  readonly fromPort: number;
  readonly to: number;
  readonly toMac: number;
  readonly toPort: number;
}

/** How a frame's checksum comes: left to be made, that of a superframe, or made. */
type Sum = "partial" | "superframe" | "made";

/** Frames that come by a port together, as they lie in the arena: virtio header and frame. */
interface Lesson {
  readonly port: number;
  readonly frames: readonly Uint8Array[];
}

/** So often each lesson is given: V8 compiles nothing more by then. */
const ROUNDS = 400;

export class Practice {
  /** Of this thread; nobody else's packets see it. null: it is over. */
  plane: engine.Engine | null;
  readonly lessons: readonly Lesson[];
  readonly native: Native;
  readonly sink: number;
  readonly rounds: number;
  round = 0;
  /** The lesson that comes next. */
  next = 0;

  constructor(native: Native, rounds = ROUNDS) {
    this.native = native;
    this.rounds = rounds;
    this.sink = openSync("/dev/null", "r+");
    this.plane = createPracticePlane(native, this.sink);
    this.lessons = createLessons();
  }
}

/** Goes on for so long, in milliseconds, or to the end. */
export function practise(p: Practice, ms: number): void {
  const { plane, lessons, native } = p;
  if (plane === null) return;
  const end = performance.now() + ms;
  do {
    if (p.next === 0) engine.setClock(plane, p.round);
    give(plane, native, lessons[p.next++]);
    if (p.next === lessons.length) endRound(p, plane);
  } while (p.plane !== null && performance.now() < end);
}

function endRound(p: Practice, plane: engine.Engine): void {
  for (const port of [At.UPLINK, At.POD]) engine.pollPort(plane, port); // finds nothing
  engine.tick(plane);
  p.next = 0;
  p.round++;
  if (p.round < p.rounds) return;
  p.plane = null;
  closeSync(p.sink);
}

function give(plane: engine.Engine, native: Native, { port, frames }: Lesson): void {
  const { arena } = plane.tables;
  plane.sumFrom = sumFrom(plane.tables, port);
  for (let i = 0; i < frames.length; i++) {
    const frame = frames[i];
    const at = plane.rxOffs[i];
    const len = frame.length - vnet.HEADER_LEN;
    arena.set(frame, at - vnet.HEADER_LEN);
    plane.rxLens[i] = len;
    const isMade = frame[0] === 0 && len > plane.sumFrom;
    plane.rxSums[i] = isMade
      ? native.checksum(plane.arenaPin, at + plane.sumFrom, len - plane.sumFrom, 0)
      : UNKNOWN;
  }
  engine.forwardBatch(plane, port, frames.length);
}

function createLessons(): Lesson[] {
  const near: Ends = {
    ...{ from: Address.POD, fromMac: Mac.POD, fromPort: CLIENT_PORT },
    ...{ to: Address.SERVICE, toMac: Mac.GATEWAY, toPort: SERVICE_PORT },
  };
  const nearBack: Ends = {
    ...{ from: Address.PEER, fromMac: Mac.PEER, fromPort: ENDPOINT_PORT },
    ...{ to: Address.POD, toMac: Mac.POD, toPort: CLIENT_PORT },
  };
  const far: Ends = { ...near, to: Address.FAR_SERVICE };
  const farBack: Ends = {
    ...{ from: Address.FAR, fromMac: Mac.FAR_VTEP, fromPort: ENDPOINT_PORT },
    ...{ to: Address.POD, toMac: Mac.VTEP, toPort: CLIENT_PORT },
  };
  return [...lessonsOf(near, nearBack, At.PEER), ...lessonsOf(far, farBack, At.UPLINK)];
}

/** A TCP connection from its first packet to its last, a stream each way and words in between; datagrams after it. */
function lessonsOf(client: Ends, server: Ends, port: number): Lesson[] {
  const lessons: Lesson[] = [];
  const isFar = port === At.UPLINK;
  const sum: Sum = isFar ? "made" : "partial";
  const next = new Map([
    [client, 0],
    [server, 0],
  ]);
  const say = (
    ends: Ends,
    flags: number,
    payload = 0,
    how: Sum = ends === client ? "partial" : sum,
  ): Uint8Array => {
    const seq = next.get(ends) ?? 0;
    const ack = (flags & FLAG_ACK) === 0 ? 0 : (next.get(ends === client ? server : client) ?? 0);
    next.set(ends, seq + payload + ((flags & (FLAG_SYN | FLAG_FIN)) === 0 ? 0 : 1));
    return segment(ends, seq, ack, flags, payload, how);
  };
  const ask = (...frames: Uint8Array[]) => lessons.push({ port: At.POD, frames });
  const answer = (...frames: Uint8Array[]) =>
    lessons.push({ port, frames: isFar ? frames.map((frame) => inTunnel([frame])) : frames });
  ask(say(client, FLAG_SYN));
  answer(say(server, FLAG_SYN | FLAG_ACK));
  ask(say(client, FLAG_ACK));
  for (let i = 0; i < CYCLES; i++) {
    ask(say(client, FLAG_ACK, STREAM, "superframe"), say(client, FLAG_ACK, STREAM, "superframe"));
    answer(say(server, FLAG_ACK));
    answer(say(server, FLAG_ACK, STREAM, "superframe"), say(server, FLAG_ACK | FLAG_PSH, WORD));
    ask(say(client, FLAG_ACK), say(client, FLAG_ACK | FLAG_PSH, WORD));
    if (isFar)
      lessons.push({ port, frames: [inTunnel([say(server, FLAG_ACK, WORD), say(server, FLAG_ACK, WORD)])] });
  }
  ask(say(client, FLAG_ACK | FLAG_FIN));
  answer(say(server, FLAG_ACK | FLAG_FIN));
  ask(say(client, FLAG_ACK));
  const many = (ends: Ends, how: Sum) => Array.from({ length: MANY }, () => datagram(ends, how));
  ask(...many(client, "partial"));
  answer(...many(server, sum));
  ask(...many(client, "made"));
  if (isFar) lessons.push({ port, frames: [inTunnel(many(server, "made"))] });
  return lessons;
}

function segment(ends: Ends, seq: number, ack: number, flags: number, payload: number, sum: Sum): Uint8Array {
  const { bytes, view, at } = packetOf(ends, TCP, tcp.HEADER_LEN_MIN + payload);
  const { fromPort, toPort } = ends;
  tcp.emit(view, at, fromPort as L4Port, toPort as L4Port, seq, ack, tcp.HEADER_LEN_MIN, flags, WINDOW);
  finish(view, ends, TCP, tcp.CSUM_OFFSET, sum);
  return bytes;
}

function datagram(ends: Ends, sum: Sum): Uint8Array {
  const length = udp.HEADER_LEN + 18;
  const { bytes, view, at } = packetOf(ends, UDP, length);
  udp.emit(view, at, ends.fromPort as L4Port, ends.toPort as L4Port, length);
  finish(view, ends, UDP, udp.CSUM_OFFSET, sum);
  return bytes;
}

function packetOf(
  ends: Ends,
  proto: number,
  bytesOfL4: number,
): { bytes: Uint8Array; view: DataView; at: number } {
  const bytes = new Uint8Array(vnet.HEADER_LEN + L4 + bytesOfL4);
  const view = new DataView(bytes.buffer);
  emitHeaders(view, vnet.HEADER_LEN, ends, proto, ipv4.HEADER_LEN_MIN + bytesOfL4);
  return { bytes, view, at: vnet.HEADER_LEN + L4 };
}

function emitHeaders(view: DataView, off: number, ends: Ends, proto: number, ipLen: number): void {
  const { from, to, fromMac, toMac } = ends;
  eth.emit(view, off, MAC_HI, toMac, MAC_HI, fromMac, eth.ETHERTYPE_IPV4);
  ipv4.emit(view, off + L3, 0, ipLen, 1, ipv4.FLAG_DF, TTL, proto, from as Ipv4Addr, to as Ipv4Addr);
}

/** Checksum and virtio header. */
function finish(view: DataView, { from, to }: Ends, proto: number, field: number, sum: Sum): void {
  const at = vnet.HEADER_LEN + L4;
  const len = view.byteLength - at;
  const pseudo = checksum.pseudoSumV4(from, to, proto, len);
  if (sum === "made") {
    view.setUint16(at + field, ~checksum.sum(view, at, len, pseudo) & 0xffff);
    return;
  }
  view.setUint16(at + field, checksum.fold(pseudo));
  const isLarge = sum === "superframe";
  const headers = isLarge ? L4 + tcp.HEADER_LEN_MIN : 0;
  const type = isLarge ? vnet.GSO_TCPV4 : vnet.GSO_NONE;
  vnet.emit(view, 0, vnet.NEEDS_CSUM, type, headers, isLarge ? MSS : 0, L4, field);
}

/** In VXLAN packets from the other node: one, which may be a superframe, or several that came joined. */
function inTunnel(frames: readonly Uint8Array[]): Uint8Array {
  const each = frames.map((frame) => frame.subarray(vnet.HEADER_LEN));
  const stride = vxlan.HEADER_LEN + each[0].length;
  const payload = frames.length * stride;
  const bytes = new Uint8Array(vnet.HEADER_LEN + L4 + udp.HEADER_LEN + payload);
  const view = new DataView(bytes.buffer);
  const off = vnet.HEADER_LEN;
  const outer: Ends = {
    ...{ from: Address.FAR_NODE, fromMac: Mac.NODE, fromPort: OUTER_PORT },
    ...{ to: Address.NODE, toMac: Mac.UPLINK, toPort: 8472 },
  };
  emitHeaders(view, off, outer, UDP, ipv4.HEADER_LEN_MIN + udp.HEADER_LEN + payload);
  udp.emit(view, off + L4, OUTER_PORT as L4Port, 8472 as L4Port, udp.HEADER_LEN + payload);
  each.forEach((frame, i) => {
    const at = off + L4 + udp.HEADER_LEN + i * stride;
    vxlan.emit(view, at, 1 as Vni);
    bytes.set(frame, at + vxlan.HEADER_LEN);
  });
  const inner = new DataView(frames[0].buffer);
  if (frames.length > 1) {
    vnet.emit(view, 0, vnet.NEEDS_CSUM, vnet.GSO_UDP_L4, L4 + udp.HEADER_LEN, stride, L4, udp.CSUM_OFFSET);
  } else if (vnet.needsCsum(inner, 0)) {
    const [type, size] = [vnet.gsoType(inner, 0), vnet.gsoSize(inner, 0)];
    const start = TUNNEL + vnet.csumStart(inner, 0);
    vnet.emit(
      view,
      0,
      vnet.NEEDS_CSUM,
      type,
      TUNNEL + vnet.hdrLen(inner, 0),
      size,
      start,
      vnet.csumOffset(inner, 0),
    );
  }
  return bytes;
}
