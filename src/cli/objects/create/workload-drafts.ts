// Pods and what makes pods, from words on the command line.
import type { KubeObject } from "../../../kube/objects.ts";
import { CliError, usageError } from "../../errors.ts";
import type { Place } from "./config-drafts.ts";
import { containerName, type Draft, draft, labelMap, portNumber } from "./parts.ts";

const COUNT_MAX = 2 ** 31 - 1;

export interface DeploymentFlags {
  image?: string[];
  replicas?: string;
  port?: string;
}

export function deploymentDraft(place: Place, flags: DeploymentFlags, command: readonly string[]): Draft {
  const { image: images = [], replicas = "1", port } = flags;
  if (images.length === 0) throw usageError("create deployment: --image is needed");
  if (images.length > 1 && command.length > 0)
    throw usageError("create deployment: cannot specify multiple --image options and command");
  if (!/^\d+$/.test(replicas) || Number(replicas) > COUNT_MAX)
    throw usageError(`--replicas ${replicas}: use a number from 0`);
  const labels = { app: place.name };
  const containers = images.map((image, i) => ({
    name: containerName(image),
    image,
    ...(command.length === 0 ? {} : { command: [...command] }),
    ...(i > 0 || port === undefined ? {} : { ports: [{ containerPort: portNumber("--port", port) }] }),
  }));
  const spec = {
    replicas: Number(replicas),
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers } },
  };
  return draft("apps/v1", "Deployment", { ...place, labels }, { spec });
}

export function jobDraft(place: Place, image: string | undefined, command: readonly string[]): Draft {
  if (image === undefined) throw usageError("create job: either --image or --from must be specified");
  return draft("batch/v1", "Job", { ...place }, { spec: jobSpec(place, image, command, "Never") });
}

/** What a CronJob would make now. */
export function jobFromCronJob(place: Place, cronJob: KubeObject): Draft {
  const { jobTemplate } = (cronJob as { spec?: { jobTemplate?: JobTemplate } }).spec ?? {};
  if (cronJob.kind !== "CronJob" || jobTemplate === undefined)
    throw new CliError(`create job: unsupported type: ${cronJob.kind}: --from takes cronjob/NAME`);
  const { name, uid } = cronJob.metadata;
  const metadata = {
    ...place,
    annotations: { "cronjob.kubernetes.io/instantiate": "manual", ...jobTemplate.metadata?.annotations },
    labels: jobTemplate.metadata?.labels,
    ownerReferences: [{ apiVersion: "batch/v1", kind: "CronJob", name, uid, controller: true }],
  };
  return draft("batch/v1", "Job", metadata, { spec: jobTemplate.spec });
}

interface JobTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec?: object;
}

export interface CronJobFlags {
  image?: string;
  schedule?: string;
  restart?: string;
}

export function cronJobDraft(place: Place, flags: CronJobFlags, command: readonly string[]): Draft {
  const { image, schedule, restart = "OnFailure" } = flags;
  if (image === undefined || schedule === undefined)
    throw usageError("create cronjob: --image and --schedule are needed");
  if (!["OnFailure", "Never"].includes(restart))
    throw usageError(`--restart ${restart}: a job's pods are restarted OnFailure or Never`);
  const jobTemplate = {
    metadata: { name: place.name },
    spec: jobSpec(place, image, command, restart),
  };
  return draft("batch/v1", "CronJob", { ...place }, { spec: { schedule, jobTemplate } });
}

function jobSpec({ name }: Place, image: string, command: readonly string[], restartPolicy: string): object {
  const container = { name, image, ...(command.length === 0 ? {} : { command: [...command] }) };
  return { template: { spec: { containers: [container], restartPolicy } } };
}

export interface PodFlags {
  image?: string;
  imagePullPolicy?: string;
  env?: string[];
  port?: string;
  labels?: string;
  annotations?: string[];
  restart: string;
  command?: boolean;
  privileged?: boolean;
  stdin?: boolean;
  tty?: boolean;
}

const RESTARTS = ["Always", "OnFailure", "Never"];
const PULLS = ["Always", "IfNotPresent", "Never"];

/** The pod of `podwire run`. Words are the image's arguments, with --command its program. */
export function podDraft(place: Place, flags: PodFlags, words: readonly string[]): Draft {
  const { image, imagePullPolicy, env = [], port, restart } = flags;
  if (image === undefined || image === "") throw usageError("run: --image is needed");
  if (!RESTARTS.includes(restart))
    throw usageError(`--restart ${restart}: invalid restart policy: use ${RESTARTS.join(", ")}`);
  if (imagePullPolicy !== undefined && !PULLS.includes(imagePullPolicy))
    throw usageError(`--image-pull-policy ${imagePullPolicy}: use ${PULLS.join(", ")}`);
  const container = {
    name: place.name,
    image,
    ...(imagePullPolicy === undefined ? {} : { imagePullPolicy }),
    ...(words.length === 0 ? {} : { [flags.command === true ? "command" : "args"]: [...words] }),
    ...(env.length === 0 ? {} : { env: env.map(variable) }),
    ...(port === undefined ? {} : { ports: [{ containerPort: portNumber("--port", port) }] }),
    ...(flags.privileged === true ? { securityContext: { privileged: true } } : {}),
    ...(flags.stdin === true ? { stdin: true, stdinOnce: true } : {}),
    ...(flags.tty === true ? { tty: true } : {}),
  };
  const metadata = {
    ...place,
    labels: runLabels(place.name, flags.labels),
    ...(flags.annotations === undefined ? {} : { annotations: annotationMap(flags.annotations) }),
  };
  const spec = { containers: [container], dnsPolicy: "ClusterFirst", restartPolicy: restart };
  return draft("v1", "Pod", metadata, { spec });
}

export function runLabels(name: string, given: string | undefined): Record<string, string> {
  return given === undefined || given === "" ? { run: name } : labelMap("--labels", given);
}

function variable(word: string): { name: string; value: string } {
  const at = word.indexOf("=");
  if (at < 1 || !/^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(word.slice(0, at)))
    throw usageError(`--env ${word}: invalid env: write NAME=VALUE`);
  return { name: word.slice(0, at), value: word.slice(at + 1) };
}

export function annotationMap(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf("=");
      if (at < 1) throw usageError(`annotation ${word}: write KEY=VALUE`);
      return [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}
