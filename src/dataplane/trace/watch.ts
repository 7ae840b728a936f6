/**
 * Watching packets: `trace` and `capture`. A watcher has a classic BPF filter, a ring to the main thread, and for
 * traces a count after which it stops by itself. With no watcher active a packet pays one comparison. Where things lie
 * in a record is layout.ts' business, what is written of a traced packet note.ts'. No text is made in the plane.
 */
import * as vnet from "../../wire/link/virtio-net.ts";
import { Event } from "../counters.ts";
import { type Packet, SLOT_STRIDE } from "../packet/packet.ts";
import type { Tables } from "../tables.ts";
import * as bpf from "./bpf.ts";
import { ID_MASK, tagOf } from "./late.ts";
import { CAPTURE_WORDS, CaptureWord, RecordType, Word } from "./layout.ts";
import { writeDecision } from "./note.ts";
import * as ring from "./record-ring.ts";
import { Mode, WATCHERS_MAX, type Watcher } from "./watchers.ts";

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
  w.arrived = 0;
  w.txFrom = t.tx.count;
  w.txFlushes = t.tx.flushes;
  w.waits = 0;
  if (tracing === 0 && capturing === 0) return;
  const id = w.nextId;
  w.nextId = (id + 1) & ID_MASK;
  pkt.watchId = id;
  pkt.traceId = tracing;
  t.tx.tag = tagOf(pkt);
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
  t.tx.tag = 0;
  if (w.capturing === 0) return;
  capture(pkt, t, verdict, inPort);
  w.capturing = 0;
}

/**
 * After a frame out of the tunnel: what it became is told by its own way, not by that of the packet around it, and so is
 * that packet, by the first frame that it held.
 */
export function afterInner(inner: Packet, t: Tables, verdict: number): void {
  if (t.watchers.capturing !== 0) capture(inner, t, verdict, inner.inPort);
}

function capture(pkt: Packet, t: Tables, verdict: number, inPort: number): void {
  const w = t.watchers;
  const { capturing } = w;
  const isNew = w.arrived === 0 && inPort >= 0;
  const firstTx = t.tx.flushes === w.txFlushes ? w.txFrom : 0;
  for (let i = 0; i < WATCHERS_MAX; i++) {
    if (((capturing >>> (16 + i)) & 1) === 0) continue;
    const one = w.list[i];
    const wanted = ((capturing >>> i) & 1) !== 0;
    if (wanted && isNew)
      captureFrame(pkt, t, one, verdict, w.before, vnet.HEADER_LEN, w.beforeLen, inPort, 0);
    for (let q = firstTx; q < t.tx.count; q++) {
      const off = t.tx.offs[q];
      const len = t.tx.lens[q];
      if (wanted || (one.program !== null && bpf.run(one.program, pkt.view, off, len, len) !== 0)) {
        captureFrame(pkt, t, one, verdict, t.arena, off, len, t.tx.ports[q], 1);
      }
    }
  }
  w.arrived = 1;
  w.txFrom = t.tx.count;
  w.txFlushes = t.tx.flushes;
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
  writeDecision(pkt, t, words, at, verdict);
  r.float[(body >> 3) + (Word.TIME_US >> 1)] = t.watchers.clockUs[0];
  words[at + Word.LENGTH] = len;
  const vh = off - vnet.HEADER_LEN;
  words[at + CaptureWord.DIRECTION] = direction;
  words[at + CaptureWord.PORT] = port;
  words[at + CaptureWord.KEPT] = kept;
  words[at + CaptureWord.VNET_FLAGS] = bytes[vh];
  words[at + CaptureWord.GSO_TYPE] = bytes[vh + 1];
  words[at + CaptureWord.GSO_SIZE] = bytes[vh + 4] | (bytes[vh + 5] << 8);
  words[at + CaptureWord.CSUM_START] = bytes[vh + 6] | (bytes[vh + 7] << 8);
  words[at + CaptureWord.CSUM_OFFSET] = bytes[vh + 8] | (bytes[vh + 9] << 8);
  copyBytes(bytes, off, r.bytes, body + CAPTURE_WORDS * 4, kept);
  ring.commit(r);
}

/** Copies between two arrays without making a view: `set(subarray)` would allocate one. */
function copyBytes(from: Uint8Array, fromOff: number, to: Uint8Array, toOff: number, n: number): void {
  for (let i = 0; i < n; i++) to[toOff + i] = from[fromOff + i];
}
