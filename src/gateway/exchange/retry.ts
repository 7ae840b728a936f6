// Whether a request is asked again, of another endpoint: where the rule says so, and only where it cannot be done twice.
import type { Retries } from "../../l7/decision.ts";
import type { CallFailure } from "./ends.ts";

export interface Progress {
  readonly method: string;
  readonly tries: number;
  readonly endpoints: number;
  readonly elapsedSec: number;
  readonly isRepeatable: boolean;
}

/** Twice is as good as once (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"]);
const STALE_MAX = 8; // tries; connections that turn out to be dead when they are used
const UNREACHED_MAX = 3; // endpoints that are looked for where a rule allows one try: none of them has been asked

export function mayRetry(
  { what, isSent, isStale }: CallFailure,
  retries: Retries,
  progress: Progress,
): boolean {
  if (!progress.isRepeatable) return false;
  const isSafe = !isSent || IDEMPOTENT.has(progress.method) || retries.on.includes("non_idempotent");
  if (!isSafe) return false;
  if (isStale) return progress.tries <= STALE_MAX;
  // A try is a request that was sent: who cannot be reached has had none.
  if (what === "connect" && !isSent && retries.on.length === 0 && retries.tries === 1)
    return progress.tries < Math.min(UNREACHED_MAX, progress.endpoints);
  return retries.on.includes(what === "timeout" ? "timeout" : "error") && isLeft(retries, progress);
}

export function mayRetryStatus(status: number, retries: Retries, progress: Progress): boolean {
  if (status < 400 || !retries.on.includes(`http_${status}`) || !progress.isRepeatable) return false;
  const isSafe = IDEMPOTENT.has(progress.method) || retries.on.includes("non_idempotent");
  return isSafe && isLeft(retries, progress);
}

function isLeft({ tries, timeoutSec }: Retries, progress: Progress): boolean {
  const most = tries === 0 ? progress.endpoints : tries;
  return progress.tries < most && (timeoutSec === 0 || progress.elapsedSec < timeoutSec);
}
