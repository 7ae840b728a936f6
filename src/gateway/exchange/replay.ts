// What was sent of a body, while it is little enough to be sent again to somebody else.
import { kept } from "../lent-socket.ts";

const BYTES_MAX = 65_536;
const PIECES_MAX = 256; // each takes more than its bytes

export class Replay {
  #pieces: Buffer[] | undefined = [];
  #bytes = 0;

  /** Undefined: it was too much. */
  get pieces(): readonly Buffer[] | undefined {
    return this.#pieces;
  }

  /** `isTaken`: somebody gets it now; otherwise it is kept whatever it is. */
  add(chunk: Buffer, isTaken: boolean): void {
    if (this.#pieces === undefined) return;
    this.#bytes += chunk.length;
    const isMuch = this.#bytes > BYTES_MAX || this.#pieces.length >= PIECES_MAX;
    if (isMuch && isTaken) this.#pieces = undefined;
    else this.#pieces.push(kept(chunk));
  }
}
