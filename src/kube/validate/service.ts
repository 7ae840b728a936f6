// Service, as ValidateService (pkg/apis/core/validation) refuses it. Works on the defaulted object; what depends on
// other objects (is this address free?) is the allocator's to say.
import { parseIp } from "../../base/ip.ts";
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type { Service, ServicePort } from "../objects.ts";
import { validateLabels } from "./metadata.ts";
import * as names from "./names.ts";

const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS = ["SCTP", "TCP", "UDP"];
const AFFINITY_MAX_SEC = 86400;
const spec = (...rest: FieldPath): FieldPath => ["spec", ...rest];

export function validateService(service: Service, problems: FieldProblems): void {
  const s = service.spec;
  problems.oneOf(spec("type"), s.type, TYPES);
  validateLabels(s.selector, spec("selector"), problems);
  validatePorts(service, problems);
  validateAffinity(service, problems);
  validateClusterIps(service, problems);
  validateFamilies(service, problems);
  validatePolicies(service, problems);
  for (const [i, text] of (s.externalIPs ?? []).entries()) {
    if (names.checkIp(problems, spec("externalIPs", i), text)) {
      names.checkOrdinaryIp(problems, spec("externalIPs", i), text);
    }
  }
  if (s.type === "ExternalName") {
    const host = s.externalName?.replace(/\.$/, "");
    names.checkName(problems, spec("externalName"), host, names.dns1123Subdomain);
  }
  validateLoadBalancer(service, problems);
}

function validatePorts(service: Service, problems: FieldProblems): void {
  const { type, ports = [], clusterIP } = service.spec;
  const headless = clusterIP === "None";
  if (ports.length === 0 && type !== "ExternalName" && !headless) problems.required(spec("ports"));
  const portNames = new Set<string>();
  const pairs = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [i, port] of ports.entries()) {
    const at = spec("ports", i);
    validatePort(port, at, ports.length > 1, problems);
    if (port.name !== undefined && port.name !== "") {
      if (portNames.has(port.name)) problems.duplicate([...at, "name"], port.name);
      portNames.add(port.name);
    }
    const pair = `${port.protocol}/${port.port}`;
    if (pairs.has(pair)) problems.duplicate(at, { protocol: port.protocol, port: port.port });
    pairs.add(pair);
    if (port.nodePort === undefined || port.nodePort === 0) continue;
    if (type !== "NodePort" && type !== "LoadBalancer") {
      problems.forbidden([...at, "nodePort"], `may not be used when \`type\` is '${type}'`);
    }
    const nodePort = `${port.protocol}/${port.nodePort}`;
    if (nodePorts.has(nodePort)) problems.duplicate([...at, "nodePort"], port.nodePort);
    nodePorts.add(nodePort);
  }
}

function validatePort(port: ServicePort, at: FieldPath, needsName: boolean, problems: FieldProblems): void {
  if (port.name !== undefined && port.name !== "") {
    names.checkName(problems, [...at, "name"], port.name, names.dns1123Label);
  } else if (needsName) problems.required([...at, "name"]);
  if (!names.isPort(port.port)) problems.invalid([...at, "port"], port.port ?? 0, names.PORT_TEXT);
  problems.oneOf([...at, "protocol"], port.protocol, PROTOCOLS);
  // A targetPort that was copied from `port` has its problem already.
  if (port.targetPort !== port.port) names.checkIntOrName(problems, [...at, "targetPort"], port.targetPort);
  if (port.nodePort !== undefined && port.nodePort !== 0 && !names.isPort(port.nodePort)) {
    problems.invalid([...at, "nodePort"], port.nodePort, names.PORT_TEXT);
  }
  if (port.appProtocol !== undefined) {
    names.checkName(problems, [...at, "appProtocol"], port.appProtocol, names.qualifiedName);
  }
}

function validateAffinity(service: Service, problems: FieldProblems): void {
  const { sessionAffinity, sessionAffinityConfig } = service.spec;
  problems.oneOf(spec("sessionAffinity"), sessionAffinity, ["ClientIP", "None"]);
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (
    sessionAffinity === "ClientIP" &&
    seconds !== undefined &&
    (seconds <= 0 || seconds > AFFINITY_MAX_SEC)
  ) {
    const path = spec("sessionAffinityConfig", "clientIP", "timeoutSeconds");
    problems.invalid(path, seconds, `must be greater than 0 and less than ${AFFINITY_MAX_SEC}`);
  }
}

function validateClusterIps(service: Service, problems: FieldProblems): void {
  const { type, clusterIP, clusterIPs = [] } = service.spec;
  if (type === "ExternalName") {
    if (clusterIP !== undefined && clusterIP !== "") {
      problems.forbidden(spec("clusterIPs"), "may not be set for ExternalName services");
    }
    return;
  }
  if (clusterIPs.length > 2) problems.invalid(spec("clusterIPs"), clusterIPs, "may only hold up to 2 values");
  if (clusterIPs.length > 0 && clusterIPs[0] !== (clusterIP ?? "")) {
    problems.invalid(spec("clusterIPs"), clusterIPs, "first value must match `clusterIP`");
  }
  if (clusterIP === "None") {
    if (clusterIPs.length > 1) {
      problems.invalid(spec("clusterIPs"), clusterIPs, "'None' must be the first and only value");
    }
    if (type !== "ClusterIP") {
      problems.invalid(spec("clusterIPs", 0), "None", `may not be set to 'None' for ${type} services`);
    }
    return;
  }
  const given =
    clusterIPs.length > 0 ? clusterIPs : clusterIP === undefined || clusterIP === "" ? [] : [clusterIP];
  const valid = given.map((text, i) => names.checkIp(problems, spec("clusterIPs", i), text));
  if (given.length === 2 && valid.every(Boolean) && parseIp(given[0])?.family === parseIp(given[1])?.family) {
    problems.invalid(spec("clusterIPs"), given, "may specify no more than one IP for each IP family");
  }
}

