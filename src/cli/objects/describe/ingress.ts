// Ingresses and their classes.
import type { EndpointSlice, KubeObject, Service } from "../../../kube/objects.ts";
import { endpointsText } from "./network.ts";
import { annotationLines, labelLines } from "./parts.ts";
import type { TabWriter } from "./tabs.ts";

interface Backend {
  service?: { name: string; port?: { number?: number; name?: string } };
  resource?: { apiGroup?: string; kind: string; name: string };
}

export interface IngressObject extends KubeObject {
  spec?: {
    ingressClassName?: string;
    defaultBackend?: Backend;
    tls?: { hosts?: string[]; secretName?: string }[];
    rules?: { host?: string; http?: { paths: { path?: string; backend: Backend }[] } }[];
    controller?: string;
    parameters?: { apiGroup?: string; kind: string; name: string };
  };
  status?: { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } };
}

interface Behind {
  services: readonly Service[];
  slices: readonly EndpointSlice[];
}

export function ingressLines(
  w: TabWriter,
  { metadata, spec = {}, status }: IngressObject,
  behind: Behind,
): void {
  const { name, namespace = "", labels, annotations } = metadata;
  const told = (backend: Backend): string => backendText(backend, namespace, behind);
  w.line(0, `Name:\t${name}`);
  labelLines(w, "Labels", labels);
  w.line(0, `Namespace:\t${namespace}`);
  const addresses = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || "");
  w.line(0, `Address:\t${[...new Set(addresses.filter(Boolean))].sort().join(",")}`);
  w.line(0, `Ingress Class:\t${spec.ingressClassName ?? "<none>"}`);
  const otherwise = spec.defaultBackend === undefined ? "<default>" : told(spec.defaultBackend);
  w.line(0, `Default backend:\t${otherwise}`);
  if ((spec.tls ?? []).length > 0) w.line(0, "TLS:");
  for (const { hosts = [], secretName = "" } of spec.tls ?? [])
    w.line(
      1,
      secretName === "" ? `SNI routes ${hosts.join(",")}` : `${secretName} terminates ${hosts.join(",")}`,
    );
  w.line(0, "Rules:\n  Host\tPath\tBackends");
  w.line(1, "----\t----\t--------");
  const rules = (spec.rules ?? []).filter(({ http }) => http !== undefined);
  for (const { host = "", http } of rules) {
    w.line(1, `${host || "*"}\t`);
    for (const { path = "", backend } of http?.paths ?? []) w.line(2, `\t${path} \t${told(backend)}`);
  }
  if (rules.length === 0) w.line(1, `*\t*\t${otherwise}`);
  annotationLines(w, "Annotations", annotations);
}

function backendText({ service, resource }: Backend, namespace: string, behind: Behind): string {
  if (resource !== undefined)
    return `APIGroup: ${resource.apiGroup ?? "<none>"}, Kind: ${resource.kind}, Name: ${resource.name}`;
  if (service === undefined) return "";
  const { number, name = "" } = service.port ?? {};
  const title = `${service.name}:${number || name}`;
  const found = behind.services.find(
    ({ metadata }) => metadata.name === service.name && metadata.namespace === namespace,
  );
  if (found === undefined) return `${title} (<error: services "${service.name}" not found>)`;
  const port = found.spec.ports?.find((each) => (number ? each.port === number : each.name === name));
  const slices = behind.slices.filter(
    ({ metadata }) =>
      metadata.namespace === namespace && metadata.labels?.["kubernetes.io/service-name"] === service.name,
  );
  return `${title} (${endpointsText(slices, port?.name ?? "")})`;
}

export function ingressClassLines(w: TabWriter, { metadata, spec = {} }: IngressObject): void {
  w.line(0, `Name:\t${metadata.name}`);
  labelLines(w, "Labels", metadata.labels);
  annotationLines(w, "Annotations", metadata.annotations);
  w.line(0, `Controller:\t${spec.controller ?? ""}`);
  if (spec.parameters === undefined) return;
  const { apiGroup, kind, name } = spec.parameters;
  w.line(0, "Parameters:");
  if (apiGroup !== undefined) w.line(1, `APIGroup:\t${apiGroup}`);
  w.line(1, `Kind:\t${kind}`);
  w.line(1, `Name:\t${name}`);
}
