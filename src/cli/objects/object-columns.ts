// kubectl's columns for each kind.

import type { WorkloadEndpoint } from "../../calico/workload-endpoint.ts";
import type {
  ClusterNetworkPolicy,
  Deployment,
  EndpointSlice,
  Endpoints,
  Event,
  KubeObject,
  NetworkPolicy,
  Node,
  Pod,
  Service,
} from "../../kube/objects.ts";
import { podStatusWord, readyColumn, restartsOf } from "../../lab/lab-status.ts";
import { ageOf, type Column } from "../table.ts";
import { labelText, selectorText } from "./selector-text.ts";
import { containerColumns, workloadColumns } from "./workload-columns.ts";

type Columns = Column<KubeObject>[];

const SLICE_ADDRESSES_SHOWN = 3;

export function columnsFor(kind: string, nowMs: number): Columns {
  const age = column("AGE", (o: KubeObject) => ageOf(o.metadata.creationTimestamp, nowMs));
  const byKind: Record<string, Columns> = {
    Pod: pods(nowMs, age),
    Service: services(age),
    EndpointSlice: endpointSlices(age),
    Endpoints: [NAME, column("ENDPOINTS", endpoints), age],
    Node: nodes(age),
    Deployment: deployments(age),
    ...workloadColumns(NAME, age, nowMs),
    NetworkPolicy: networkPolicies(age),
    ClusterNetworkPolicy: clusterPolicies(age),
    WorkloadEndpoint: workloadEndpoints(),
    Event: events(nowMs),
    Namespace: [NAME, column("STATUS", () => "Active"), age],
  };
  return byKind[kind] ?? [NAME, age];
}

function column<T>(
  header: string,
  value: (object: T) => string | number | undefined,
  wide = false,
): Column<KubeObject> {
  return { header, value: value as (object: KubeObject) => string | number | undefined, wide };
}

const NAME = column("NAME", (o: KubeObject) => o.metadata.name);

function pods(nowMs: number, age: Column<KubeObject>): Columns {
  return [
    NAME,
    column("READY", readyColumn),
    column("STATUS", podStatusWord),
    column("RESTARTS", (pod: Pod) => restarts(pod, nowMs)),
    age,
    column("IP", (pod: Pod) => pod.status.podIPs?.[0]?.ip, true),
    column("NODE", (pod: Pod) => pod.spec.nodeName, true),
    column("NOMINATED NODE", () => undefined, true),
    column("READINESS GATES", () => undefined, true),
  ];
}

/** "3 (41s ago)". */
function restarts(pod: Pod, nowMs: number): string {
  const total = restartsOf(pod);
  const ends = (pod.status.containerStatuses ?? []).map((c) => c.lastState?.terminated?.finishedAt);
  const last = ends
    .filter((end) => end !== undefined)
    .sort()
    .at(-1);
  return total === 0 || last === undefined ? String(total) : `${total} (${ageOf(last, nowMs)} ago)`;
}

function services(age: Column<KubeObject>): Columns {
  return [
    NAME,
    column("TYPE", (s: Service) => s.spec.type),
    column("CLUSTER-IP", (s: Service) => s.spec.clusterIPs?.[0] ?? s.spec.clusterIP),
    column("EXTERNAL-IP", externalIp),
    column("PORT(S)", ports),
    age,
    column("SELECTOR", (s: Service) => labelText(s.spec.selector), true),
  ];
}

function externalIp(service: Service): string | undefined {
  const { spec, status } = service;
  if (spec.type === "ExternalName") return spec.externalName;
  const ingress = (status.loadBalancer?.ingress ?? []).map((i) => i.ip ?? i.hostname ?? "");
  const all = [...ingress, ...(spec.externalIPs ?? [])].join(",");
  return all === "" && spec.type === "LoadBalancer" ? "<pending>" : all;
}

