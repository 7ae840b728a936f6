// The Pod Security Standards with their history: which checks each level has in each version, and what they find. Facts
// and words are those of k8s.io/pod-security-admission; testdata/ holds what it finds, cell by cell.
import * as baseline from "./baseline.ts";
import type { Check, Finding, PodShape } from "./finding.ts";
import type { LevelVersion } from "./level.ts";
import * as profiles from "./profiles.ts";
import * as restricted from "./restricted.ts";

export interface StandardCheck {
  readonly id: string;
  readonly level: "baseline" | "restricted";
  /** From that minor version on; each until the next. */
  readonly since: ReadonlyMap<number, Check>;
  /** The check of baseline that this one stands for, where there is one. */
  readonly instead?: string;
}

const { unlessWindows, unlessInUserNamespace } = baseline;
const SELINUX_TYPES = ["container_t", "container_init_t", "container_kvm_t"];

function check(
  level: StandardCheck["level"],
  id: string,
  since: Readonly<Record<number, Check>>,
  instead?: string,
): StandardCheck {
  const versions = new Map(Object.entries(since).map(([minor, each]) => [Number(minor), each]));
  return { id, level, since: versions, ...(instead === undefined ? {} : { instead }) };
}

/** In the order in which findings are told. */
export const CHECKS: readonly StandardCheck[] = [
  check("baseline", "appArmorProfile", { 0: profiles.confinedByAppArmor }),
  check("baseline", "capabilities_baseline", { 0: baseline.defaultCapabilities }),
  check("baseline", "hostNamespaces", { 0: baseline.noHostNamespaces }),
  check("baseline", "hostPathVolumes", { 0: baseline.noHostPaths }),
  check("baseline", "hostPorts", { 0: baseline.noHostPorts }),
  check("baseline", "hostProbesAndHostLifecycle", { 34: baseline.noHostInProbes }),
  check("baseline", "privileged", { 0: baseline.notPrivileged }),
  check("baseline", "procMount", {
    0: baseline.defaultProcMount,
    35: unlessInUserNamespace(baseline.defaultProcMount),
  }),
  check("baseline", "seLinuxOptions", {
    0: profiles.ordinarySeLinux(SELINUX_TYPES),
    31: profiles.ordinarySeLinux([...SELINUX_TYPES, "container_engine_t"]),
  }),
  check("baseline", "seccompProfile_baseline", {
    0: profiles.seccompAnnotations,
    19: profiles.seccompNotOff,
  }),
  check(
    "baseline",
    "sysctls",
    Object.fromEntries([0, 27, 29, 32, 37].map((minor) => [minor, baseline.safeSysctls(minor)])),
  ),
  check("baseline", "windowsHostProcess", { 0: baseline.noHostProcess }),
  check("restricted", "allowPrivilegeEscalation", {
    8: restricted.noPrivilegeEscalation,
    25: unlessWindows(restricted.noPrivilegeEscalation),
  }),
  check(
    "restricted",
    "capabilities_restricted",
    { 22: restricted.dropsCapabilities, 25: unlessWindows(restricted.dropsCapabilities) },
    "capabilities_baseline",
  ),
  check("restricted", "procMount_restricted", { 35: baseline.defaultProcMount }, "procMount"),
  check("restricted", "restrictedVolumes", { 0: restricted.ordinaryVolumes }, "hostPathVolumes"),
  check("restricted", "runAsNonRoot", {
    0: restricted.runsAsNonRoot,
    35: unlessInUserNamespace(restricted.runsAsNonRoot),
  }),
  check("restricted", "runAsUser", {
    23: restricted.notAsUserZero,
    35: unlessInUserNamespace(restricted.notAsUserZero),
  }),
  check(
    "restricted",
    "seccompProfile_restricted",
    { 19: profiles.seccompOn, 25: unlessWindows(profiles.seccompOn) },
    "seccompProfile_baseline",
  ),
];

/** The last version that has a check of its own. */
export const NEWEST = Math.max(...CHECKS.flatMap(({ since }) => [...since.keys()]));

const known = new Map<string, readonly Check[]>();

/** What this level of this version finds in a pod. */
export function evaluate({ level, version }: LevelVersion, pod: PodShape): Finding[] {
  if (level === "privileged") return [];
  const minor = Math.min(version, NEWEST);
  const key = `${level}:${minor}`;
  const checks = known.get(key) ?? checksOf(level, minor);
  known.set(key, checks);
  return checks.map((each) => each(pod)).filter((found) => found !== undefined);
}

function checksOf(level: StandardCheck["level"], minor: number): readonly Check[] {
  const inForce = CHECKS.filter((each) => level === "restricted" || each.level === level).flatMap((each) => {
    const since = Math.max(...[...each.since.keys()].filter((first) => first <= minor));
    const find = each.since.get(since);
    return find === undefined ? [] : [{ ...each, find }];
  });
  const replaced = new Set(inForce.map(({ instead }) => instead));
  return inForce.filter(({ id }) => !replaced.has(id)).map(({ find }) => find);
}

/** `host namespaces (hostNetwork=true), privileged (container "a" must not …)`. */
export function detailText(findings: readonly Finding[]): string {
  return findings.map(({ reason, detail }) => (detail === "" ? reason : `${reason} (${detail})`)).join(", ");
}

/** `host namespaces, privileged`. */
export function reasonText(findings: readonly Finding[]): string {
  return findings.map(({ reason }) => reason).join(", ");
}
