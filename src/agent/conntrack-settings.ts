/**
 * What the plane's connection table is told at the start: KubeProxyConfiguration's conntrack section, then the sysctls
 * of the agent's own one, which have the last word. What neither names keeps nf_conntrack's default. And, in ipvs mode,
 * IPVS's own time-outs.
 */
import type { AgentConfig } from "../config/agent.ts";
import type { ConntrackSysctl } from "../config/conntrack.ts";
import {
  H_CHECKSUM,
  H_TCP_MAX_RETRANS,
  H_TCP_OPTIONS,
  H_TIMEOUTS,
  Timeout,
} from "../dataplane/table/connection/conntrack.ts";
import { TcpOption } from "../dataplane/table/connection/conntrack-tcp-window.ts";
import { SctpState, TcpState } from "../dataplane/table/connection/ct-states.ts";
import {
  H_IPVS_SET,
  H_IPVS_TCP,
  H_IPVS_TCP_FIN,
  H_IPVS_UDP,
} from "../dataplane/table/connection/ipvs-timeouts.ts";

const { TCP, SCTP } = Timeout;
/** Index of each time-out's word, from H_TIMEOUTS. */
const TIMEOUTS: Readonly<Partial<Record<ConntrackSysctl, number>>> = {
  nf_conntrack_tcp_timeout_syn_sent: TCP + TcpState.SYN_SENT,
  nf_conntrack_tcp_timeout_syn_recv: TCP + TcpState.SYN_RECV,
  nf_conntrack_tcp_timeout_established: TCP + TcpState.ESTABLISHED,
  nf_conntrack_tcp_timeout_fin_wait: TCP + TcpState.FIN_WAIT,
  nf_conntrack_tcp_timeout_close_wait: TCP + TcpState.CLOSE_WAIT,
  nf_conntrack_tcp_timeout_last_ack: TCP + TcpState.LAST_ACK,
  nf_conntrack_tcp_timeout_time_wait: TCP + TcpState.TIME_WAIT,
  nf_conntrack_tcp_timeout_close: TCP + TcpState.CLOSE,
  nf_conntrack_tcp_timeout_max_retrans: Timeout.TCP_RETRANS,
  nf_conntrack_tcp_timeout_unacknowledged: Timeout.TCP_UNACK,
  nf_conntrack_udp_timeout: Timeout.UDP,
  nf_conntrack_udp_timeout_stream: Timeout.UDP_STREAM,
  nf_conntrack_icmp_timeout: Timeout.ICMP,
  nf_conntrack_icmpv6_timeout: Timeout.ICMPV6,
  nf_conntrack_sctp_timeout_closed: SCTP + SctpState.CLOSED,
  nf_conntrack_sctp_timeout_cookie_wait: SCTP + SctpState.COOKIE_WAIT,
  nf_conntrack_sctp_timeout_cookie_echoed: SCTP + SctpState.COOKIE_ECHOED,
  nf_conntrack_sctp_timeout_established: SCTP + SctpState.ESTABLISHED,
  nf_conntrack_sctp_timeout_shutdown_sent: SCTP + SctpState.SHUTDOWN_SENT,
  nf_conntrack_sctp_timeout_shutdown_recd: SCTP + SctpState.SHUTDOWN_RECD,
  nf_conntrack_sctp_timeout_shutdown_ack_sent: SCTP + SctpState.SHUTDOWN_ACK_SENT,
  nf_conntrack_sctp_timeout_heartbeat_sent: SCTP + SctpState.HEARTBEAT_SENT,
  nf_conntrack_gre_timeout: Timeout.GRE,
  nf_conntrack_gre_timeout_stream: Timeout.GRE_STREAM,
  nf_conntrack_generic_timeout: Timeout.GENERIC,
};

/** Words of the table's header, and what they are to hold. */
export function conntrackSettings(config: AgentConfig): [word: number, value: number][] {
  const { conntrack: proxy } = config.proxy;
  const wanted = { ...fromProxy(proxy), ...config.conntrackSysctls };
  const words: [number, number][] = [];
  for (const [name, seconds] of Object.entries(wanted)) {
    const which = TIMEOUTS[name as ConntrackSysctl];
    if (which === undefined) continue;
    words.push([H_TIMEOUTS + which, seconds]);
  }
  const options =
    (wanted.nf_conntrack_tcp_be_liberal ? TcpOption.BE_LIBERAL : 0) |
    ((wanted.nf_conntrack_tcp_loose ?? 1) ? TcpOption.LOOSE : 0) |
    (wanted.nf_conntrack_tcp_ignore_invalid_rst ? TcpOption.IGNORE_INVALID_RST : 0);
  words.push([H_TCP_OPTIONS, options]);
  words.push([H_CHECKSUM, wanted.nf_conntrack_checksum ?? 1]);
  words.push([H_TCP_MAX_RETRANS, wanted.nf_conntrack_tcp_max_retrans ?? 3]);
  return [...words, ...ipvsTimeouts(config.proxy)];
}

/** `ipvsadm --set` counts whole seconds, as kube-proxy hands them over; 0 is "leave it". */
function ipvsTimeouts({ mode, ipvs }: AgentConfig["proxy"]): [number, number][] {
  const times = [ipvs.tcpSec, ipvs.tcpFinSec, ipvs.udpSec].map((sec) => Math.floor(sec ?? 0));
  if (mode !== "ipvs" || times.every((sec) => sec === 0)) return [];
  const [tcp, fin, udp] = times;
  return [
    [H_IPVS_SET, 1],
    [H_IPVS_TCP, tcp],
    [H_IPVS_TCP_FIN, fin],
    [H_IPVS_UDP, udp],
  ];
}

/** The sysctls that kube-proxy sets; 0 is its word for "leave it". */
function fromProxy(c: AgentConfig["proxy"]["conntrack"]): Partial<Record<ConntrackSysctl, number>> {
  const set: [ConntrackSysctl, number | null][] = [
    ["nf_conntrack_tcp_timeout_established", c.tcpEstablishedSec],
    ["nf_conntrack_tcp_timeout_close_wait", c.tcpCloseWaitSec],
    ["nf_conntrack_udp_timeout", c.udpSec],
    ["nf_conntrack_udp_timeout_stream", c.udpStreamSec],
    ["nf_conntrack_tcp_be_liberal", c.tcpBeLiberal ? 1 : null],
  ];
  return Object.fromEntries(set.filter(([, value]) => value !== null && value > 0));
}
