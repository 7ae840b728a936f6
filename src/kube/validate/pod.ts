// Pod, as ValidatePod (pkg/apis/core/validation) refuses it, as far as the network, the probes and the running of
// containers go.
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type { Container, EnvVar, Pod, PodSpec, Probe } from "../objects.ts";
import { validateLabels } from "./metadata.ts";
import * as names from "./names.ts";
import { validateResources } from "./resources.ts";
import { validateAppArmorAnnotations, validateSecurity } from "./security-context.ts";
import { validateMounts, validateVolumes } from "./volumes.ts";

const PROTOCOLS = ["SCTP", "TCP", "UDP"];
const HANDLERS = ["exec", "httpGet", "tcpSocket", "grpc"] as const;
const PROBES = ["livenessProbe", "readinessProbe", "startupProbe"] as const;

export function validatePod(pod: Pod, problems: FieldProblems): void {
  validatePodSpec(pod.spec, ["spec"], problems);
  validateAppArmorAnnotations(pod.metadata.annotations, pod.spec, [], problems);
  for (const [i, { ip = "" }] of (pod.status.podIPs ?? []).entries()) {
    if (names.checkIp(problems, ["status", "podIPs", i, "ip"], ip)) {
      names.checkOrdinaryIp(problems, ["status", "podIPs", i, "ip"], ip);
    }
  }
}

/** `claims`: volumes that whoever makes the pod adds to its own. */
export function validatePodSpec(
  spec: PodSpec,
  at: FieldPath,
  problems: FieldProblems,
  claims: readonly string[] = [],
): void {
  const seen = new Set<string>();
  const volumes = new Set([...validateVolumes(spec, at, problems), ...claims]);
  if ((spec.containers ?? []).length === 0) problems.required([...at, "containers"]);
  for (const list of ["initContainers", "containers"] as const) {
    for (const [i, container] of (spec[list] ?? []).entries()) {
      const path = [...at, list, i];
      validateContainer(container, path, spec, problems);
      if (seen.has(container.name)) problems.duplicate([...path, "name"], container.name);
      seen.add(container.name);
      validateMounts(container, path, volumes, problems);
      if (list === "initContainers") validateInit(container, path, problems);
    }
  }
  validateSecurity(spec, at, problems);
  validateHostPorts(spec, at, problems);
  validateTolerations(spec, at, problems);
  validateHostAliases(spec, at, problems);
  problems.oneOf([...at, "restartPolicy"], spec.restartPolicy, ["Always", "Never", "OnFailure"]);
  const dnsPolicies = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
  problems.oneOf([...at, "dnsPolicy"], spec.dnsPolicy, dnsPolicies);
  if (spec.dnsPolicy === "None" && (spec.dnsConfig?.nameservers ?? []).length === 0) {
    const detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
    problems.required([...at, "dnsConfig", "nameservers"], detail);
  }
  names.checkNonNegative(
    problems,
    [...at, "terminationGracePeriodSeconds"],
    spec.terminationGracePeriodSeconds,
  );
  optionalName([...at, "nodeName"], spec.nodeName, names.dns1123Subdomain, problems);
  optionalName([...at, "hostname"], spec.hostname, names.dns1123Label, problems);
  optionalName([...at, "subdomain"], spec.subdomain, names.dns1123Label, problems);
  optionalName([...at, "serviceAccountName"], spec.serviceAccountName, names.dns1123Subdomain, problems);
  validateLabels(spec.nodeSelector, [...at, "nodeSelector"], problems);
}

