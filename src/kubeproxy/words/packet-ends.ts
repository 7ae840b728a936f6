/** The two ends of a packet, and what translation made of them, as text. */

import type { TraceTuple } from "../../observe/trace-record.ts";
import { formatEnd } from "./capture-comment.ts";

export function ends(tuple: TraceTuple): string {
  return `${formatEnd(tuple, "src")} → ${formatEnd(tuple, "dst")}`;
}

/** "DNAT a → b", "SNAT a → b": what differs. */
export function translations(from: TraceTuple, to: TraceTuple): string[] {
  const changes: string[] = [];
  if (formatEnd(from, "dst") !== formatEnd(to, "dst")) {
    changes.push(`DNAT ${formatEnd(from, "dst")} → ${formatEnd(to, "dst")}`);
  }
  const [old, now] = from.icmpId === to.icmpId ? ["", ""] : [` id ${from.icmpId}`, ` id ${to.icmpId}`];
  if (formatEnd(from, "src") !== formatEnd(to, "src") || old !== now) {
    changes.push(`SNAT ${formatEnd(from, "src")}${old} → ${formatEnd(to, "src")}${now}`);
  }
  return changes;
}
