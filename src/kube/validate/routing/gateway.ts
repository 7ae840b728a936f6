// Objects of the Gateway API: what their definitions fill in, and what they refuse (schemas and rules of the CRDs, v1.4).
// `metadata` is judged as everybody's.
import type {
  BackendRef,
  BackendTlsPolicy,
  Gateway,
  GatewayClass,
  GrpcRoute,
  HttpRoute,
  Listener,
  ReferenceGrant,
  Route,
  StreamRoute,
  TlsRoute,
} from "../../gateway/gateway-objects.ts";
import type { FieldPath, FieldProblems } from "../../manifest/field-problems.ts";
import type { KubeObject } from "../../objects.ts";
import * as names from "../names.ts";
import { validateFilters, validateMatches, validateRuleTimes } from "./route-rules.ts";

const GROUP = "gateway.networking.k8s.io";
const LISTENERS_MAX = 64;
const ADDRESSES_MAX = 16;
const METADATA_MAX = 8;
const SAN_MAX = 5;
const WEIGHT_MAX = 1_000_000;
const DOMAIN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const PREFIXED = new RegExp(`^${DOMAIN}/[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+$`);
const PROTOCOL = new RegExp(`^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|^${DOMAIN}/[A-Za-z0-9]+$`);

const CHECKS: Readonly<Record<string, (object: never, problems: FieldProblems) => void>> = {
  GatewayClass: checkClass,
  Gateway: checkGateway,
  HTTPRoute: checkHttpRoute,
  GRPCRoute: checkGrpcRoute,
  TLSRoute: checkStreamRoute,
  TCPRoute: checkStreamRoute,
  UDPRoute: checkStreamRoute,
  ReferenceGrant: checkGrant,
  BackendTLSPolicy: checkPolicy,
};

/** Fills in what the definitions say, then reports what they refuse. The types of the fields are right. */
export function checkGatewayObject(object: KubeObject, problems: FieldProblems): void {
  const { spec } = object as { spec?: unknown };
  if (spec === undefined) {
    problems.required(["spec"]);
    return;
  }
  CHECKS[object.kind]?.(object as never, problems);
}

function checkClass({ spec }: GatewayClass, p: FieldProblems): void {
  const { controllerName = "" } = spec;
  const at = ["spec", "controllerName"];
  if (controllerName === "") p.required(at);
  else if (!PREFIXED.test(controllerName))
    p.invalid(at, controllerName, 'must be a domain-prefixed path (such as "acme.io/foo")');
}

function checkGateway({ spec }: Gateway, p: FieldProblems): void {
  if ((spec.gatewayClassName ?? "") === "") p.required(["spec", "gatewayClassName"]);
  spec.listeners ??= [];
  const { listeners } = spec;
  const at = ["spec", "listeners"];
  if (listeners.length === 0) p.required(at);
  if (listeners.length > LISTENERS_MAX) p.tooMany(at, listeners.length, LISTENERS_MAX);
  for (const [i, each] of listeners.entries()) checkListener(each, [...at, i], p);
  const keys = [
    (each: Listener) => each.name,
    ({ port, protocol, hostname = "" }: Listener) => `${port} ${protocol} ${hostname}`,
  ];
  const texts = [
    "Listener name must be unique within the Gateway",
    "Combination of port, protocol and hostname must be unique for each listener",
  ];
  for (const [i, keyOf] of keys.entries())
    if (new Set(listeners.map(keyOf)).size < listeners.length) p.invalid(at, "array", texts[i]);
  const { addresses = [] } = spec;
  for (const each of addresses) each.type ??= "IPAddress";
  if (addresses.length > ADDRESSES_MAX) p.tooMany(["spec", "addresses"], addresses.length, ADDRESSES_MAX);
  checkInfrastructure(spec, p);
}

/** What becomes labels and annotations of other objects. */
function checkInfrastructure({ infrastructure }: Gateway["spec"], p: FieldProblems): void {
  for (const field of ["labels", "annotations"] as const) {
    const all = Object.entries(infrastructure?.[field] ?? {});
    const at = ["spec", "infrastructure", field];
    if (all.length > METADATA_MAX) p.tooMany(at, all.length, METADATA_MAX);
    for (const [name, value] of all) {
      for (const message of names.qualifiedName(name)) p.invalid(at, name, message);
      if (field === "labels")
        for (const message of names.labelValue(value)) p.invalid([...at, name], value, message);
    }
  }
}

