// A connection without TLS whose protocol its first bytes tell: HTTP/2 begins with its preface (prior knowledge).
import type { Socket } from "node:net";
import { asStream, kept, takeFrom } from "../lent-socket.ts";
import type { Door, Port } from "./door.ts";
import { Http1Connection } from "./http1-connection.ts";
import type { Peer } from "./http1-request.ts";
import { Http2Connection } from "./http2-connection.ts";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n");
const PREFACE_LEAST = 4; // bytes that no other method begins with

/** Connections that are told of the end of the process, as it comes. */
export type Draining = Set<{ drain(): void }>;

/** It is one of `connections` until it ends. */
export function openPlain(socket: Socket, peer: Peer, port: Port, door: Door, connections: Draining): void {
  const { sweep, limits } = door;
  const waiting = {
    deadlineMs: performance.now() + limits.headerSec * 1000,
    sweepAt: -1,
    expired: () => socket.destroy(),
    drain: () => socket.destroy(),
  };
  const over = (): void => {
    sweep.delete(waiting);
    connections.delete(waiting);
  };
  const keep = (connection: { drain(): void }): void => {
    connections.add(connection);
    socket.on("close", () => connections.delete(connection));
  };
  const first = (bytes: Buffer): void => {
    over();
    for (const event of ["end", "error"]) socket.removeAllListeners(event);
    asStream(socket);
    if (isPreface(bytes)) {
      if (socket.readableFlowing === true) socket.pause();
      socket.unshift(kept(bytes)); // the session takes it from there
      keep(new Http2Connection(socket, peer, port, door));
      return;
    }
    const connection = new Http1Connection(socket, peer, port, door);
    keep(connection);
    connection.push(bytes);
  };
  sweep.add(waiting);
  connections.add(waiting);
  takeFrom(socket, first);
  socket.on("end", () => socket.end());
  socket.on("error", () => socket.destroy());
  socket.on("close", over);
}

function isPreface(first: Buffer): boolean {
  const length = Math.min(first.length, PREFACE.length);
  return length >= PREFACE_LEAST && first.compare(PREFACE, 0, length, 0, length) === 0;
}
