// Ingress and IngressClass, as ValidateIngressCreate and ValidateIngressClass (pkg/apis/networking/validation) refuse
// them.
import { readIp } from "../../../base/loose-ip.ts";
import type { FieldPath, FieldProblems } from "../../manifest/field-problems.ts";
import type { Ingress, IngressBackend, IngressClass, IngressPath } from "../../objects.ts";
import * as names from "../names.ts";

/** How a class was said before there was `ingressClassName`. */
const CLASS_ANNOTATION = "kubernetes.io/ingress.class";
const PATH_TYPES = ["Exact", "ImplementationSpecific", "Prefix"];
const BAD_SEQUENCES = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDINGS = ["/..", "/."];
const CONTROLLER_MAX = 250; // characters

export function validateIngress({ metadata, spec }: Ingress, problems: FieldProblems): void {
  const { defaultBackend, rules = [], tls = [], ingressClassName } = spec;
  const at: FieldPath = ["spec"];
  if (rules.length === 0 && defaultBackend === undefined)
    problems.invalid(at, [], "either `defaultBackend` or `rules` must be specified");
  if (defaultBackend !== undefined) validateBackend(defaultBackend, [...at, "defaultBackend"], problems);
  for (const [i, { host = "", http }] of rules.entries()) {
    const path = [...at, "rules", i];
    if (host !== "") validateHost(host, [...path, "host"], problems, true);
    if (http === undefined) continue;
    const paths = http.paths ?? [];
    if (paths.length === 0) problems.required([...path, "http", "paths"]);
    for (const [j, each] of paths.entries()) validatePath(each, [...path, "http", "paths", j], problems);
  }
  for (const [i, { hosts = [], secretName = "" }] of tls.entries()) {
    for (const [j, host] of hosts.entries())
      validateHost(host, [...at, "tls", i, "hosts", j], problems, false);
    if (secretName !== "")
      names.checkName(problems, [...at, "tls", i, "secretName"], secretName, names.dns1123Subdomain);
  }
  if (ingressClassName !== undefined)
    names.checkName(problems, [...at, "ingressClassName"], ingressClassName, names.dns1123Subdomain);
  const old = metadata.annotations?.[CLASS_ANNOTATION];
  if (old === undefined || ingressClassName === undefined || old === ingressClassName) return;
  const why = `Invalid value: ${JSON.stringify(old)}: must match \`ingressClassName\` when both are specified`;
  problems.add(["metadata", "annotations", CLASS_ANNOTATION], `annotations.${CLASS_ANNOTATION}: ${why}`);
}

export function validateIngressClass({ spec }: IngressClass, problems: FieldProblems): void {
  const controller = spec?.controller ?? "";
  const path: FieldPath = ["spec", "controller"];
  if (controller.length > CONTROLLER_MAX)
    problems.add(path, `spec.controller: Too long: may not be more than ${CONTROLLER_MAX} bytes`);
  validatePrefixedPath(controller, path, problems);
  const parameters = spec?.parameters;
  if (parameters === undefined) return;
  const at: FieldPath = ["spec", "parameters"];
  validateReference(parameters, at, problems);
  const { scope = "", namespace } = parameters;
  if (scope === "") problems.required([...at, "scope"]);
  else if (!["Cluster", "Namespace"].includes(scope))
    problems.unsupported([...at, "scope"], scope, ["Cluster", "Namespace"]);
  if (scope === "Namespace") {
    if ((namespace ?? "") === "")
      problems.required([...at, "namespace"], "`parameters.scope` is set to 'Namespace'");
    else names.checkName(problems, [...at, "namespace"], namespace, names.dns1123Label);
  } else if (scope === "Cluster" && namespace !== undefined) {
    problems.forbidden([...at, "namespace"], "`parameters.scope` is set to 'Cluster'");
  }
}

/** acme.io/foo */
function validatePrefixedPath(text: string, path: FieldPath, problems: FieldProblems): void {
  if (text === "") {
    problems.required(path, "");
    return;
  }
  const slash = text.indexOf("/");
  if (slash <= 0 || slash === text.length - 1) {
    problems.invalid(path, text, 'must be a domain-prefixed path (such as "acme.io/foo")');
    return;
  }
  for (const message of names.dns1123Subdomain(text.slice(0, slash))) problems.invalid(path, text, message);
  if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(text.slice(slash + 1)))
    problems.invalid(
      path,
      text,
      "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
    );
}

function validateHost(host: string, path: FieldPath, problems: FieldProblems, isRule: boolean): void {
  if (isRule && readIp(host) !== null) problems.invalid(path, host, "must be a DNS name, not an IP address");
  const wrong = host.includes("*") ? names.wildcardSubdomain(host) : names.dns1123Subdomain(host);
  for (const message of wrong) problems.invalid(path, host, message);
}

function validatePath({ path = "", pathType, backend }: IngressPath, at: FieldPath, p: FieldProblems): void {
  if (pathType === undefined) {
    p.required([...at, "pathType"], "pathType must be specified");
    return;
  }
  const where = [...at, "path"];
  if (!PATH_TYPES.includes(pathType)) p.unsupported([...at, "pathType"], pathType, PATH_TYPES);
  else if (pathType === "ImplementationSpecific") {
    if (path !== "" && !path.startsWith("/")) p.invalid(where, path, "must be an absolute path");
  } else {
    if (!path.startsWith("/")) p.invalid(where, path, "must be an absolute path");
    for (const part of BAD_SEQUENCES)
      if (path.includes(part)) p.invalid(where, path, `must not contain '${part}'`);
    for (const part of BAD_ENDINGS)
      if (path.endsWith(part)) p.invalid(where, path, `cannot end with '${part}'`);
  }
  validateBackend(backend ?? {}, [...at, "backend"], p);
}

function validateBackend({ resource, service }: IngressBackend, at: FieldPath, p: FieldProblems): void {
  if (resource !== undefined && service !== undefined) {
    p.invalid(at, "", "cannot set both resource and service backends");
  } else if (resource !== undefined) {
    validateReference(resource, [...at, "resource"], p);
  } else if (service === undefined) {
    p.invalid(at, "", "resource or service backend is required");
  } else {
    const { name = "", port } = service;
    if (name === "") p.required([...at, "service", "name"]);
    else names.checkName(p, [...at, "service", "name"], name, names.dns1035Label);
    const { name: portName = "", number = 0 } = port ?? {};
    if (portName !== "" && number !== 0) p.invalid(at, "", "cannot set both port name & port number");
    else if (portName !== "")
      names.checkName(p, [...at, "service", "port", "name"], portName, names.portName);
    else if (number !== 0) names.checkPort(p, [...at, "service", "port", "number"], number);
    else p.required(at, "port name or number is required");
  }
}

interface Reference {
  apiGroup?: string;
  kind?: string;
  name?: string;
}

function validateReference(
  { apiGroup, kind = "", name = "" }: Reference,
  at: FieldPath,
  p: FieldProblems,
): void {
  if (apiGroup !== undefined && apiGroup !== "")
    names.checkName(p, [...at, "apiGroup"], apiGroup, names.dns1123Subdomain);
  for (const [field, value] of Object.entries({ kind, name })) {
    if (value === "") p.required([...at, field]);
    else for (const message of names.pathSegment(value)) p.invalid([...at, field], value, message);
  }
}
