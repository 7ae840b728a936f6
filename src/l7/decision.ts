// What becomes of a request: the answer of the evaluator, for the proxy to carry out and for people to read.
import type { Backend } from "./backends.ts";
import type { Header } from "./request.ts";

/** One of those that a request may be given to; shares of a decision add up to 1. */
export interface Choice {
  readonly share: number;
  /** Undefined: `status` is the answer. */
  readonly backend?: Backend | undefined;
  readonly status?: number | undefined;
  /** Why it is no backend, or which of several it is. */
  readonly why?: string | undefined;
  readonly tls?: BackendTls | undefined;
  /** Where it gets other headers than the decision says, and gives others. */
  readonly headers?: readonly Header[] | undefined;
  readonly answerHeaders?: readonly HeaderChange[] | undefined;
}

/** How a backend is spoken to by TLS. */
export interface BackendTls {
  /** It is asked for, and the backend's certificate has to be for it, unless `names` says otherwise. */
  readonly hostname: string;
  /** "namespace/name" of the ConfigMaps that hold who may have signed it; none: whom the machine trusts. */
  readonly authorities: readonly string[];
  /** "DNS:db.example", "URI:spiffe://…": one of these has to be in the certificate, in place of `hostname`. */
  readonly names?: readonly string[];
}

/** Of a header of the answer: set in place of what the backend says, added to it, or removed. */
export interface HeaderChange extends Header {
  readonly what: "set" | "add" | "remove";
}

export interface Timeouts {
  readonly connectSec?: number | undefined;
  /** Between two pieces of the request, and of the answer. */
  readonly sendSec?: number | undefined;
  readonly readSec?: number | undefined;
  /** For the whole exchange, and for one try of it. */
  readonly requestSec?: number | undefined;
  readonly trySec?: number | undefined;
}

export interface Retries {
  /** "error", "timeout", "http_503" …; nothing: never. */
  readonly on: readonly string[];
  /** All tries, the first counted; 0: as many as there are endpoints. */
  readonly tries: number;
  /** For all of them; 0: no bound. */
  readonly timeoutSec: number;
  readonly backoffSec?: number | undefined;
}

/** A cookie by which a client comes back to its endpoint. */
export interface Affinity {
  readonly cookie: string;
  readonly path: string;
  /** As cookies say it: "Max-Age=3600", "Secure", … */
  readonly attributes: readonly string[];
  /** A header instead of a cookie. */
  readonly header?: string | undefined;
  /** It ends so long after it began, and so long after its last request. */
  readonly absoluteSec?: number | undefined;
  readonly idleSec?: number | undefined;
}

export interface Limits {
  /** Requests of one client in a second, on average, and how many at once above that. */
  readonly perSec?: number | undefined;
  readonly burst?: number | undefined;
  readonly connections?: number | undefined;
  readonly status: number;
}

/** Somebody else is asked first: 2xx lets the request on, 401 and 403 are the answer, all else is 500. */
export interface OutsideAuth {
  readonly url: string;
  readonly method: string;
  /** Where to send a client that is not let on; with the address that it asked for. */
  readonly signIn?: string | undefined;
  /** Headers of its answer that the backend is told. */
  readonly responseHeaders: readonly string[];
}

/** A copy goes there, and nobody waits for its answer. */
export interface Mirror {
  readonly target: string;
  /** Where `target` names a Service's port. */
  readonly backend?: Backend | undefined;
  readonly share: number;
  readonly withBody: boolean;
}

export interface Forward {
  readonly kind: "forward";
  readonly choices: readonly Choice[];
  /** Path and query, and Host, as the backend gets them. */
  readonly target: string;
  readonly host: string;
  /** All headers of the request as the backend gets them. */
  readonly headers: readonly Header[];
  readonly answerHeaders: readonly HeaderChange[];
  readonly protocol: Protocol;
  readonly timeouts: Timeouts;
  readonly retries: Retries;
  /** Bytes; 0: any number. */
  readonly bodyMax: number;
  readonly affinity?: Affinity | undefined;
  readonly limits?: Limits | undefined;
  readonly auth?: OutsideAuth | undefined;
  readonly mirrors: readonly Mirror[];
}

/** How the backend is spoken to. */
export type Protocol = "http" | "https" | "auto" | "h2c" | "grpc" | "grpcs" | "ws" | "wss" | "tls" | "tcp";

/** An answer that no backend is asked for. */
export interface Answer {
  readonly kind: "answer";
  readonly status: number;
  readonly location?: string | undefined;
  readonly headers: readonly Header[];
}

export interface Step {
  /** One word: what was looked at. */
  readonly step: string;
  readonly text: string;
}

export interface Decision {
  /** "Ingress shop/web rules[0].http.paths[1]"; undefined: no rule has anything to do with it. */
  readonly rule?: string | undefined;
  /** "namespace/name" of the Secret that TLS shows. */
  readonly cert?: string | undefined;
  readonly action: Forward | Answer;
  /** One sentence. */
  readonly reason: string;
}

/** Told each step as it is taken. */
export type Tell = (step: string, text: string) => void;

export function answer(status: number, headers: readonly Header[] = [], location?: string): Answer {
  return { kind: "answer", status, headers, location };
}

/** Of those that have a backend the one that is drawn most often, of equal ones the first. */
export function likeliest(choices: readonly Choice[]): Choice | undefined {
  let best: Choice | undefined;
  for (const each of choices)
    if (each.backend !== undefined && (best === undefined || each.share > best.share)) best = each;
  return best;
}
