// What TLS shows of an identity, and whom it trusts then: made once for each certificate and bundle.
import { createSecureContext, type SecureContext } from "node:tls";
import type { IdentitySource, Svid } from "./identity-source.ts";

export class SvidContexts {
  readonly #identities: IdentitySource;
  readonly #made = new WeakMap<Svid, { readonly bundle: string; readonly context: SecureContext }>();

  constructor(identities: IdentitySource) {
    this.#identities = identities;
  }

  /** Throws where OpenSSL cannot read them. */
  of(svid: Svid): SecureContext {
    const { bundle } = this.#identities;
    const known = this.#made.get(svid);
    if (known?.bundle === bundle) return known.context;
    const { cert, key } = svid;
    const context = createSecureContext({ cert, key, ca: bundle, minVersion: "TLSv1.3" });
    this.#made.set(svid, { bundle, context });
    return context;
  }
}
