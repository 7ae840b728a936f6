/**
 * The fabric is told more than once of a load balancer's address that has come here: a frame may be lost, and whoever had
 * the address before may have answered somebody a moment ago. MetalLB does it for five seconds.
 */
import { formatIp, type IpWords } from "../../base/ip.ts";
import type { PlaneMessage } from "../../plane/messages.ts";

const AGAIN_MS = 1100;
const TIMES = 4;

export class Announcements {
  readonly #tell: (message: PlaneMessage) => void;
  readonly #againMs: number;
  /** Addresses that are still to be told of, and how often. */
  readonly #due = new Map<string, { readonly address: IpWords; left: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (message: PlaneMessage) => void, againMs = AGAIN_MS) {
    this.#tell = tell;
    this.#againMs = againMs;
  }

  /** The plane was told this. What has gone again it knows by itself. */
  told({ told }: Extract<PlaneMessage, { type: "announced" }>): void {
    for (const address of told) this.#due.set(formatIp(address), { address, left: TIMES });
    if (this.#due.size > 0) this.#timer ??= setInterval(() => this.#again(), this.#againMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #again(): void {
    this.#tell({ type: "announced", told: [...this.#due.values()].map(({ address }) => address) });
    for (const [key, due] of this.#due) if (--due.left === 0) this.#due.delete(key);
    if (this.#due.size === 0) this.close();
  }
}
