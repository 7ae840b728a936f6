// Go durations ("1m30s"), as KubeProxyConfiguration writes them.

const UNITS: Record<string, number> = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/y;

/** Seconds, or null when the text is no duration. */
export function parseDuration(text: string): number | null {
  const negative = text.startsWith("-");
  const body = text.replace(/^[-+]/, "");
  if (body === "0") return 0;
  if (body === "") return null;
  let sec = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < body.length) {
    const part = PART.exec(body);
    if (part === null) return null;
    sec += Number(part[1]) * UNITS[part[2]];
  }
  return negative ? -sec : sec;
}
