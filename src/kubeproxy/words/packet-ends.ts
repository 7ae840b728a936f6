/** The two ends of a packet, and what translation made of them, as text. */

import type { Decision, TraceTuple } from "../../observe/trace-record.ts";
import { formatEnd } from "./capture-comment.ts";

export function ends(tuple: TraceTuple): string {
  return `${formatEnd(tuple, "src")} → ${formatEnd(tuple, "dst")}`;
}

/** "DNAT a → b", "SNAT a → b": what differs. An ICMP id is its sender's port, and in a reply the receiver's. */
export function translations(
  step: Pick<Decision, "ctDirection">,
  from: TraceTuple,
  to: TraceTuple,
): string[] {
  const [old, now] = from.icmpId === to.icmpId ? ["", ""] : [` id ${from.icmpId}`, ` id ${to.icmpId}`];
  const idEnd = step.ctDirection === "reply" ? "dst" : "src";
  return (["dst", "src"] as const).flatMap((end) => {
    const [id, newId] = end === idEnd ? [old, now] : ["", ""];
    const [was, is] = [`${formatEnd(from, end)}${id}`, `${formatEnd(to, end)}${newId}`];
    return was === is ? [] : [`${end === "dst" ? "DNAT" : "SNAT"} ${was} → ${is}`];
  });
}
