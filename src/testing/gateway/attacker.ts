// What a client that means harm has: connections that end with it, and how long it goes on.
import { connect, type Socket } from "node:net";
import type { Prng } from "../prng.ts";

export interface Target {
  readonly host: string;
  /** Of HTTP, and of HTTPS. */
  readonly port: number;
  readonly tlsPort: number;
  /** As Host and the name of TLS say it. */
  readonly name: string;
}

const LOOK_MS = 50;

export class Attacker {
  readonly target: Target;
  readonly random: Prng;
  readonly #sockets = new Set<Socket>();
  #isOver = false;
  #connections = 0;
  #bytes = 0;

  constructor(target: Target, random: Prng) {
    this.target = target;
    this.random = random;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get counts(): { readonly connections: number; readonly bytes: number } {
    return { connections: this.#connections, bytes: this.#bytes };
  }

  /** Ends all of it. */
  end(): void {
    this.#isOver = true;
    for (const each of this.#sockets) each.destroy();
  }

  /** Open, or closed again. `isDeaf`: what comes is not read. */
  async open(isDeaf = false, port = this.target.port): Promise<Socket> {
    const socket = connect({ port, host: this.target.host, noDelay: true });
    this.#connections++;
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    if (isDeaf) socket.pause();
    else socket.resume();
    await new Promise<void>((resolve) => {
      for (const event of ["connect", "close"]) socket.once(event, () => resolve());
    });
    if (this.#isOver) socket.destroy();
    return socket;
  }

  /** One write, counted. False: the other end does not take it yet. */
  write(socket: Socket, bytes: Buffer | string): boolean {
    this.#bytes += bytes.length;
    return typeof bytes === "string" ? socket.write(bytes, "latin1") : socket.write(bytes);
  }

  /** Writes pieces as fast as they are taken, as long as the connection is there. */
  async flood(socket: Socket, piece: () => Buffer): Promise<void> {
    while (!this.#isOver && !socket.destroyed) {
      if (!this.write(socket, piece())) await drained(socket);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Writes a piece now and then, as long as the connection is there. */
  async drip(socket: Socket, piece: () => Buffer | string, everyMs: number): Promise<void> {
    while (!this.#isOver && !socket.destroyed) {
      this.write(socket, piece());
      await this.wait(everyMs);
    }
  }

  /** Until the connection is gone, or all is over; so long at most. */
  async untilClosed(socket: Socket, mostMs = Number.POSITIVE_INFINITY): Promise<void> {
    const endMs = performance.now() + mostMs;
    while (!this.#isOver && !socket.destroyed && performance.now() < endMs) await this.wait(LOOK_MS);
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** So many beside each other, each again and again. */
  async again(beside: number, once: () => Promise<void>): Promise<void> {
    const one = async (): Promise<void> => {
      while (!this.#isOver) {
        await once();
        await this.wait(1);
      }
    };
    await Promise.all(Array.from({ length: beside }, one));
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      for (const event of ["drain", "close"]) socket.off(event, done);
      resolve();
    };
    const timer = setTimeout(done, LOOK_MS);
    for (const event of ["drain", "close"]) socket.once(event, done);
  });
}
