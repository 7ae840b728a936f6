// Random policies of both kinds, such as an API server would take: every kind of peer, port, action and selector comes up
// often. An address of a block belongs to somebody in the cluster, or it would say nothing.
import type * as networking from "kubernetes-types/networking/v1.js";
import { cidr, contains } from "../../base/ip.ts";
import type {
  ClusterPolicyEgressPeer,
  ClusterPolicyEgressRule,
  ClusterPolicyIngressRule,
  ClusterPolicyPods,
  ClusterPolicyProtocol,
} from "../../kube/objects.ts";
import type { Prng } from "../prng.ts";
import type { ClusterPolicyObject, NetworkPolicyObject } from "./cluster.ts";
import { namespaceSelector, podSelector, some } from "./random-selector.ts";

export const PORTS = [53, 80, 81, 8080];
export const PORT_NAMES = ["web", "dns", "alt"];
const PROTOCOLS = ["TCP", "UDP", "SCTP"];

export interface Vocabulary {
  readonly namespaces: readonly string[];
  /** Blocks of the cluster's families, wide and narrow. */
  readonly blocks: readonly string[];
}

export class PolicyDrawer {
  readonly #random: Prng;
  readonly #words: Vocabulary;

  constructor(random: Prng, words: Vocabulary) {
    this.#random = random;
    this.#words = words;
  }

