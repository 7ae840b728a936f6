// Connections of one way to one endpoint, kept for the next request.
import type { Call, CallHead, CallSink } from "../exchange/ends.ts";
import type { Sweep } from "../sweep.ts";
import type { Way } from "./dial.ts";

export interface Pool {
  ask(head: CallHead, sink: CallSink): Call;
  /** Nothing is kept from now on. */
  close(): void;
}

export interface PoolOptions {
  readonly text: string;
  readonly way: Way;
  readonly sweep: Sweep;
  readonly onConnection: (change: 1 | -1) => void;
}
