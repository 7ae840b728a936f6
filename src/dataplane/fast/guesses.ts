/** Which connections a batch's frames may be of: what look-ahead.ts found, before the first of them is forwarded. */
import { TUPLE_WORDS } from "../table/connection/tuple.ts";

/** Connections that stay in the second cache by themselves, and frames that are worth the way. */
const FROM_CONNECTIONS = 4096;
const FROM_FRAMES = 4;

export class Guesses {
  /** It looks ahead where there are so many connections, and so many frames. */
  fromConnections = FROM_CONNECTIONS;
  fromFrames = FROM_FRAMES;
  /** Of each frame, as far as `count`: its connection and direction, or -1. */
  readonly refs: Int32Array;
  readonly hashes: Int32Array;
  /** Four words a frame: what of its tuple IPv4 has. */
  readonly tuples: Int32Array;
  readonly key = new Int32Array(TUPLE_WORDS);
  count = 0;
  /** Of all that was touched, so that it is. */
  sink = 0;

  constructor(batch: number) {
    this.refs = new Int32Array(batch);
    this.hashes = new Int32Array(batch);
    this.tuples = new Int32Array(4 * batch);
  }
}
