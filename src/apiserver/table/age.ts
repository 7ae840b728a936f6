// Ages in kubectl's look.

/** kubectl's HumanDuration: 41s, 5m2s, 17m, 3h5m, 26h, 4d2h, 12d. */
export function formatAge(ms: number): string {
  const s = Math.floor(ms / 1000);
  if (s < 0) return s >= -1 ? "0s" : "<invalid>";
  if (s < 120) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 10) return withRest(m, "m", s % 60, "s");
  if (m < 180) return `${m}m`;
  const h = Math.floor(m / 60);
  if (h < 8) return withRest(h, "h", m % 60, "m");
  if (h < 48) return `${h}h`;
  const d = Math.floor(h / 24);
  if (d < 8) return withRest(d, "d", h % 24, "h");
  if (d < 730) return `${d}d`;
  const y = Math.floor(d / 365);
  return y < 8 ? withRest(y, "y", d % 365, "d") : `${y}y`;
}

export function ageOf(timestamp: string | null | undefined, nowMs: number = Date.now()): string {
  return timestamp === undefined || timestamp === null
    ? "<unknown>"
    : formatAge(nowMs - Date.parse(timestamp));
}

function withRest(value: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${value}${unit}` : `${value}${unit}${rest}${restUnit}`;
}
