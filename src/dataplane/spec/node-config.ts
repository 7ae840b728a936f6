/**
 * Scalars of the node, by subject. All set at start or by a change of the Node object (message `node`, which names what
 * it sets); 32-bit integers all of them.
 */

/** How local-traffic detection tells a pod's packet (KubeProxyConfiguration detectLocalMode). */
export const DetectLocal = Object.freeze({ NONE: 0, CIDR: 1, POD_PORT: 2 } as const);

/** The node as a router: its station on the pod bridge and towards host0, its ports and its addresses on the fabric. */
class RouterConfig {
  macHi = 0;
  macLo = 0;
  hostPort = -1; //   PortIds, -1: none
  uplinkPort = -1;
  v4 = 0; //          source of the outer header and of ARP requests
  v60 = 0; //         IPv6, the same; all zero: none
  v61 = 0;
  v62 = 0;
  v63 = 0;
  link2 = 0; //       words 2 and 3 of the uplink's address of fe80::/64, from which such neighbours are asked; zero: none
  link3 = 0;
  shared = 0; //      1: the uplink and its addresses are the kernel's, too, which answers for them
}

/** The overlay. Outer sources must be known VTEPs. */
class TunnelConfig {
  on = 0; //          1: there is one
  vni = 1;
  port = 8472;
  macHi = 0; //       of our VTEP
  macLo = 0;
  sourceMin = 49_153; //   outer source ports: the first one, and how many there are (RFC 7348 §5: the dynamic range)
  sourcePorts = 16_383;
  bundle = 0; //      frames that leave together do so as superframes: 1 over IPv4, 2 over IPv6 (send/bundles.ts)
  keepClients = 0; // 1: clients of services reach pods as who they are, of other nodes that have it, too
}

/** UDP datagrams of a flow enter a pod joined; whether at all, each port says (PortTable.joins). */
class JoiningConfig {
  withoutChecksum = 0; // 1: also those without a checksum
}

/** What depends on kube-proxy's mode and configuration. */
export class ProxyConfig {
  detectLocal = 1; //    DetectLocal
  dropInvalid = 1; //    KUBE-FORWARD's rule in iptables mode; off with conntrack.tcpBeLiberal
  refusesOutput = 0; //  1: services without endpoints are refused to the node itself, too (nftables mode)
  rangesFirst = 0; //    1: who is outside of source ranges gets to no host port, either (nftables mode)
  masqueradeVips = 0; // what has a ClusterIP as source is masqueraded (ipvs, no detector): 1 of IPv4, 2 of IPv6
  serviceArp = 0; //     1: the fabric is told that service addresses are here (ipvs mode without strictARP)
  loopback = 0; //       1: what the node sends over its own loopback comes by host0 too: localhost node ports
  userspace = 0; //      1: decide as kube-proxy's own balancer did, for who has no endpoints and about affinity
  retry = 0; //          1: what opens a connection is held, and sent to another endpoint when the first one fails
}

/** Whose source is translated, and to which ports: both ends included … */
class SnatConfig {
  egress = 1; //       1: pod → outside the cluster leaves with the node's address
  min = 1024;
  max = 65_535;
  avoidMin = 30_000; // … without the node-port range
  avoidMax = 32_767;
  always = 0; //       1: ICMP ids and privileged ports are of that range, too: no other answers come to us
}

/** What pods are held to. */
class GuardConfig {
  antiSpoofing = 1; //  their own MAC and addresses
  policyCloses = 1; //  1: a pod's port is closed until its policies are known
  policyRecheck = 0; // 1: what is known is asked again after policies changed (policy.established: recheck)
}

/** Extensions of podwire's own, all off by default. */
class ExtraConfig {
  ftpHelper = 0; //    1: control connections (port 21) are read for the data connections they announce
  resetRemoved = 0; // 1: TCP clients of endpoints that were removed get a reset
  mssClamp = 0; //     1: the MSS in a SYN is lowered to the path's
}

/** The proxy of the node's meshed pods (packet/mesh.ts). */
class MeshConfig {
  on = 0; //     1: there are meshed pods
  ready = 0; //  1: it takes new connections
  bypass = 0; // 1: while it does not, connections go on without it; else they are refused
  v4 = 0; //     its addresses, 0: none
  v60 = 0;
  v61 = 0;
  v62 = 0;
  v63 = 0;
}

export class NodeConfig {
  readonly router = new RouterConfig();
  readonly tunnel = new TunnelConfig();
  readonly joining = new JoiningConfig();
  readonly proxy = new ProxyConfig();
  readonly snat = new SnatConfig();
  readonly guard = new GuardConfig();
  readonly extra = new ExtraConfig();
  readonly mesh = new MeshConfig();
}

/** Some of it, in a message: what is left out stays as it is. */
export type ConfigChange = { readonly [Group in keyof NodeConfig]?: Partial<NodeConfig[Group]> };
