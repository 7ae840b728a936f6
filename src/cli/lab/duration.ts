// Durations as Go writes them: 30s, 5m, 1h30m, 500ms. A number alone is so many seconds.
import { usageError } from "../errors.ts";

const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001 };
const MAX_MS = 2 ** 31 - 1; // of a timer; 24 days

export function durationMs(option: string, text: string): number {
  const sign = text.startsWith("-") ? -1 : 1;
  const bare = text.replace(/^[+-]/, "");
  if (/^\d+$/.test(bare)) return clamp(sign * Number(bare) * 1000);
  const parts = [...bare.matchAll(/(\d+(?:\.\d*)?|\.\d+)(h|ms|us|m|s)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== bare)
    throw usageError(`${option} ${text}: use a duration such as 30s, 5m or 1h`);
  return clamp(sign * parts.reduce((sum, [, value, unit]) => sum + Number(value) * UNITS_MS[unit], 0));
}

function clamp(ms: number): number {
  return Math.max(-MAX_MS, Math.min(MAX_MS, ms));
}
