// A random cluster with a random proxy configuration, from a seed: what a kernel that runs kube-proxy's rules
// and a podwire node are both given. Values are drawn so that every row of kube-proxy's behaviour comes up
// often, and so that no two Services claim one address, where kube-proxy itself has no rule.
import type { EndpointSlice, KubeObject, Service } from "../../kube/objects.ts";
import { Prng } from "../prng.ts";
import { type EndpointShape, node, service, slice } from "../world/proxy-objects.ts";
import { withHostPorts } from "./host-ports.ts";
import { otherFamily, type World } from "./world.ts";

export type JudgedMode = "iptables" | "nftables";

export interface Scenario {
  readonly seed: number;
  readonly mode: JudgedMode;
  readonly world: World;
  readonly objects: readonly KubeObject[];
  /** A KubeProxyConfiguration, without its kind. */
  readonly proxy: Readonly<Record<string, unknown>>;
  /** How the kernel's pods are attached: the interface modes of detectLocalMode need it so. */
  readonly attach: "veth" | "bridge";
  readonly services: readonly Service[];
  /** Nodes, pods and Services have addresses of the other family as well; packets are of the world's alone. */
  readonly dual: boolean;
  /** Some Service has session affinity: then a source's packets depend on each other. */
  readonly affinity: boolean;
}

const PORT_NUMBERS = [8080, 8080, 9090];
const ZONES = ["a", "b"];

export function scenario(seed: number, mode: JudgedMode, world: World): Scenario {
  return withHostPorts(new Drawer(seed, mode, world).draw());
}

class Drawer {
  readonly #random: Prng;
  readonly #seed: number;
  readonly #mode: JudgedMode;
  readonly #world: World;
  readonly #other: World;
  readonly #dual: boolean;

  constructor(seed: number, mode: JudgedMode, world: World) {
    this.#random = new Prng(seed);
    this.#seed = seed;
    this.#mode = mode;
    this.#world = world;
    this.#other = otherFamily(world);
    this.#dual = this.#once(3);
  }

  draw(): Scenario {
    const { proxy, attach } = this.#config();
    const count = 1 + this.#random.below(3);
    const services: Service[] = [];
    const slices: EndpointSlice[] = [];
    for (let i = 0; i < count; i++) {
      const made = this.#service(i);
      services.push(made);
      slices.push(...this.#slices(made));
    }
    return {
      seed: this.#seed,
      mode: this.#mode,
      world: this.#world,
      objects: [...this.#nodes(), ...this.#podObjects(), ...services, ...slices],
      proxy,
      attach,
      services,
      dual: this.#dual,
      affinity: services.some(({ spec }) => spec.sessionAffinity === "ClientIP"),
    };
  }

  /** True once in `n` times. */
  #once(n: number): boolean {
    return this.#random.below(n) === 0;
  }

  /** What the other family has, where there are two. */
  #also<T>(of: (other: World) => T): T[] {
    return this.#dual ? [of(this.#other)] : [];
  }

