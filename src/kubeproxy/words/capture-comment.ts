/** What was done to a captured packet, in one line: the comment that Wireshark shows as frame.comment. */

import type { CaptureRecord, TraceTuple } from "../../observe/trace-record.ts";
import { hostPortOwner } from "./kube-chains.ts";

/** "10.244.1.2:41000", or the address alone for protocols without ports. */
export function formatEnd(tuple: TraceTuple, end: "src" | "dst"): string {
  const port = end === "src" ? tuple.sport : tuple.dport;
  const address = tuple[end];
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** "DNAT 10.96.0.1:80 → 10.244.2.2:8080", "SNAT …", both, or "" when nothing was translated. */
export function formatTranslation(from: TraceTuple, to: TraceTuple): string {
  const parts: string[] = [];
  if (formatEnd(from, "dst") !== formatEnd(to, "dst")) {
    parts.push(`destination ${formatEnd(from, "dst")} → ${formatEnd(to, "dst")}`);
  }
  if (formatEnd(from, "src") !== formatEnd(to, "src")) {
    parts.push(`source ${formatEnd(from, "src")} → ${formatEnd(to, "src")}`);
  }
  if (from.icmpId !== undefined && to.icmpId !== undefined && from.icmpId !== to.icmpId) {
    parts.push(`id ${from.icmpId} → ${to.icmpId}`);
  }
  return parts.join(", ");
}

/** "egress allowed by …; ingress denied, isolated by …": what policies said; "" where nothing. */
export function policyText({ egress, ingress }: Pick<CaptureRecord, "egress" | "ingress">): string {
  const told = [
    ["egress", egress],
    ["ingress", ingress],
  ] as const;
  return told
    .flatMap(([direction, verdict]) =>
      verdict === undefined ? [] : [`${direction} ${wordsOf(verdict)} ${verdict.rule}`],
    )
    .join("; ");
}

/** "by" a rule; that no rule speaks after one passed it on is no rule. */
export function allowedBy(rule: string): string {
  return rule.startsWith("no rule ") ? ":" : " by";
}

function wordsOf({ action, rule }: NonNullable<CaptureRecord["egress"]>): string {
  if (action === "allow") return `allowed${allowedBy(rule)}`;
  return action === "deny" ? "denied," : "AUDIT, would be denied,";
}

export function captureComment(
  r: CaptureRecord,
  service: string | undefined,
  outPort: string | undefined,
): string {
  const parts: string[] = [`packet ${r.packet}: ${r.verdict}`];
  if (r.dropText !== undefined) parts[0] = `packet ${r.packet}: dropped: ${r.dropText} (${r.dropReason})`;
  else if (outPort !== undefined && r.verdict === "forward") parts[0] += ` to ${outPort}`;
  if (r.fromTunnel) parts.push("from the tunnel");
  if (r.ctState !== undefined) {
    parts.push(`conntrack ${r.ctState}${r.ctDirection === "reply" ? " reply" : ""}`);
  }
  const translation = r.translated ? formatTranslation(r.from, r.to) : "";
  if (translation !== "") parts.push(`NAT ${translation}`);
  if (r.masquerade !== undefined) parts.push(`masquerade (${r.masquerade})`);
  if (r.clientKept === true) parts.push("client address kept");
  if (service !== undefined)
    parts.push(hostPortOwner(service) === undefined ? `service ${service}` : service);
  const policies = policyText(r);
  if (policies !== "") parts.push(policies);
  if (r.gsoSize > 0) parts.push(`superframe of ${r.gsoSize}-byte segments`);
  return parts.join("; ");
}
