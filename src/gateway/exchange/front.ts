// What an exchange needs of the process around it.
import type { Duplex } from "node:stream";
import type { Backend } from "../../l7/backends.ts";
import type { Choice, Decision, OutsideAuth, Protocol } from "../../l7/decision.ts";
import type { Header } from "../../l7/request.ts";
import type { Port } from "../server/door.ts";
import type { Sweep } from "../sweep.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Way } from "../upstream/dial.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Copies } from "./copies.ts";
import type { ClientRequest } from "./ends.ts";
import type { Rates } from "./rates.ts";

/** What somebody else says of a request: headers that the backend is told, or an answer. */
export type Verdict =
  | { readonly headers: readonly Header[] }
  | { readonly status: number; readonly headers: readonly Header[]; readonly why: string };

/** Who is asked first, and with which headers: those that the backend would get. */
export interface Question {
  readonly auth: OutsideAuth;
  readonly headers: readonly Header[];
}

/** An exchange that is over, for the log and the counters. */
export interface Finished {
  readonly request: ClientRequest;
  readonly port: Port;
  readonly decision: Decision | undefined;
  readonly status: number;
  readonly startMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly tries: number;
  readonly problem: string;
  readonly cluster: Cluster | undefined;
  readonly endpoint: Endpoint | undefined;
}

export interface Front {
  readonly sweep: Sweep;
  readonly rates: Rates;
  readonly tunnels: Set<Duplex>;
  readonly copies: Copies;
  readonly limits: { readonly streamIdleSec: number };
  readonly clusters: {
    of(backend: Backend): Cluster;
    /** By a name of its own, "auth.example:443", that is no Service's. */
    outside(text: string): Cluster;
  };
  decide(request: ClientRequest, port: Port): Decision;
  /** A text: why there is none. */
  wayTo(protocol: Protocol, choice: Pick<Choice, "backend" | "tls">, request: ClientRequest): Way | string;
  authorize(request: ClientRequest, question: Question, done: (verdict: Verdict) => void): void;
  /** Bytes of a body, where a rule allows so many; 0: any number. */
  bodyMax(ofRule: number): number;
  /** From 0 to 1. */
  random(): number;
  /** That no backend has given; tells how many bytes its body has. */
  answer(request: ClientRequest, status: number, headers: readonly Header[]): number;
  finished(exchange: Finished): void;
}
