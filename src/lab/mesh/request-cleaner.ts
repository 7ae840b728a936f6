// CertificateSigningRequests that nobody needs any more go, as kube-controller-manager's csrcleaner has it: pending ones
// after a day, decided ones after an hour, issued ones when what was issued is out of date.
import { X509Certificate } from "node:crypto";
import type { Cluster } from "../../cluster/cluster.ts";
import { conditionsOf, type SigningRequest } from "../../kube/validate/signing/signing-request.ts";

const KIND = "CertificateSigningRequest";
const EVERY_MS = 30_000;
const PENDING_MS = 24 * 3_600_000;
const DECIDED_MS = 3_600_000;

/** From now on. */
export function cleanRequests(cluster: Cluster): void {
  setInterval(() => removeOld(cluster, Date.now()), EVERY_MS).unref();
}

export function removeOld(cluster: Cluster, nowMs: number): void {
  for (const object of cluster.list(KIND)) if (isOld(object as SigningRequest, nowMs)) cluster.remove(object);
}

function isOld(request: SigningRequest, nowMs: number): boolean {
  const decided = ["Approved", "Denied", "Failed"].flatMap((type) => conditionsOf(request, type));
  const since = (time: string | undefined): number => nowMs - Date.parse(time ?? "");
  if (decided.length === 0) return since(request.metadata.creationTimestamp) > PENDING_MS;
  return (
    decided.some(({ lastUpdateTime }) => since(lastUpdateTime) > DECIDED_MS) || isOutdated(request, nowMs)
  );
}

function isOutdated({ status }: SigningRequest, nowMs: number): boolean {
  if ((status?.certificate ?? "") === "") return false;
  try {
    const { validTo } = new X509Certificate(Buffer.from(status?.certificate ?? "", "base64"));
    return Date.parse(validTo) < nowMs;
  } catch {
    return false; // somebody else's form of it
  }
}
