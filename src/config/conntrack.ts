// The `conntrack` section of agents and labs: Linux' sysctls net.netfilter.nf_conntrack_*, by their names.
import type { SchemaObject } from "ajv";

/** Sysctls that are switched on or off, with Linux' defaults. */
const CONNTRACK_FLAGS = {
  nf_conntrack_checksum: 1,
  nf_conntrack_tcp_be_liberal: 0,
  nf_conntrack_tcp_loose: 1,
  nf_conntrack_tcp_ignore_invalid_rst: 0,
} as const;

/** Time-outs, seconds, with Linux' defaults. */
const CONNTRACK_TIMEOUTS = {
  nf_conntrack_tcp_timeout_syn_sent: 120,
  nf_conntrack_tcp_timeout_syn_recv: 60,
  nf_conntrack_tcp_timeout_established: 432_000,
  nf_conntrack_tcp_timeout_fin_wait: 120,
  nf_conntrack_tcp_timeout_close_wait: 60,
  nf_conntrack_tcp_timeout_last_ack: 30,
  nf_conntrack_tcp_timeout_time_wait: 120,
  nf_conntrack_tcp_timeout_close: 10,
  nf_conntrack_tcp_timeout_max_retrans: 300,
  nf_conntrack_tcp_timeout_unacknowledged: 300,
  nf_conntrack_udp_timeout: 30,
  nf_conntrack_udp_timeout_stream: 120,
  nf_conntrack_icmp_timeout: 30,
  nf_conntrack_icmpv6_timeout: 30,
  nf_conntrack_sctp_timeout_closed: 10,
  nf_conntrack_sctp_timeout_cookie_wait: 3,
  nf_conntrack_sctp_timeout_cookie_echoed: 3,
  nf_conntrack_sctp_timeout_established: 210,
  nf_conntrack_sctp_timeout_shutdown_sent: 3,
  nf_conntrack_sctp_timeout_shutdown_recd: 3,
  nf_conntrack_sctp_timeout_shutdown_ack_sent: 3,
  nf_conntrack_sctp_timeout_heartbeat_sent: 30,
  nf_conntrack_gre_timeout: 30,
  nf_conntrack_gre_timeout_stream: 180,
  nf_conntrack_generic_timeout: 600,
} as const;

export type ConntrackSysctl =
  | keyof typeof CONNTRACK_FLAGS
  | keyof typeof CONNTRACK_TIMEOUTS
  | "nf_conntrack_tcp_max_retrans";

/** What the file says; a sysctl that is left out keeps its default. */
export type ConntrackSysctls = Readonly<Partial<Record<ConntrackSysctl, number>>>;

const LONGEST_SEC = 0x3fff_ffff; // the plane counts seconds in 32 bits and compares by difference

/** Schema properties, for the closed object that holds them. */
export const conntrackSysctlSchema: Record<string, SchemaObject> = {
  nf_conntrack_tcp_max_retrans: { type: "integer", minimum: 0, maximum: 255 },
  ...each(CONNTRACK_FLAGS, { type: "integer", minimum: 0, maximum: 1 }),
  ...each(CONNTRACK_TIMEOUTS, { type: "integer", minimum: 1, maximum: LONGEST_SEC }),
};

function each(names: object, schema: SchemaObject): Record<string, SchemaObject> {
  return Object.fromEntries(Object.keys(names).map((name) => [name, schema]));
}

/** The sysctls of a section that holds other settings too. */
export function conntrackSysctls(section: object): ConntrackSysctls {
  return Object.fromEntries(
    Object.entries(section).filter(([name]) => Object.hasOwn(conntrackSysctlSchema, name)),
  );
}
