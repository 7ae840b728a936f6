// Several processes on the same ports, for several cores: each follows the objects and serves what it accepts;
// this one starts them, hands connections out in turns, and speaks for all of them.
import cluster, { type Worker } from "node:cluster";
import { PodwireError } from "../base/errors.ts";
import { sumOfPages } from "./metrics-sum.ts";

/** What a worker says, and is asked. */
type Message = { readonly ready: true } | { readonly metrics: string } | { readonly ask: "metrics" };

const ASK_MS = 2000;

export const isWorker = cluster.isWorker;
/** One of them speaks of what is the same in all. */
export const isFirst = process.env.PODWIRE_GATEWAY_WORKER === "1";

/** In a worker: says that it serves, and answers what it is asked. */
export function serveAsWorker(metricsText: () => string): void {
  process.on("message", (message: Message) => {
    if ("ask" in message) process.send?.({ metrics: metricsText() } satisfies Message);
  });
  process.send?.({ ready: true } satisfies Message);
}

export class Workers {
  readonly #tell: (line: string) => void;
  readonly #count: number;
  #ready = 0;
  #isEnding = false;

  constructor(count: number, tell: (line: string) => void) {
    this.#count = count;
    this.#tell = tell;
  }

  get isReady(): boolean {
    return this.#ready === this.#count && !this.#isEnding;
  }

  /** Resolves when all of them serve; rejects where one cannot: it has said why. */
  async start(): Promise<void> {
    await Promise.all(Array.from({ length: this.#count }, (_, i) => this.#fork(i + 1)));
  }

  /** What all of them count, together. */
  async metricsText(): Promise<string> {
    const pages = await Promise.all(all().map((worker) => ask(worker)));
    return sumOfPages(pages);
  }

  reopenLogs(): void {
    for (const { process } of all()) process.kill("SIGHUP");
  }

  /** Resolves when they have ended, as they do in their own time. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(
      all().map(
        (worker) =>
          new Promise<void>((resolve) => {
            worker.once("exit", () => resolve());
            worker.process.kill("SIGTERM");
          }),
      ),
    );
  }

  #fork(number: number): Promise<void> {
    const worker = cluster.fork({ PODWIRE_GATEWAY_WORKER: String(number) });
    return new Promise((resolve, reject) => {
      let isReady = false;
      worker.on("message", (message: Message) => {
        if (!("ready" in message)) return;
        isReady = true;
        this.#ready++;
        resolve();
      });
      worker.on("exit", (code, signal) => {
        if (this.#isEnding) return;
        if (!isReady) {
          reject(new PodwireError("gateway: a worker cannot serve: see above", { code: "GATEWAY_WORKER" }));
          return;
        }
        this.#ready--;
        this.#tell(`gateway: a worker has ended (${signal ?? `status ${code}`}): another one is started`);
        this.#fork(number).catch((error: Error) => this.#tell(error.message));
      });
    });
  }
}

function all(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((each) => each !== undefined);
}

/** "": it does not answer. */
function ask(worker: Worker): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(""), ASK_MS);
    const heard = (message: Message): void => {
      if ("metrics" in message) done(message.metrics);
    };
    const done = (text: string): void => {
      clearTimeout(timer);
      worker.off("message", heard);
      resolve(text);
    };
    worker.on("message", heard);
    worker.send({ ask: "metrics" } satisfies Message);
  });
}
