// What is suspicious about policies: that they select nobody, that peers or names of ports mean nobody, that a rule has
// nothing left to decide, that pods cannot resolve names. Suspicious, not wrong: what is meant may come later.

import { namedPorts } from "../../compile/policy/pod-classes.ts";
import {
  clusterPolicySpec,
  type Direction,
  networkPolicySpec,
  type PolicySpec,
  type PortSpec,
  type TermSpec,
} from "../../compile/policy/policy-rules.ts";
import { Terms } from "../../compile/policy/terms.ts";
import type { Labels } from "../../kube/labels.ts";
import { namespaceLabels } from "../../kube/labels.ts";
import type { ClusterNetworkPolicy, KubeObject, NetworkPolicy, Pod } from "../../kube/objects.ts";
import { isOnTrial } from "../../kube/on-trial.ts";
import type { End, Port } from "./ends.ts";
import { podEnds } from "./ends.ts";
import { type CheckedPolicy, type Finding, pathText } from "./finding.ts";
import { namesOf } from "./matrix.ts";
import type { Answer, Reach } from "./reach.ts";
import { shadowed } from "./shadowed.ts";

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];
const PEERS = { ingress: "from", egress: "to" } as const;
const TYPES = { ingress: "Ingress", egress: "Egress" } as const;

function policiesIn(objects: readonly KubeObject[]): CheckedPolicy[] {
  const onTrial = objects.filter(isOnTrial);
  const spaces = new Set(
    onTrial.filter(({ kind }) => kind === "Namespace").map(({ metadata }) => metadata.name),
  );
  return objects.flatMap((object): CheckedPolicy[] => {
    const isTried = onTrial.includes(object);
    if (object.kind === "ClusterNetworkPolicy")
      return [{ object, spec: clusterPolicySpec(object as ClusterNetworkPolicy), audit: isTried }];
    if (object.kind !== "NetworkPolicy") return [];
    const audit = isTried || spaces.has(object.metadata.namespace ?? "default");
    return [{ object, spec: networkPolicySpec(object as NetworkPolicy), audit }];
  });
}

export function findingsOf(objects: readonly KubeObject[], reach: Reach): Finding[] {
  const policies = policiesIn(objects);
  const members = new Members(objects);
  return [
    ...policies.flatMap((policy) => policyFindings(policy, members)),
    ...shadowed(policies),
    ...dnsFindings(reach, podEnds(objects), policies),
  ];
}

/** Whom terms mean, of the pods and nodes that there are. */
class Members {
  readonly #terms = new Terms();
  readonly #pods: readonly { pod: Pod; namespace: string; inNamespace: Labels; labels: Labels }[];
  readonly #nodes: readonly KubeObject[];
  readonly #known = new Map<string, readonly Pod[]>();

  constructor(objects: readonly KubeObject[]) {
    const spaces = new Map(
      objects.filter(({ kind }) => kind === "Namespace").map((o) => [o.metadata.name, o]),
    );
    this.#nodes = objects.filter(({ kind }) => kind === "Node");
    this.#pods = podEnds(objects).flatMap(({ pod }) => {
      if (pod === undefined) return [];
      const { namespace = "default", labels = {} } = pod.metadata;
      return [{ pod, namespace, inNamespace: namespaceLabels(spaces, namespace), labels }];
    });
  }

  pods(spec: TermSpec): readonly Pod[] {
    let found = this.#known.get(spec.key);
    if (found === undefined) {
      const term = this.#terms.acquire(spec);
      found = this.#pods
        .filter(({ namespace, inNamespace, labels }) => term.pods(namespace, inNamespace, labels))
        .map(({ pod }) => pod);
      this.#known.set(spec.key, found);
    }
    return found;
  }

  /** Addresses are there whether a pod has them or not. */
  isSomebody(spec: TermSpec): boolean {
    if (spec.of === "block") return true;
    if (spec.of !== "nodes") return this.pods(spec).length > 0;
    const term = this.#terms.acquire(spec);
    return this.#nodes.some(({ metadata }) => term.nodes(metadata.labels ?? {}));
  }

  get all(): readonly Pod[] {
    return this.#pods.map(({ pod }) => pod);
  }
}

