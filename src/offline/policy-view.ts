// What policies say of a connection as a whole: of its sender on the sender's node, of its receiver on the receiver's.
// The same compiler and the same table as in a plane, which decides for its own pods alone.
import { formatIp, type IpWords, sameIp } from "../base/ip.ts";
import { calicoInterfaceName } from "../calico/interface-name.ts";
import { cniAddresses } from "../compile/node.ts";
import { podAddresses } from "../compile/policy/holders.ts";
import { PolicyCompiler } from "../compile/policy/policy-compiler.ts";
import { formatRule, policiesOf } from "../compile/policy/rule-names.ts";
import { nodeAddresses } from "../compile/proxy-settings.ts";
import { nextPolicy, PolicyLayout } from "../dataplane/change/policy.ts";
import { ACTION_BITS, NO_ROW } from "../dataplane/spec/policy.ts";
import * as policy from "../dataplane/table/policy/policy.ts";
import type { Pod } from "../kube/objects.ts";
import type { EndVerdict } from "../kubeproxy/words/explanation.ts";
import { policyVerdict } from "../kubeproxy/words/read-record.ts";
import type { DesiredState } from "../watch/desired-state.ts";

export interface Connection {
  readonly from: IpWords;
  /** How the receiver's node sees the sender, where that is another address. */
  readonly seenAs?: IpWords;
  /** After translation. */
  readonly to: IpWords;
  /** Protocol number. */
  readonly proto: number;
  /** Destination port; of protocols without ports it counts for nothing. */
  readonly port: number;
  readonly family: 4 | 6;
  /** Sent to that very address, by no service. */
  readonly isDirect: boolean;
  /** Asked as of two pods, even where one address, or one pod, stands for both. */
  readonly areTwo?: boolean;
}

const NOTHING = 0;
const CHAINS = { egress: "cali-fw-", ingress: "cali-tw-" } as const; // from and to a workload

export class PolicyView {
  readonly #state: DesiredState;
  readonly #compiler: PolicyCompiler;
  readonly #hasTunnel: boolean;
  readonly #table: policy.Policy;
  readonly #pods = new Map<string, Pod>();

  /** `hasTunnel`: nodes have addresses at their ends of it. */
  constructor(state: DesiredState, hasTunnel = false) {
    this.#state = state;
    this.#hasTunnel = hasTunnel;
    this.#compiler = new PolicyCompiler({ hasTunnel });
    const keysOf = (map: ReadonlyMap<string, unknown>): Set<string> => new Set(map.keys());
    const update = this.#compiler.update(state, {
      services: new Set(),
      nodes: keysOf(state.nodes),
      pods: keysOf(state.pods),
      namespaces: keysOf(state.namespaces),
      policies: keysOf(state.policies),
      clusterPolicies: keysOf(state.clusterPolicies),
      serviceCidrs: new Set(),
    });
    const empty = new policy.Policy();
    this.#table = update === undefined ? empty : nextPolicy(empty, new PolicyLayout().parts(update));
    for (const key of [...state.pods.keys()].sort()) {
      const pod = state.pods.get(key) as Pod;
      for (const address of podAddresses(pod)) {
        const text = formatIp(address);
        if (this.#subjectOf(address) >= 0 && !this.#pods.has(text)) this.#pods.set(text, pod);
      }
    }
  }

  get isEmpty(): boolean {
    return this.#table.active === 0;
  }

  /** What has anything to say, in the order in which it is asked; the first denial ends it. */
  decide(connection: Connection): EndVerdict[] {
    const egress = this.#verdict("egress", connection);
    if (egress?.action === "deny") return [egress];
    const ingress = this.#verdict("ingress", connection);
    return [egress, ingress].flatMap((verdict) => verdict ?? []);
  }

  /** All that answers depend on of an address among others: where it is the same, so are they. */
  standingOf(address: IpWords): string {
    const { w0, w1, w2, w3 } = address;
    const subject = this.#subjectOf(address);
    const rows = [policy.egressRow(this.#table, subject), policy.ingressRow(this.#table, subject)];
    return [...rows, policy.identityOf(this.#table, w0, w1, w2, w3)].join();
  }

  #verdict(direction: "egress" | "ingress", connection: Connection): EndVerdict | undefined {
    const { from, to, seenAs = from } = connection;
    const [own, peer] = direction === "egress" ? [from, to] : [to, seenAs];
    const pod = this.podOf(own);
    const subject = this.#subjectOf(own);
    if (pod === undefined || subject < 0) return undefined;
    const verdict = this.#ask(direction, connection, subject, pod, peer);
    if (verdict === NOTHING) return undefined;
    const name = this.#compiler.names.nameOf(verdict >> ACTION_BITS);
    const { namespace = "default", name: podName } = pod.metadata;
    return {
      direction,
      pod: `${namespace}/${podName}`,
      chain: `${CHAINS[direction]}${calicoInterfaceName(namespace, podName)}`,
      ...policyVerdict(verdict, () => name && { rule: formatRule(name), policies: policiesOf(name) }),
    };
  }

  #ask(
    direction: "egress" | "ingress",
    { from, to, proto, port, family, isDirect, areTwo = false }: Connection,
    subject: number,
    pod: Pod,
    peer: IpWords,
  ): number {
    const t = this.#table;
    const isEgress = direction === "egress";
    if (!areTwo && this.podOf(from) === this.podOf(to)) {
      return isDirect ? NOTHING : policy.decideSelf(t, subject, isEgress ? 0 : 1, family, proto, port);
    }
    const row = isEgress ? policy.egressRow(t, subject) : policy.ingressRow(t, subject);
    if (row === NO_ROW || (!isEgress && this.isNodeOf(pod, peer))) return NOTHING;
    return policy.decide(t, row, policy.identityOf(t, peer.w0, peer.w1, peer.w2, peer.w3), proto, port);
  }

  #subjectOf({ w0, w1, w2, w3 }: IpWords): number {
    return policy.subjectOf(this.#table, w0, w1, w2, w3);
  }

  /** The pod that has the address. */
  podOf(address: IpWords): Pod | undefined {
    return this.#pods.get(formatIp(address));
  }

  /** Is it an address of the node that the pod runs on? */
  isNodeOf(pod: Pod, address: IpWords): boolean {
    const node = this.#state.nodes.get(pod.spec.nodeName ?? "");
    const own = [...nodeAddresses(node), ...cniAddresses(node, this.#hasTunnel)];
    return own.some((each) => sameIp(each, address));
  }
}
