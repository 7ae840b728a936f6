// The volume by which a pod's programs call the API: a token of its service account, the authority's certificate and the
// name of its namespace, where every client library looks for them.
import type { Volume } from "kubernetes-types/core/v1.js";

export const ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";
/** Of the names that API servers give it. */
export const ACCOUNT_VOLUME = "kube-api-access-";
export const ROOT_CA_MAP = "kube-root-ca.crt";
/** Of its token. API servers take such a one for a year: there are programs that never read it again. */
export const ACCOUNT_TOKEN_SECONDS = 3607;

export function accountVolume(name: string): Volume {
  const namespace = { path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } };
  return {
    name,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { expirationSeconds: ACCOUNT_TOKEN_SECONDS, path: "token" } },
        { configMap: { name: ROOT_CA_MAP, items: [{ key: "ca.crt", path: "ca.crt" }] } },
        { downwardAPI: { items: [namespace] } },
      ],
    },
  };
}
