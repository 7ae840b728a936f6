// Two connections made one: bytes both ways, each way as fast as its reader takes them. An end that says no more is told
// to the other (half-close); a reset or an error ends both; so does silence both ways for too long.
import type { Socket } from "node:net";

const NOTHING = Buffer.alloc(0);

export interface Piped {
  /** Bytes that the backend and the client were given. */
  readonly sent: number;
  readonly received: number;
  /** Who broke it off; "idle": nothing went by for too long; "": both ends had said all. */
  readonly brokenBy: "" | "client" | "backend" | "idle" | "stopped";
}

export class Pipe {
  readonly ended: Promise<Piped>;
  readonly #sockets: readonly [client: Socket, backend: Socket];
  #brokenBy: Piped["brokenBy"] = "";

  /** Both connections are open, and allow one way to go on when the other has ended. */
  constructor(client: Socket, backend: Socket, idleMs: number) {
    this.#sockets = [client, backend];
    const [sent, received] = [backend.bytesWritten, client.bytesWritten];
    const closed = ([client, backend] as const).map(
      (socket, i) =>
        new Promise<void>((done) => {
          const who = i === 0 ? "client" : "backend";
          socket.setTimeout(idleMs, () => this.#break("idle"));
          socket.on("error", () => this.#break(who));
          socket.once("close", () => {
            if (!socket.readableEnded) this.#break(who);
            done();
          });
        }),
    );
    carry(client, backend);
    carry(backend, client);
    for (const socket of this.#sockets) if (socket.destroyed) socket.emit("close", false);
    this.ended = Promise.all(closed).then(() => ({
      sent: backend.bytesWritten - sent,
      received: client.bytesWritten - received,
      brokenBy: this.#brokenBy,
    }));
  }

  /** Ends it at once, both ways. */
  stop(): void {
    this.#break("stopped");
  }

  #break(by: Piped["brokenBy"]): void {
    this.#brokenBy ||= by;
    for (const socket of this.#sockets) reset(socket);
  }
}

/** The end is told when all before it has gone to the kernel: a socket that waits to say it cannot be reset. */
function carry(from: Socket, to: Socket): void {
  from.pipe(to, { end: false });
  from.once("end", () => {
    if (to.writableLength === 0) to.end();
    else to.write(NOTHING, () => to.end());
  });
}

/**
 * At once, and as a reset where that can be (not by TLS): the other end is not to take what it got for a whole message.
 * Node's own `resetAndDestroy` says an end first, and waits until that is taken.
 */
export function reset(socket: Socket): void {
  if (socket.destroyed) return;
  // libuv resets no socket whose end is being said, and Node would forget it, open as it is.
  if (!("encrypted" in socket || socket.writableEnded)) Object.assign(socket, { resetAndClosing: true });
  socket.destroy();
}
