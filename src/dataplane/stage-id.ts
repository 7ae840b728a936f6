/** Numbers and names of the stages, for trace records. Append-only: traces are kept. */
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
} as const);
export type StageId = (typeof StageId)[keyof typeof StageId];

export const STAGE_NAMES: readonly string[] = [
  "receive",
  "parse",
  "decapsulate",
  "learn-source",
  "answer-arp",
  "classify",
  "reassemble",
  "track-connection",
  "choose-backend",
  "route",
  "enforce-policy",
  "masquerade",
  "translate",
  "output",
  "send-icmp-error",
  "help-ftp",
];

/** The place in Linux that does the same. */
export const STAGE_HOOKS: readonly string[] = [
  "",
  "ip_rcv",
  "vxlan_rcv",
  "bridge fdb",
  "arp",
  "bridge",
  "nf_defrag",
  "PREROUTING conntrack",
  "PREROUTING nat",
  "routing decision",
  "FORWARD filter",
  "POSTROUTING nat",
  "nat",
  "output",
  "icmp_send",
  "nf_conntrack_ftp",
];
