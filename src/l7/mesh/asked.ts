// What is asked of AuthorizationPolicies: who wants to reach which workload, and of a request how.
import type { Ip } from "../../base/ip.ts";
import type { Labels } from "../../kube/labels.ts";
import type { Header } from "../request.ts";

export interface Source {
  readonly ip: Ip;
  /** Undefined: it has shown no identity. */
  readonly identity: Identity | undefined;
}

/** Of a certificate, or of a pod whose address its node vouches for. */
export interface Identity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

export interface Destination {
  readonly namespace: string;
  readonly labels: Labels | undefined;
  readonly ip: Ip;
  /** Of the pod, not of a Service. */
  readonly port: number;
}

/** The head of a request. */
export interface AskedRequest {
  readonly method: string;
  /** Decoded, without dot segments, double slashes and query. */
  readonly path: string;
  /** As the request says it, with its port; "": it says none. */
  readonly host: string;
  readonly headers: readonly Header[];
}

export interface Asked {
  readonly source: Source;
  readonly destination: Destination;
  /** Undefined: a connection, whatever it carries. */
  readonly request: AskedRequest | undefined;
}

/** As policies write it: "cluster.local/ns/shop/sa/web"; "": there is none. */
export function principalOf({ identity }: Source): string {
  if (identity === undefined) return "";
  const { trustDomain, namespace, serviceAccount } = identity;
  return `${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}
