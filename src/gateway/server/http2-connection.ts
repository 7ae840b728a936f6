// A client's connection by HTTP/2: node:http2 (nghttp2) reads it, strictly; here are the limits, and each stream's
// request and the way back. A client that opens streams only to reset them is sent away (CVE-2023-44487), and so is one
// whose frames carry nothing: what of them is no request, no body and no answer taken.

import type { IncomingHttpHeaders } from "node:http2";
import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Timed } from "../sweep.ts";
import type { Door, Port } from "./door.ts";
import type { Peer } from "./http1-request.ts";
import { Http2Request, type Traffic } from "./http2-request.ts";
import type { Refusal } from "./request-head.ts";

const RESETS_MAX = 200; // within RESET_MS, of streams that had no answer yet
const RESET_MS = 10_000;
const LINGER_MS = 2000; // for a client that has been told to go
const MEASURE_MS = 1000;
/** In that time: what may come for nothing (15,000 pings), and so many bytes for each of use. */
const FREE_BYTES = 262_144;
const BYTES_FOR_ONE = 8;
const ENHANCE_YOUR_CALM = constants.NGHTTP2_ENHANCE_YOUR_CALM;

export class Http2Connection implements Timed {
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #door: Door;
  readonly #peer: Peer;
  readonly #port: Port;
  #open = 0;
  #resets = 0;
  #resetsSinceMs = 0;
  #isLeaving = false;
  #isSentAway = false;
  readonly #traffic: Traffic = { bytes: 0 };
  readonly #measured = { read: 0, used: 0 };
  readonly #meter: Timed;
  deadlineMs: number;
  sweepAt = -1;

  constructor(socket: Socket, peer: Peer, port: Port, door: Door) {
    this.#door = door;
    this.#socket = socket;
    this.#peer = peer;
    this.#port = port;
    const { limits } = door;
    this.#session = performServerHandshake(socket, {
      settings: {
        ...{ maxConcurrentStreams: limits.streams, maxHeaderListSize: limits.headerBytes, enablePush: false },
        ...{ initialWindowSize: 262_144, enableConnectProtocol: true },
      },
      ...{ maxHeaderListPairs: limits.headers + 8, maxSessionMemory: 32, maxOutstandingPings: 10 },
    } as object);
    this.deadlineMs = performance.now() + limits.headerSec * 1000;
    this.#meter = {
      deadlineMs: performance.now() + MEASURE_MS,
      sweepAt: -1,
      expired: () => this.#measure(),
    };
    door.sweep.add(this);
    door.sweep.add(this.#meter);
    const session = this.#session;
    session.on("stream", (stream, headers) => this.#stream(stream, headers));
    session.on("error", () => session.destroy());
    session.on("frameError", () => {});
    session.on("close", () => {
      door.sweep.delete(this);
      door.sweep.delete(this.#meter);
    });
    socket.on("end", () => session.destroy()); // nobody is left who could read an answer
  }

  drain(): void {
    this.#session.close(); // GOAWAY; streams that are open end first
  }

  expired(): void {
    if (this.#open > 0) this.deadlineMs = performance.now() + this.#door.limits.idleSec * 1000;
    else if (this.#isLeaving) this.#socket.destroy();
    else {
      this.#isLeaving = true;
      this.#session.close();
      this.deadlineMs = performance.now() + LINGER_MS;
    }
  }

  #stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    this.#open++;
    this.deadlineMs = 0;
    stream.on("error", () => {});
    const request = new Http2Request(stream, headers, this.#peer, {
      door: this.#door,
      traffic: this.#traffic,
    });
    stream.on("close", () => this.#closed(request));
    const refusal = request.refusal;
    if (refusal !== undefined) {
      this.#refused(refusal);
      request.respond(refusal.status, "", [], 0);
      request.end([]);
      return;
    }
    this.#door.taken(request, this.#port);
    if (this.#door.isDraining) this.#session.close();
  }

  #closed(request: Http2Request): void {
    this.#open--;
    if (this.#open === 0) this.deadlineMs = performance.now() + this.#door.limits.idleSec * 1000;
    const wasReset = request.closed();
    if (!wasReset) return;
    const now = performance.now();
    if (now - this.#resetsSinceMs > RESET_MS) {
      this.#resets = 0;
      this.#resetsSinceMs = now;
    }
    if (++this.#resets > RESETS_MAX) this.#sendAway("too many streams were opened and reset");
  }

  #measure(): void {
    this.#meter.deadlineMs = performance.now() + MEASURE_MS;
    const { bytesRead } = this.#socket;
    const { bytes } = this.#traffic;
    const [read, used] = [bytesRead - this.#measured.read, bytes - this.#measured.used];
    Object.assign(this.#measured, { read: bytesRead, used: bytes });
    if (read > FREE_BYTES + used * BYTES_FOR_ONE) this.#sendAway("too many frames that carry nothing");
  }

  #sendAway(why: string): void {
    if (this.#isSentAway) return;
    this.#isSentAway = true;
    this.#refused({ status: 0, why });
    this.#session.goaway(ENHANCE_YOUR_CALM);
    this.#session.destroy();
  }

  #refused(refusal: Refusal): void {
    this.#door.refused({ ...refusal, client: this.#peer.text, port: this.#port.number }, this.#port);
  }
}
