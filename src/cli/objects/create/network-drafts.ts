// Services, Ingresses and budgets, from words on the command line.
import { usageError } from "../../errors.ts";
import type { Place } from "./config-drafts.ts";
import { type Draft, draft, portNumber, portOrName } from "./parts.ts";
import { annotationMap } from "./workload-drafts.ts";

export type ServiceType = "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";

export interface ServiceFlags {
  tcp?: string[];
  clusterip?: string;
  nodePort?: string;
  externalName?: string;
}

export function serviceDraft(place: Place, type: ServiceType, flags: ServiceFlags): Draft {
  const { tcp = [], clusterip, nodePort, externalName } = flags;
  const word = type.toLowerCase();
  if (type === "ExternalName" && !externalName)
    throw usageError("create service externalname: --external-name is needed");
  if (tcp.length === 0 && type !== "ExternalName" && clusterip !== "None")
    throw usageError(
      `create service ${word}: at least one tcp port specifier must be provided: --tcp=PORT[:TARGET]`,
    );
  const ports = tcp.map((pair) => {
    const [port, target = port, more] = pair.split(":");
    if (more !== undefined) throw usageError(`--tcp ${pair}: write PORT or PORT:TARGET`);
    const number = portNumber("--tcp", port, 0);
    return {
      name: pair.replaceAll(":", "-"),
      port: number,
      protocol: "TCP",
      targetPort: target === port ? number : portOrName("--tcp", target),
      ...(nodePort === undefined || nodePort === "0"
        ? {}
        : { nodePort: portNumber("--node-port", nodePort) }),
    };
  });
  const labels = { app: place.name };
  const spec = {
    type,
    selector: labels,
    ...(ports.length === 0 ? {} : { ports }),
    ...(clusterip === undefined || clusterip === "" ? {} : { clusterIP: clusterip }),
    ...(externalName === undefined ? {} : { externalName }),
  };
  return draft("v1", "Service", { ...place, labels }, { spec });
}

export interface IngressFlags {
  class?: string;
  rule?: string[];
  defaultBackend?: string;
  annotation?: string[];
}

/** host/path=service:port[,tls[=secret]] */
const RULE = new RegExp(
  String.raw`^(?<host>[\w*\-.]*)/(?<path>[\w\-.+~!$&'()*;:@%/]*)=(?<service>[\w-]+):(?<port>[\w-]+)` +
    String.raw`(?<tls>,tls(?:=(?<secret>[\w-]*))?)?$`,
);

interface IngressRule {
  host: string;
  path: object;
  tls: boolean;
  secret: string;
}

export function ingressDraft(place: Place, flags: IngressFlags): Draft {
  const { rule = [], defaultBackend, annotation } = flags;
  if (rule.length === 0 && defaultBackend === undefined)
    throw usageError(
      "create ingress: not enough information provided: --rule or --default-backend is needed",
    );
  if (defaultBackend !== undefined && !/^[^:]+:[^:]+$/.test(defaultBackend))
    throw usageError(`--default-backend ${defaultBackend}: default-backend should be SERVICE:PORT`);
  const rules = rule.map(ruleOf);
  const spec = {
    ...(flags.class === undefined ? {} : { ingressClassName: flags.class }),
    ...(defaultBackend === undefined ? {} : { defaultBackend: backend(...halves(defaultBackend)) }),
    ...listOr("rules", byHost(rules)),
    ...listOr("tls", tlsOf(rules)),
  };
  const annotations = annotation === undefined ? {} : { annotations: annotationMap(annotation) };
  return draft("networking.k8s.io/v1", "Ingress", { ...place, ...annotations }, { spec });
}

function ruleOf(text: string): IngressRule {
  const groups = RULE.exec(text)?.groups;
  if (groups === undefined)
    throw usageError(`--rule ${text}: should be in format HOST/PATH=SERVICE:PORT[,tls[=SECRET]]`);
  const { host, path, service, port, tls, secret = "" } = groups;
  const isPrefix = path.endsWith("*");
  const http = {
    path: `/${isPrefix ? path.slice(0, -1) : path}`,
    pathType: isPrefix ? "Prefix" : "Exact",
    backend: backend(service, port),
  };
  return { host, path: http, tls: tls !== undefined, secret };
}

/** One rule a host, in the order in which they come. */
function byHost(rules: readonly IngressRule[]): object[] {
  const hosts = [...new Set(rules.map(({ host }) => host))];
  return hosts.map((host) => ({
    ...(host === "" ? {} : { host }),
    http: { paths: rules.filter((each) => each.host === host).map(({ path }) => path) },
  }));
}

/** One entry a secret; a host is in one of them only. */
function tlsOf(rules: readonly IngressRule[]): object[] {
  const entries: { hosts: string[]; secret: string }[] = [];
  const seen = new Set<string>();
  for (const { host, secret } of rules.filter(({ tls }) => tls)) {
    if (seen.has(host)) continue;
    seen.add(host);
    const known = entries.find((each) => each.secret === secret);
    if (known !== undefined) known.hosts.push(host);
    else if (host !== "" || secret !== "") entries.push({ hosts: host === "" ? [] : [host], secret });
  }
  return entries.map(({ hosts, secret }) => ({
    ...listOr("hosts", hosts),
    ...(secret === "" ? {} : { secretName: secret }),
  }));
}

function halves(text: string): [string, string] {
  const [service, port] = text.split(":");
  return [service, port];
}

function backend(name: string, port: string): object {
  return { service: { name, port: /^\d+$/.test(port) ? { number: Number(port) } : { name: port } } };
}

function listOr(field: string, list: readonly unknown[]): object {
  return list.length === 0 ? {} : { [field]: list };
}

export interface BudgetFlags {
  selector?: string;
  minAvailable?: string;
  maxUnavailable?: string;
}

export function budgetDraft(place: Place, flags: BudgetFlags, matchLabels: Record<string, string>): Draft {
  const { minAvailable, maxUnavailable } = flags;
  if ((minAvailable === undefined) === (maxUnavailable === undefined))
    throw usageError("create poddisruptionbudget: one of --min-available and --max-unavailable is needed");
  const [field, text] =
    minAvailable === undefined ? ["maxUnavailable", maxUnavailable ?? ""] : ["minAvailable", minAvailable];
  if (!/^\d+%?$/.test(text)) throw usageError(`${text}: use a number of pods or a percentage`);
  const spec = { [field]: text.endsWith("%") ? text : Number(text), selector: { matchLabels } };
  return draft("policy/v1", "PodDisruptionBudget", { ...place }, { spec });
}
