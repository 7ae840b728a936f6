/** What a packet that only asks may be of. */
export const PROBE_PROTOCOLS = ["TCP", "UDP", "SCTP", "ICMP"] as const;
export type ProbeProtocol = (typeof PROBE_PROTOCOLS)[number];
