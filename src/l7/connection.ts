// A connection, or a flow of datagrams, before anybody reads a request from it: whose it is by the port and by the name
// that its TLS asks for, and where its bytes go.
import type { Ip } from "../base/ip.ts";
import type { Choice } from "./decision.ts";

export interface Connection {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** "name" or "namespace/name"; undefined: the oldest Gateway that has a listener there. */
  readonly gateway?: string | undefined;
  /** The name that its TLS asks for; "": it asks for none; undefined: it speaks no TLS. */
  readonly sni?: string | undefined;
  readonly client?: Ip | undefined;
}

export interface ConnectionDecision {
  /** "Gateway infra/db listener postgres"; undefined: no listener has anything to do with it. */
  readonly listener?: string | undefined;
  /** "TCPRoute infra/db rules[0]" */
  readonly rule?: string | undefined;
  /** "namespace/name" of the Secret that TLS shows: it ends here. */
  readonly cert?: string | undefined;
  /**
   * `requests`: HTTP is spoken on it, and each request is decided for itself. `stream`: what comes goes to one of the
   * choices, those without a backend end it. `close`: it is ended at once; `awaitsTls`: because it speaks no TLS, or
   * has not yet said so.
   */
  readonly action:
    | { readonly kind: "requests" }
    | { readonly kind: "stream"; readonly choices: readonly Choice[] }
    | { readonly kind: "close"; readonly awaitsTls?: true };
  /** One sentence. */
  readonly reason: string;
}
