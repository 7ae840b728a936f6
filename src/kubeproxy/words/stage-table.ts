/**
 * Every stage of the plane: its name, the place in Linux that does the same, what its detail words mean, and its line of
 * a trace. The plane knows numbers alone; a stage without an entry here does not compile.
 */
import { StageId } from "../../dataplane/trace/stage-id.ts";
import type { Detail, TraceRecord } from "../../observe/trace-record.ts";
import { entryHook, wayOf } from "./hooks.ts";
import { proxyWords } from "./proxy-words.ts";
import * as words from "./stage-words.ts";

type Hookless = Omit<TraceRecord, "hook">;

export interface StageEntry {
  readonly name: string;
  /** By the packet's way where Linux has one for each, and by proxy mode where kube-proxy names it. */
  readonly hook: string | ((step: Hookless) => string);
  /** The detail words as an object; not asked when all are 0. */
  readonly detail?: (words: readonly number[]) => Detail;
  /** What it did, without the reason of a drop; "" when there is nothing to say. `before` is the record before it. */
  readonly text: (step: TraceRecord, before: TraceRecord | undefined) => string;
}

const STAGES: Readonly<Record<StageId, StageEntry>> = {
  [StageId.RECEIVE]: { name: "receive", hook: "", text: () => "" },
  [StageId.PARSE]: { name: "parse", hook: "ip_rcv", text: words.packetText },
  [StageId.DECAPSULATE]: {
    name: "decapsulate",
    hook: "vxlan_rcv",
    detail: words.tunnelDetail,
    text: words.tunnelText,
  },
  [StageId.LEARN_SOURCE]: { name: "learn-source", hook: "bridge fdb", text: words.hook },
  [StageId.ANSWER_ARP]: {
    name: "answer-arp",
    hook: "arp_process",
    detail: words.neighborDetail,
    text: words.neighborText,
  },
  [StageId.CLASSIFY]: { name: "classify", hook: "bridge", text: words.classifyText },
  [StageId.REASSEMBLE]: { name: "reassemble", hook: "nf_defrag", text: words.reassembleText },
  [StageId.TRACK_CONNECTION]: {
    name: "track-connection",
    hook: (step) => `${entryHook(wayOf(step))} conntrack`,
    text: words.trackText,
  },
  [StageId.CHOOSE_BACKEND]: {
    name: "choose-backend",
    hook: (step) => proxyWords(step.mode).natHook(step),
    text: words.backendText,
  },
  [StageId.ROUTE]: { name: "route", hook: "routing decision", text: words.routeText },
  [StageId.ENFORCE_POLICY]: {
    name: "enforce-policy",
    hook: (step) => proxyWords(step.mode).filterHook(step),
    text: words.filterText,
  },
  [StageId.MASQUERADE]: {
    name: "masquerade",
    hook: (step) => proxyWords(step.mode).sourceHook(step),
    text: words.masqueradeText,
  },
  [StageId.ENTER_CONNECTION]: {
    name: "enter-connection",
    hook: "__nf_conntrack_confirm",
    text: words.enterText,
  },
  [StageId.TRANSLATE]: { name: "translate", hook: "nf_nat", text: words.translateText },
  [StageId.OUTPUT]: { name: "output", hook: "output", text: words.outputText },
  [StageId.SEND_ICMP_ERROR]: { name: "send-icmp-error", hook: "icmp_send", text: words.ownText },
  [StageId.HELP_FTP]: {
    name: "help-ftp",
    hook: "nf_conntrack_ftp",
    detail: words.ftpDetail,
    text: words.ftpText,
  },
  [StageId.CHECK_SOURCE]: { name: "check-source", hook: "rp_filter", text: words.hook },
  [StageId.RETRY_CONNECTION]: { name: "retry-connection", hook: "proxy dial", text: words.retryText },
  [StageId.SEND_TCP_RESET]: { name: "send-tcp-reset", hook: "tcp_v4_send_reset", text: words.ownText },
  [StageId.ANSWER_ECHO]: { name: "answer-echo", hook: "icmp_echo", text: words.ownText },
  [StageId.RESET_REMOVED]: { name: "reset-removed", hook: "", text: words.removedText },
  [StageId.CHECK_OPTIONS]: { name: "check-options", hook: "ip_rcv_options", text: words.hook },
  [StageId.ANSWER_ND]: {
    name: "answer-nd",
    hook: "ndisc_rcv",
    detail: words.neighborDetail,
    text: words.neighborText,
  },
  [StageId.HOLD_CONNECTION]: {
    name: "hold-connection",
    hook: "proxy dial",
    detail: words.holdDetail,
    text: words.holdText,
  },
  [StageId.RECHECK_POLICY]: { name: "recheck-policy", hook: "", text: words.recheckText },
  [StageId.STEER_TO_MESH]: {
    name: "steer-to-mesh",
    hook: "mangle PREROUTING TPROXY",
    detail: words.meshDetail,
    text: words.meshText,
  },
  [StageId.CLAMP_MSS]: {
    name: "clamp-mss",
    hook: "mangle FORWARD TCPMSS",
    detail: words.mssDetail,
    text: words.mssText,
  },
};

const BY_NAME = new Map(Object.values(STAGES).map((entry) => [entry.name, entry]));

/** By number; of a newer plane's stage only the number is known. */
export function stageEntry(id: number): StageEntry {
  return STAGES[id as StageId] ?? { name: String(id), hook: "", text: () => "" };
}

export function stageNamed(name: string): StageEntry | undefined {
  return BY_NAME.get(name);
}

export function hookOf({ hook }: StageEntry, step: Hookless): string {
  return typeof hook === "string" ? hook : hook(step);
}
