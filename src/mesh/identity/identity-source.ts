// Where a proxy's certificates come from: those of the identities of its node's pods, and whom it trusts.

/** An identity's certificate, as TLS shows it. */
export interface Svid {
  /** "spiffe://cluster.local/ns/shop/sa/web" */
  readonly id: string;
  /** PEM: PKCS#8; and the certificate, before those that lead to an authority. */
  readonly key: string;
  readonly cert: string;
  /** Since 1970. */
  readonly notAfterMs: number;
}

/** A renewed certificate is another object, and `bundle` another text: whoever made something of them makes it anew. */
export interface IdentitySource {
  /** PEM of all authorities that are trusted; "": none is known. */
  readonly bundle: string;
  /** All that are needed from now on; others are forgotten. */
  keep(ids: Iterable<string>): void;
  /** Undefined: there is none yet. */
  get(id: string): Svid | undefined;
  /** Rejects with a PodwireError of one line. */
  wait(id: string, ms: number): Promise<Svid>;
  /** Why there is none; "": nothing is wrong, or nobody has asked. */
  problemOf(id: string): string;
  close(): void;
}
