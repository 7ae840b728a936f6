// Who a workload is: a SPIFFE ID (SPIFFE-ID §2) of the form that meshes of Kubernetes have,
// spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT.
import { TRUST_DOMAIN } from "./mesh-names.ts";

export interface Workload {
  readonly namespace: string;
  readonly serviceAccount: string;
}

const NAME = "[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?";
/** Names are DNS names: what is not written as such is nobody's, whatever it would decode to. */
const ID = new RegExp(`^spiffe://([a-z0-9](?:[-a-z0-9._]*[a-z0-9])?)/ns/(${NAME})/sa/(${NAME})$`);
const LENGTH_MAX = 2048;

export function spiffeId({ namespace, serviceAccount }: Workload, trustDomain = TRUST_DOMAIN): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

/** Undefined: it is none of that form. */
export function readSpiffeId(uri: string): (Workload & { readonly trustDomain: string }) | undefined {
  const found = uri.length > LENGTH_MAX ? null : ID.exec(uri);
  if (found === null) return undefined;
  const [, trustDomain, namespace, serviceAccount] = found;
  return { trustDomain, namespace, serviceAccount };
}
