/** Puts the fragments of a capture together, to compare datagrams: two that are alike may have been cut differently. */
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import { type CapturedPacket, readPacket } from "./captured-packet.ts";

export interface Whole {
  readonly packet: CapturedPacket;
  /** What it was put together from, in order; one that came whole is its own only piece. */
  readonly pieces: readonly CapturedPacket[];
}

const DATAGRAMS_MAX = 256;
const PIECES_MAX = 64;

export class WholeDatagrams {
  readonly #vxlanPort: number;
  readonly #held = new Map<string, CapturedPacket[]>();

  constructor(vxlanPort: number) {
    this.#vxlanPort = vxlanPort;
  }

  /** Undefined while pieces are missing. */
  add(p: CapturedPacket): Whole | undefined {
    if (p.fragment === undefined) return { packet: p, pieces: [p] };
    const id = [p.fragment.id, p.proto, ...p.key.subarray(0, 8)].join();
    const pieces = [...(this.#held.get(id) ?? []), p].sort((a, b) => offsetOf(a) - offsetOf(b));
    this.#held.delete(id);
    if (isComplete(pieces)) return { packet: join(pieces, this.#vxlanPort), pieces };
    if (pieces.length < PIECES_MAX) this.#held.set(id, pieces);
    if (this.#held.size > DATAGRAMS_MAX) for (const oldest of this.#held.keys()) return this.#forget(oldest);
    return undefined;
  }

  #forget(id: string): undefined {
    this.#held.delete(id);
  }
}

const offsetOf = (p: CapturedPacket): number => p.fragment?.offset ?? 0;

function isComplete(pieces: readonly CapturedPacket[]): boolean {
  let at = 0;
  for (const piece of pieces) {
    if (offsetOf(piece) > at) return false;
    at = Math.max(at, offsetOf(piece) + piece.end - piece.l4);
  }
  return pieces.at(-1)?.fragment?.more === false;
}

function join(pieces: readonly CapturedPacket[], vxlanPort: number): CapturedPacket {
  const [first] = pieces;
  const last = pieces[pieces.length - 1];
  const headerEnd = first.family === 6 ? first.l4 - ipv6.FRAGMENT_HEADER_LEN : first.l4;
  const bytes = offsetOf(last) + last.end - last.l4;
  const data = new Uint8Array(headerEnd + bytes);
  data.set(first.data.subarray(0, headerEnd));
  let known = headerEnd;
  for (const piece of pieces) {
    const at = headerEnd + offsetOf(piece);
    data.set(piece.data.subarray(piece.l4, piece.end).subarray(0, data.length - at), at);
    if (known >= at) known = Math.max(known, at + Math.min(piece.known, piece.end) - piece.l4);
  }
  const view = new DataView(data.buffer);
  if (first.family === 6) {
    view.setUint8(ipv6.nextHeaderField(first.view, first.l3, headerEnd), first.proto);
    ipv6.setPayloadLen(view, first.l3, data.length - first.l3 - ipv6.HEADER_LEN);
  } else {
    ipv4.setTotalLen(view, first.l3, data.length - first.l3);
    ipv4.setFlagsFragment(view, first.l3, 0);
    ipv4.computeChecksum(view, first.l3);
  }
  return readPacket(data.subarray(0, known), data.length, vxlanPort);
}
