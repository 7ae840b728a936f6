/**
 * Watching packets: `trace` and `capture`. A watcher has a classic BPF filter, a ring to the main thread, and for
 * traces a count after which it stops by itself. With no watcher active a packet pays one comparison.
 *
 * Records (bodies of record-ring, words are i32, little-endian as the machine):
 *   TRACE   one stage of one packet, TRACE_WORDS words, see `note`
 *   CAPTURE one frame at one port, CAPTURE_WORDS words, then the bytes, see `captureFrame`
 * No text is made here: names and stories are the reader's business.
 */
import * as vnet from "../wire/virtio-net.ts";
import * as bpf from "./bpf.ts";
import { Event } from "./counters.ts";
import { type Packet, SLOT_STRIDE } from "./packet.ts";
import * as ring from "./record-ring.ts";
import type { Tables } from "./tables.ts";
import { Mode, WATCHERS_MAX, type Watcher } from "./watchers.ts";

export const RecordType = Object.freeze({ TRACE: 1, CAPTURE: 2 } as const);
/**
 * Words of a trace record: 0 packet, 1 stage, 2 verdict | drop reason << 8 | conntrack state << 16 | direction << 20 |
 * nat << 21 | bridged << 22 | from tunnel << 23 | masquerade << 24 | attempt << 27 | why the last one failed << 30,
 * 3 in port << 16 | out port, 4 engine ms, 5 bytes of the IP packet, 6 TCP flags | GSO size << 16, 7 endpoint slot,
 * 8 service id, 9 route, 10 EtherType << 16 | family << 8 | protocol, 11 ICMP request, 12–21 tuple as received,
 * 22–31 tuple as it leaves, 32–33 time (f64, µs since 1970).
 */
export const TRACE_WORDS = 34;
/**
 * Words of a capture record: 0 packet, 1 direction (0 in, 1 out), 2 and 3 as in a trace record, 4–5 time (f64, µs since
 * 1970), 6 frame bytes, 7 bytes that follow, 8 virtio flags | gso type << 8, 9 gso size, 10 csum start, 11 csum offset
 * (both as in the virtio header), 12–31 as in a trace record, 32 port, 33 service id.
 */
export const CAPTURE_WORDS = 34;

/** At ingress: does somebody want to see this frame? Sets `pkt.traceId` and what `after` needs. */
export function before(pkt: Packet, t: Tables): void {
  const w = t.watchers;
  const len = pkt.end - pkt.off;
  let capturing = 0;
  let tracing = 0;
  for (let i = 0; i < WATCHERS_MAX; i++) {
    const one = w.list[i];
    if (one.mode === Mode.OFF || one.remaining === 0) continue;
    const wanted = one.program === null || bpf.run(one.program, pkt.view, pkt.off, len, len) !== 0;
    if (one.mode === Mode.CAPTURE) capturing |= (wanted ? 0x10001 : 0x10000) << i;
    else if (wanted) {
      tracing |= 1 << i;
      if (one.remaining > 0) one.remaining--;
    }
  }
  w.capturing = capturing;
  w.txFrom = t.tx.count;
  w.txFlushes = t.tx.flushes;
  if (tracing === 0 && capturing === 0) return;
  const id = w.nextId;
  w.nextId = (id + 1) & 0xffffff;
  pkt.watchId = id;
  pkt.traceId = tracing;
  if (capturing === 0) return;
  const from = pkt.off - vnet.HEADER_LEN;
  const n = len + vnet.HEADER_LEN < SLOT_STRIDE ? len + vnet.HEADER_LEN : SLOT_STRIDE;
  // The one copy that watching costs; a view of the arena would change under the pipeline.
  copyBytes(t.arena, from, w.before, 0, n);
  w.beforeLen = len;
}

/**
 * After the pipeline: writes what the capturing watchers see, the frame as it came and every frame it became. `inPort` is
 * negative when it came by no port: the plane sends again what it had held.
 */
export function after(pkt: Packet, t: Tables, verdict: number, inPort: number): void {
  const w = t.watchers;
  const capturing = w.capturing;
  if (capturing === 0) return;
  w.capturing = 0;
  const firstTx = t.tx.flushes === w.txFlushes ? w.txFrom : 0;
  for (let i = 0; i < WATCHERS_MAX; i++) {
    if (((capturing >>> (16 + i)) & 1) === 0) continue;
    const one = w.list[i];
    const wanted = ((capturing >>> i) & 1) !== 0;
    if (wanted && inPort >= 0)
      captureFrame(pkt, t, one, verdict, w.before, vnet.HEADER_LEN, w.beforeLen, inPort, 0);
    for (let q = firstTx; q < t.tx.count; q++) {
      const off = t.tx.offs[q];
      const len = t.tx.lens[q];
      if (wanted || (one.program !== null && bpf.run(one.program, pkt.view, off, len, len) !== 0)) {
        captureFrame(pkt, t, one, verdict, t.arena, off, len, t.tx.ports[q], 1);
      }
    }
  }
}

