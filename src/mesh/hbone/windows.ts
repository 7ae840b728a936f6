// How much of a connection may be under way within HTTP/2: of one stream, which is what is held of it at most where its
// reader is slow, and of all of a session together.
import type { ClientHttp2Session, ServerHttp2Session } from "node:http2";

/** Bytes; with less a stream is slower than its path at 1 ms and 2 Gbit/s. */
const STREAM = 262_144;
const SESSION = 16 * 1024 * 1024;

export const SETTINGS = {
  ...{ enablePush: false, initialWindowSize: STREAM },
  ...{ maxHeaderListSize: 8192, headerTableSize: 4096 },
};
/** Of what node:http2 allows on top: megabytes of a session, and pings that nobody has answered. */
export const BOUNDS = { maxSessionMemory: 64, maxHeaderListPairs: 32, maxOutstandingPings: 10 };

export function widen(session: ClientHttp2Session | ServerHttp2Session): void {
  session.setLocalWindowSize(SESSION);
}
