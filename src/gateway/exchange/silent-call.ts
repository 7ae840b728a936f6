// A request of the gateway's own, or a copy of a client's: its answer is read, and nothing of it goes back to a client.
import type { Duplex } from "node:stream";
import type { Header } from "../../l7/request.ts";
import { kept } from "../lent-socket.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Way } from "../upstream/dial.ts";
import type { Call, CallFailure, CallHead, CallSink } from "./ends.ts";

const QUEUED_MAX = 1024 * 1024; // bytes that wait for whoever is slower than the client
const WITHIN_MS = 60_000;

/** Where bytes are counted that wait: those of several calls together. */
interface Room {
  hold(bytes: number): boolean;
}

/** Status 0: there was no answer, and `why`. */
export interface SilentAnswer {
  readonly status: number;
  readonly headers: readonly Header[];
  readonly why: string;
}

export const TOO_SLOW = "is too slow for its copies";
const ROOM: Room = { hold: () => true };

export class SilentCall implements CallSink {
  readonly #done: (answer: SilentAnswer) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #room: Room;
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
    { withinMs = WITHIN_MS, room = ROOM }: { readonly withinMs?: number; readonly room?: Room } = {},
  ) {
    this.#done = done;
    this.#room = room;
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
    const hasRoom = this.#hold(chunk.length);
    if (!hasRoom || this.#queuedBytes > QUEUED_MAX) this.#end({ status: 0, headers: [], why: TOO_SLOW });
    else if (this.#call?.isConnected !== true) this.#queue.push(kept(chunk));
    else if (this.#call.write(chunk)) this.callDrained();
  }

  #hold(bytes: number): boolean {
    this.#queuedBytes += bytes;
    return this.#room.hold(bytes);
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
    let hasRoom = true;
    for (const chunk of this.#queue) hasRoom = call.write(chunk);
    this.#queue = [];
    if (hasRoom) this.callDrained();
    if (this.#isEnded) call.end([]);
  }

  callDrained(): void {
    this.#hold(-this.#queuedBytes);
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
    this.callDrained();
    this.#queue = [];
    this.#call?.cancel();
    this.#done(answer);
  }
}
