/** Writes Events to the API server, one after the other; what it refuses is let go, as client-go's recorder does. */
import type { ApiConnection } from "./connection.ts";
import { EventCorrelator, type EventWrite, type Happening } from "./event-correlator.ts";
import { type Refusal, writeOnce } from "./write-request.ts";

const QUEUE_MAX = 1000;
const TRIES = 12;
const AGAIN_MS = 10_000;
const TOO_MANY = 429;

export interface EventWriterOptions {
  readonly connection: ApiConnection;
  readonly nodeName: string;
  /** Why the server takes no Events; said once. */
  readonly onRefused: (why: string) => void;
  readonly againMs?: number;
}

export class EventWriter {
  readonly #options: EventWriterOptions;
  readonly #correlator: EventCorrelator;
  readonly #queue: EventWrite[] = [];
  #tries = 0;
  #isBusy = false;
  #isClosed = false;
  #wasRefused = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EventWriterOptions) {
    this.#options = options;
    this.#correlator = new EventCorrelator("podwire", options.nodeName);
  }

  record(happening: Happening): void {
    if (this.#queue.length >= QUEUE_MAX) return;
    const write = this.#correlator.record(happening, Date.now());
    if (write === undefined) return;
    this.#queue.push(write);
    this.#next();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #next(): void {
    const write = this.#queue[0];
    if (write === undefined || this.#isBusy || this.#isClosed) return;
    this.#isBusy = true;
    void this.#write(write).then((again) => {
      if (again && ++this.#tries < TRIES) {
        this.#timer = setTimeout(() => this.#goOn(), this.#options.againMs ?? AGAIN_MS);
        this.#timer.unref();
        return;
      }
      this.#queue.shift();
      this.#tries = 0;
      this.#goOn();
    });
  }

  #goOn(): void {
    this.#isBusy = false;
    this.#next();
  }

  /** True: the server could not be asked, or has no time now. */
  async #write(write: EventWrite): Promise<boolean> {
    let refusal = await this.#send(write);
    if (refusal?.status === 404 && write.method === "PATCH")
      refusal = await this.#send({ ...write, method: "POST", body: write.whole });
    if (refusal === undefined || refusal.status === 409) return false;
    if (refusal.status === 0 || refusal.status === TOO_MANY) return true;
    if (!this.#wasRefused) this.#options.onRefused(refusal.why);
    this.#wasRefused = true;
    return false;
  }

  /** undefined: it is written. */
  #send({ method, namespace, name, body }: EventWrite): Promise<Refusal | undefined> {
    const path = `/api/v1/namespaces/${namespace}/events${method === "PATCH" ? `/${name}` : ""}`;
    return writeOnce(this.#options.connection, { method, path, body });
  }
}
