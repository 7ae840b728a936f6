/** What would happen to a packet: the answer of `podwire explain`, and what its steps are told from. */
import type { PolicyVerdict, TraceRecord } from "../../observe/trace-record.ts";

export type ExplainVerdict = "accept" | "dnat" | "drop" | "reject";

/** One rule or decision on the way, in kube-proxy's names. */
export interface ExplainStep {
  /** PREROUTING, ROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING. */
  hook: string;
  table: string;
  chain: string;
  /**
   * As `podwire rules` prints it, to the letter; "" where that prints none. Portmap's, in ipvs and userspace modes, as
   * with `--format iptables-save`.
   */
  rule: string;
  text: string;
}

/** A public contract: fields are only ever added. */
export interface Explanation {
  from: string;
  to: string;
  port: number;
  protocol: string;
  verdict: ExplainVerdict;
  reason: string;
  /** "ip:port", all that a new connection may get, sorted. */
  endpoints: string[];
  masquerade: boolean;
  /** By policy, for the packet as a whole. */
  allowed: boolean;
  policies: string[];
  steps: ExplainStep[];
}

export const FRONTENDS = [
  "ClusterIP",
  "external IP",
  "load balancer IP",
  "node port",
  "address",
  "address",
  "hostPort",
] as const;
export const Frontend = Object.freeze({
  CLUSTER_IP: 0,
  EXTERNAL_IP: 1,
  LOAD_BALANCER: 2,
  NODE_PORT: 3,
  HOST_PORT: 6,
} as const);
export type Source = "pod" | "node" | "outside";

/** The service port or host port that claims a packet, as the plane's tables have it. */
export interface Claim {
  /** "namespace/name:port"; of a host port "hostPort 8088/TCP of namespace/name". */
  readonly service: string;
  readonly protocol: string;
  /** Index of FRONTENDS. */
  readonly kind: number;
  /** Where it serves: one address, or any of the node's. */
  readonly anyAddress: boolean;
  readonly source: Source;
  /** Source ranges hold for this address; `range` is the one that the source lies in. */
  readonly hasRanges: boolean;
  readonly range: string | undefined;
  /** All of them, as the rules list them. */
  readonly ranges: readonly string[];
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
  /** All that a new connection may get, in the rules' order. */
  readonly endpoints: readonly string[];
  /** What this packet gets; "" when it is refused. */
  readonly chosen: string;
  /** In ipvs mode. */
  readonly weight: number;
  /** By a rule of the service, whatever the endpoint. */
  readonly masquerade: boolean;
  /** Of a host port: the source range by which the sender is masqueraded; "": he is not. */
  readonly markedSource: string;
  /** Of a host port: all that its pod has of this protocol, as the rules list them. */
  readonly hostPorts: readonly number[];
  /** Seconds; 0: none. */
  readonly affinitySec: number;
  /** "random", or the one that ipvs names. */
  readonly scheduler: string;
}

/** Policies' word on one end of a connection. */
export interface EndVerdict extends PolicyVerdict {
  readonly direction: "egress" | "ingress";
  /** "namespace/name" of the pod that is asked about. */
  readonly pod: string;
  /** cali-fw-… or cali-tw-…: where Calico's rules for the pod begin. */
  readonly chain: string;
}

/** Of the rule that marks what came to an address from outside. */
export function markText({ isKept }: Told): string {
  return isKept
    ? "marked for masquerading; keepClientAddress takes that back"
    : "source will be rewritten: the endpoint may be on another node";
}

/** Everything the steps of one packet are told from. */
export interface Told {
  readonly mode: string;
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: string;
  readonly family: 4 | 6;
  /** The packet is the node's own. */
  readonly isOwn: boolean;
  /** Its destination, as sent, is an address of the node; after translation. */
  readonly toNode: boolean;
  readonly endsAtNode: boolean;
  readonly claim: Claim | undefined;
  /** "-s 10.244.0.0/16", "-i cbr0": how the proxy knows pods; "" when it does not. */
  readonly detector: string;
  readonly masqueradeAll: boolean;
  readonly masqueradeMark: number;
  /** Node ports are served at this destination, if it is the node's. */
  readonly servesNodePorts: boolean;
  /** Node ports are served at every address of the node, and then at 127.0.0.0/8 as well. */
  readonly servesAll: boolean;
  readonly servesLoopback: boolean;
  /** There are so few endpoints that the rules name each in a comment. */
  readonly endpointComments: boolean;
  readonly serviceCidrs: readonly string[];
  /** Service port whose Service's health check port this is. */
  readonly healthCheckOf: string | undefined;
  /** Its source is kept, although the rules mark it for masquerading. */
  readonly isKept: boolean;
  readonly records: readonly TraceRecord[];
  /** What policies say of both ends, in the order in which they are asked; empty where none has anything to say. */
  readonly policies: readonly EndVerdict[];
}