function validateContainer(container: Container, at: FieldPath, pod: PodSpec, problems: FieldProblems): void {
  names.checkName(problems, [...at, "name"], container.name, names.dns1123Label);
  if (container.image === undefined || container.image === "") problems.required([...at, "image"]);
  else if (container.image.trim() !== container.image) {
    problems.invalid([...at, "image"], container.image, "must not have leading or trailing whitespace");
  }
  if (container.imagePullPolicy !== undefined) {
    const policies = ["Always", "IfNotPresent", "Never"];
    problems.oneOf([...at, "imagePullPolicy"], container.imagePullPolicy, policies);
  }
  validateContainerPorts(container, at, pod, problems);
  validateResources(container, at, problems);
  for (const [i, variable] of (container.env ?? []).entries()) {
    const path = [...at, "env", i, "name"];
    if (variable.name === undefined || variable.name === "") problems.required(path);
    else if (/[^\x20-\x7e]|=/.test(variable.name)) {
      const detail =
        "a valid environment variable name must consist only of printable ASCII characters other than '='";
      problems.invalid(path, variable.name, detail);
    }
  }
  for (const [i, variable] of (container.env ?? []).entries()) {
    validateValueFrom(variable, [...at, "env", i], problems);
  }
  validateLifecycle(container, at, problems);
  if (container.terminationMessagePolicy !== undefined)
    problems.oneOf([...at, "terminationMessagePolicy"], container.terminationMessagePolicy, [
      "FallbackToLogsOnError",
      "File",
    ]);
  for (const field of PROBES) {
    const probe = container[field];
    if (probe !== undefined) validateProbe(probe, [...at, field], field, problems);
  }
}

/** What waits for nothing and is not asked, unless it goes on beside the others. */
function validateInit(container: Container, at: FieldPath, problems: FieldProblems): void {
  if ((container as { restartPolicy?: string }).restartPolicy === "Always") return;
  for (const field of ["lifecycle", ...PROBES] as const) {
    if (container[field] !== undefined)
      problems.forbidden([...at, field], "may not be set for init containers without restartPolicy=Always");
  }
}

/** Hooks of a container's start and end. */
function validateLifecycle({ lifecycle }: Container, at: FieldPath, problems: FieldProblems): void {
  for (const name of ["postStart", "preStop"] as const) {
    const hook = lifecycle?.[name];
    if (hook === undefined) continue;
    const given = Object.keys(hook);
    const path = [...at, "lifecycle", name];
    if (given.length === 0) problems.required(path, "must specify a handler type");
    for (const extra of given.slice(1))
      problems.forbidden([...path, extra], "may not specify more than 1 handler type");
    if (hook.exec !== undefined && (hook.exec.command ?? []).length === 0)
      problems.required([...path, "exec", "command"]);
  }
}

/** What the downward API tells in variables. */
const ENV_FIELDS = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
const KEYED_FIELD = /^metadata\.(?:labels|annotations)\['.+'\]$/;
const SOURCES = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";

function validateValueFrom(variable: EnvVar, at: FieldPath, problems: FieldProblems): void {
  const { value = "", valueFrom } = variable;
  if (valueFrom === undefined) return;
  const path = [...at, "valueFrom"];
  const sources = Object.keys(valueFrom).length;
  if (sources === 0) problems.invalid(path, "", `must specify one of: ${SOURCES}`);
  else if (value !== "") problems.invalid(path, "", "may not be specified when `value` is not empty");
  else if (sources > 1) problems.invalid(path, "", "may not have more than one field specified at a time");
  const field = valueFrom.fieldRef?.fieldPath;
  if (valueFrom.fieldRef === undefined) return;
  if (field === undefined || field === "") problems.required([...path, "fieldRef", "fieldPath"]);
  else if (!ENV_FIELDS.includes(field) && !KEYED_FIELD.test(field)) {
    problems.unsupported([...path, "fieldRef", "fieldPath"], field, ENV_FIELDS);
  }
}

/** Lines of /etc/hosts. */
function validateHostAliases(spec: PodSpec, at: FieldPath, problems: FieldProblems): void {
  for (const [i, { ip, hostnames }] of (spec.hostAliases ?? []).entries()) {
    const path = [...at, "hostAliases", i];
    names.checkIp(problems, [...path, "ip"], ip ?? "");
    for (const [n, name] of (hostnames ?? []).entries()) {
      for (const wrong of names.dns1123Subdomain(name))
        problems.invalid([...path, "hostnames", n], name, wrong);
    }
  }
}

function validateTolerations(spec: PodSpec, at: FieldPath, problems: FieldProblems): void {
  for (const [i, toleration] of (spec.tolerations ?? []).entries()) {
    const path = [...at, "tolerations", i];
    const { key = "", operator = "", value = "", effect = "", tolerationSeconds } = toleration;
    if (key !== "") names.checkName(problems, [...path, "key"], key, names.qualifiedName);
    else if (operator !== "Exists") {
      problems.invalid([...path, "operator"], operator, "operator must be Exists when `key` is empty");
    }
    if (operator === "Exists" && value !== "") {
      problems.invalid([...path, "operator"], value, "value must be empty when `operator` is 'Exists'");
    } else if (operator !== "") problems.oneOf([...path, "operator"], operator, ["Equal", "Exists"]);
    if (effect !== "") {
      problems.oneOf([...path, "effect"], effect, ["NoExecute", "NoSchedule", "PreferNoSchedule"]);
    }
    if (tolerationSeconds !== undefined && effect !== "NoExecute") {
      const detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
      problems.invalid([...path, "effect"], effect, detail);
    }
  }
}

