// The Service of `podwire expose`: selector, ports and labels are those of what is exposed, where no flag says otherwise.
import type { Container, KubeObject, LabelSelector, ServicePort } from "../../../kube/objects.ts";
import { CliError, usageError } from "../../errors.ts";
import { type Draft, draft, labelMap, portNumber, portOrName } from "./parts.ts";

export interface ExposeFlags {
  namespace?: string;
  port?: string;
  targetPort?: string;
  protocol?: string;
  name?: string;
  type?: string;
  labels?: string;
  selector?: string;
  externalIp?: string;
  clusterIp?: string;
  loadBalancerIp?: string;
  sessionAffinity?: string;
}

interface Exposed extends KubeObject {
  spec?: {
    selector?: LabelSelector | Record<string, string>;
    ports?: readonly ServicePort[];
    containers?: readonly Container[];
    template?: {
      metadata?: { labels?: Record<string, string> };
      spec?: { containers?: readonly Container[] };
    };
  };
}

interface Found {
  port: number;
  protocol: string;
}

const TYPES = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];
const PROTOCOLS = ["TCP", "UDP", "SCTP"];
const AFFINITIES = ["None", "ClientIP"];
const NAME_MAX = 63;

export function exposeDraft(object: Exposed, flags: ExposeFlags): Draft {
  oneOf("--type", flags.type, TYPES);
  oneOf("--protocol", flags.protocol?.toUpperCase(), PROTOCOLS);
  oneOf("--session-affinity", flags.sessionAffinity, AFFINITIES);
  const { type, externalIp, clusterIp, sessionAffinity, loadBalancerIp } = flags;
  if (loadBalancerIp !== undefined && type !== "LoadBalancer")
    throw usageError("--load-balancer-ip: goes with --type=LoadBalancer");
  const labels = flags.labels === undefined ? object.metadata.labels : labelMap("--labels", flags.labels);
  const selector = flags.selector === undefined ? selectorOf(object) : labelMap("--selector", flags.selector);
  const ports = portsFor(object, flags);
  const spec = {
    ...(ports.length === 0 ? {} : { ports }),
    selector,
    ...(type === undefined ? {} : { type }),
    ...(externalIp === undefined ? {} : { externalIPs: [externalIp] }),
    ...(clusterIp === undefined ? {} : { clusterIP: clusterIp }),
    ...(loadBalancerIp === undefined ? {} : { loadBalancerIP: loadBalancerIp }),
    ...(sessionAffinity === undefined ? {} : { sessionAffinity }),
  };
  const name = flags.name ?? object.metadata.name.slice(0, NAME_MAX);
  const some = Object.keys(labels ?? {}).length === 0 ? undefined : labels;
  return draft("v1", "Service", { name, namespace: flags.namespace, labels: some }, { spec });
}

function oneOf(flag: string, value: string | undefined, known: readonly string[]): void {
  if (value !== undefined && !known.includes(value))
    throw usageError(`${flag} ${value}: use one of ${known.join(", ")}`);
}

function selectorOf({ kind, metadata, spec }: Exposed): Record<string, string> {
  const given = kind === "Pod" ? metadata.labels : spec?.selector;
  const bySelector = kind === "Deployment" || kind === "ReplicaSet";
  if (bySelector && ((given as LabelSelector | undefined)?.matchExpressions ?? []).length > 0)
    throw cannot(
      `couldn't convert expressions of ${kind} ${metadata.name}'s selector to labels: use --selector`,
    );
  const found = bySelector ? (given as LabelSelector | undefined)?.matchLabels : given;
  if (found !== undefined && Object.keys(found).length > 0) return { ...(found as Record<string, string>) };
  const why = { Pod: "the pod has no labels", Service: "the service has no pod selector set" }[kind];
  const head = "couldn't retrieve selectors via --selector flag or introspection";
  throw cannot(`${head}: ${why ?? "it has no selector"} and cannot be exposed`);
}

const EXPOSABLE = ["Pod", "Service", "ReplicationController", "Deployment", "ReplicaSet"];

/** Throws where there is nothing to expose. */
export function checkExposable(kind: string, resource: string): void {
  if (!EXPOSABLE.includes(kind)) throw cannot(`cannot expose a ${resource}`);
}

function portsFor(object: Exposed, flags: ExposeFlags): ServicePort[] {
  const known = portsOf(object);
  const wanted =
    flags.port === undefined
      ? [...new Set(known.map(({ port }) => port))]
      : flags.port.split(",").map((each) => portNumber("--port", each));
  if (wanted.length === 0 && flags.clusterIp !== "None")
    throw cannot("couldn't find port via --port flag or introspection");
  const target = flags.targetPort === undefined ? undefined : portOrName("--target-port", flags.targetPort);
  return wanted.flatMap((port, i): ServicePort[] => {
    const name = wanted.length > 1 ? `port-${i + 1}` : undefined;
    const own = known.filter((each) => each.port === port).map(({ protocol }) => protocol);
    const protocols = flags.protocol === undefined ? own : [flags.protocol.toUpperCase()];
    if (protocols.length < 2) return [entry(name, port, protocols[0] ?? "TCP", target)];
    return protocols.map((each) => entry(`port-${i + 1}-${each.toLowerCase()}`, port, each, target));
  });
}

function entry(
  name: string | undefined,
  port: number,
  protocol: string,
  target: number | string | undefined,
): ServicePort {
  return {
    ...(name === undefined ? {} : { name }),
    port,
    protocol,
    targetPort: target ?? port,
  } as ServicePort;
}

function portsOf({ kind, spec }: Exposed): Found[] {
  if (kind === "Service")
    return (spec?.ports ?? []).map(({ port, protocol = "TCP" }) => ({ port, protocol }));
  const containers = (kind === "Pod" ? spec?.containers : spec?.template?.spec?.containers) ?? [];
  return containers.flatMap(({ ports = [] }) =>
    ports.map(({ containerPort, protocol = "TCP" }) => ({ port: containerPort, protocol })),
  );
}

function cannot(why: string): CliError {
  return new CliError(`expose: ${why}`);
}
