// Sockets whose bytes come into one buffer that all of them share. A buffer for each piece, and a stream to hand it
// on, cost a proxy a sixth of the time of a small answer, most of it the collector's. So the bytes are lent: whoever
// is given them has them until it returns, and whoever keeps them says so (`kept`). Large pieces come into a buffer
// that its connection has for itself, which is used again unless somebody keeps what is in it.
import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";

const BYTES = 65_536; // as libuv reads at a time
const LARGE = 16_384; // a piece that tells of a long body
/** What fills its buffer goes on in a larger one: answers of 1 MiB took a third less time so. */
const MANY_BYTES = 262_144;
const MANY_MAX = 256; // connections that have one at the same time
const SHARED = Buffer.allocUnsafeSlow(BYTES);
/** That of the connection whose bytes are being looked at; undefined: they are in the shared one. */
let own: Buffer | undefined;
let isOwnKept = false;
let many = 0;

/** The same bytes for as long as somebody wants them. */
export function kept(bytes: Buffer): Buffer {
  if (bytes.buffer === SHARED.buffer) return Buffer.from(bytes);
  if (own !== undefined && bytes.buffer === own.buffer) isOwnKept = true;
  return bytes;
}

/** They have to be copied before anybody can keep them. */
export function isShared(bytes: Buffer): boolean {
  return bytes.buffer === SHARED.buffer;
}

type Take = (bytes: Buffer) => void;

/**
 * Node's sockets take a buffer of the caller's where they are made, and so are those made here of others'
 * connections.
 */
class Inlet {
  take: Take | undefined;
  socket: Socket | undefined;
  #buffer: Buffer = SHARED;
  #next: Buffer | undefined = SHARED;
  readonly onread = {
    /** Undefined: the one that it has. */
    buffer: (): Buffer => this.#next as Buffer,
    callback: (length: number): boolean => this.#came(length),
  };

  /** False: nothing more is wanted for now. */
  #came(length: number): boolean {
    const buffer = this.#buffer;
    const bytes = buffer.subarray(0, length);
    const { take } = this;
    own = buffer === SHARED ? undefined : buffer;
    isOwnKept = false;
    const hasRoom = take === undefined ? this.socket?.push(kept(bytes)) === true : true;
    take?.(bytes);
    const isTaken = isOwnKept;
    own = undefined;
    // One that waits for whoever takes its bytes holds no buffer meanwhile.
    if (length < LARGE || this.socket?.isPaused() === true) this.#use(SHARED);
    else if (length === BYTES && buffer.length === BYTES && take !== undefined && many < MANY_MAX)
      this.#use(Buffer.allocUnsafeSlow(MANY_BYTES));
    else this.#use(buffer === SHARED || isTaken ? Buffer.allocUnsafeSlow(buffer.length) : buffer);
    return hasRoom;
  }

  closed(): void {
    this.#use(SHARED);
  }

  #use(buffer: Buffer): void {
    many += Number(buffer.length === MANY_BYTES) - Number(this.#buffer.length === MANY_BYTES);
    this.#next = buffer === this.#buffer ? undefined : buffer;
    this.#buffer = buffer;
  }
}

const inlets = new WeakMap<Socket, Inlet>();

/** A connection that is still to be made. */
export function lentSocket(options: SocketConstructorOpts): Socket {
  const inlet = new Inlet();
  const onread: OnReadOpts = inlet.onread;
  const socket = new Socket({ ...options, onread } as SocketConstructorOpts);
  inlet.socket = socket;
  socket.once("close", () => inlet.closed());
  inlets.set(socket, inlet);
  return socket;
}

/** The same connection as one that a server has just accepted, which goes with it. */
export function asLent(accepted: Socket): Socket {
  const from = accepted as unknown as { _handle: unknown };
  const socket = lentSocket({
    ...{ handle: from._handle, allowHalfOpen: true, readable: true, writable: true },
  } as SocketConstructorOpts);
  from._handle = null;
  socket.once("close", () => accepted.destroy()); // the server counts those
  return socket;
}

/** Told whatever comes, lent where the socket is one of these. */
export function takeFrom(socket: Socket, take: Take): void {
  const inlet = inlets.get(socket);
  if (inlet === undefined) socket.on("data", take);
  else inlet.take = take;
}

/** From now on it is a stream as any other. */
export function asStream(socket: Socket): void {
  const inlet = inlets.get(socket);
  if (inlet === undefined) socket.removeAllListeners("data");
  else inlet.take = undefined;
}
