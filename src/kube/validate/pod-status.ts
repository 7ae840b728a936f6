// What a writer of a Pod's status says of its addresses (ValidatePodStatusUpdate): each list has at most one of a family,
// and the first of hostIPs is hostIP. Whose a pod's own addresses are the store knows, and keeps podIP the first of them.

import { parseIp } from "../../base/ip.ts";
import type { FieldProblems } from "../manifest/field-problems.ts";
import type { Pod } from "../objects.ts";
import { checkIp } from "./names.ts";

const ONE_OF_EACH = "may specify no more than one IP for each IP family";

/** `old`: what it had already is not asked about again. */
export function validatePodStatus(pod: Pod, old: Pod, problems: FieldProblems): void {
  for (const list of ["podIPs", "hostIPs"] as const) {
    const ips = addressesOf(pod, list);
    const before = addressesOf(old, list);
    for (const [i, ip] of ips.entries())
      if (!before.includes(ip)) checkIp(problems, ["status", list, i, "ip"], ip);
    const families = new Set(ips.map((ip) => parseIp(ip)?.family));
    if (families.size < ips.length)
      problems.invalid(
        ["status", list],
        ips.map((ip) => ({ ip })),
        ONE_OF_EACH,
      );
  }
  const [first] = addressesOf(pod, "hostIPs");
  if (first !== undefined && first !== pod.status.hostIP)
    problems.invalid(["status", "hostIPs", 0, "ip"], first, "must be equal to `hostIP`");
}

function addressesOf({ status }: Pod, list: "podIPs" | "hostIPs"): string[] {
  const { [list]: ips = [] } = status as { podIPs?: Address[]; hostIPs?: Address[] };
  return ips.map(({ ip = "" }) => ip);
}

interface Address {
  readonly ip?: string;
}
