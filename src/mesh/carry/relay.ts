// Two connections made one, of which one may be a stream of HTTP/2: bytes both ways, each as fast as its reader takes
// them. An end that says no more is told to the other (half-close); a reset, an error and long silence end both, as a
// reset.
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

const SENDING_MS = 5000;
/** To be reset when their ends are sent. */
const waiting = new WeakSet<Socket>();

export interface Relayed {
  /** Bytes of the client, and to it. */
  readonly sent: number;
  readonly received: number;
  /** Who broke it off; "idle": nothing went by for too long; "": both ends had said all. */
  readonly brokenBy: "" | "client" | "server" | "idle" | "stopped";
}

interface End {
  readonly duplex: Duplex;
  readonly who: "client" | "server";
}

/** One of the two at least is a socket: its bytes are counted, and it says when nothing goes by. */
export class Relay {
  readonly ended: Promise<Relayed>;
  readonly #ends: readonly End[];
  #brokenBy: Relayed["brokenBy"] = "";

  /** Both are open, and allow one way to go on when the other has ended. */
  constructor(client: Duplex, server: Duplex, idleMs: number) {
    this.#ends = [
      { duplex: client, who: "client" },
      { duplex: server, who: "server" },
    ];
    const counted = "bytesRead" in client ? (client as Socket) : (server as Socket);
    const [read, written] = [counted.bytesRead, counted.bytesWritten];
    counted.setTimeout(idleMs, () => this.#break("idle"));
    const closed = this.#ends.map(({ duplex, who }) => this.#watch(duplex, who));
    client.pipe(server);
    server.pipe(client);
    this.ended = Promise.all(closed).then(() => {
      const [into, out] = [counted.bytesRead - read, counted.bytesWritten - written];
      const isClient = counted === client;
      return {
        ...{ sent: isClient ? into : out, received: isClient ? out : into },
        brokenBy: this.#brokenBy,
      };
    });
  }

  /** Ends it at once, both ways. */
  stop(): void {
    this.#break("stopped");
  }

  #watch(duplex: Duplex, who: End["who"]): Promise<void> {
    return new Promise((done) => {
      const over = (): void => {
        if (!duplex.readableEnded || !duplex.writableFinished) this.#break(who);
        done();
      };
      duplex.on("error", () => this.#break(who));
      if (duplex.destroyed) process.nextTick(over);
      else duplex.once("close", over);
    });
  }

  #break(by: Relayed["brokenBy"]): void {
    this.#brokenBy ||= by;
    for (const { duplex } of this.#ends) breakOff(duplex);
  }
}

/** So that the other end does not take what it got for a whole message. */
function breakOff(duplex: Duplex): void {
  if (duplex.destroyed) return;
  // Not close(): that says first that all has been said.
  if ("rstCode" in duplex) duplex.destroy(new Error("broken off"));
  else if ("resetAndDestroy" in duplex && !("encrypted" in duplex)) reset(duplex as Socket);
  else duplex.destroy();
}

/** While its end is being sent a socket cannot be reset (uv_tcp_close_reset), and would never close. */
function reset(socket: Socket): void {
  if (!socket.writableEnded || socket.writableFinished) {
    socket.resetAndDestroy();
    return;
  }
  if (waiting.has(socket)) return;
  waiting.add(socket);
  const timer = setTimeout(() => socket.destroy(), SENDING_MS);
  socket.once("finish", () => socket.resetAndDestroy());
  socket.once("close", () => clearTimeout(timer));
}
