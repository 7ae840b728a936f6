/** Records of watched packets as plain objects; read-record.ts makes them of the plane's words. */

/**
 * Addresses and ports of a packet at one moment. ICMP queries have id, type and code instead of ports. Both addresses are
 * "" when it is no IP packet, or none that could be read.
 */
export interface TraceTuple {
  src: string;
  dst: string;
  sport?: number;
  dport?: number;
  icmpType?: number;
  icmpCode?: number;
  icmpId?: number;
}

/** What policies said of one direction of a connection. */
export interface PolicyVerdict {
  /** "audit": it passes, and a policy that is on trial would have denied it. */
  action: "allow" | "deny" | "audit";
  /** "default/allow-db-access ingress[0].from[1].ports[0]", "isolated by default/deny-all; no rule matches" */
  rule: string;
  /** Whose rule it is, or who isolates. */
  policies: readonly string[];
}

/** What the plane had decided about a packet when the record was written. */
export interface Decision {
  verdict: string;
  /** Stable name and text of a drop; left out when the packet was not dropped. */
  dropReason?: string;
  dropText?: string;
  ctState?: string;
  ctDirection?: "original" | "reply";
  /** Source is rewritten because of: a service rule, a hairpin, leaving the cluster, a host port of a pod here. */
  masquerade?: "service" | "hairpin" | "egress" | "hostPort";
  /** A service's rule would have its source rewritten, and it is kept: dataplane.keepClientAddress. */
  clientKept?: true;
  /** It goes back to the node that its connection's client came by. */
  returns?: true;
  /** It goes to the node's mesh proxy; that proxy sent it, in its client's name. */
  toProxy?: true;
  fromProxy?: true;
  /** Of what its sender may send and its receiver get, where policies select these: asked when the connection began. */
  egress?: PolicyVerdict;
  ingress?: PolicyVerdict;
  bridged: boolean;
  fromTunnel: boolean;
  inPort: number;
  outPort: number;
  family: 0 | 4 | 6;
  protocol: number;
  /** As received, and as it leaves (the same when nothing is translated). */
  from: TraceTuple;
  to: TraceTuple;
  translated: boolean;
}

export type Detail = Readonly<Record<string, string | number | boolean>>;

/** One stage of one packet, as `GET /trace` sends it, one JSON object a line. */
export interface TraceRecord extends Decision {
  node: string;
  packet: number;
  stage: string;
  /**
   * The place in Linux that does the same to such a packet, with the names that the node's proxy mode gives it: FORWARD
   * of what passes, INPUT of what is for the node, OUTPUT of what it sends.
   */
  hook: string;
  /** Mode of the node's kube-proxy: iptables, nftables, ipvs, userspace. */
  mode: string;
  /** Of the batch it came in, µs since 1970; 0 where nobody set the clock (offline). */
  timeUs: number;
  /** Engine clock. */
  timeMs: number;
  /** Bytes of the IP packet; a superframe's whole length. */
  length: number;
  tcpFlags: number;
  /** Payload bytes of a segment when this is a superframe, else 0. */
  gsoSize: number;
  etherType: number;
  /**
   * "namespace/name:port" of the service, or "hostPort 8088/TCP of namespace/name", that claims it, and the chosen
   * endpoint "ip:port".
   */
  service?: string;
  endpoint?: string;
  /** Where the service is asked for: "ClusterIP", "node port", … */
  frontend?: string;
  /** What the service's rules take the sender for. */
  source?: "pod" | "node" | "outside";
  /** By its policy, endpoints of this node alone are asked. */
  localOnly?: true;
  /** Source ranges hold for the address. */
  sourceRanges?: true;
  /** The route it takes, as `ip route` would print it. */
  route?: string;
  /** The ICMP error that the sender of a dropped packet gets; that he would, but for the rate limit. */
  icmpError?: string;
  icmpWithheld?: true;
  /** That sender is answered as by a port where nobody listens. */
  tcpReset?: true;
  /** Userspace mode, when what was held is sent again: which attempt, and what became of the one before. */
  attempt?: number;
  failure?: "refused" | "silent" | "unreachable";
  /** The node's own stack sent it; it is delivered to that stack. */
  own?: true;
  toNode?: true;
  /** It waits until its neighbour's address is known. */
  waits?: true;
  /** The packet had been kept or queued; what became of it then. */
  late?: true;
  /** What else the stage says, by its own names: see kubeproxy/words/stage-table.ts. */
  detail?: Detail;
  /** Names of the ports, filled in by the agent. */
  in?: string;
  out?: string;
}

/** What the sender of a dropped packet hears, as the end of a sentence. */
export function answerText({ icmpError, icmpWithheld, tcpReset }: TraceRecord): string {
  if (tcpReset === true) return ", the sender gets a TCP RST";
  if (icmpWithheld === true) return `, no ICMP ${icmpError} is sent: rate limit`;
  return icmpError === undefined ? "" : `, the sender gets ICMP ${icmpError}`;
}

/** A policy's rule by its id. */
export type RuleOf = (id: number) => Pick<PolicyVerdict, "rule" | "policies"> | undefined;

/** What the plane knows by number only. */
export interface PlaneNames {
  /** Mode of the node's kube-proxy. */
  mode: string;
  port: (id: number) => string;
  service: (id: number) => string | undefined;
  route?: (index: number) => string | undefined;
  rule?: RuleOf;
  policy?: (service: string) => { internalLocal: boolean; externalLocal: boolean };
}

export interface CaptureRecord extends Decision {
  packet: number;
  direction: "in" | "out";
  timeUs: number;
  length: number;
  port: number;
  csumPartial: boolean;
  gsoType: number;
  gsoSize: number;
  /** From the Ethernet header, bytes. */
  csumStart: number;
  csumOffset: number;
  serviceId: number;
  /** A copy: the ring's memory is given back. */
  data: Uint8Array;
}
