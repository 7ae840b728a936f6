// A rate, as a token bucket of bytes (Linux: tbf). Tokens come with the turn's time, at most `BURST` of them. What is
// taken may be more than is there: a superframe passes whole, and what follows waits until the debt is paid. So the mean
// is the rate, and nothing is too large for the bucket.
//
// Four words, because the workers of a plane have them in common. Zeroed memory is a bucket without a rate: it is shut.

export const BUCKET_WORDS = 4;
const TOKENS = 0; // bytes; negative: debt
const AT_MS = 1; //  engine clock: when tokens came last
const PER_MS = 2; // bytes a millisecond
const BURST = 3; //  bytes

/** May a frame pass now? */
export function isOpen(b: Float64Array, nowMs: number): boolean {
  const elapsed = (nowMs - b[AT_MS]) | 0;
  if (elapsed !== 0) {
    b[AT_MS] = nowMs;
    // A clock that has gone on for 24 days is behind what it was.
    const tokens = b[TOKENS] + (elapsed > 0 ? elapsed * b[PER_MS] : 0);
    b[TOKENS] = tokens > b[BURST] ? b[BURST] : tokens;
  }
  return b[TOKENS] > 0;
}

/** Bytes that may be taken without debt, 1 at least: what one receive call is given. */
export function bytesLeft(b: Float64Array, most: number): number {
  const tokens = b[TOKENS];
  if (tokens >= most) return most;
  return tokens > 1 ? tokens | 0 : 1;
}

export function take(b: Float64Array, bytes: number): void {
  b[TOKENS] -= bytes;
}

/** A full bucket of this rate. Cold. */
export function setRate(b: Float64Array, bytesPerMs: number, burst: number): void {
  b[PER_MS] = bytesPerMs;
  b[BURST] = burst;
  b[TOKENS] = burst;
}
