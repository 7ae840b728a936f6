/**
 * Does a server that is asked for other names ask this one? Then a query would go round until it is too old. Each is
 * asked once for a name that nobody else knows: when it comes here, its server is not asked any more.
 */
import { randomBytes } from "node:crypto";
import { keyOfLabels } from "./name.ts";
import { type Query, readQuery, Type } from "./query.ts";
import { questionOf } from "./question.ts";
import { type Server, serverText, type Upstream } from "./upstream.ts";

const DOMAIN = ["podwire-loop", "test"]; // .test is nobody's (RFC 6761 §6.2)

export class LoopProbe {
  /** Key of a name → who was asked for it. */
  readonly #names = new Map<string, { upstream: Upstream; server: Server }>();
  readonly #onLoop: (text: string) => void;

  constructor(onLoop: (text: string) => void) {
    this.#onLoop = onLoop;
  }

  /** Asks each server, one after the other; their answers do not matter. */
  async ask(upstream: Upstream): Promise<void> {
    for (const server of upstream.servers) {
      const name = keyOfLabels([randomBytes(12).toString("hex"), ...DOMAIN]);
      this.#names.set(name, { upstream, server });
      const bytes = questionOf(name, Type.HINFO);
      await upstream.ask(bytes, readQuery(bytes) as Query, "udp", server);
      this.#names.delete(name);
    }
  }

  /** True for the name of a question of ours: who was asked it asks us. */
  isOwn(name: string): boolean {
    if (this.#names.size === 0) return false;
    const found = this.#names.get(name);
    if (found === undefined) return false;
    if (found.upstream.drop(found.server))
      this.#onLoop(
        `forward: ${serverText(found.server)} asks this server itself: it is not asked any more: name another one`,
      );
    return true;
  }
}