function ports(service: Service): string {
  return (service.spec.ports ?? [])
    .map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ""}/${p.protocol ?? "TCP"}`)
    .join(",");
}

function endpointSlices(age: Column<KubeObject>): Columns {
  return [
    NAME,
    column("ADDRESSTYPE", (s: EndpointSlice) => s.addressType),
    column("PORTS", (s: EndpointSlice) => s.ports.map((p) => p.port ?? "*").join(",") || "<unset>"),
    column("ENDPOINTS", (s: EndpointSlice) => some(s.endpoints.flatMap((e) => e.addresses)) || "<unset>"),
    age,
    column("CONDITIONS", (s: EndpointSlice) => s.endpoints.map(endpointConditions).join(","), true),
  ];
}

/** address:port of all that are ready, three of them. */
function endpoints({ subsets = [] }: Endpoints): string | undefined {
  const all = subsets.flatMap(({ addresses = [], ports = [] }) =>
    addresses.flatMap(({ ip }) => (ports.length === 0 ? [ip] : ports.map(({ port }) => join(ip, port)))),
  );
  return some(all);
}

function join(ip: string, port: number): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function some(list: string[]): string {
  const rest = list.length - SLICE_ADDRESSES_SHOWN;
  const shown = list.slice(0, SLICE_ADDRESSES_SHOWN).join(",");
  return rest > 0 ? `${shown} + ${rest} more...` : shown;
}

function endpointConditions(endpoint: EndpointSlice["endpoints"][number]): string {
  const { ready, serving, terminating } = endpoint.conditions ?? {};
  const words = [ready === false ? "" : "ready", serving ? "serving" : "", terminating ? "terminating" : ""];
  return words.filter(Boolean).join("+") || "unready";
}

function nodes(age: Column<KubeObject>): Columns {
  return [
    NAME,
    column("STATUS", nodeStatus),
    column("ROLES", () => undefined),
    age,
    column("AGENT", (n: Node) => n.metadata.annotations?.["podwire.dev/agent"]),
    column(
      "INTERNAL-IP",
      (n: Node) => n.status.addresses?.find((a) => a.type === "InternalIP")?.address,
      true,
    ),
    column("POD-CIDR", (n: Node) => n.spec.podCIDRs?.join(","), true),
  ];
}

/** As kubectl has it: nobody has said anything is no "no". */
function nodeStatus(node: Node): string {
  const ready = node.status.conditions?.find((c) => c.type === "Ready");
  const word = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return node.spec.unschedulable === true ? `${word},SchedulingDisabled` : word;
}

function deployments(age: Column<KubeObject>): Columns {
  interface Counts {
    readyReplicas?: number;
    updatedReplicas?: number;
    availableReplicas?: number;
  }
  const status = (d: Deployment): Counts => (d as { status?: Counts }).status ?? {};
  return [
    NAME,
    column("READY", (d: Deployment) => `${status(d).readyReplicas ?? 0}/${d.spec.replicas ?? 1}`),
    column("UP-TO-DATE", (d: Deployment) => status(d).updatedReplicas ?? 0),
    column("AVAILABLE", (d: Deployment) => status(d).availableReplicas ?? 0),
    age,
    ...containerColumns,
    column("SELECTOR", (d: Deployment) => selectorText(d.spec.selector), true),
  ];
}

/** Most recent last; kubectl's columns, which begin with no name. */
function events(nowMs: number): Columns {
  return [
    column("LAST SEEN", (e: Event) => ageOf(e.lastTimestamp, nowMs)),
    column("TYPE", (e: Event) => e.type),
    column("REASON", (e: Event) => e.reason),
    column("OBJECT", ({ involvedObject: o }: Event) => `${(o.kind ?? "").toLowerCase()}/${o.name}`),
    column("SUBOBJECT", (e: Event) => e.involvedObject.fieldPath, true),
    column("SOURCE", ({ source: s }: Event) => [s?.component, s?.host].filter(Boolean).join(", "), true),
    column("MESSAGE", (e: Event) => (e.message ?? "").trim()),
    column("FIRST SEEN", (e: Event) => ageOf(e.firstTimestamp, nowMs), true),
    column("COUNT", (e: Event) => e.count, true),
    column("NAME", (e: Event) => e.metadata.name, true),
  ];
}

function networkPolicies(age: Column<KubeObject>): Columns {
  return [NAME, column("POD-SELECTOR", (p: NetworkPolicy) => selectorText(p.spec.podSelector)), age];
}

/** The columns that the API's resource definition has; "kubectl get -o wide" shows no more. */
function clusterPolicies(age: Column<KubeObject>): Columns {
  return [
    NAME,
    column("TIER", (p: ClusterNetworkPolicy) => p.spec.tier),
    column("PRIORITY", (p: ClusterNetworkPolicy) => p.spec.priority),
    age,
  ];
}

/** calicoctl's. */
function workloadEndpoints(): Columns {
  return [
    column("NAME", (w: WorkloadEndpoint) => w.metadata.name, true),
    column("WORKLOAD", (w: WorkloadEndpoint) => w.spec.pod),
    column("NODE", (w: WorkloadEndpoint) => w.spec.node),
    column("NETWORKS", (w: WorkloadEndpoint) => w.spec.ipNetworks?.join(",")),
    column("INTERFACE", (w: WorkloadEndpoint) => w.spec.interfaceName),
    column("PROFILES", (w: WorkloadEndpoint) => w.spec.profiles.join(","), true),
    column("NATS", () => undefined, true),
  ];
}
