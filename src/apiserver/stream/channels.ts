// Channels of a WebSocket (v4.channel.k8s.io, v5.channel.k8s.io): each message is a channel's number and its bytes. With
// v5 the client may end a channel alone, by a message to channel 255 that names it.
import { Readable, Writable } from "node:stream";
import type { WebSocket } from "ws";

const CLOSE = 255;
/** What a channel keeps of what nobody has read: then the connection waits. */
const BACKLOG = 256 << 10; // bytes

export const V5 = "v5.channel.k8s.io";
export const V4 = "v4.channel.k8s.io";

class InputChannel extends Readable {
  readonly #channels: Channels;

  constructor(channels: Channels) {
    super({ highWaterMark: BACKLOG });
    this.#channels = channels;
    this.on("error", () => {});
  }

  override _read(): void {
    this.#channels.release(this);
  }
}

export class Channels {
  readonly #socket: WebSocket;
  readonly #canClose: boolean;
  readonly #inputs = new Map<number, InputChannel>();
  readonly #full = new Set<InputChannel>();

  /** `canClose`: the client ends a channel by a message. */
  constructor(socket: WebSocket, canClose: boolean) {
    this.#socket = socket;
    this.#canClose = canClose;
    socket.binaryType = "nodebuffer";
    socket.on("message", (data) => this.#received(data as Buffer));
    socket.on("error", () => socket.terminate()); // a message that is too long, or none at all
    socket.on("close", () => {
      for (const input of this.#inputs.values()) input.push(null);
    });
  }

  onClose(call: () => void): void {
    this.#socket.once("close", call);
    if (this.#socket.readyState === this.#socket.CLOSED) call();
  }

  /** After what was written. */
  end(): void {
    this.#socket.close(1000);
  }

  /** What the client says on this channel; of the others it is passed over. */
  input(channel: number): Readable {
    const input = new InputChannel(this);
    this.#inputs.set(channel, input);
    return input;
  }

  output(channel: number): Writable {
    const number = Buffer.from([channel]);
    const write = (chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void => {
      if (this.#socket.readyState !== this.#socket.OPEN) done(new Error("the connection is closed"));
      else this.#socket.send(Buffer.concat([number, chunk]), { binary: true }, (error) => done(error));
    };
    const output = new Writable({ write });
    output.on("error", () => {});
    this.#socket.once("close", () => output.destroy());
    return output;
  }

  release(input: InputChannel): void {
    if (this.#full.delete(input) && this.#full.size === 0) this.#socket.resume();
  }

  #received(message: Buffer): void {
    if (message.length === 0) return;
    const [channel] = message;
    if (channel === CLOSE && this.#canClose) {
      this.#inputs.get(message[1])?.push(null);
      return;
    }
    const input = this.#inputs.get(channel);
    if (input === undefined || message.length === 1 || input.readableEnded || input.destroyed) return;
    if (input.push(message.subarray(1))) return;
    this.#full.add(input);
    this.#socket.pause();
  }
}
