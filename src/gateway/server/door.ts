// What connections of a port have in common: where it is, what they may take, and who is told of their requests.
import type { Socket } from "node:net";
import type { ClientRequest } from "../exchange/ends.ts";
import type { Begun } from "../l4/tcp-front.ts";
import type { Sweep } from "../sweep.ts";

export interface Limits {
  /** Of a request's head, altogether, bytes; and how many headers. */
  readonly headerBytes: number;
  readonly headers: number;
  /** From a head's first byte to its last; and between two requests. */
  readonly headerSec: number;
  readonly idleSec: number;
  /** Between two pieces of a body, and of an answer that a client takes. */
  readonly stallSec: number;
  /** Whatever rules say; 0: what they say. */
  readonly bodyBytes: number;
  readonly connections: number;
  /** At once on one connection, by HTTP/2. */
  readonly streams: number;
  /** A stream of TCP on which nothing goes by for so long is ended; so is a client's flow of datagrams. */
  readonly streamIdleSec: number;
  readonly flowIdleSec: number;
  /** Clients' flows of datagrams at once, of each UDP port. */
  readonly flows: number;
}

export interface Door {
  readonly limits: Limits;
  readonly sweep: Sweep;
  /** Connections that begin with more than requests, or carry none. */
  readonly streams: {
    isNeeded(port: Port): boolean;
    /** `requests`: told what carries requests, once it has begun. */
    front(
      port: () => Port,
      requests: (socket: Socket, begun: Begun) => void,
    ): { accept(socket: Socket): void };
  };
  /** No further requests are wanted: connections end with the answers that are under way. */
  readonly isDraining: boolean;
  taken(request: ClientRequest, port: Port): void;
  /** A request that was none. */
  refused(refused: RefusedRequest, port: Port): void;
}

/** A port that is open. */
export interface Port {
  readonly number: number;
  readonly isTls: boolean;
  /** A listener of TCP or TLS is there: what comes is not all requests. */
  readonly hasStreams: boolean;
  /** It serves Ingresses; and these Gateways, "namespace/name". */
  readonly isIngress: boolean;
  readonly gateways: readonly string[];
}

export interface RefusedRequest {
  readonly status: number;
  readonly why: string;
  readonly client: string;
  readonly port: number;
}
