/** The one way to drop: sets the reason, bumps its counter and the ingress port's, answers DROP. */
import { countPort, PortCounter } from "./counters.ts";
import type { DropReason } from "./drop-reason.ts";
import type { Packet } from "./packet/packet.ts";
import type { Tables } from "./tables.ts";
import { Verdict } from "./verdict.ts";

const { RX_DROPS } = PortCounter;

export function drop(pkt: Packet, t: Tables, reason: DropReason): Verdict {
  pkt.dropReason = reason;
  t.counters.drops[reason]++;
  countPort(t.counters, pkt.inPort, RX_DROPS, 1);
  return Verdict.DROP;
}
