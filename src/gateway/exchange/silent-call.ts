// A request of the gateway's own, or a copy of a client's: its answer is read, and nothing of it goes back to a client.
import type { Duplex } from "node:stream";
import type { Header } from "../../l7/request.ts";
import { kept } from "../lent-socket.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Way } from "../upstream/dial.ts";
import type { Call, CallFailure, CallHead, CallSink } from "./ends.ts";

const QUEUED_MAX = 1024 * 1024; // bytes that wait for whoever is slower than the client
const WITHIN_MS = 60_000;

/** Status 0: there was no answer, and `why`. */
export interface SilentAnswer {
  readonly status: number;
  readonly headers: readonly Header[];
  readonly why: string;
}

export class SilentCall implements CallSink {
  readonly #done: (answer: SilentAnswer) => void;
  readonly #timer: NodeJS.Timeout;
  #call: Call | undefined;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #isEnded = false;
  #isOver = false;
  #answer: SilentAnswer | undefined;

  constructor(
    cluster: Cluster,
    way: Way,
    head: CallHead,
    done: (answer: SilentAnswer) => void,
    withinMs = WITHIN_MS,
  ) {
    this.#done = done;
    this.#timer = setTimeout(
      () => this.#end({ status: 0, headers: [], why: "did not answer in time" }),
      withinMs,
    );
    this.#timer.unref();
    const endpoint = cluster.next([]);
    if (endpoint === undefined) {
      process.nextTick(() => this.#end({ status: 0, headers: [], why: `${cluster.name} has no endpoint` }));
      return;
    }
    this.#call = endpoint.ask(way, head, this);
    if (this.#call.isConnected) this.connected();
  }

  write(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > QUEUED_MAX)
      this.#end({ status: 0, headers: [], why: "is too slow for its copies" });
    else if (this.#call?.isConnected !== true) this.#queue.push(kept(chunk));
    else if (this.#call.write(chunk)) this.#queuedBytes = 0;
  }

  end(): void {
    this.#isEnded = true;
    if (!this.#isOver && this.#call?.isConnected === true) this.#call.end([]);
  }

  /** It cannot be finished. */
  cancel(): void {
    this.#end({ status: 0, headers: [], why: "is not asked any more" });
  }

  connected(): void {
    const call = this.#call;
    if (call === undefined) return;
    for (const chunk of this.#queue) call.write(chunk);
    this.#queue = [];
    if (this.#isEnded) call.end([]);
  }

  callDrained(): void {
    this.#queuedBytes = 0;
  }

  informed(): void {}

  answered(status: number, _: string, headers: readonly Header[]): void {
    this.#answer = { status, headers, why: "" };
  }

  answerBody(): void {}

  answerEnd(): void {
    this.#call = undefined;
    this.#end(this.#answer ?? { status: 0, headers: [], why: "gave no answer" });
  }

  switched(_: string, __: readonly Header[], socket: Duplex): void {
    socket.destroy();
    this.#end({ status: 0, headers: [], why: "changed to another protocol" });
  }

  failed({ text }: CallFailure): void {
    this.#call = undefined;
    this.#end({ status: 0, headers: [], why: text });
  }

  #end(answer: SilentAnswer): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#call?.cancel();
    this.#done(answer);
  }
}
