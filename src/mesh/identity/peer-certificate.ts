// Who the other end of TLS is, by its certificate (X.509-SVID): exactly one URI among its names, which is the identity of
// a workload of our trust domain; and the signature and the dates, as OpenSSL has judged them. A certificate that a
// library could read in two ways is refused.

import { X509Certificate } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { readSpiffeId } from "../../kube/mesh/spiffe.ts";
import type { Identity } from "../../l7/mesh/asked.ts";

/** Words of OpenSSL for what is wrong with a signature. */
const AUTHORITY = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE",
];

/** One of a closed list, for counters; and a sentence without an end. */
export interface Refused {
  readonly code: PeerProblem;
  readonly why: string;
}

export type PeerProblem = "no_certificate" | "authority" | "expired" | "not_yet" | "identity" | "certificate";

/** `error`: what TLS has found, as its error codes have it; "": nothing. */
export function identityOf(
  certificate: X509Certificate | undefined,
  error: string,
  trustDomain: string,
): Identity | Refused {
  if (certificate === undefined) return { code: "no_certificate", why: "it has shown no certificate" };
  if (error !== "") return refusalOf(error);
  const names = namesOf(certificate);
  if (names === undefined)
    return { code: "identity", why: "its certificate has names that are written in an odd way" };
  const uris = names.filter(({ type }) => type === "URI");
  if (uris.length !== 1)
    return {
      code: "identity",
      why:
        uris.length === 0
          ? "its certificate has no URI, and so no identity"
          : "its certificate has several URIs",
    };
  const [{ value }] = uris;
  const identity = readSpiffeId(value);
  if (identity === undefined)
    return { code: "identity", why: `its certificate is of ${quoted(value)}, which is no workload` };
  if (identity.trustDomain !== trustDomain)
    return { code: "identity", why: `its certificate is of trust domain ${quoted(identity.trustDomain)}` };
  return identity;
}

/** For tls.connect: is the server who it has to be? */
export function isIdentity(
  wanted: string,
  trustDomain: string,
): (_: string, cert: PeerCertificate) => Error | undefined {
  return (_, { raw }) => {
    const found = identityOf(new X509Certificate(raw), "", trustDomain);
    if ("code" in found) return new Error(found.why);
    const id = `spiffe://${found.trustDomain}/ns/${found.namespace}/sa/${found.serviceAccount}`;
    return id === wanted ? undefined : new Error(`its certificate is of ${id} in place of ${wanted}`);
  };
}

function refusalOf(error: string): Refused {
  if (error === "CERT_HAS_EXPIRED") return { code: "expired", why: "its certificate has ended" };
  if (error === "CERT_NOT_YET_VALID") return { code: "not_yet", why: "its certificate is not valid yet" };
  if (AUTHORITY.includes(error))
    return { code: "authority", why: "its certificate is signed by nobody whom this mesh trusts" };
  return { code: "certificate", why: `its certificate is refused (${error})` };
}

/** Undefined: something in it is quoted, as Node does with what could be taken for several names. */
function namesOf({
  subjectAltName,
}: X509Certificate): { readonly type: string; readonly value: string }[] | undefined {
  if (subjectAltName === undefined || subjectAltName === "") return [];
  if (/["\\]/.test(subjectAltName)) return undefined;
  return subjectAltName.split(", ").map((part) => {
    const colon = part.indexOf(":");
    return { type: part.slice(0, colon), value: part.slice(colon + 1) };
  });
}

/** Somebody else's words, as one short line. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
