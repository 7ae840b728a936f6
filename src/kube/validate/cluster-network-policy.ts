// ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2), as its resource definition (v0.2.0, experimental channel)
// refuses it; and what the definition lets through although nobody could tell what it means.
import { isV4Mapped, parseCidr } from "../../base/ip.ts";
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type {
  ClusterNetworkPolicy,
  ClusterPolicyEgressPeer,
  ClusterPolicyEgressRule,
  ClusterPolicyProtocol,
} from "../objects.ts";
import { checkSchema, type Schema } from "./crd-schema.ts";
import { validateSelector } from "./metadata.ts";

const ITEMS_MAX = 25; // of every list there is
const NAME_MAX = 100;
const CIDR_MAX = 43; // characters of the longest there is

const TEXT: Schema = { type: "string" };
const LABEL = "[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?"; // A-z: what it lets through is the definition's business
const DOMAIN = `^(\\*\\.)?(${LABEL}\\.)+${LABEL}\\.?$`;
const SELECTOR: Schema = {
  type: "object",
  properties: {
    matchLabels: { type: "object", values: TEXT },
    matchExpressions: {
      type: "array",
      items: {
        type: "object",
        required: ["key", "operator"],
        properties: { key: TEXT, operator: TEXT, values: { type: "array", items: TEXT } },
      },
    },
  },
};
const POD_CHOICE = {
  namespaces: SELECTOR,
  pods: {
    type: "object",
    properties: { namespaceSelector: SELECTOR, podSelector: SELECTOR },
    required: ["podSelector"],
  },
} satisfies Record<string, Schema>;
const PORT: Schema = { type: "integer", minimum: 1, maximum: 65535 };
const RANGE: Schema = {
  type: "object",
  properties: { start: PORT, end: PORT },
  required: ["end", "start"],
  rule: {
    holds: ({ start, end }: { start: number; end: number }) => start < end,
    message: "Start port must be less than End port",
  },
};
const PORTS: Schema = {
  type: "object",
  minProperties: 1,
  properties: { destinationPort: oneOf({ number: PORT, range: RANGE }) },
};
const PROTOCOLS = list(oneOf({ tcp: PORTS, udp: PORTS, sctp: PORTS, destinationNamedPort: TEXT }));
const CIDR: Schema = {
  type: "string",
  maxLength: CIDR_MAX,
  rule: { holds: isCidr, message: "Invalid CIDR format provided" },
};
const EGRESS_PEER = oneOf({
  ...POD_CHOICE,
  nodes: SELECTOR,
  networks: { ...list(CIDR), isSet: true },
  domainNames: { ...list({ type: "string", pattern: DOMAIN }), isSet: true },
});
const SPEC: Schema = {
  type: "object",
  required: ["priority", "subject", "tier"],
  properties: {
    tier: { type: "string", enum: ["Admin", "Baseline"] },
    priority: { type: "integer", minimum: 0, maximum: 1000 },
    subject: oneOf(POD_CHOICE),
    ingress: { type: "array", maxItems: ITEMS_MAX, items: ruleWith("from", oneOf(POD_CHOICE)) },
    egress: {
      type: "array",
      maxItems: ITEMS_MAX,
      items: {
        ...ruleWith("to", EGRESS_PEER),
        rule: {
          holds: namesPortsOfPodsOnly,
          message:
            "networks/nodes/domainNames peer cannot be set with namedPorts since there are no namedPorts for " +
            "networks/nodes/domainNames",
        },
      },
    },
  },
};

function list(items: Schema): Schema {
  return { type: "array", minItems: 1, maxItems: ITEMS_MAX, items };
}

function oneOf(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: "object", minProperties: 1, maxProperties: 1, properties };
}

function ruleWith(field: "from" | "to", peer: Schema): Schema {
  return {
    type: "object",
    required: ["action", field],
    properties: {
      name: { type: "string", maxLength: NAME_MAX },
      action: { type: "string", enum: ["Accept", "Deny", "Pass"] },
      [field]: list(peer),
      protocols: PROTOCOLS,
    },
  };
}

/** CEL's isCIDR: bits beyond the prefix may be set, but nothing is written as nobody writes it. */
function isCidr(text: string): boolean {
  const range = parseCidr(text);
  return range !== null && !(range.family === 6 && isV4Mapped(range)) && !/\/0\d/.test(text);
}

function namesPortsOfPodsOnly({ to, protocols = [] }: ClusterPolicyEgressRule): boolean {
  const isOutside = to.some(
    ({ networks, nodes, domainNames }) => (networks ?? nodes ?? domainNames) !== undefined,
  );
  return !isOutside || !protocols.some(({ destinationNamedPort }) => destinationNamedPort !== undefined);
}

export function validateClusterNetworkPolicy(policy: ClusterNetworkPolicy, problems: FieldProblems): void {
  if (policy.spec === undefined) problems.required(["spec"]);
  else checkSchema(policy.spec, SPEC, ["spec"], problems);
  if (problems.any) return;
  const { subject, ingress = [], egress = [] } = policy.spec;
  checkPeer(subject, ["spec", "subject"], problems);
  for (const [direction, rules] of [
    ["ingress", ingress.map(({ from, protocols }) => ({ field: "from", peers: from, protocols }))],
    ["egress", egress.map(({ to, protocols }) => ({ field: "to", peers: to, protocols }))],
  ] as const) {
    for (const [i, { field, peers, protocols = [] }] of rules.entries()) {
      const at = ["spec", direction, i];
      for (const [n, peer] of peers.entries()) checkPeer(peer, [...at, field, n], problems);
      for (const [n, each] of protocols.entries()) checkNamedPort(each, [...at, "protocols", n], problems);
    }
  }
}

/** The definition takes any selector; one that nobody can evaluate would open what a Deny rule is there to close. */
function checkPeer(peer: ClusterPolicyEgressPeer, at: FieldPath, problems: FieldProblems): void {
  for (const field of ["namespaces", "nodes"] as const) {
    if (peer[field] !== undefined) validateSelector(peer[field], [...at, field], problems);
  }
  for (const field of ["namespaceSelector", "podSelector"] as const) {
    const selector = peer.pods?.[field];
    if (selector !== undefined) validateSelector(selector, [...at, "pods", field], problems);
  }
  if (peer.domainNames === undefined) return;
  problems.forbidden(
    [...at, "domainNames"],
    "podwire has no view of DNS yet, so it does not know the addresses of names: give them as networks",
  );
}

function checkNamedPort(protocol: ClusterPolicyProtocol, at: FieldPath, problems: FieldProblems): void {
  if (protocol.destinationNamedPort === "") problems.required([...at, "destinationNamedPort"]);
}