function checkListener(listener: Listener, at: FieldPath, p: FieldProblems): void {
  listener.allowedRoutes ??= { namespaces: { from: "Same" } };
  listener.allowedRoutes.namespaces ??= { from: "Same" };
  listener.allowedRoutes.namespaces.from ??= "Same";
  for (const each of listener.allowedRoutes.kinds ?? []) each.group ??= GROUP;
  const { name, hostname, port, protocol = "", tls, allowedRoutes } = listener;
  names.checkName(p, [...at, "name"], name, names.dns1123Subdomain);
  names.checkPort(p, [...at, "port"], port);
  if (protocol === "") p.required([...at, "protocol"]);
  else if (!PROTOCOL.test(protocol)) p.invalid([...at, "protocol"], protocol, "should be a protocol's name");
  if (hostname !== undefined && hostname !== "") checkHostname(hostname, [...at, "hostname"], p);
  if (["TCP", "UDP"].includes(protocol) && (hostname ?? "") !== "")
    p.invalid(at, "object", "hostname must not be specified for protocols ['TCP', 'UDP']");
  const { from } = allowedRoutes.namespaces;
  if (!["All", "Selector", "Same", "None"].includes(from))
    p.unsupported([...at, "allowedRoutes", "namespaces", "from"], from, ["All", "Selector", "Same", "None"]);
  if (tls === undefined) return;
  tls.mode ??= "Terminate";
  for (const each of tls.certificateRefs ?? []) {
    each.group ??= "";
    each.kind ??= "Secret";
  }
  const where = [...at, "tls"];
  if (["HTTP", "TCP", "UDP"].includes(protocol))
    p.invalid(at, "object", "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']");
  if (!["Terminate", "Passthrough"].includes(tls.mode))
    p.unsupported([...where, "mode"], tls.mode, ["Terminate", "Passthrough"]);
  if (protocol === "HTTPS" && tls.mode === "Passthrough")
    p.invalid(where, "object", "tls mode must be Terminate for protocol HTTPS");
  if (tls.mode === "Terminate" && (tls.certificateRefs ?? []).length === 0 && !("options" in tls))
    p.invalid(where, "object", "certificateRefs or options must be specified when mode is Terminate");
  for (const [i, each] of (tls.certificateRefs ?? []).entries())
    if ((each.name ?? "") === "") p.required([...where, "certificateRefs", i, "name"]);
}

function checkHostname(hostname: string, at: FieldPath, p: FieldProblems): void {
  const wrong = hostname.startsWith("*.")
    ? names.wildcardSubdomain(hostname)
    : names.dns1123Subdomain(hostname);
  for (const message of wrong) p.invalid(at, hostname, message);
  if (/^\d+(?:\.\d+){3}$/.test(hostname)) p.invalid(at, hostname, "must be a DNS name, not an IP address");
}

function checkRoute({ spec }: Route, p: FieldProblems): void {
  for (const [i, parent] of (spec.parentRefs ?? []).entries()) {
    parent.group ??= GROUP;
    parent.kind ??= "Gateway";
    const at = ["spec", "parentRefs", i];
    if ((parent.name ?? "") === "") p.required([...at, "name"]);
    if (parent.port !== undefined) names.checkPort(p, [...at, "port"], parent.port);
  }
  for (const [i, hostname] of (spec.hostnames ?? []).entries())
    checkHostname(hostname, ["spec", "hostnames", i], p);
  if ((spec.hostnames ?? []).length > 16) p.tooMany(["spec", "hostnames"], spec.hostnames!.length, 16);
  if ((spec.rules ?? []).length > 16) p.tooMany(["spec", "rules"], spec.rules.length, 16);
  for (const [i, { backendRefs = [] }] of (spec.rules ?? []).entries())
    for (const [j, ref] of backendRefs.entries())
      checkBackend(ref, ["spec", "rules", i, "backendRefs", j], p);
}

function checkBackend(ref: BackendRef, at: FieldPath, p: FieldProblems): void {
  ref.group ??= "";
  ref.kind ??= "Service";
  ref.weight ??= 1;
  if ((ref.name ?? "") === "") p.required([...at, "name"]);
  if (ref.port !== undefined) names.checkPort(p, [...at, "port"], ref.port);
  else if (ref.group === "" && ref.kind === "Service")
    p.invalid(at, "object", "Must have port for Service reference");
  if (ref.weight < 0 || ref.weight > WEIGHT_MAX)
    p.invalid([...at, "weight"], ref.weight, `should be between 0 and ${WEIGHT_MAX}`);
  validateFilters(ref.filters ?? [], [...at, "filters"], checkBackend, p);
}

