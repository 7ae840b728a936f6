// The variables of a container, as kubelet puts them together: those of Services, then envFrom, then env, each seeing
// those before it.
import type { ConfigMapKeySelector, EnvFromSource, EnvVar } from "kubernetes-types/core/v1.js";
import type { Container, Pod } from "../../kube/objects.ts";
import { PROCESS_MARK } from "../process/process-table.ts";
import type { NodePlan } from "../topology.ts";
import type { ConfigObjects, Entries } from "./config-objects.ts";
import { fieldText, resourceText } from "./downward.ts";
import { expand } from "./expand.ts";
import { hostname } from "./pod-env.ts";
import { serviceVariables } from "./service-variables.ts";

/** Why a container cannot be made: kubelet's words under CreateContainerConfigError. */
export class ConfigProblem extends Error {}

const PATH_DEFAULT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface Surroundings {
  readonly lab: string;
  readonly pod: Pod;
  readonly node: NodePlan;
  readonly objects: ConfigObjects;
  /** Variables of the program that stands for the image. */
  readonly image: Readonly<Record<string, string>>;
}

export function environmentOf(container: Container, where: Surroundings): Record<string, string> {
  const { lab, pod, objects } = where;
  const { name, namespace = "default" } = pod.metadata;
  const env: Record<string, string> = {
    ...serviceVariables(objects.services(namespace), namespace, pod.spec.enableServiceLinks !== false),
    PATH: process.env.PATH ?? PATH_DEFAULT,
    HOME: "/root",
    LANG: "C.UTF-8",
    HOSTNAME: hostname(pod),
    [PROCESS_MARK]: `${lab}/pod/${namespace}/${name}/${container.name}`,
    ...(container.ports?.[0] === undefined ? {} : { PORT: String(container.ports[0].containerPort) }),
    ...where.image,
  };
  for (const source of container.envFrom ?? []) Object.assign(env, fromAll(source, namespace, objects));
  for (const variable of container.env ?? []) {
    const value = variableText(variable, container, where, env);
    if (value !== undefined) env[variable.name] = value;
  }
  return env;
}

function fromAll(source: EnvFromSource, namespace: string, objects: ConfigObjects): Record<string, string> {
  const { prefix = "", configMapRef, secretRef } = source;
  const { name = "", optional = false } = configMapRef ?? secretRef ?? {};
  const isMap = configMapRef !== undefined;
  const found = isMap ? objects.configMap(namespace, name) : objects.secret(namespace, name);
  if (found === undefined) {
    if (optional) return {};
    throw new ConfigProblem(`${isMap ? "configmap" : "secret"} "${name}" not found`);
  }
  const named = [...found].filter(([key]) => !key.includes("="));
  return Object.fromEntries(named.map(([key, bytes]) => [`${prefix}${key}`, textOf(bytes)]));
}

function variableText(
  { value, valueFrom }: EnvVar,
  container: Container,
  { pod, node, objects }: Surroundings,
  env: Record<string, string>,
): string | undefined {
  if (valueFrom === undefined) return expand(value ?? "", env);
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  const namespace = pod.metadata.namespace ?? "default";
  if (fieldRef !== undefined) return fieldText(pod, node, fieldRef.fieldPath);
  if (resourceFieldRef !== undefined) return resourceText(pod, container, resourceFieldRef, objects);
  if (configMapKeyRef !== undefined) {
    const { name = "" } = configMapKeyRef;
    return keyOf(objects.configMap(namespace, name), configMapKeyRef, ["configmap", "ConfigMap"], namespace);
  }
  if (secretKeyRef !== undefined) {
    const { name = "" } = secretKeyRef;
    return keyOf(objects.secret(namespace, name), secretKeyRef, ["secret", "Secret"], namespace);
  }
  return ""; // fileKeyRef
}

function keyOf(
  entries: Entries | undefined,
  { name = "", key, optional = false }: ConfigMapKeySelector,
  [lower, kind]: readonly [string, string],
  namespace: string,
): string | undefined {
  const bytes = entries?.get(key);
  if (bytes !== undefined) return textOf(bytes);
  if (optional) return undefined;
  if (entries === undefined) throw new ConfigProblem(`${lower} "${name}" not found`);
  throw new ConfigProblem(`couldn't find key ${key} in ${kind} ${namespace}/${name}`);
}

/** A NUL would end the variable, and no program can be started with one. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8").replaceAll("\0", "");
}
