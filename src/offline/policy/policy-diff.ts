// Which pairs change between two states of a cluster. Ends are the same where their names are.
import { deepEqual } from "../../base/deep-equal.ts";
import {
  clusterPolicySpec,
  LAST_PORT,
  networkPolicySpec,
  PROTOCOLS,
} from "../../compile/policy/policy-rules.ts";
import { type ClusterNetworkPolicy, type KubeObject, keyOf, type NetworkPolicy } from "../../kube/objects.ts";
import type { End, Port } from "./ends.ts";
import type { Relation } from "./matrix.ts";
import type { Answer, Reach } from "./reach.ts";

/** Undefined: one of the two was, or is, not there. */
export interface Change {
  readonly before: Answer | undefined;
  readonly after: Answer | undefined;
}

export interface State {
  readonly reach: Reach;
  readonly ends: ReadonlyMap<string, End>;
}

/** Both states as one relation. */
export class PolicyDiff implements Relation<Change> {
  readonly #before: State;
  readonly #after: State;

  constructor(before: State, after: State) {
    this.#before = before;
    this.#after = after;
  }

  kindOf({ name }: End): string {
    const kinds = [this.#before, this.#after].map(({ reach, ends }) => {
      const end = ends.get(name);
      return end === undefined ? "" : reach.kindOf(end);
    });
    return kinds.join(" then ");
  }

  cell(from: End, to: End, port: Port): Change {
    return this.#of(from, to, (reach, source, target) => reach.cell(source, target, port));
  }

  between(from: End, to: End, port: Port): Change {
    return this.#of(from, to, (reach, source, target) => reach.between(source, target, port));
  }

  #of(from: End, to: End, ask: (reach: Reach, from: End, to: End) => Answer): Change {
    const [before, after] = [this.#before, this.#after].map(({ reach, ends }) => {
      const [source, target] = [ends.get(from.name), ends.get(to.name)];
      return source === undefined || target === undefined ? undefined : ask(reach, source, target);
    });
    return { before, after };
  }
}

export function isChange({ before, after }: Change): boolean {
  return before?.allowed !== after?.allowed;
}

/** Ports by number in policies that differ: the first and the last of a range. */
export function changedPorts(before: readonly KubeObject[], after: readonly KubeObject[]): Port[] {
  const keysOf = (objects: readonly KubeObject[]): Map<string, KubeObject> =>
    new Map(objects.filter(isPolicy).map((object) => [`${object.kind} ${keyOf(object)}`, object]));
  const [old, now] = [keysOf(before), keysOf(after)];
  const ports = new Map<string, Port>();
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [one, other] = [old.get(key), now.get(key)];
    if (deepEqual(specOf(one), specOf(other))) continue;
    for (const port of [one, other].flatMap((object) => (object === undefined ? [] : portsOf(object))))
      ports.set(`${port.port}/${port.protocol}`, port);
  }
  return [...ports.values()].sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

function isPolicy({ kind }: KubeObject): boolean {
  return kind === "NetworkPolicy" || kind === "ClusterNetworkPolicy";
}

function specOf(object: KubeObject | undefined): unknown {
  return (object as NetworkPolicy | undefined)?.spec;
}

function portsOf(object: KubeObject): Port[] {
  const { ingress = [], egress = [] } =
    object.kind === "NetworkPolicy"
      ? networkPolicySpec(object as NetworkPolicy)
      : clusterPolicySpec(object as ClusterNetworkPolicy);
  return [...ingress, ...egress].flatMap(({ ports = [] }) =>
    ports.flatMap(({ proto, name, from, to }): Port[] => {
      const protocol = Object.keys(PROTOCOLS).find((each) => PROTOCOLS[each] === proto);
      if (name !== "" || protocol === undefined) return [];
      return [from, to].filter((port) => port > 0 && port < LAST_PORT).map((port) => ({ port, protocol }));
    }),
  );
}