function validateFamilies(service: Service, problems: FieldProblems): void {
  const { type, ipFamilies = [], ipFamilyPolicy, clusterIPs = [] } = service.spec;
  if (type === "ExternalName") return;
  for (const [i, family] of ipFamilies.entries()) {
    if (family !== "IPv4" && family !== "IPv6") {
      problems.unsupported(spec("ipFamilies", i), family, ["IPv4", "IPv6"]);
    } else if (ipFamilies.indexOf(family) < i) problems.duplicate(spec("ipFamilies", i), family);
    const address = parseIp(clusterIPs[i] ?? "");
    if (address !== null && `IPv${address.family}` !== family) {
      problems.invalid(spec("ipFamilies", i), family, `does not match IP family of clusterIPs[${i}]`);
    }
  }
  if (ipFamilyPolicy !== undefined) {
    problems.oneOf(spec("ipFamilyPolicy"), ipFamilyPolicy, [
      "PreferDualStack",
      "RequireDualStack",
      "SingleStack",
    ]);
  }
  if (
    (ipFamilyPolicy ?? "SingleStack") === "SingleStack" &&
    (ipFamilies.length > 1 || clusterIPs.length > 1)
  ) {
    const detail = "must be RequireDualStack or PreferDualStack when multiple IP families are specified";
    problems.invalid(spec("ipFamilyPolicy"), ipFamilyPolicy ?? "SingleStack", detail);
  }
}

function validatePolicies(service: Service, problems: FieldProblems): void {
  const {
    type,
    externalTrafficPolicy,
    internalTrafficPolicy,
    externalIPs = [],
    healthCheckNodePort,
  } = service.spec;
  const external =
    type === "NodePort" || type === "LoadBalancer" || (type === "ClusterIP" && externalIPs.length > 0);
  if (externalTrafficPolicy !== undefined && externalTrafficPolicy !== "") {
    if (!external) {
      const detail = "may only be set for externally-accessible services";
      problems.invalid(spec("externalTrafficPolicy"), externalTrafficPolicy, detail);
    } else problems.oneOf(spec("externalTrafficPolicy"), externalTrafficPolicy, ["Cluster", "Local"]);
  }
  if (internalTrafficPolicy !== undefined) {
    problems.oneOf(spec("internalTrafficPolicy"), internalTrafficPolicy, ["Cluster", "Local"]);
  }
  if (healthCheckNodePort === undefined || healthCheckNodePort === 0) return;
  if (type !== "LoadBalancer" || externalTrafficPolicy !== "Local") {
    const detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    problems.invalid(spec("healthCheckNodePort"), healthCheckNodePort, detail);
  } else if (!names.isPort(healthCheckNodePort)) {
    problems.invalid(spec("healthCheckNodePort"), healthCheckNodePort, names.PORT_TEXT);
  }
}

function validateLoadBalancer(service: Service, problems: FieldProblems): void {
  const s = service.spec;
  const isLb = s.type === "LoadBalancer";
  const only = "may only be used when `type` is 'LoadBalancer'";
  const ranges = s.loadBalancerSourceRanges ?? [];
  if (ranges.length > 0 && !isLb) problems.forbidden(spec("loadBalancerSourceRanges"), only);
  for (const [i, text] of ranges.entries()) {
    // Space around an entry has always been let through, so it still is.
    names.checkCidr(problems, spec("loadBalancerSourceRanges", i), text.trim());
  }
  if (s.allocateLoadBalancerNodePorts !== undefined && !isLb) {
    problems.forbidden(spec("allocateLoadBalancerNodePorts"), only);
  }
  if (s.loadBalancerClass !== undefined && !isLb) problems.forbidden(spec("loadBalancerClass"), only);
  if (s.trafficDistribution !== undefined) {
    const values = ["PreferClose", "PreferSameNode", "PreferSameZone"];
    problems.oneOf(spec("trafficDistribution"), s.trafficDistribution, values);
  }
  for (const [i, ingress] of (service.status.loadBalancer?.ingress ?? []).entries()) {
    const at: FieldPath = ["status", "loadBalancer", "ingress", i];
    if (!isLb) problems.forbidden(at, 'may only be used when `spec.type` is "LoadBalancer"');
    if (ingress.ip !== undefined && ingress.ip !== "") names.checkIp(problems, [...at, "ip"], ingress.ip);
    if (ingress.ipMode !== undefined) problems.oneOf([...at, "ipMode"], ingress.ipMode, ["Proxy", "VIP"]);
  }
}
