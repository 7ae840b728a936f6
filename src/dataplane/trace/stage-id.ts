/**
 * Numbers of the stages, for trace records: what a stage enters itself with (`pkt.stage`). Append-only: traces are kept.
 * Names, the place in Linux and the words of each are in kubeproxy/words/stage-table.ts, which has to know every
 * number here.
 */
export const StageId = Object.freeze({
  RECEIVE: 0,
  PARSE: 1,
  DECAPSULATE: 2,
  LEARN_SOURCE: 3,
  ANSWER_ARP: 4,
  CLASSIFY: 5,
  REASSEMBLE: 6,
  TRACK_CONNECTION: 7,
  CHOOSE_BACKEND: 8,
  ROUTE: 9,
  ENFORCE_POLICY: 10,
  MASQUERADE: 11,
  TRANSLATE: 12,
  OUTPUT: 13,
  SEND_ICMP_ERROR: 14,
  HELP_FTP: 15,
  CHECK_SOURCE: 16,
  RETRY_CONNECTION: 17,
  SEND_TCP_RESET: 18,
  ANSWER_ECHO: 19,
  RESET_REMOVED: 20,
  CHECK_OPTIONS: 21,
  ANSWER_ND: 22,
  HOLD_CONNECTION: 23,
  CLAMP_MSS: 24,
  ENTER_CONNECTION: 25,
  RECHECK_POLICY: 26,
  STEER_TO_MESH: 27,
} as const);
export type StageId = (typeof StageId)[keyof typeof StageId];
