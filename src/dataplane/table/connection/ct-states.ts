/**
 * States of a connection as nf_conntrack numbers them: what conntrack's column `state` holds, by what time-outs are kept,
 * what people read; and what a protocol's tracker says of a packet.
 */

/** enum tcp_conntrack. */
export const TcpState = Object.freeze({
  NONE: 0,
  SYN_SENT: 1,
  SYN_RECV: 2,
  ESTABLISHED: 3,
  FIN_WAIT: 4,
  CLOSE_WAIT: 5,
  LAST_ACK: 6,
  TIME_WAIT: 7,
  CLOSE: 8,
  SYN_SENT2: 9,
} as const);
/** As conntrack(8) prints them, indexed by TcpState. */
export const TCP_STATE_NAMES: readonly string[] = Object.keys(TcpState);

/** enum sctp_conntrack. */
export const SctpState = Object.freeze({
  NONE: 0,
  CLOSED: 1,
  COOKIE_WAIT: 2,
  COOKIE_ECHOED: 3,
  ESTABLISHED: 4,
  SHUTDOWN_SENT: 5,
  SHUTDOWN_RECD: 6,
  SHUTDOWN_ACK_SENT: 7,
  HEARTBEAT_SENT: 8,
} as const);
/** As conntrack(8) prints them, indexed by SctpState. */
export const SCTP_STATE_NAMES: readonly string[] = Object.keys(SctpState);

/**
 * What becomes of a packet of a known connection. INVALID: no such packet belongs there. REPEAT: the connection was over
 * and has been removed, the packet begins a new one. PASS: let it through translated, but neither counted nor reason to
 * live longer.
 */
export const Track = Object.freeze({ OK: 0, INVALID: 1, REPEAT: 2, PASS: 3 } as const);