function captureFrame(
  pkt: Packet,
  t: Tables,
  one: Watcher,
  verdict: number,
  bytes: Uint8Array,
  off: number,
  len: number,
  port: number,
  direction: number,
): void {
  const r = one.ring;
  if (r === null || one.remaining === 0) return;
  const kept = len < one.snapLen ? len : one.snapLen;
  const body = ring.begin(r, RecordType.CAPTURE, CAPTURE_WORDS * 4 + kept);
  if (body < 0) {
    t.counters.events[Event.CAPTURE_LOST]++;
    return;
  }
  if (one.remaining > 0) one.remaining--;
  const words = r.words;
  const at = body >> 2;
  words[at] = pkt.watchId;
  words[at + 1] = direction;
  writeDecision(pkt, t, words, at, verdict);
  r.float[(body >> 3) + 2] = t.watchers.clockUs[0];
  words[at + 6] = len;
  words[at + 7] = kept;
  const vh = off - vnet.HEADER_LEN;
  words[at + 8] = bytes[vh] | (bytes[vh + 1] << 8);
  words[at + 9] = bytes[vh + 4] | (bytes[vh + 5] << 8);
  words[at + 10] = bytes[vh + 6] | (bytes[vh + 7] << 8);
  words[at + 11] = bytes[vh + 8] | (bytes[vh + 9] << 8);
  words[at + 32] = port;
  words[at + 33] = pkt.frontend >= 0 ? t.services.service[pkt.frontend] : serviceOf(pkt, t);
  copyBytes(bytes, off, r.bytes, body + CAPTURE_WORDS * 4, kept);
  ring.commit(r);
}

/** One stage of a traced packet: what it decided and the packet as it stands. */
export function note(pkt: Packet, t: Tables, stage: number, verdict: number): void {
  if (pkt.traceId !== 0) writeTrace(pkt, t, stage, verdict);
}

function writeTrace(pkt: Packet, t: Tables, stage: number, verdict: number): void {
  for (let i = 0; i < WATCHERS_MAX; i++) {
    if (((pkt.traceId >>> i) & 1) === 0) continue;
    const r = t.watchers.list[i].ring;
    if (r === null) continue;
    const body = ring.begin(r, RecordType.TRACE, TRACE_WORDS * 4);
    if (body < 0) {
      t.counters.events[Event.TRACE_LOST]++;
      continue;
    }
    const at = body >> 2;
    const words = r.words;
    words[at] = pkt.watchId;
    words[at + 1] = stage;
    writeDecision(pkt, t, words, at, verdict);
    words[at + 4] = t.nowMs;
    words[at + 5] = pkt.ipLen;
    words[at + 6] = pkt.tcpFlags | (pkt.gsoSize << 16);
    words[at + 7] = pkt.endpoint;
    words[at + 8] = pkt.frontend >= 0 ? t.services.service[pkt.frontend] : serviceOf(pkt, t);
    words[at + 9] = pkt.route;
    words[at + 10] = (pkt.etherType << 16) | (pkt.family << 8) | pkt.proto;
    words[at + 11] = pkt.icmpRequest;
    r.float[(body >> 3) + 16] = t.watchers.clockUs[0];
    ring.commit(r);
  }
}

function serviceOf(pkt: Packet, t: Tables): number {
  return pkt.ctSlot >= 0 && t.conntrack.status[pkt.ctSlot] !== 0 ? t.conntrack.service[pkt.ctSlot] : -1;
}

/** Words 2, 3 and 12–31, the same in both kinds of record. */
function writeDecision(pkt: Packet, t: Tables, words: Int32Array, at: number, verdict: number): void {
  words[at + 2] =
    verdict |
    (pkt.dropReason << 8) |
    (pkt.ctState << 16) |
    (pkt.ctDir << 20) |
    (pkt.nat << 21) |
    (pkt.bridged << 22) |
    (pkt.fromTunnel << 23) |
    (pkt.masquerade << 24) |
    (pkt.attempt << 27);
  words[at + 3] = (pkt.inPort << 16) | (pkt.outPort & 0xffff);
  const to = pkt.nat !== 0 ? pkt.to : pkt.key;
  for (let i = 0; i < 10; i++) {
    words[at + 12 + i] = pkt.key[i];
    words[at + 22 + i] = to[i];
  }
  words[at + 4] = t.nowMs;
}

/** Copies between two arrays without making a view: `set(subarray)` would allocate one. */
function copyBytes(from: Uint8Array, fromOff: number, to: Uint8Array, toOff: number, n: number): void {
  for (let i = 0; i < n; i++) to[toOff + i] = from[fromOff + i];
}