function validateContainerPorts(c: Container, at: FieldPath, pod: PodSpec, problems: FieldProblems): void {
  const seen = new Set<string>();
  for (const [i, port] of (c.ports ?? []).entries()) {
    const path = [...at, "ports", i];
    if (port.name !== undefined && port.name !== "") {
      names.checkName(problems, [...path, "name"], port.name, names.portName);
      if (seen.has(port.name)) problems.duplicate([...path, "name"], port.name);
      seen.add(port.name);
    }
    names.checkPort(problems, [...path, "containerPort"], port.containerPort);
    problems.oneOf([...path, "protocol"], port.protocol, PROTOCOLS);
    if ((port.hostIP ?? "") !== "") names.checkIp(problems, [...path, "hostIP"], port.hostIP as string);
    if (port.hostPort === undefined || port.hostPort === 0) continue;
    if (!names.isPort(port.hostPort)) problems.invalid([...path, "hostPort"], port.hostPort, names.PORT_TEXT);
    else if (pod.hostNetwork === true && port.hostPort !== port.containerPort) {
      problems.invalid(
        [...path, "hostPort"],
        port.hostPort,
        "must match `containerPort` when `hostNetwork` is true",
      );
    }
  }
}

function validateHostPorts(spec: PodSpec, at: FieldPath, problems: FieldProblems): void {
  const seen = new Set<string>();
  for (const [i, container] of (spec.containers ?? []).entries()) {
    for (const [n, port] of (container.ports ?? []).entries()) {
      if (port.hostPort === undefined || port.hostPort === 0) continue;
      const text = `${port.protocol}/${port.hostIP ?? ""}/${port.hostPort}`;
      if (seen.has(text)) problems.duplicate([...at, "containers", i, "ports", n, "hostPort"], text);
      seen.add(text);
    }
  }
}

function validateProbe(probe: Probe, at: FieldPath, field: string, problems: FieldProblems): void {
  const given = HANDLERS.filter((handler) => probe[handler] !== undefined);
  if (given.length === 0) problems.required(at, "must specify a handler type");
  for (const extra of given.slice(1))
    problems.forbidden([...at, extra], "may not specify more than 1 handler type");
  if (probe.httpGet !== undefined) {
    const path = [...at, "httpGet"];
    if (probe.httpGet.path === undefined || probe.httpGet.path === "") problems.required([...path, "path"]);
    names.checkIntOrName(problems, [...path, "port"], probe.httpGet.port);
    problems.oneOf([...path, "scheme"], probe.httpGet.scheme, ["HTTP", "HTTPS"]);
  }
  if (probe.tcpSocket !== undefined) {
    names.checkIntOrName(problems, [...at, "tcpSocket", "port"], probe.tcpSocket.port);
  }
  if (probe.grpc !== undefined) names.checkPort(problems, [...at, "grpc", "port"], probe.grpc.port);
  if (probe.exec !== undefined && (probe.exec.command ?? []).length === 0) {
    problems.required([...at, "exec", "command"]);
  }
  const numbers = [
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
  ];
  for (const name of numbers as (keyof Probe)[]) {
    names.checkNonNegative(problems, [...at, name], probe[name] as number | undefined);
  }
  if (field === "readinessProbe" && probe.terminationGracePeriodSeconds !== undefined) {
    const path = [...at, "terminationGracePeriodSeconds"];
    problems.invalid(path, probe.terminationGracePeriodSeconds, "must not be set for readinessProbes");
  }
  if (field !== "readinessProbe" && probe.successThreshold !== 1) {
    problems.invalid([...at, "successThreshold"], probe.successThreshold, "must be 1");
  }
}

function optionalName(
  path: FieldPath,
  text: string | undefined,
  check: (text: string) => string[],
  problems: FieldProblems,
): void {
  if (text !== undefined && text !== "") names.checkName(problems, path, text, check);
}
