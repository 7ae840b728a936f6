// One rule for what a manifest's kind means, whoever reads the manifest. Ours: read, checked, used. Another kind of the
// API, or one of a custom resource: no business of the network's, passed over with a note. What the API server's own
// groups do not have is misspelt, and what is ours in another version is written differently there: both are refused.
import { API_GROUPS, currentVersion, splitApiVersion } from "./api-groups.ts";
import { carriedKind, KINDS, type KindInfo, kindFromWord, kindOf } from "./kinds.ts";

export type KindVerdict =
  | { readonly what: "ours"; readonly info: KindInfo }
  /** `title`: as a note names it; `info`: it may be stored all the same. */
  | { readonly what: "foreign"; readonly title: string; readonly info?: KindInfo }
  | { readonly what: "refused"; readonly message: string };

const LIST_DEPTH_MAX = 100;
const TYPO_MAX = 2; // edits between a word and what was meant

/** Kinds that another one took the place of: passed over they would be policies that nobody enforces. */
const REPLACED: Readonly<Record<string, string>> = {
  "AdminNetworkPolicy.policy.networking.k8s.io":
    "use ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2) with tier: Admin, and action: Accept for Allow",
  "BaselineAdminNetworkPolicy.policy.networking.k8s.io":
    "use ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2) with tier: Baseline, and action: Accept for Allow",
};

export function judgeKind(apiVersion: string, kind: string): KindVerdict {
  const info = kindOf(apiVersion, kind);
  if (info !== undefined) return { what: "ours", info };
  const [group, version] = splitApiVersion(apiVersion);
  const mine = KINDS.find((each) => each.kind === kind);
  const builtIn = API_GROUPS.get(group);
  const refused = (advice: string): KindVerdict => ({
    what: "refused",
    message: `no matches for kind "${kind}" in version "${apiVersion}"${advice}`,
  });
  const advice = REPLACED[`${kind}.${group}`];
  if (advice !== undefined) return refused(`: ${advice}`);
  if (mine !== undefined && splitApiVersion(mine.apiVersion)[0] === group)
    return refused(`: use ${mine.apiVersion}`);
  if (builtIn === undefined) {
    const isMeant = isCustomGroup(group, kind);
    return isMeant ? { what: "foreign", title: customTitle(kind, group) } : refused(adviceFor(kind));
  }
  if (!builtIn.kinds.includes(kind)) return refused(adviceFor(kind, group));
  if (mine !== undefined) return refused(`: use ${mine.apiVersion}`);
  if (!builtIn.versions.includes(version)) return refused(`: use ${currentVersion(builtIn)}`);
  const carried = carriedKind(apiVersion, kind);
  return { what: "foreign", title: kind, ...(carried !== undefined && { info: carried }) };
}

/** A list is an object of the API, of one version; nobody nests many, and each costs a call here. */
export function listProblem(
  { kind, apiVersion }: { readonly kind?: unknown; readonly apiVersion?: unknown },
  depth: number,
): { path: string[]; message: string } | undefined {
  if (depth >= LIST_DEPTH_MAX)
    return { path: ["kind"], message: `more than ${LIST_DEPTH_MAX} lists in one another` };
  if (typeof apiVersion !== "string" || apiVersion === "")
    return { path: ["apiVersion"], message: "error validating data: apiVersion not set" };
  if (kind !== "List" || apiVersion === "v1") return undefined;
  return { path: ["apiVersion"], message: `no matches for kind "List" in version "${apiVersion}": use v1` };
}

/** Whether a group that is not the API server's may be that of a custom resource: a domain, and not one misspelt. */
function isCustomGroup(group: string, kind: string): boolean {
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$/.test(group)) return false;
  if (KINDS.some((info) => splitApiVersion(info.apiVersion)[0] === group)) return false;
  if (/(^|\.)x-k8s\.io$/.test(group)) return true;
  if (nearest(group, [...API_GROUPS.keys()]) !== undefined) return false;
  // Kubernetes' own domain: none of the groups that live there beside the API server has a kind of ours.
  return !(group.endsWith(".k8s.io") && KINDS.some((info) => info.kind === kind));
}

/** A custom kind that is called like one of the API's is told apart by its group: Service.serving.knative.dev. */
function customTitle(kind: string, group: string): string {
  const isTaken = [...API_GROUPS.values()].some((each) => each.kinds.includes(kind));
  return isTaken ? `${kind}.${group}` : kind;
}

/** What was probably meant, looked for in `group` first. */
function adviceFor(kind: string, group?: string): string {
  const kinds = API_GROUPS.get(group ?? "?")?.kinds ?? [];
  const word = kindFromWord(kind)?.kind; // pods, svc: kubectl's words for it
  const here = word !== undefined && kinds.includes(word) ? word : nearest(kind, kinds);
  if (here !== undefined) return `; did you mean ${here}?`;
  const ours = KINDS.find((info) => info.kind === kind);
  if (ours !== undefined) return `: use ${ours.apiVersion}`;
  const holder = [...API_GROUPS.values()].find((each) => each.kinds.includes(kind));
  if (holder !== undefined) return `: use ${currentVersion(holder)}`;
  const all = [...KINDS.map((info) => info.kind), ...[...API_GROUPS.values()].flatMap((each) => each.kinds)];
  const like = nearest(kind, all);
  return like === undefined ? "" : `; did you mean ${like} (${versionOf(like)})?`;
}

function versionOf(kind: string): string {
  const ours = KINDS.find((info) => info.kind === kind);
  if (ours !== undefined) return ours.apiVersion;
  const holder = [...API_GROUPS.values()].find((each) => each.kinds.includes(kind));
  return holder === undefined ? "" : currentVersion(holder);
}

/** The word that `word` was meant to be: at most a few letters off, in whatever case. */
function nearest(word: string, words: readonly string[]): string | undefined {
  const lower = word.toLowerCase();
  let best: string | undefined;
  let least = TYPO_MAX + 1;
  for (const each of words) {
    const distance = edits(lower, each.toLowerCase());
    if (distance < least && distance * 3 <= each.length) {
      best = each;
      least = distance;
    }
  }
  return best;
}

/** Levenshtein's distance: letters to insert, delete or replace. */
function edits(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > TYPO_MAX) return TYPO_MAX + 1;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
