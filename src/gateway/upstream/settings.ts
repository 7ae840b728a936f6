// What a Service says by annotations of how much it may be asked, and when an endpoint is left alone.

export interface UpstreamSettings {
  /** Of one gateway process to all endpoints together; 0: any number. */
  readonly maxRequests: number;
  readonly maxConnections: number;
  /** Failures in a row; 0: never. */
  readonly ejectAfter: number;
  readonly ejectSec: number;
  /** Of all endpoints, 0 to 1. */
  readonly ejectMaxShare: number;
  /** Version of the header that connections without requests begin with; 0: none. */
  readonly proxyProtocol: 0 | 1 | 2;
}

export const DEFAULTS: UpstreamSettings = {
  ...{ maxRequests: 0, maxConnections: 0, ejectAfter: 5, ejectSec: 10, ejectMaxShare: 0.5 },
  proxyProtocol: 0,
};
const PREFIX = "podwire.dev/";
const PROXY_VERSIONS: Readonly<Record<string, 1 | 2>> = { v1: 1, v2: 2 };
const NAMES = {
  maxRequests: "max-requests",
  maxConnections: "max-connections",
  ejectAfter: "eject-after",
  ejectSec: "eject-seconds",
  ejectMaxShare: "eject-max-percent",
} as const;

/** `tell`: one line about each that cannot be read, and counts as left out. */
export function readUpstreamSettings(
  annotations: Readonly<Record<string, string>> | undefined,
  tell: (line: string) => void,
): UpstreamSettings {
  if (annotations === undefined) return DEFAULTS;
  const read = (field: keyof typeof NAMES): number => {
    const text = annotations[PREFIX + NAMES[field]];
    if (text === undefined) return DEFAULTS[field];
    if (!/^\d{1,7}$/.test(text)) {
      tell(`${PREFIX}${NAMES[field]}: ${JSON.stringify(text)} is not a whole number`);
      return DEFAULTS[field];
    }
    return field === "ejectMaxShare" ? Math.min(100, Number(text)) / 100 : Number(text);
  };
  const header = annotations[`${PREFIX}proxy-protocol`];
  const proxyProtocol = header === undefined ? 0 : PROXY_VERSIONS[header];
  if (proxyProtocol === undefined) tell(`${PREFIX}proxy-protocol: ${JSON.stringify(header)}: use v1 or v2`);
  return {
    proxyProtocol: proxyProtocol ?? 0,
    ...{ maxRequests: read("maxRequests"), maxConnections: read("maxConnections") },
    ...{ ejectAfter: read("ejectAfter"), ejectSec: read("ejectSec"), ejectMaxShare: read("ejectMaxShare") },
  };
}
