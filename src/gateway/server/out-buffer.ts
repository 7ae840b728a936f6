// What is written to a socket within one turn, as one piece: a head and a small body are one call to the kernel then.
import type { Socket } from "node:net";
import { octets } from "../octets.ts";

const SMALL = 16_384; // bytes; what is longer is not copied

export class OutBuffer {
  readonly #socket: Socket;
  #pieces: (string | Buffer)[] = [];
  #bytes = 0;
  #isDue = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Latin-1, or bytes. False: the socket has enough for now, and says "drain". */
  add(given: string | Buffer): boolean {
    const piece = typeof given === "string" ? octets(given) : given;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes > SMALL) return this.flush();
    if (!this.#isDue) {
      this.#isDue = true;
      process.nextTick(flushLater, this);
    }
    return !this.#socket.writableNeedDrain; // many small pieces are much, too
  }

  /** Now, for nothing more is to come soon. */
  flush(): boolean {
    const pieces = this.#pieces;
    const socket = this.#socket;
    if (pieces.length === 0) return !socket.writableNeedDrain;
    const bytes = this.#bytes;
    this.#pieces = [];
    this.#bytes = 0;
    if (socket.destroyed) return true;
    if (pieces.length === 1) {
      const [piece] = pieces;
      return typeof piece === "string" ? socket.write(piece, "latin1") : socket.write(piece);
    }
    if (bytes <= SMALL) return socket.write(joined(pieces, bytes));
    socket.cork();
    let hasRoom = true;
    for (const piece of pieces)
      hasRoom = typeof piece === "string" ? socket.write(piece, "latin1") : socket.write(piece);
    socket.uncork();
    return hasRoom;
  }

  due(): void {
    this.#isDue = false;
    this.flush();
  }
}

function flushLater(out: OutBuffer): void {
  out.due();
}

function joined(pieces: readonly (string | Buffer)[], bytes: number): Buffer {
  const whole = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const piece of pieces) {
    if (typeof piece === "string") at += whole.write(piece, at, "latin1");
    else {
      whole.set(piece, at);
      at += piece.length;
    }
  }
  return whole;
}
