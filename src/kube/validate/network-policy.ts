// NetworkPolicy, as ValidateNetworkPolicy (pkg/apis/networking/validation) refuses it.
import { cidr, contains, parseCidr } from "../../base/ip.ts";
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type { NetworkPolicy } from "../objects.ts";
import { validateSelector } from "./metadata.ts";
import * as names from "./names.ts";

type Spec = NetworkPolicy["spec"];
type Peer = NonNullable<NonNullable<Spec["ingress"]>[number]["from"]>[number];
type Port = NonNullable<NonNullable<Spec["ingress"]>[number]["ports"]>[number];

const PROTOCOLS = ["TCP", "UDP", "SCTP"];
const TYPES = ["Ingress", "Egress"];

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
  if (types.length > TYPES.length) {
    problems.invalid(["spec", "policyTypes"], types, "may not specify more than two policyTypes");
    return;
  }
  for (const [i, type] of types.entries())
    if (!TYPES.includes(type)) problems.unsupportedOf(["spec", "policyTypes", i], type, TYPES);
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

function validatePort({ port, endPort, protocol }: Port, at: FieldPath, problems: FieldProblems): void {
  if (protocol !== undefined && !PROTOCOLS.includes(protocol))
    problems.unsupportedOf([...at, "protocol"], protocol, PROTOCOLS);
  const [first, last] = [
    [...at, "port"],
    [...at, "endPort"],
  ];
  if (typeof port === "number") {
    if (!names.isPort(port)) problems.invalid(first, port, names.PORT_TEXT);
    if (endPort === undefined) return;
    // The API server tells the first port here, not the last.
    if (endPort < port) problems.invalid(last, port, "must be greater than or equal to `port`");
    if (!names.isPort(endPort)) problems.invalid(last, endPort, names.PORT_TEXT);
    return;
  }
  const why = port === undefined ? "not specified" : "non-numeric";
  if (endPort !== undefined) problems.invalid(last, endPort, `may not be specified when \`port\` is ${why}`);
  if (port !== undefined) names.checkIntOrName(problems, first, port);
}

function validatePeer(peer: Peer, at: FieldPath, problems: FieldProblems): void {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  if (podSelector !== undefined) validateSelector(podSelector, [...at, "podSelector"], problems);
  if (namespaceSelector !== undefined)
    validateSelector(namespaceSelector, [...at, "namespaceSelector"], problems);
  if (ipBlock !== undefined) validateIpBlock(ipBlock, [...at, "ipBlock"], problems);
  const hasSelector = podSelector !== undefined || namespaceSelector !== undefined;
  if (ipBlock === undefined && !hasSelector) problems.required(at, "must specify a peer");
  else if (ipBlock !== undefined && hasSelector)
    problems.forbidden(at, "may not specify both ipBlock and another peer");
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
