// Certificates of the identities of a node's pods, from a signer of the Kubernetes API (certificates.k8s.io). Keys are
// made here and do not leave this process. A certificate is renewed when two thirds of its life are over; until the next
// one is there the old one is shown.
import { readFileSync } from "node:fs";
import { PodwireError } from "../../base/errors.ts";
import { ApiConnection } from "../../watch/api-server/connection.ts";
import type { Access } from "../../watch/api-server/kubeconfig.ts";
import type { IdentitySource, Svid } from "./identity-source.ts";
import { certificateFor } from "./signed-request.ts";

export interface IdentitiesOptions {
  readonly access: Access;
  readonly readAgain?: () => Access;
  /** PEM: whom to trust. Read again every few seconds. */
  readonly bundleFile: string;
  /** A line for people. */
  readonly onNote: (line: string) => void;
  /** "bundle", or the identity that has another certificate. */
  readonly onChange: (what: string) => void;
}

/** An identity that is wanted. */
interface Entry {
  readonly id: string;
  svid: Svid | undefined;
  problem: string;
  failures: number;
  timer: NodeJS.Timeout | undefined;
  readonly waiting: Set<(entry: Entry) => void>;
}

const AT_ONCE_MAX = 8;
const BUNDLE_MS = 5000;
const RENEWED_AFTER = 2 / 3;
/** Of the time until then: proxies that started together do not ask together. */
const EARLIER_MAX = 0.1;
const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 30_000;
/** A signer's clock may be behind, so that `notBefore` is no time to count from. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export class Identities implements IdentitySource {
  readonly #options: IdentitiesOptions;
  readonly #connection: ApiConnection;
  readonly #entries = new Map<string, Entry>();
  readonly #queue: Entry[] = [];
  readonly #bundleTimer: NodeJS.Timeout;
  #atWork = 0;
  #isClosed = false;
  bundle: string;

  /** Throws a PodwireError where the bundle cannot be read. */
  constructor(options: IdentitiesOptions) {
    this.#options = options;
    this.#connection = new ApiConnection(options.access, options.readAgain);
    this.bundle = this.#readBundle();
    this.#bundleTimer = setInterval(() => this.#lookAtBundle(), BUNDLE_MS).unref();
  }

  keep(ids: Iterable<string>): void {
    const wanted = new Set(ids);
    for (const [id, entry] of this.#entries) if (!wanted.has(id)) this.#forget(entry);
    for (const id of wanted) {
      if (this.#entries.has(id)) continue;
      const entry = {
        ...{ id, svid: undefined, problem: "", failures: 0, timer: undefined, waiting: new Set<never>() },
      };
      this.#entries.set(id, entry);
      this.#enqueue(entry);
    }
  }

  get(id: string): Svid | undefined {
    const svid = this.#entries.get(id)?.svid;
    return svid !== undefined && svid.notAfterMs > Date.now() ? svid : undefined;
  }

  problemOf(id: string): string {
    return this.#entries.get(id)?.problem ?? "";
  }

  async wait(id: string, ms: number): Promise<Svid> {
    const entry = this.#entries.get(id);
    const there = this.get(id);
    if (there !== undefined) return there;
    if (entry === undefined) throw noCertificate(id, "no pod of this node has it");
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        entry.waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      entry.waiting.add(done);
    });
    const svid = this.get(id);
    if (svid !== undefined) return svid;
    throw noCertificate(id, entry.problem || `none came within ${ms} ms`);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#bundleTimer);
    for (const entry of this.#entries.values()) this.#forget(entry);
    this.#connection.close();
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.id);
    clearTimeout(entry.timer);
    const at = this.#queue.indexOf(entry);
    if (at >= 0) this.#queue.splice(at, 1);
    for (const each of [...entry.waiting]) each(entry);
  }

  #enqueue(entry: Entry): void {
    this.#queue.push(entry);
    this.#goOn();
  }

  #goOn(): void {
    while (this.#atWork < AT_ONCE_MAX) {
      const entry = this.#queue.shift();
      if (entry === undefined) return;
      this.#atWork++;
      void this.#renew(entry).finally(() => {
        this.#atWork--;
        this.#goOn();
      });
    }
  }

  async #renew(entry: Entry): Promise<void> {
    const startMs = Date.now();
    try {
      const svid = await certificateFor(entry.id, this.#connection, () => !this.#isWanted(entry));
      if (!this.#isWanted(entry)) return;
      Object.assign(entry, { svid, problem: "", failures: 0 });
      const untilMs = (svid.notAfterMs - startMs) * RENEWED_AFTER * (1 - EARLIER_MAX * Math.random());
      this.#later(entry, untilMs);
      this.#options.onChange(entry.id);
    } catch (error) {
      if (!this.#isWanted(entry)) return;
      const [problem] = (error as Error).message.split("\n", 1);
      if (problem !== entry.problem) this.#options.onNote(`no certificate of ${entry.id}: ${problem}`);
      entry.problem = problem;
      this.#later(entry, Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** entry.failures++));
    }
    for (const each of [...entry.waiting]) each(entry);
  }

  #isWanted(entry: Entry): boolean {
    return !this.#isClosed && this.#entries.get(entry.id) === entry;
  }

  #later(entry: Entry, ms: number): void {
    entry.timer = setTimeout(() => this.#enqueue(entry), Math.min(TIMER_MAX_MS, Math.max(0, ms))).unref();
  }

  #readBundle(): string {
    const { bundleFile } = this.#options;
    try {
      return readFileSync(bundleFile, "utf8");
    } catch (cause) {
      const message = `trustBundle: ${bundleFile} cannot be read: ${(cause as Error).message}`;
      throw new PodwireError(message, { code: "MESH_IDENTITY", cause });
    }
  }

  #lookAtBundle(): void {
    let bundle = "";
    try {
      bundle = this.#readBundle();
    } catch {
      return; // whom it trusted it goes on to trust
    }
    if (bundle === this.bundle || bundle === "") return;
    this.bundle = bundle;
    this.#options.onChange("bundle");
  }
}

function noCertificate(id: string, why: string): PodwireError {
  return new PodwireError(`no certificate of ${id}: ${why}`, { code: "MESH_IDENTITY" });
}