function checkHttpRoute(route: HttpRoute, p: FieldProblems): void {
  const { spec } = route;
  if ((spec.rules ?? []).length === 0) spec.rules = [{} as HttpRoute["spec"]["rules"][number]];
  for (const rule of spec.rules) {
    if ((rule.matches ?? []).length === 0) rule.matches = [{} as (typeof rule.matches)[number]];
    for (const match of rule.matches) {
      match.path ??= { type: "PathPrefix", value: "/" };
      match.path.type ??= "PathPrefix";
      match.path.value ??= "/";
      for (const each of [...(match.headers ?? []), ...(match.queryParams ?? [])]) each.type ??= "Exact";
    }
    if (rule.sessionPersistence !== undefined) rule.sessionPersistence.type ??= "Cookie";
  }
  checkRoute(route, p);
  for (const [i, rule] of spec.rules.entries()) {
    const at = ["spec", "rules", i];
    validateMatches(rule.matches, [...at, "matches"], p);
    validateFilters(rule.filters ?? [], [...at, "filters"], checkBackend, p);
    validateRuleTimes(rule, at, p);
    const hasRedirect = rule.filters?.some(({ type }) => type === "RequestRedirect") === true;
    if (hasRedirect && (rule.backendRefs ?? []).length > 0)
      p.invalid(at, "object", "RequestRedirect filter must not be used together with backendRefs");
    const replaces = (rule.filters ?? []).some(
      ({ requestRedirect, urlRewrite }) =>
        (requestRedirect ?? urlRewrite)?.path?.type === "ReplacePrefixMatch",
    );
    if (replaces && (rule.matches.length !== 1 || rule.matches[0].path.type !== "PathPrefix"))
      p.invalid(
        at,
        "object",
        "When using path.replacePrefixMatch, exactly one PathPrefix match must be specified",
      );
  }
}

function checkGrpcRoute(route: GrpcRoute, p: FieldProblems): void {
  route.spec.rules ??= [];
  for (const rule of route.spec.rules) {
    for (const match of rule.matches ?? []) {
      if (match.method !== undefined) match.method.type ??= "Exact";
      for (const each of match.headers ?? []) each.type ??= "Exact";
    }
    if (rule.sessionPersistence !== undefined) rule.sessionPersistence.type ??= "Cookie";
  }
  checkRoute(route, p);
  for (const [i, { matches = [], filters = [] }] of route.spec.rules.entries()) {
    for (const [j, { method }] of matches.entries()) {
      if (method === undefined) continue;
      const at = ["spec", "rules", i, "matches", j, "method"];
      if ((method.service ?? "") === "" && (method.method ?? "") === "")
        p.invalid(at, "object", "One or both of 'service' or 'method' must be specified");
      if (!["Exact", "RegularExpression"].includes(method.type))
        p.unsupported([...at, "type"], method.type, ["Exact", "RegularExpression"]);
    }
    validateFilters(filters, ["spec", "rules", i, "filters"], checkBackend, p);
  }
}

function checkStreamRoute(route: TlsRoute | StreamRoute, p: FieldProblems): void {
  route.spec.rules ??= [];
  if (route.spec.rules.length === 0) p.required(["spec", "rules"]);
  for (const [i, { backendRefs = [] }] of route.spec.rules.entries())
    if (backendRefs.length === 0) p.required(["spec", "rules", i, "backendRefs"]);
  checkRoute(route, p);
}

function checkGrant({ spec }: ReferenceGrant, p: FieldProblems): void {
  for (const side of ["from", "to"] as const) {
    const list = spec[side] ?? [];
    spec[side] = list as never;
    if (list.length === 0) p.required(["spec", side]);
    for (const [i, each] of list.entries()) {
      each.group ??= "";
      if ((each.kind ?? "") === "") p.required(["spec", side, i, "kind"]);
      if (side === "from" && ((each as { namespace?: string }).namespace ?? "") === "")
        p.required(["spec", side, i, "namespace"]);
    }
  }
}

function checkPolicy({ spec }: BackendTlsPolicy, p: FieldProblems): void {
  spec.targetRefs ??= [];
  if (spec.targetRefs.length === 0) p.required(["spec", "targetRefs"]);
  const at = ["spec", "validation"];
  if (spec.validation === undefined) {
    p.required(at);
    return;
  }
  const {
    hostname,
    caCertificateRefs = [],
    wellKnownCACertificates = "",
    subjectAltNames = [],
  } = spec.validation;
  names.checkName(p, [...at, "hostname"], hostname, names.dns1123Subdomain);
  for (const each of caCertificateRefs) each.group ??= "";
  if (caCertificateRefs.length > 0 === (wellKnownCACertificates !== ""))
    p.invalid(at, "object", "must specify either caCertificateRefs or wellKnownCACertificates, and not both");
  if (subjectAltNames.length > SAN_MAX)
    p.tooMany([...at, "subjectAltNames"], subjectAltNames.length, SAN_MAX);
  for (const [i, each] of subjectAltNames.entries()) checkAltName(each, [...at, "subjectAltNames", i], p);
}

function checkAltName(
  { type, hostname = "", uri = "" }: { type: string; hostname?: string; uri?: string },
  at: FieldPath,
  p: FieldProblems,
): void {
  if (!["Hostname", "URI"].includes(type)) p.unsupported([...at, "type"], type, ["Hostname", "URI"]);
  const isHost = type === "Hostname";
  if (isHost === (hostname === "") || !isHost === (uri === ""))
    p.invalid(at, "object", "SubjectAltName element must contain Hostname or URI, as its type says");
  if (hostname !== "") checkHostname(hostname, [...at, "hostname"], p);
}
