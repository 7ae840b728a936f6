// How a backend is reached: plain or by TLS, with which name and whose signature.
import { connect as connectTcp, type Socket, type SocketConstructorOpts } from "node:net";
import { connect as connectTls, type SecureContext, type TLSSocket } from "node:tls";
import { lentSocket } from "../lent-socket.ts";
import { identityCheck } from "../tls/backend-identity.ts";

export interface Way {
  /** Tells ways apart. */
  readonly key: string;
  readonly isHttp2: boolean;
  /** Undefined: no TLS. */
  readonly tls: BackendTls | undefined;
  /** Left out: as the machine connects. "10.0.0.1:80"; it connects yet. */
  open?(text: string): Socket;
}

export interface BackendTls {
  /** As the certificate has to have it, and as SNI says it; "": none is said. */
  readonly serverName: string;
  /** Undefined: whom the machine trusts. */
  readonly context: SecureContext | undefined;
  /** The certificate has to be for the name, and signed by one of these. */
  readonly isVerified: boolean;
  /** One of these has to be in the certificate in place of `serverName`: "DNS:…", "URI:…". */
  readonly names?: readonly string[] | undefined;
}

/** `text`: "10.0.0.1:80", "[fd00::1]:80", "example.com:80". */
export function dial(text: string, { tls, isHttp2, open }: Way): Socket | TLSSocket {
  if (open !== undefined) return open(text);
  const colon = text.lastIndexOf(":");
  const host = text.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = Number(text.slice(colon + 1));
  if (tls === undefined && !isHttp2)
    return lentSocket({ noDelay: true } as SocketConstructorOpts).connect({ host, port });
  if (tls === undefined) return connectTcp({ host, port, noDelay: true });
  return connectTls({
    ...{ host, port, rejectUnauthorized: tls.isVerified },
    ...(tls.serverName !== "" && { servername: tls.serverName }),
    ...(tls.names !== undefined && { checkServerIdentity: identityCheck(tls.names) }),
    ...(tls.context !== undefined && { secureContext: tls.context }),
    ALPNProtocols: [isHttp2 ? "h2" : "http/1.1"],
  }).setNoDelay(true);
}
