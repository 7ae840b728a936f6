// podwire describe KIND [NAME…] | KIND/NAME… | KIND -l LABELS | -f FILE…: objects as kubectl tells of them.
import type { Command } from "commander";
import { isTemplateOf } from "../../cluster/controller/deployment/deployment-sets.ts";
import { notFound } from "../../cluster/outcome.ts";
import type {
  Deployment,
  EndpointSlice,
  Event,
  KubeObject,
  Pod,
  ReplicaSet,
  Service,
} from "../../kube/objects.ts";
import { addCluster } from "../api/open-api.ts";
import { type ObjectSource, openObjects } from "../api/open-objects.ts";
import { globals, note, print } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { type Target, wordTargets } from "../targets.ts";
import { describe, type Surroundings } from "./describe/describe.ts";
import { planeSection } from "./describe/plane-facts.ts";
import { allEndpoints } from "./get/endpoints.ts";
import { labelMatcher } from "./get/selector.ts";
import { collect } from "./manifests.ts";
import { listObjects } from "./workload.ts";

interface Flags {
  filename?: string[];
  namespace: string;
  allNamespaces?: boolean;
  selector?: string;
  showEvents: boolean;
  plane: boolean;
}

export function register(program: Command): void {
  const command = program
    .command("describe [kind] [names...]")
    .description("show objects with what matters of them, and the events of each, as kubectl does")
    .usage("KIND[,KIND…] [NAME…] | KIND/NAME… | -f FILE… [-n NAMESPACE | -A] [-l LABELS]")
    .option("-f, --filename <file>", "the objects that manifests name; may be repeated", collect)
    .option("-n, --namespace <namespace>", "namespace", "default")
    .option("-A, --all-namespaces", "all namespaces")
    .option("-l, --selector <labels>", "only objects with these labels")
    .option("--show-events", "events of each object", true)
    .option("--no-show-events", "no events")
    .option("--no-plane", "not what the data plane does with it")
    .addHelpText("after", "\nExamples:\n  podwire describe pod web-1\n  podwire describe svc/web");
  addCluster(command).action(
    async (kinds: string | undefined, names: string[], flags: Flags, command: Command) => {
      const fits = labelMatcher(flags.selector);
      const only = command.getOptionValueSource("namespace") === "default" ? undefined : flags.namespace;
      const words = targetsOf(kinds, names, flags);
      globals(command); // output forms: none of describe's own
      const all = await openObjects(command);
      const { filename } = flags;
      const targets = filename === undefined ? words : await targetsIn(filename, only, all);
      const { chosen, missing } = await find(all, targets, flags);
      const shown = chosen.filter(fits);
      if (shown.length + missing.length === 0)
        note(`No resources found${flags.allNamespaces === true ? "" : ` in ${flags.namespace} namespace.`}`);
      if (shown.length > 0) await print(await texts(all, shown, flags));
      if (missing.length > 0) throw new CliError(missing.join("\n"), 1, "NOT_FOUND");
    },
  );
}

async function targetsIn(
  files: string[],
  only: string | undefined,
  { api }: ObjectSource,
): Promise<Target[]> {
  const { manifestTargets } = await import("../api/manifest-targets.ts");
  return manifestTargets("describe", files, only, api);
}

/** Those of manifests are read later. */
function targetsOf(kinds: string | undefined, names: string[], flags: Flags): Target[] {
  if (flags.filename === undefined) {
    if (kinds === undefined) throw usageError("describe: what? podwire describe KIND [NAME…], or -f FILE");
    return wordTargets("describe", kinds, names);
  }
  if (kinds !== undefined) throw usageError("describe: either -f FILE or KIND NAME, not both");
  return [];
}

/** A name that nothing has may be the beginning of some. */
async function find(
  all: ObjectSource,
  targets: readonly Target[],
  flags: Flags,
): Promise<{ chosen: KubeObject[]; missing: string[] }> {
  const chosen: KubeObject[] = [];
  const missing: string[] = [];
  const namespace = flags.allNamespaces === true ? undefined : flags.namespace;
  for (const { word, names, optional, namespace: own } of targets) {
    const list = await listObjects(all, word, own ?? namespace).catch((error: { code?: string }) => {
      if (optional && error.code === "UNKNOWN_KIND") return undefined;
      throw error;
    });
    if (list === undefined) continue;
    if (list.kind === "Endpoints" && all.api?.isLab !== false)
      list.items = await allEndpoints(all, list.items, own ?? namespace);
    if (names.length === 0) chosen.push(...list.items);
    for (const name of names) {
      const exact = list.items.filter((each) => each.metadata.name === name);
      const some =
        exact.length > 0 ? exact : list.items.filter((each) => each.metadata.name.startsWith(name));
      if (some.length === 0) missing.push(notFound(list, name));
      chosen.push(...some);
    }
  }
  return { chosen, missing };
}

async function texts(all: ObjectSource, objects: readonly KubeObject[], flags: Flags): Promise<string> {
  const everyOne = async <T>(word: string): Promise<T[]> =>
    (await listObjects(all, word)).items as object as T[];
  // An agent, or a lab of before, has no events.
  const events = flags.showEvents ? await everyOne<Event>("events").catch(() => []) : undefined;
  const pods = await everyOne<Pod>("pods");
  const slices = objects.some(({ kind }) => kind === "Service" || kind === "Ingress")
    ? await everyOne<EndpointSlice>("endpointslices")
    : [];
  const services = objects.some(({ kind }) => kind === "Ingress") ? await everyOne<Service>("services") : [];
  const sets = objects.some(({ kind }) => kind === "Deployment")
    ? await everyOne<ReplicaSet>("replicasets")
    : [];
  const nowMs = Date.now();
  const told = objects.map((object) => {
    const around: Surroundings = {
      nowMs,
      ...{ pods, services },
      slices: object.kind === "Ingress" ? slices : slices.filter((slice) => isOf(slice, object)),
      events: events?.filter(({ involvedObject }) => isAbout(involvedObject, object)),
      ...(object.kind === "Deployment" ? { replicaSets: replicaSetsOf(object as Deployment, sets) } : {}),
    };
    return describe(object, around);
  });
  const planes = await Promise.all(
    objects.map((object) => (flags.plane ? planeSection(all.nodes, object) : "")),
  );
  return told.map((text, i) => `${text}${planes[i]}`).join("\n\n");
}

function isOf({ metadata }: EndpointSlice, service: KubeObject): boolean {
  const isHere = metadata.namespace === service.metadata.namespace;
  return isHere && metadata.labels?.["kubernetes.io/service-name"] === service.metadata.name;
}

function isAbout(ref: Event["involvedObject"], { kind, metadata }: KubeObject): boolean {
  if (ref.kind !== kind || ref.name !== metadata.name || ref.namespace !== metadata.namespace) return false;
  return ref.uid === undefined || ref.uid === metadata.uid;
}

/** Those that are the Deployment's: of its template, and older ones that have pods. */
function replicaSetsOf(deployment: Deployment, sets: readonly ReplicaSet[]): { old: string; new: string } {
  const { uid } = deployment.metadata;
  const own = sets.filter(({ metadata }) => metadata.ownerReferences?.some((each) => each.uid === uid));
  const text = ({ metadata, spec, status }: ReplicaSet): string =>
    `${metadata.name} (${status?.replicas ?? 0}/${spec.replicas ?? 0} replicas created)`;
  const current = own.find((set) => isTemplateOf(deployment, set));
  const old = own.filter((set) => set !== current && (set.spec.replicas ?? 0) > 0).map(text);
  return { old: old.join(", ") || "<none>", new: current === undefined ? "<none>" : text(current) };
}
