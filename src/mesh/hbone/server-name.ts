// The name that TLS asks a peer for: an identity as a host name, ACCOUNT.NAMESPACE.sa.TRUST-DOMAIN, by which the proxy of
// a node knows which of its pods' certificates to show.
import { readSpiffeId, spiffeId } from "../../kube/mesh/spiffe.ts";

const LENGTH_MAX = 253; // RFC 6066 §3: a host name
const MARK = ".sa.";

/** Undefined: it is too long to be a name. */
export function serverNameOf(id: string): string | undefined {
  const workload = readSpiffeId(id);
  if (workload === undefined) return undefined;
  const { serviceAccount, namespace, trustDomain } = workload;
  const name = `${serviceAccount}.${namespace}${MARK}${trustDomain}`;
  return name.length > LENGTH_MAX ? undefined : name;
}

/** Undefined: it is none of this trust domain. */
export function idOfServerName(name: string, trustDomain: string): string | undefined {
  const end = `${MARK}${trustDomain}`;
  if (!name.endsWith(end)) return undefined;
  const who = name.slice(0, -end.length);
  const dot = who.lastIndexOf("."); // a namespace has none
  if (dot <= 0) return undefined;
  const id = spiffeId({ namespace: who.slice(dot + 1), serviceAccount: who.slice(0, dot) }, trustDomain);
  return readSpiffeId(id) === undefined ? undefined : id;
}
