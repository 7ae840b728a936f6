// Chunks of an SCTP conversation (RFC 9260 §5, §9), for frame-builder's sctpFrame.
import { Chunk } from "../../dataplane/table/connection/conntrack-sctp.ts";
import type { SctpChunk } from "./frame-options.ts";

/** INIT or INIT ACK: the tag that its sender wants to be addressed with. */
function initChunk(type: number, tag: number): SctpChunk {
  const value = new Uint8Array(16);
  const view = new DataView(value.buffer);
  view.setUint32(0, tag >>> 0);
  view.setUint32(4, 65_536); // receiver window
  view.setUint16(8, 4); //     streams out and in
  view.setUint16(10, 4);
  view.setUint32(12, 1); //    first TSN
  return { type, value };
}

export const init = (tag: number): SctpChunk => initChunk(Chunk.INIT, tag);
export const initAck = (tag: number): SctpChunk => initChunk(Chunk.INIT_ACK, tag);
export const cookieEcho: SctpChunk = { type: Chunk.COOKIE_ECHO, value: "a cookie" };
export const cookieAck: SctpChunk = { type: Chunk.COOKIE_ACK };
export const sack: SctpChunk = { type: 3, value: new Uint8Array(12) };
export const heartbeat: SctpChunk = { type: Chunk.HEARTBEAT, value: 8 };
export const heartbeatAck: SctpChunk = { type: Chunk.HEARTBEAT_ACK, value: 8 };
export const shutdown: SctpChunk = { type: Chunk.SHUTDOWN, value: 4 };
export const shutdownAck: SctpChunk = { type: Chunk.SHUTDOWN_ACK };
export const error: SctpChunk = { type: Chunk.ERROR, value: new Uint8Array([0, 3, 0, 8, 0, 0, 0, 0]) };
/** `reflected`: the T bit, "this is your own tag". */
export const shutdownComplete = (reflected = false): SctpChunk => ({
  type: Chunk.SHUTDOWN_COMPLETE,
  flags: reflected ? 1 : 0,
});
export const abort = (reflected = false): SctpChunk => ({ type: Chunk.ABORT, flags: reflected ? 1 : 0 });

/** One DATA chunk, whole message, stream 0. */
export function data(text: string, tsn = 1): SctpChunk {
  const body = new TextEncoder().encode(text);
  const value = new Uint8Array(12 + body.length);
  new DataView(value.buffer).setUint32(0, tsn);
  value.set(body, 12);
  return { type: Chunk.DATA, flags: 3, value };
}