  #config(): Pick<Scenario, "proxy" | "attach"> {
    const { clusterCidr, fabric, secondIp, host, gateway, family } = this.#world;
    const detect = this.#random.below(6);
    // Of no family that the world has, or of one that is not judged.
    const other = this.#dual
      ? this.#other.host(this.#other.nodeIp)
      : family === 4
        ? "fd00:1::/64"
        : "10.1.0.0/16";
    const proxy: Record<string, unknown> = {
      mode: this.#mode,
      clusterCIDR: this.#dual
        ? [...(detect === 0 ? [] : [clusterCidr]), this.#other.clusterCidr].join()
        : detect === 0
          ? other
          : clusterCidr,
    };
    if (detect === 3) proxy.detectLocalMode = "NodeCIDR";
    if (detect === 4) proxy.detectLocalMode = "BridgeInterface";
    if (detect === 5) proxy.detectLocalMode = "InterfaceNamePrefix";
    proxy.detectLocal = { bridgeInterface: "cbr0", interfaceNamePrefix: "veth" };
    const choices = [
      ["primary"],
      [fabric],
      [host(secondIp), host(gateway)],
      [other],
      ["0.0.0.0/0", "::/0"],
      [fabric, other],
    ];
    if (this.#once(2)) proxy.nodePortAddresses = this.#random.pick(choices);
    const common = {
      masqueradeAll: this.#once(5),
      masqueradeBit: this.#once(5) ? this.#random.below(32) : 14,
    };
    if (this.#mode === "iptables") proxy.iptables = { ...common, localhostNodePorts: !this.#once(3) };
    else proxy.nftables = common;
    if (this.#once(6)) proxy.conntrack = { tcpBeLiberal: true };
    return { proxy, attach: detect === 4 ? "bridge" : "veth" };
  }

  #nodes(): KubeObject[] {
    const { nodeIp, secondIp, remoteNodeIp, podCidr, remotePodCidr } = this.#world;
    const zone = this.#random.pick(["", "a", "b"]);
    return [
      node("node1", [...this.#also((o) => o.nodeIp), nodeIp, secondIp], {
        podCidrs: [podCidr, ...this.#also((o) => o.podCidr)],
        ...(zone !== "" && { zone }),
      }),
      node("node2", [remoteNodeIp, ...this.#also((o) => o.remoteNodeIp)], {
        podCidrs: [remotePodCidr, ...this.#also((o) => o.remotePodCidr)],
        zone: "b",
      }),
    ];
  }

  #podObjects(): KubeObject[] {
    return this.#world.pods.map((address, i) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `pod${i}`, namespace: "ns" },
      spec: { nodeName: "node1", containers: [] },
      status: {
        podIP: address,
        podIPs: [address, ...this.#also((o) => o.pods[i])].map((ip) => ({ ip })),
        phase: "Running",
      },
    }));
  }

  #service(n: number): Service {
    const type = this.#random.pick(["ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer"]);
    const protocols = this.#random.pick([["TCP"], ["TCP"], ["UDP"], ["TCP", "UDP"], ["SCTP"]]);
    const policy = (): string => this.#random.pick(["Cluster", "Cluster", "Local"]);
    const external = type !== "ClusterIP";
    const clusterIPs = [this.#world.clusterIp(n), ...this.#also((o) => o.clusterIp(n))];
    if (this.#once(2)) clusterIPs.reverse();
    const spec: Partial<Service["spec"]> = {
      type,
      clusterIP: clusterIPs[0],
      clusterIPs,
      internalTrafficPolicy: policy(),
      ports: protocols.map((protocol, i) => ({
        name: `p${i}`,
        protocol,
        port: 80 + i,
        ...(external && !this.#once(6) && { nodePort: 30_000 + n * 10 + i }),
      })),
    };
    if (this.#once(3)) spec.externalIPs = [...this.#also((o) => o.externalIp(n)), this.#world.externalIp(n)];
    if (n === 0 && this.#once(10)) spec.externalIPs = [this.#world.nodeIp]; // the node's own
    if (external || spec.externalIPs !== undefined) spec.externalTrafficPolicy = policy();
    if (this.#once(8)) {
      spec.sessionAffinity = "ClientIP";
      spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: 10_800 } };
    }
    const shape = { name: `svc${n}`, spec };
    if (type !== "LoadBalancer") return service({ ...shape, ...this.#foreign() });
    if (spec.externalTrafficPolicy === "Local") spec.healthCheckNodePort = 32_000 + n;
    if (this.#once(2)) spec.loadBalancerSourceRanges = this.#sourceRanges();
    return service({ ...shape, ingress: this.#ingress(n), ...this.#foreign() });
  }

  /** Now and then somebody else's Service. */
  #foreign(): { labels?: Record<string, string> } {
    if (!this.#once(20)) return {};
    const label = this.#random.pick(["service-proxy-name", "headless"]);
    return { labels: { [`service.kubernetes.io/${label}`]: "x" } };
  }

  #ingress(n: number): { ip?: string; hostname?: string; ipMode?: string }[] {
    // One that is bound to the node, now and then.
    const ip = n === 0 && this.#once(6) ? this.#world.secondIp : this.#world.loadBalancerIp(n);
    const also = this.#also((o) => ({ ip: o.loadBalancerIp(n) }));
    const own = this.#random.pick<{ ip?: string; hostname?: string; ipMode?: string }[]>([
      [{ ip, ipMode: "VIP" }],
      [{ ip }],
      [{ hostname: "lb.example" }, { ip }],
      [{ ip, ipMode: "Proxy" }],
      [{ ip }, { ip: this.#world.loadBalancerIp(n + 20) }],
      [],
    ]);
    return [...also, ...own];
  }

  #sourceRanges(): string[] {
    const { fabric, nodeIp, podCidr, clusterCidr, host, pods, neighbors, family } = this.#world;
    const outside = family === 4 ? "198.51.100.0/24" : "2001:db8:51::/64";
    const all = [
      fabric,
      outside,
      ` ${outside}`,
      podCidr,
      clusterCidr,
      host(pods[0]),
      host(nodeIp),
      host(neighbors[0]),
      ...this.#also((o) => o.host(o.nodeIp)),
    ];
    return [...new Set(Array.from({ length: 1 + this.#random.below(3) }, () => this.#random.pick(all)))];
  }

  #slices(of: Service): EndpointSlice[] {
    const families = [this.#world, ...this.#also((o) => o)];
    return families.flatMap((world) => this.#slicesOf(of, world));
  }

  #slicesOf(of: Service, world: World): EndpointSlice[] {
    const count = this.#random.pick([0, 1, 1, 1, 1, 2, 2]);
    const hints = this.#random.pick(["none", "none", "zones", "nodes", "some"]);
    const ending = this.#random.pick(["ready", "ready", "mixed", "terminating"]);
    return Array.from({ length: count }, (_, i) => {
      const length = this.#random.pick([0, 1, 2, 3, 3, 4]);
      const endpoints = Array.from({ length }, () => this.#endpoint(world, hints, ending));
      const port = this.#random.pick(PORT_NUMBERS);
      const made = slice({
        name: of.metadata.name,
        slice: `${of.metadata.name}-${world.family}-${i}`,
        family: world.family,
        endpoints: distinct(endpoints),
      });
      made.ports = (of.spec.ports ?? []).map((p) => ({
        name: p.name ?? "",
        protocol: p.protocol ?? "TCP",
        port,
      }));
      if (this.#once(15)) made.ports = made.ports.slice(1); // a port that has no endpoints
      return made;
    });
  }

  #endpoint(world: World, hints: string, ending: string): EndpointShape {
    const { pods, remotePods, neighbors, nodeIp, remoteNodeIp } = world;
    const [address, where] = this.#random.pick([
      ...pods.map((pod) => [pod, "node1"] as const),
      ...remotePods.map((pod) => [pod, "node2"] as const),
      [nodeIp, "node1"] as const, // a pod of the host's network
      [remoteNodeIp, "node2"] as const,
      [neighbors[1], ""] as const, // somebody outside of the cluster
    ]);
    const hinted = hints !== "none" && (hints !== "some" || !this.#once(3));
    const byNode = hints === "nodes" || (hints === "some" && this.#once(2));
    return {
      address,
      ...(where !== "" && { node: where }),
      ...this.#conditions(ending),
      ...(hinted && !byNode && { zones: [this.#random.pick(ZONES)] }),
      ...(hinted && byNode && { nodes: [this.#random.pick(["node1", "node2"])] }),
    };
  }

  #conditions(ending: string): Pick<EndpointShape, "ready" | "serving" | "terminating"> {
    const isEnding = ending === "terminating" || (ending === "mixed" && this.#once(2));
    if (isEnding) return { ready: false, serving: !this.#once(3), terminating: true };
    if (this.#once(8)) return { ready: false, serving: false, terminating: false };
    return this.#once(2) ? {} : { ready: true, serving: true, terminating: false };
  }
}

/** A slice names an address once. */
function distinct(endpoints: readonly EndpointShape[]): EndpointShape[] {
  return [...new Map(endpoints.map((endpoint) => [endpoint.address, endpoint])).values()];
}
