// A netlink socket: requests that are answered at once, and events that are read when somebody looks. The kernel works on
// a request while it is sent, so its answer is there when sending returns: nothing waits here.
import { PodwireError } from "../../base/errors.ts";
import { errnoName, type Native } from "../../native/binding.ts";
import { Control, errorOf, Flag, type Message, messagesOf } from "./message.ts";

type Carrier = Pick<Native, "openNetlink" | "sendNetlink" | "receiveNetlink" | "closeFd">;

const EAGAIN = -11;
const ENOBUFS = -105;
const ROOM = 1 << 20;
/** The kernel repeats a dump that a change interrupted only if it is asked again. */
const DUMP_TRIES = 5;

class NetlinkError extends PodwireError {}

export class Netlink {
  readonly #native: Carrier;
  readonly #fd: number;
  readonly #room = new Uint8Array(ROOM);
  #sequence = 1;
  #open = true;

  /** `what`: for errors. */
  constructor(native: Carrier, netns: string, protocol: number, groups = 0) {
    this.#native = native;
    this.#fd = native.openNetlink(netns, protocol, groups);
    if (this.#fd < 0) throw failed(`netlink socket ${protocol}`, this.#fd);
  }

  /** A number for the next request. */
  next(): number {
    return this.#sequence++;
  }

  /** Sends what asks for acknowledgement with its last message; throws the first error that comes instead. */
  change(messages: Uint8Array, what: string): void {
    this.#send(messages, what);
    for (const message of this.#received(what)) {
      if (message.type !== Control.ERROR) continue;
      const errno = errorOf(message);
      if (errno < 0) throw failed(what, errno);
    }
  }

  /** Everything that a dump tells. `ask`: the request with this number. */
  dump(ask: (sequence: number) => Uint8Array, what: string): Message[] {
    for (let tries = 1; ; tries++) {
      const list = this.#dumped(ask, what);
      if (tries >= DUMP_TRIES || !list.some(({ flags }) => (flags & Flag.DUMP_INTERRUPTED) !== 0))
        return list;
    }
  }

  #dumped(ask: (sequence: number) => Uint8Array, what: string): Message[] {
    const sequence = this.next();
    this.#send(ask(sequence), what);
    const list: Message[] = [];
    for (;;) {
      const messages = this.#received(what).filter((message) => message.sequence === sequence);
      if (messages.length === 0) throw failed(what, EAGAIN);
      for (const message of messages) {
        if (message.type === Control.DONE) return list;
        if (message.type !== Control.ERROR) list.push(message);
        else if (errorOf(message) < 0) throw failed(what, errorOf(message));
      }
    }
  }

  /** Events since the last look; `undefined`: some were lost, everything has to be read anew. */
  events(): Message[] | undefined {
    const list: Message[] = [];
    for (;;) {
      const got = this.#native.receiveNetlink(this.#fd, this.#room);
      if (got === EAGAIN) return list;
      if (got === ENOBUFS) {
        while (this.#native.receiveNetlink(this.#fd, this.#room) >= 0);
        return undefined;
      }
      if (got < 0) throw failed("netlink events", got);
      list.push(...messagesOf(this.#room.subarray(0, got)));
    }
  }

  #send(messages: Uint8Array, what: string): void {
    const sent = this.#native.sendNetlink(this.#fd, messages, messages.length);
    if (sent < 0) throw failed(what, sent);
  }

  #received(what: string): Message[] {
    const list: Message[] = [];
    for (;;) {
      const got = this.#native.receiveNetlink(this.#fd, this.#room);
      if (got === EAGAIN) return list;
      if (got < 0) throw failed(what, got);
      list.push(...messagesOf(this.#room.subarray(0, got)));
      if (list.at(-1)?.type === Control.DONE) return list;
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#native.closeFd(this.#fd);
  }
}

function failed(what: string, errno: number): NetlinkError {
  return new NetlinkError(`${what}: ${errnoName(errno)}`, { code: "NETLINK", errno: errnoName(errno) });
}
