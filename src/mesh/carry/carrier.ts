// Connections that are carried: how many, how they end, and who is told of it.
import type { Duplex } from "node:stream";
import type { Place } from "../hbone/connect-head.ts";
import type { MeshPod } from "../world.ts";
import type { ConnectionRecord, Refusal, Side } from "./record.ts";
import { Relay, type Relayed } from "./relay.ts";

/** Who is at the ends of a connection, as far as it is known. */
export interface Parties {
  readonly side: Side;
  readonly client: Place;
  readonly to: Place;
  readonly source: MeshPod | undefined;
  /** "spiffe://…"; "": it has shown none. */
  readonly sourceId: string;
  readonly destination: MeshPod | undefined;
  readonly service?: string;
  /** The other proxy's address; "": there is none between. */
  readonly peer: string;
  readonly trace: string;
  /** performance.now() */
  readonly startMs: number;
  readonly audited?: readonly string[];
}

export interface CarrierOptions {
  readonly idleSec: number;
  /** The Service that an endpoint is of, where a connection does not say. */
  serviceAt(to: Place): string;
  opened(parties: Parties): void;
  ended(record: ConnectionRecord): void;
  /** Of another proxy, or of who tried to be one: nothing came of it. */
  refusedPeer(address: string, why: Refusal): void;
}

const REASONS: Readonly<Record<Relayed["brokenBy"], string>> = {
  ...{ "": "", client: "the client broke it off", server: "the server broke it off" },
  ...{ idle: "nothing went by for too long", stopped: "the proxy ends" },
};

export class Carrier {
  readonly #options: CarrierOptions;
  readonly #relays = new Set<Relay>();
  #whenIdle: (() => void) | undefined;

  constructor(options: CarrierOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#relays.size;
  }

  carry(parties: Parties, client: Duplex, server: Duplex): void {
    const relay = new Relay(client, server, this.#options.idleSec * 1000);
    this.#relays.add(relay);
    this.#options.opened(parties);
    void relay.ended.then((relayed) => {
      this.#relays.delete(relay);
      this.#tell(parties, undefined, parties.audited ?? [], relayed);
      if (this.#relays.size === 0) this.#whenIdle?.();
    });
  }

  refused(parties: Parties, why: Refusal, audited: readonly string[] = []): void {
    this.#tell(parties, why, audited);
  }

  refusedPeer(address: string, why: Refusal): void {
    this.#options.refusedPeer(address, why);
  }

  /** Resolves when nothing is carried any more, or after so long. */
  async idle(sec: number): Promise<void> {
    if (this.#relays.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, sec * 1000);
      this.#whenIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  stop(): void {
    for (const relay of this.#relays) relay.stop();
  }

  #tell(
    { startMs, service, ...parties }: Parties,
    why: Refusal | undefined,
    audited: readonly string[],
    { sent, received, brokenBy }: Relayed = { sent: 0, received: 0, brokenBy: "" },
  ): void {
    this.#options.ended({
      ...parties,
      ...{ sent, received, audited, refusal: why, brokenBy: REASONS[brokenBy] },
      service: service ?? this.#options.serviceAt(parties.to),
      durationMs: performance.now() - startMs,
    });
  }
}
