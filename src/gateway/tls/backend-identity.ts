// Whether a backend is who a BackendTLSPolicy wants it to be, where that says names of its own (subjectAltNames): they
// stand in place of the name that is asked for.
import { X509Certificate } from "node:crypto";
import type { ConnectionOptions } from "node:tls";

/** `names`: "DNS:db.example", "URI:spiffe://…"; one of them has to be in the certificate. */
export function identityCheck(
  names: readonly string[],
): NonNullable<ConnectionOptions["checkServerIdentity"]> {
  return (_, { raw }) => identityError(new X509Certificate(raw), names);
}

function identityError(certificate: X509Certificate, names: readonly string[]): Error | undefined {
  const uris = urisOf(certificate);
  const isThere = names.some((each) =>
    each.startsWith("DNS:")
      ? certificate.checkHost(each.slice("DNS:".length), { subject: "never" }) !== undefined
      : uris.includes(each.slice("URI:".length)),
  );
  return isThere ? undefined : new Error(`its certificate has none of the names ${names.join(", ")}`);
}

/** Those that stand in it plainly: Node puts in quotes what has a comma or a quote of its own, and no policy has such. */
function urisOf({ subjectAltName = "" }: X509Certificate): string[] {
  return [...subjectAltName.matchAll(/(?:^|, )URI:([^,"]*)(?=, |$)/g)].map(([, uri]) => uri);
}
