// A cluster's nodes behind Calico's rules, read by RuleReader: what becomes of a connection on its way from node to node.
import type { IpFamily } from "../../base/ip.ts";
import { endpointsOf } from "../../calico/felix/endpoints.ts";
import { renderPolicyRules } from "../../calico/felix/policy-rules.ts";
import { calicoInterfaceName } from "../../calico/interface-name.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { clusterOf, type Named, nodeAddressesOf, podAt } from "./cluster.ts";
import type { Cell } from "./evaluator.ts";
import { RuleReader } from "./rule-reader.ts";

const UPLINK = "eth0";
const OVERLAY = { type: "vxlan", vni: 1, port: 8472 } as const;

interface Rendered {
  readonly rules: string;
  readonly sets: string;
}

/** By the list of objects, then by node and family: errors are planted into the same rules again and again. */
const rendered = new WeakMap<readonly KubeObject[], Map<string, Rendered>>();

function renderedOnce(objects: readonly KubeObject[], nodeName: string, family: IpFamily): Rendered {
  const ofObjects = rendered.get(objects) ?? new Map<string, Rendered>();
  rendered.set(objects, ofObjects);
  const key = `${nodeName} ${family}`;
  let found = ofObjects.get(key);
  if (found === undefined) {
    const input = { objects, nodeName, family, overlay: OVERLAY };
    found = { rules: renderPolicyRules("iptables-save", input), sets: renderPolicyRules("ipset", input) };
    ofObjects.set(key, found);
  }
  return found;
}

export class CalicoSide {
  readonly #cluster: ReturnType<typeof clusterOf>;
  readonly #readers = new Map<string, RuleReader>();
  readonly #objects: readonly KubeObject[];
  readonly #edit: (rules: string) => string;

  /** `edit`: an error that is planted into the rules. */
  constructor(objects: readonly Named[], edit: (rules: string) => string = (rules) => rules) {
    this.#cluster = clusterOf(objects);
    this.#objects = objects as unknown as KubeObject[];
    this.#edit = edit;
  }

  allows(cell: Cell): boolean {
    const { from, to } = cell;
    const source = this.#place(from);
    const target = this.#place(to);
    if (source.pod !== undefined && from === to) return true; // never leaves the pod
    const out = target.pod ?? (target.isNode && target.node === source.node ? "" : UPLINK);
    const leaves = source.isNode ? "" : source.pod;
    const sameNode = source.node !== undefined && source.node === target.node;
    if (leaves !== undefined && source.node !== undefined) {
      const at = sameNode || target.node === undefined ? out : UPLINK;
      if (!(leaves === "" && at === "") && !this.#passes(source.node, leaves, at, cell)) return false;
    }
    if (target.pod === undefined || target.node === undefined || sameNode) return true;
    return this.#passes(target.node, UPLINK, target.pod, cell);
  }

  /** Where an address is: at a pod's interface, at a node itself, or outside. */
  #place(address: string): { node?: string; pod?: string; isNode: boolean } {
    const pod = podAt(this.#cluster, address);
    if (pod !== undefined) {
      const { namespace = "default", name } = pod.metadata;
      return { node: pod.spec.nodeName ?? "", pod: calicoInterfaceName(namespace, name), isNode: false };
    }
    const node = this.#cluster.nodes.find((each) => nodeAddressesOf(each).includes(address));
    return node === undefined ? { isNode: false } : { node: node.metadata.name, isNode: true };
  }

  #passes(node: string, from: string, to: string, cell: Cell): boolean {
    const family: IpFamily = cell.from.includes(":") ? 6 : 4;
    const reader = this.#reader(node, family);
    const { protocol, port } = cell;
    return reader.verdict({ in: from, out: to, from: cell.from, to: cell.to, protocol, port }) === "ACCEPT";
  }

  #reader(nodeName: string, family: IpFamily): RuleReader {
    const key = `${nodeName} ${family}`;
    let found = this.#readers.get(key);
    if (found === undefined) {
      const { rules, sets } = renderedOnce(this.#objects, nodeName, family);
      found = new RuleReader(this.#edit(rules), sets);
      this.#readers.set(key, found);
    }
    return found;
  }

  /** Rules that packets were compared with, of all nodes. */
  get steps(): number {
    return [...this.#readers.values()].reduce((sum, { steps }) => sum + steps, 0);
  }

  get endpoints(): number {
    return endpointsOf(this.#objects).length;
  }
}
