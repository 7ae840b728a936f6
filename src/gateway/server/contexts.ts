// What TLS shows for a name: the certificate of the Secret that the rules say, as long as it can be shown.
import { createSecureContext, type SecureContext } from "node:tls";
import type { HttpRequest } from "../../l7/request.ts";
import type { World } from "../world.ts";
import type { Port } from "./door.ts";
import type { Secrets } from "./port-listener.ts";

const KEPT_MAX = 10_000; // names that were asked for

export class Contexts implements Secrets {
  readonly #world: World;
  readonly #own: SecureContext;
  readonly #onProblem: (line: string) => void;
  /** By what the Secret holds: a new one is another context. */
  readonly #bySecret = new Map<
    string,
    { readonly text: string; readonly context: SecureContext | undefined }
  >();
  readonly #byName = new Map<string, SecureContext | null>();

  constructor(
    world: World,
    own: { readonly cert: string; readonly key: string },
    onProblem: (line: string) => void,
  ) {
    this.#world = world;
    this.#own = createSecureContext(own);
    this.#onProblem = onProblem;
  }

  /** Objects have changed: names are looked up again. */
  forget(): void {
    this.#byName.clear();
  }

  contextFor(port: Port, sni: string): SecureContext | null {
    const key = `${port.number} ${sni.toLowerCase()}`;
    let found = this.#byName.get(key);
    if (found === undefined) {
      found = this.#find(port, sni);
      if (this.#byName.size >= KEPT_MAX) this.#byName.clear();
      this.#byName.set(key, found);
    }
    return found;
  }

  #find(port: Port, sni: string): SecureContext | null {
    for (const gateway of port.isIngress ? [undefined, ...port.gateways] : port.gateways) {
      const request: HttpRequest = {
        ...{
          method: "GET",
          scheme: "https",
          host: sni,
          target: "/",
          headers: [],
          sni,
          gateway,
          port: port.number,
        },
      };
      const { cert } = this.#world.evaluator.evaluate(request);
      const context = cert === undefined ? undefined : this.contextOf(cert);
      if (context !== undefined) return context;
    }
    return port.isIngress ? this.#own : null;
  }

  /** Of a Secret, "namespace/name", as it is now. */
  contextOf(secret: string): SecureContext | undefined {
    const { data = {} } = this.#world.secret(secret) ?? {};
    const [cert = "", key = ""] = [data["tls.crt"], data["tls.key"]];
    const known = this.#bySecret.get(secret);
    if (known?.text === cert + key) return known.context;
    let context: SecureContext | undefined;
    try {
      context = createSecureContext({ cert: Buffer.from(cert, "base64"), key: Buffer.from(key, "base64") });
    } catch (error) {
      this.#onProblem(`Secret ${secret} cannot be shown: ${(error as Error).message.split("\n", 1)[0]}`);
    }
    this.#bySecret.set(secret, { text: cert + key, context });
    return context;
  }
}
