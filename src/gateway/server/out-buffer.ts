// What is written to a socket within one turn, as one piece: a head and a small body are one call to the kernel then, and
// one text in Latin-1, a letter for each byte: Node writes such a text without taking memory for it.
import type { Socket } from "node:net";
import { isShared, kept } from "../lent-socket.ts";
import { octets } from "../octets.ts";

const SMALL = 16_384; // bytes; what is longer is not copied

export class OutBuffer {
  readonly #socket: Socket;
  #text = "";
  #isDue = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Latin-1, or bytes that are lent. False: the socket has enough for now, and says "drain". */
  add(piece: string | Buffer): boolean {
    if (typeof piece === "string") this.#text += octets(piece);
    else if (piece.length > SMALL) return this.#large(piece);
    else this.#text += piece.toString("latin1");
    if (this.#text.length > SMALL) return this.flush();
    if (!this.#isDue) {
      this.#isDue = true;
      process.nextTick(flushLater, this);
    }
    return !this.#socket.writableNeedDrain; // many small pieces are much, too
  }

  /** Now, for nothing more is to come soon. */
  flush(): boolean {
    const text = this.#text;
    const socket = this.#socket;
    if (text === "") return !socket.writableNeedDrain;
    this.#text = "";
    return socket.destroyed || socket.write(text, "latin1");
  }

  due(): void {
    this.#isDue = false;
    this.flush();
  }

  /** Whatever the kernel does not take at once is kept by Node. */
  #large(bytes: Buffer): boolean {
    const socket = this.#socket;
    const text = this.#text;
    this.#text = "";
    if (socket.destroyed) return true;
    const piece = isShared(bytes) || socket.writableLength > 0 ? kept(bytes) : bytes;
    if (text === "") socket.write(piece);
    else {
      socket.cork();
      socket.write(text, "latin1");
      socket.write(piece);
      socket.uncork();
    }
    if (socket.writableLength > 0) kept(piece);
    return socket.writableLength === 0 || !socket.writableNeedDrain;
  }
}

function flushLater(out: OutBuffer): void {
  out.due();
}
