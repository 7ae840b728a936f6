// NetworkPolicy, as ValidateNetworkPolicy (pkg/apis/networking/validation) refuses it.
import { cidr, contains, parseCidr } from "../../base/ip.ts";
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type { NetworkPolicy } from "../objects.ts";
import { validateSelector } from "./metadata.ts";
import * as names from "./names.ts";

type Spec = NetworkPolicy["spec"];
type Peer = NonNullable<NonNullable<Spec["ingress"]>[number]["from"]>[number];
type Port = NonNullable<NonNullable<Spec["ingress"]>[number]["ports"]>[number];

const PROTOCOLS = ["SCTP", "TCP", "UDP"];

export function validateNetworkPolicy(policy: NetworkPolicy, problems: FieldProblems): void {
  const spec = policy.spec;
  validateSelector(spec.podSelector, ["spec", "podSelector"], problems);
  for (const [i, rule] of (spec.ingress ?? []).entries()) {
    validateRule(rule.from, "from", rule.ports, ["spec", "ingress", i], problems);
  }
  for (const [i, rule] of (spec.egress ?? []).entries()) {
    validateRule(rule.to, "to", rule.ports, ["spec", "egress", i], problems);
  }
  const types = spec.policyTypes ?? [];
  if (types.length > 2)
    problems.invalid(["spec", "policyTypes"], types, "may not specify more than two policyTypes");
  for (const [i, type] of types.entries()) {
    problems.oneOf(["spec", "policyTypes", i], type, ["Egress", "Ingress"]);
  }
}

function validateRule(
  peers: Peer[] | undefined,
  field: "from" | "to",
  ports: Port[] | undefined,
  at: FieldPath,
  problems: FieldProblems,
): void {
  for (const [i, port] of (ports ?? []).entries()) validatePort(port, [...at, "ports", i], problems);
  for (const [i, peer] of (peers ?? []).entries()) validatePeer(peer, [...at, field, i], problems);
}

function validatePort(port: Port, at: FieldPath, problems: FieldProblems): void {
  problems.oneOf([...at, "protocol"], port.protocol, PROTOCOLS);
  if (port.port !== undefined) names.checkIntOrName(problems, [...at, "port"], port.port);
  if (port.endPort === undefined) return;
  const path = [...at, "endPort"];
  if (port.port === undefined)
    problems.invalid(path, port.endPort, "may not be specified when `port` is not specified");
  else if (typeof port.port === "string") {
    problems.invalid(path, port.endPort, "may not be specified when `port` is non-numeric");
  } else if (port.endPort < port.port) {
    problems.invalid(path, port.endPort, "must be greater than or equal to `port`");
  } else if (!names.isPort(port.endPort)) problems.invalid(path, port.endPort, names.PORT_TEXT);
}

function validatePeer(peer: Peer, at: FieldPath, problems: FieldProblems): void {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  if (podSelector !== undefined) validateSelector(podSelector, [...at, "podSelector"], problems);
  if (namespaceSelector !== undefined)
    validateSelector(namespaceSelector, [...at, "namespaceSelector"], problems);
  if (ipBlock === undefined) {
    if (podSelector === undefined && namespaceSelector === undefined)
      problems.required(at, "must specify a peer");
    return;
  }
  if (podSelector !== undefined || namespaceSelector !== undefined) {
    problems.forbidden(at, "may not specify both ipBlock and another peer");
  }
  validateIpBlock(ipBlock, [...at, "ipBlock"], problems);
}

function validateIpBlock(block: NonNullable<Peer["ipBlock"]>, at: FieldPath, problems: FieldProblems): void {
  if (block.cidr === undefined || block.cidr === "") {
    problems.required([...at, "cidr"]);
    return;
  }
  if (!names.checkCidr(problems, [...at, "cidr"], block.cidr)) return;
  const outer = cidr(block.cidr);
  for (const [i, text] of (block.except ?? []).entries()) {
    const path = [...at, "except", i];
    if (!names.checkCidr(problems, path, text)) continue;
    const inner = parseCidr(text);
    if (inner === null || !contains(outer, inner) || inner.prefixLen <= outer.prefixLen) {
      problems.invalid(path, text, "must be a strict subset of `cidr`");
    }
  }
}
