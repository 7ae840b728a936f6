// Containers, of a pod and of a template.
import type { ContainerState, ContainerStatus, EnvVar } from "kubernetes-types/core/v1.js";
import type { Container, Pod, Probe } from "../../../kube/objects.ts";
import { joinHostPort, sorted, timeText } from "./parts.ts";
import type { TabWriter } from "./tabs.ts";

/** `pod`: where there is one, and not only a template. */
export function containerLines(
  w: TabWriter,
  title: string,
  containers: readonly Container[],
  statuses: readonly ContainerStatus[] | undefined,
  pod: Pod | undefined,
): void {
  const isTemplate = pod === undefined;
  if (containers.length === 0) w.line(0, `${isTemplate ? "  " : ""}${title}: <none>`);
  else w.line(0, `${isTemplate ? "  " : ""}${title}:`);
  for (const container of containers) {
    const status = statuses?.find((each) => each.name === container.name);
    w.line(1, `${isTemplate ? " " : ""}${container.name}:`);
    if (status !== undefined) w.line(2, `Container ID:\t${status.containerID ?? ""}`);
    w.line(2, `Image:\t${container.image ?? ""}`);
    if (status !== undefined) w.line(2, `Image ID:\t${status.imageID}`);
    portLines(w, container);
    wordLines(w, "Command", container.command);
    wordLines(w, "Args", container.args);
    if (status !== undefined) statusLines(w, status);
    resourceLines(w, "Limits", container.resources?.limits);
    resourceLines(w, "Requests", container.resources?.requests);
    probeLines(w, container);
    environmentLines(w, container, pod);
    mountLines(w, container);
  }
}

function portLines(w: TabWriter, { ports = [] }: Container): void {
  const some = ports.length > 1;
  const texts = (number: (port: (typeof ports)[number]) => number): string =>
    ports.map((port) => `${number(port)}/${port.protocol ?? "TCP"}`).join(", ") || "<none>";
  w.line(2, `${some ? "Ports" : "Port"}:\t${texts((port) => port.containerPort)}`);
  w.line(2, `${some ? "Host Ports" : "Host Port"}:\t${texts((port) => port.hostPort ?? 0)}`);
}

function wordLines(w: TabWriter, title: string, words: readonly string[] = []): void {
  if (words.length === 0) return;
  w.line(2, `${title}:`);
  for (const line of words.flatMap((word) => word.split("\n"))) w.line(3, line);
}

function statusLines(w: TabWriter, status: ContainerStatus): void {
  stateLines(w, "State", status.state ?? {});
  if (status.lastState?.terminated !== undefined) stateLines(w, "Last State", status.lastState);
  w.line(2, `Ready:\t${status.ready ? "True" : "False"}`);
  w.line(2, `Restart Count:\t${status.restartCount}`);
}

function stateLines(w: TabWriter, title: string, { running, waiting, terminated }: ContainerState): void {
  if (running !== undefined) {
    w.line(2, `${title}:\tRunning`);
    w.line(3, `Started:\t${timeText(running.startedAt)}`);
  } else if (terminated !== undefined) {
    w.line(2, `${title}:\tTerminated`);
    if (terminated.reason) w.line(3, `Reason:\t${terminated.reason}`);
    if (terminated.message) w.line(3, `Message:\t${terminated.message}`);
    w.line(3, `Exit Code:\t${terminated.exitCode}`);
    if (terminated.signal) w.line(3, `Signal:\t${terminated.signal}`);
    w.line(3, `Started:\t${timeText(terminated.startedAt)}`);
    w.line(3, `Finished:\t${timeText(terminated.finishedAt)}`);
  } else {
    w.line(2, `${title}:\tWaiting`);
    if (waiting?.reason) w.line(3, `Reason:\t${waiting.reason}`);
  }
}

function resourceLines(w: TabWriter, title: string, list: Record<string, unknown> | undefined): void {
  const names = sorted(list);
  if (names.length === 0) return;
  w.line(2, `${title}:`);
  for (const [name, quantity] of names) w.line(3, `${name}:\t${String(quantity)}`);
}

function probeLines(w: TabWriter, container: Container): void {
  const probes = [
    ["Liveness", container.livenessProbe],
    ["Readiness", container.readinessProbe],
    ["Startup", container.startupProbe],
  ] as const;
  for (const [title, probe] of probes) if (probe !== undefined) w.line(2, `${title}:\t${probeText(probe)}`);
}

