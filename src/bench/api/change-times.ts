// When changes are due that come at one rate, and for a while in the middle at another.

export interface Pace {
  readonly minutes: number;
  /** A second. */
  readonly rate: number;
  /** Instead of `rate`, for so long in the middle. */
  readonly burst?: { readonly rate: number; readonly minutes: number } | undefined;
}

/** ms from the beginning until the change of this number is due; 0 is the first. */
export function dueMs(change: number, { minutes, rate, burst }: Pace): number {
  if (burst === undefined) return (change / rate) * 1000;
  const before = ((minutes - burst.minutes) / 2) * 60;
  const calm = before * rate;
  if (change <= calm) return (change / rate) * 1000;
  const within = (change - calm) / burst.rate;
  const length = burst.minutes * 60;
  if (within <= length) return (before + within) * 1000;
  return (before + length + (change - calm - length * burst.rate) / rate) * 1000;
}
