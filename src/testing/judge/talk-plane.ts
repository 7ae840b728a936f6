// podwire's side of conversations, and the time-outs of both: so far apart that what is left of one names it, however
// slow the machine.

import { conntrackSettings } from "../../agent/conntrack-settings.ts";
import { liveConnections } from "../../api/conntrack-view.ts";
import type { ConntrackSysctls } from "../../config/conntrack.ts";
import { DropReason } from "../../dataplane/drop-reason.ts";
import type { ConntrackEntry, ConntrackTuple } from "../../observe/conntrack-entry.ts";
import { applyMessage } from "../../plane/apply-message.ts";
import type { Seen } from "./outcome.ts";
import { agentConfigOf, PlaneSide } from "./plane.ts";
import type { Scenario } from "./scenario.ts";
import type { Entry, TalkSide } from "./talk.ts";

const CLASS_WIDTH_SEC = 150;
const SYN_SENT2_SEC = 120; // has no sysctl
/** Drops of INVALID packets of translated connections; damaged ones of others, which the kernel drops, count too. */
const CHOSEN = [
  DropReason.CT_INVALID_NAT,
  ...[DropReason.BAD_TCP_CHECKSUM, DropReason.BAD_UDP_CHECKSUM, DropReason.BAD_ICMP_CHECKSUM],
];
const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };

/** As Linux' defaults in one thing: only "established" is longer than what unacknowledged data leave. */
export const JUDGED_SYSCTLS: ConntrackSysctls = {
  nf_conntrack_tcp_timeout_syn_sent: 1000,
  nf_conntrack_tcp_timeout_syn_recv: 1200,
  nf_conntrack_tcp_timeout_fin_wait: 1400,
  nf_conntrack_tcp_timeout_close_wait: 1600,
  nf_conntrack_tcp_timeout_last_ack: 1800,
  nf_conntrack_tcp_timeout_time_wait: 2000,
  nf_conntrack_tcp_timeout_close: 2200,
  nf_conntrack_tcp_timeout_unacknowledged: 2400,
  nf_conntrack_tcp_timeout_max_retrans: 2600,
  nf_conntrack_tcp_timeout_established: 4000,
  nf_conntrack_udp_timeout: 3000,
  nf_conntrack_udp_timeout_stream: 3200,
  nf_conntrack_icmp_timeout: 3400,
  nf_conntrack_icmpv6_timeout: 3600,
};

/** "tcp_timeout_close" for what is a little less than that. */
export function timeoutClass(leftSec: number): string {
  if (leftSec > 0 && leftSec <= SYN_SENT2_SEC) return "syn_sent2";
  for (const [name, seconds] of Object.entries(JUDGED_SYSCTLS)) {
    if (leftSec <= seconds && leftSec > seconds - CLASS_WIDTH_SEC) return name.replace("nf_conntrack_", "");
  }
  return `${leftSec} s`;
}

/** What conntrack(8) says in brackets. */
export function flagsText(isReplied: boolean, isAssured: boolean): string {
  return `${isReplied ? "" : "[UNREPLIED]"}${isAssured ? "[ASSURED]" : ""}`;
}

export class PlaneTalk implements TalkSide {
  readonly #scenario: Scenario;
  readonly #plane: PlaneSide;
  readonly #sysctls: ConntrackSysctls;

  constructor(scenario: Scenario, sysctls: ConntrackSysctls = {}) {
    this.#scenario = scenario;
    this.#plane = new PlaneSide(scenario);
    this.#sysctls = { ...JUDGED_SYSCTLS, ...sysctls };
  }

  inject(frames: readonly { readonly where: string; readonly frame: Uint8Array }[]): Seen {
    return this.#plane.inject(frames);
  }

  pause(ms: number): void {
    this.#plane.pause(ms);
  }

  forget(): void {
    this.#plane.reset();
    const config = { ...agentConfigOf(this.#scenario), conntrackSysctls: this.#sysctls };
    const polling = { add: () => 0, remove: () => 0 };
    applyMessage(this.#plane.node.engine, { type: "conntrack", words: conntrackSettings(config) }, polling);
  }

  choices(): number {
    const { drops } = this.#plane.node.engine.tables.counters;
    return CHOSEN.reduce((sum, reason) => sum + drops[reason], 0);
  }

  entries(): Entry[] {
    const { conntrack } = this.#plane.node.engine.tables;
    return [...liveConnections(conntrack, "node1")].map(({ entry }) => entryOf(entry));
  }
}

function entryOf({ proto, state, timeoutSec, orig, reply, status }: ConntrackEntry): Entry {
  return {
    protocol: PROTOCOLS[proto] ?? String(proto),
    state: state ?? "",
    timeout: timeoutClass(timeoutSec ?? 0),
    orig: endsOf(orig),
    reply: endsOf(reply),
    flags: flagsText(status.includes("SEEN_REPLY"), status.includes("ASSURED")),
    packets: `${orig.packets}/${reply.packets}`,
  };
}

function endsOf({ src, dst, sport, dport, icmpId = 0 }: ConntrackTuple): Entry["orig"] {
  return { from: { address: src, port: sport ?? icmpId }, to: { address: dst, port: dport ?? icmpId } };
}
