// What a Deployment, DaemonSet or StatefulSet was before: its revisions, by the ReplicaSets or ControllerRevisions that
// keep them.
import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../../../kube/objects.ts";
import { CliError } from "../../errors.ts";
import { templateLines } from "../describe/pod.ts";
import { layOut, TabWriter } from "../describe/tabs.ts";

export interface Template {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec?: object;
}

export interface Revision {
  number: number;
  cause: string;
  template: Template;
  /** The ReplicaSet or ControllerRevision. */
  keeper: KubeObject;
}

interface Keeper extends KubeObject {
  /** Of a ControllerRevision. */
  revision?: number;
  data?: { spec?: { template?: Template & { $patch?: string } } };
  /** Of a ReplicaSet. */
  spec?: { template?: Template };
}

const REVISION = "deployment.kubernetes.io/revision";
const CAUSE = "kubernetes.io/change-cause";
const HASH = "pod-template-hash";

/** Which kind keeps the revisions of a kind. Throws where none does. */
export function keeperOf(kind: string, resource: string, what: string): string {
  if (kind === "Deployment") return "replicasets";
  if (kind === "DaemonSet" || kind === "StatefulSet") return "controllerrevisions";
  throw new CliError(`no ${what} has been implemented for "${resource}"`);
}

/** In order. */
export function revisionsOf(object: KubeObject, keepers: readonly KubeObject[]): Revision[] {
  const own = keepers.filter(({ metadata }) =>
    metadata.ownerReferences?.some(
      ({ controller, uid }) => controller === true && uid === object.metadata.uid,
    ),
  );
  return (own as Keeper[])
    .flatMap((keeper): Revision[] => {
      const { metadata, data, spec } = keeper;
      const number = keeper.revision ?? Number(metadata.annotations?.[REVISION]);
      const { $patch: _, ...template } = data?.spec?.template ?? { ...spec?.template };
      if (!Number.isSafeInteger(number)) return [];
      return [{ number, cause: metadata.annotations?.[CAUSE] ?? "", template, keeper }];
    })
    .sort((a, b) => a.number - b.number);
}

/** A line each; of one that is named its template. */
export function historyText(revisions: readonly Revision[], wanted: number): string {
  if (revisions.length === 0) return "No rollout history found.";
  if (wanted === 0) {
    const lines = revisions.map(({ number, cause }) => `${number}\t${cause || "<none>"}`);
    return layOut(`REVISION\tCHANGE-CAUSE\n${lines.join("\n")}\n`);
  }
  const found = revisions.find(({ number }) => number === wanted);
  if (found === undefined) throw new CliError("unable to find the specified revision");
  return templateText(found);
}

export function templateText({ template, cause }: Revision): string {
  const w = new TabWriter();
  const annotations = { ...template.metadata?.annotations, ...(cause === "" ? {} : { [CAUSE]: cause }) };
  templateLines(w, { ...template, metadata: { ...template.metadata, annotations } } as Parameters<
    typeof templateLines
  >[1]);
  return w.toString();
}

/** The one before the newest, or the one that is named. */
export function earlier(object: KubeObject, revisions: readonly Revision[], wanted: number): Revision {
  const found = wanted === 0 ? revisions.at(-2) : revisions.find(({ number }) => number === wanted);
  if (found !== undefined) return found;
  if (wanted > 0) throw new CliError(`unable to find specified revision ${wanted} in history`);
  if (object.kind !== "Deployment") throw new CliError("no last revision to roll back to");
  throw new CliError(`no rollout history found for deployment "${object.metadata.name}"`);
}

/** Whether the object's template is that of the revision. */
export function isCurrent(object: KubeObject, { template }: Revision): boolean {
  const { template: now } = (object as { spec?: { template?: Template } }).spec ?? {};
  return isDeepStrictEqual(withoutHash(now ?? {}), withoutHash(template));
}

function withoutHash(template: Template): Template {
  const { [HASH]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** Kept as the Deployment has them; all others come from the ReplicaSet. */
const KEPT = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  REVISION,
  "deployment.kubernetes.io/revision-history",
  "deployment.kubernetes.io/desired-replicas",
  "deployment.kubernetes.io/max-replicas",
  "deprecated.deployment.rollback.to",
]);

/** The JSON patch that takes a Deployment back. */
export function deploymentPatch(deployment: KubeObject, revision: Revision): object[] {
  const pairs = (object: KubeObject, isKept: boolean): [string, string][] =>
    Object.entries(object.metadata.annotations ?? {}).filter(([key]) => KEPT.has(key) === isKept);
  const annotations = Object.fromEntries([...pairs(deployment, true), ...pairs(revision.keeper, false)]);
  return [
    { op: "replace", path: "/spec/template", value: withoutHash(revision.template) },
    { op: "replace", path: "/metadata/annotations", value: annotations },
  ];
}