  networkPolicy(name: string): NetworkPolicyObject {
    const types = this.#random.pick([undefined, [], ["Ingress"], ["Egress"], ["Ingress", "Egress"]]);
    const spec: networking.NetworkPolicySpec = { podSelector: podSelector(this.#random) };
    if (types !== undefined) spec.policyTypes = types;
    const rules = (): Rule[] => Array.from({ length: this.#random.below(3) }, () => this.#rule());
    if (this.#random.below(4) > 0)
      spec.ingress = rules().map(({ peers, ports }) => ({ ...peers("from"), ...ports }));
    if (this.#random.below(3) > 0)
      spec.egress = rules().map(({ peers, ports }) => ({ ...peers("to"), ...ports }));
    return {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name, namespace: this.#random.pick(this.#words.namespaces) },
      spec,
    } as NetworkPolicyObject;
  }

  #rule(): Rule {
    const peers = Array.from({ length: this.#random.pick([0, 1, 1, 2, 3]) }, () => this.#peer());
    const ports = Array.from({ length: this.#random.pick([0, 0, 1, 1, 2, 3]) }, () => this.#port());
    const absent = this.#random.below(2) === 0; // an empty list says the same as none
    return {
      peers: (field) => (peers.length === 0 && absent ? {} : { [field]: peers }),
      ports: ports.length === 0 && absent ? {} : { ports },
    };
  }

  #peer(): networking.NetworkPolicyPeer {
    const { namespaces } = this.#words;
    switch (this.#random.below(4)) {
      case 0:
        return { podSelector: podSelector(this.#random) };
      case 1:
        return { namespaceSelector: namespaceSelector(this.#random, namespaces) };
      case 2:
        return {
          namespaceSelector: namespaceSelector(this.#random, namespaces),
          podSelector: podSelector(this.#random),
        };
      default:
        return { ipBlock: this.#ipBlock() };
    }
  }

  #ipBlock(): networking.IPBlock {
    const block = this.#random.pick(this.#words.blocks);
    const outer = cidr(block);
    const inside = this.#words.blocks.filter((text) => {
      const inner = cidr(text);
      return inner.family === outer.family && inner.prefixLen > outer.prefixLen && contains(outer, inner);
    });
    if (inside.length === 0 || this.#random.below(2) === 0) return { cidr: block };
    return { cidr: block, except: some(this.#random, inside).slice(0, 3) };
  }

  #port(): networking.NetworkPolicyPort {
    const protocol = this.#random.pick([undefined, ...PROTOCOLS]);
    const made: networking.NetworkPolicyPort = protocol === undefined ? {} : { protocol };
    switch (this.#random.below(5)) {
      case 0:
        return made;
      case 1:
        return { ...made, port: this.#random.pick(PORT_NAMES) };
      case 2: {
        const [port, endPort] = [this.#random.pick(PORTS), this.#random.pick(PORTS)].sort((a, b) => a - b);
        return { ...made, port, endPort };
      }
      default:
        return { ...made, port: this.#random.pick(PORTS) };
    }
  }

  clusterPolicy(name: string): ClusterPolicyObject {
    const spec: ClusterPolicyObject["spec"] = {
      tier: this.#random.pick(["Admin", "Admin", "Baseline"]),
      priority: this.#random.pick([0, 1, 10, 10, 500, 1000]),
      subject: this.#podChoice(),
    };
    const ingress = this.#several(() => this.#ingressRule());
    const egress = this.#several(() => this.#egressRule());
    if (ingress !== undefined) spec.ingress = ingress;
    if (egress !== undefined) spec.egress = egress;
    const apiVersion = "policy.networking.k8s.io/v1alpha2";
    return { apiVersion, kind: "ClusterNetworkPolicy", metadata: { name }, spec } as ClusterPolicyObject;
  }

  /** None at all, or an empty list, or some. */
  #several<T>(draw: () => T): T[] | undefined {
    const count = this.#random.pick([0, 1, 1, 2, 3]);
    if (count === 0 && this.#random.below(2) === 0) return undefined;
    return Array.from({ length: count }, draw);
  }

  #ingressRule(): ClusterPolicyIngressRule {
    const from = Array.from({ length: this.#random.pick([1, 1, 2]) }, () => this.#podChoice());
    return { ...this.#action(), from, ...this.#protocols(true) };
  }

  #egressRule(): ClusterPolicyEgressRule {
    const to = Array.from({ length: this.#random.pick([1, 1, 2]) }, () => this.#egressPeer());
    const onlyPods = to.every(({ networks, nodes }) => networks === undefined && nodes === undefined);
    return { ...this.#action(), to, ...this.#protocols(onlyPods) };
  }

  #action(): Pick<ClusterPolicyIngressRule, "name" | "action"> {
    const action = this.#random.pick(["Accept", "Deny", "Deny", "Pass"] as const);
    return this.#random.below(2) === 0 ? { action } : { name: `rule ${this.#random.below(100)}`, action };
  }

  #podChoice(): ClusterPolicyPods {
    const { namespaces } = this.#words;
    if (this.#random.below(2) === 0) return { namespaces: namespaceSelector(this.#random, namespaces) };
    const anywhere = this.#random.below(4) === 0; // left out: all namespaces
    return {
      pods: {
        ...(!anywhere && { namespaceSelector: namespaceSelector(this.#random, namespaces) }),
        podSelector: podSelector(this.#random),
      },
    };
  }

  #egressPeer(): ClusterPolicyEgressPeer {
    switch (this.#random.below(5)) {
      case 0:
        return { networks: some(this.#random, this.#words.blocks).slice(0, 3) };
      case 1:
        return {
          nodes: this.#random.pick([{}, { matchLabels: { zone: "a" } }, { matchLabels: { zone: "b" } }]),
        };
      default:
        return this.#podChoice();
    }
  }

  #protocols(hasNames: boolean): { protocols?: ClusterPolicyProtocol[] } {
    const count = this.#random.pick([0, 0, 1, 1, 2]);
    if (count === 0) return {};
    return { protocols: Array.from({ length: count }, () => this.#protocol(hasNames)) };
  }

  #protocol(hasNames: boolean): ClusterPolicyProtocol {
    if (hasNames && this.#random.below(3) === 0)
      return { destinationNamedPort: this.#random.pick(PORT_NAMES) };
    const [start, end] = [this.#random.pick(PORTS) - 1, this.#random.pick(PORTS) + 1].sort((a, b) => a - b);
    const isRange = this.#random.below(2) === 0 && start < end;
    const destinationPort = isRange ? { range: { start, end } } : { number: this.#random.pick(PORTS) };
    return { [this.#random.pick(["tcp", "udp", "sctp"] as const)]: { destinationPort } };
  }
}

interface Rule {
  readonly peers: (field: "from" | "to") => {
    from?: networking.NetworkPolicyPeer[];
    to?: networking.NetworkPolicyPeer[];
  };
  readonly ports: { ports?: networking.NetworkPolicyPort[] };
}