function probeText(probe: Probe): string {
  const { initialDelaySeconds = 0, timeoutSeconds = 1, periodSeconds = 10 } = probe;
  const { successThreshold = 1, failureThreshold = 3, exec, httpGet, tcpSocket } = probe;
  const times = `delay=${initialDelaySeconds}s timeout=${timeoutSeconds}s period=${periodSeconds}s`;
  const rest = `${times} #success=${successThreshold} #failure=${failureThreshold}`;
  if (exec !== undefined) return `exec [${(exec.command ?? []).join(" ")}] ${rest}`;
  if (httpGet !== undefined) {
    const { scheme = "HTTP", host = "", port, path = "" } = httpGet;
    const rooted = path === "" || path.startsWith("/") ? path : `/${path}`;
    const escaped = encodeURI(rooted).replaceAll("?", "%3F").replaceAll("#", "%23");
    return `http-get ${scheme.toLowerCase()}://${joinHostPort(host, port)}${escaped} ${rest}`;
  }
  if (tcpSocket !== undefined) return `tcp-socket ${tcpSocket.host ?? ""}:${tcpSocket.port} ${rest}`;
  const { grpc } = probe as { grpc?: { port: number; service?: string } };
  return grpc === undefined ? `unknown ${rest}` : `grpc <pod>:${grpc.port} ${grpc.service ?? ""} ${rest}`;
}

function environmentLines(w: TabWriter, container: Container, pod: Pod | undefined): void {
  const { env = [], envFrom = [] } = container;
  if (envFrom.length > 0) {
    w.line(2, "Environment Variables from:");
    for (const { configMapRef, secretRef, prefix } of envFrom) {
      const from = configMapRef === undefined ? "Secret" : "ConfigMap";
      const ref = configMapRef ?? secretRef;
      const before = prefix ? ` with prefix '${prefix}'` : "";
      w.line(3, `${ref?.name ?? ""}\t${from}${before}\tOptional: ${ref?.optional === true}`);
    }
  }
  w.line(2, `Environment:${env.length === 0 ? "\t<none>" : ""}`);
  for (const each of env) variableLines(w, each, pod);
}

function variableLines(w: TabWriter, { name, value = "", valueFrom }: EnvVar, pod: Pod | undefined): void {
  if (valueFrom === undefined) {
    for (const [i, line] of value.split("\n").entries()) w.line(3, `${i === 0 ? `${name}:` : ""}\t${line}`);
    return;
  }
  const { fieldRef, resourceFieldRef, secretKeyRef, configMapKeyRef } = valueFrom;
  if (fieldRef !== undefined) {
    w.line(
      3,
      `${name}:\t${fieldText(fieldRef.fieldPath, pod)} (${fieldRef.apiVersion ?? "v1"}:${fieldRef.fieldPath})`,
    );
  } else if (resourceFieldRef !== undefined) {
    const isLimit = /^limits\.(cpu|memory)$/.test(resourceFieldRef.resource);
    w.line(3, `${name}:\t${isLimit ? "node allocatable" : "0"} (${resourceFieldRef.resource})`);
  } else if (secretKeyRef !== undefined) {
    const { key, name: secret = "", optional } = secretKeyRef;
    w.line(3, `${name}:\t<set to the key '${key}' in secret '${secret}'>\tOptional: ${optional === true}`);
  } else if (configMapKeyRef !== undefined) {
    const { key, name: map = "", optional } = configMapKeyRef;
    w.line(3, `${name}:\t<set to the key '${key}' of config map '${map}'>\tOptional: ${optional === true}`);
  }
}

/** kubectl resolves these two. */
function fieldText(path: string, pod: Pod | undefined): string {
  if (path === "metadata.name") return pod?.metadata.name ?? "";
  return path === "metadata.namespace" ? (pod?.metadata.namespace ?? "") : "";
}

function mountLines(w: TabWriter, { volumeMounts = [] }: Container): void {
  w.line(2, `Mounts:${volumeMounts.length === 0 ? "\t<none>" : ""}`);
  const byPath = [...volumeMounts].sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1));
  for (const { mountPath, name, readOnly, subPath } of byPath) {
    const flags = [readOnly === true ? "ro" : "rw", ...(subPath ? [`path=${JSON.stringify(subPath)}`] : [])];
    w.line(3, `${mountPath} from ${name} (${flags.join(",")})`);
  }
}