function policyFindings({ object, spec }: CheckedPolicy, members: Members): Finding[] {
  const findings: Finding[] = [];
  const isNetwork = object.kind === "NetworkPolicy";
  const subjects = members.pods(spec.subject);
  if (subjects.length === 0) {
    const path = ["spec", isNetwork ? "podSelector" : "subject"];
    findings.push({ object, path, check: "selects-nobody", text: `${path.join(".")}: selects no pod` });
  }
  if (isNetwork) findings.push(...leftOut(object as NetworkPolicy, spec));
  for (const direction of DIRECTIONS) {
    for (const [i, { peers, ports = [] }] of (spec[direction] ?? []).entries()) {
      const at = ["spec", direction, i];
      for (const { index, term } of peers ?? []) {
        if (members.isSomebody(term)) continue;
        const path = [...at, PEERS[direction], index];
        const text = `${pathText(path)}: matches no ${term.of === "nodes" ? "node" : "pod"}`;
        findings.push({ object, path, check: "peer-matches-nobody", text });
      }
      const targets =
        direction === "ingress"
          ? subjects
          : peers === undefined
            ? members.all
            : peers.flatMap(({ term }) => members.pods(term));
      for (const port of ports) {
        if (port.name === "" || targets.length === 0 || targets.some((pod) => hasPort(pod, port))) continue;
        const path = [...at, isNetwork ? "ports" : "protocols", port.index];
        const how = direction === "ingress" ? "selects" : "leads to";
        const text = `${pathText(path)}: no pod that it ${how} has a port "${port.name}"`;
        findings.push({ object, path, check: "unknown-port-name", text });
      }
    }
  }
  return findings;
}

/** Rules, or an empty list that was to close a way, of a direction that the policy is not about. */
function leftOut(object: NetworkPolicy, spec: PolicySpec): Finding[] {
  return DIRECTIONS.flatMap((direction): Finding[] => {
    if (object.spec[direction] === undefined || spec[direction] !== undefined) return [];
    const path = ["spec", direction];
    const text = `${pathText(path)}: has no effect: ${TYPES[direction]} is not among the policyTypes`;
    return [{ object, path, check: "direction-left-out", text }];
  });
}

function hasPort(pod: Pod, { name, proto }: PortSpec): boolean {
  return namedPorts(pod).some((port) => port.name === name && (proto === undefined || port.proto === proto));
}

const DNS_NAMESPACE = "kube-system";
const DNS_LABEL = "k8s-app";
const DNS_APP = "kube-dns";
const DNS_PORT = 53;

function dnsFindings(reach: Reach, ends: readonly End[], policies: readonly CheckedPolicy[]): Finding[] {
  const isDns = ({ pod }: End): boolean =>
    pod?.metadata.namespace === DNS_NAMESPACE && pod.metadata.labels?.[DNS_LABEL] === DNS_APP;
  const servers = ends.filter(isDns);
  if (servers.length === 0) return [];
  return ["UDP", "TCP"].flatMap((protocol) => {
    const groups = new Map<Answer, End[]>(); // answers that are the same are one
    for (const end of ends) {
      const why = deaf(reach, end, servers, protocol);
      if (why !== undefined) groups.set(why, [...(groups.get(why) ?? []), end]);
    }
    return [...groups].flatMap(([{ policies: deciders, reason }, cut]): Finding[] => {
      const to = namesOf(servers);
      const text = `${namesOf(cut)}: cannot reach the cluster's DNS (${to}) by ${protocol}: ${reason}`;
      const by = policies.find(({ spec }) => spec.key === deciders[0]);
      if (by === undefined) return []; // no policy's doing: they have no family in common
      const path = ["spec", by.object.kind === "NetworkPolicy" ? "podSelector" : "subject"];
      return [{ object: by.object, path, check: "no-dns", text }];
    });
  });
}

/** Why none of them answers; undefined: one does. */
function deaf(reach: Reach, end: End, servers: readonly End[], protocol: string): Answer | undefined {
  const answers = servers.map((server) => reach.cell(end, server, portOf(server, protocol)));
  return answers.some(({ allowed }) => allowed) ? undefined : answers[0];
}

/** CoreDNS may listen elsewhere than its Service. */
function portOf({ pod }: End, protocol: string): Port {
  const name = protocol === "UDP" ? "dns" : "dns-tcp";
  const found = (pod?.spec.containers ?? [])
    .flatMap(({ ports = [] }) => ports)
    .find((port) => port.name === name);
  return { port: found?.containerPort ?? DNS_PORT, protocol };
}
