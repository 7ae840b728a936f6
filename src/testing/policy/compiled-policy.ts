// A cluster's policies as they are compiled for all of its pods, kept up to date as its objects change: the table that
// the plane would ask, without a plane.
import { type IpWords, ip } from "../../base/ip.ts";
import { Pace } from "../../base/pace.ts";
import { PolicyCompiler } from "../../compile/policy/policy-compiler.ts";
import { nextPolicy, PolicyLayout } from "../../dataplane/change/policy.ts";
import * as policy from "../../dataplane/table/policy/policy.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { ObjectGraph } from "../../watch/desired-state.ts";
import { ObjectSet } from "../../watch/object-set.ts";

export class CompiledPolicy {
  readonly #graph = new ObjectGraph();
  readonly #set = new ObjectSet();
  readonly #layout = new PolicyLayout();
  readonly compiler: PolicyCompiler;
  table = new policy.Policy();

  /** `nodeName`: whose pods are decided for; everybody's when left out. */
  constructor(pace = new Pace(), nodeName?: string) {
    this.compiler = new PolicyCompiler({ pace, nodeName });
  }

  /** These objects in the place of those there are. */
  become(objects: readonly KubeObject[]): void {
    for (const event of this.#set.replace(objects)) this.#graph.onEvent(event);
    const update = this.compiler.update(this.#graph, this.#graph.take());
    if (update !== undefined) this.table = nextPolicy(this.table, this.#layout.parts(update));
  }

  /** As `become`, while the objects are on their way to being those of `next`: a change of them after each step. */
  becomeSlowly(objects: readonly KubeObject[], next: readonly KubeObject[]): number {
    for (const event of this.#set.replace(objects)) this.#graph.onEvent(event);
    const steps = this.compiler.steps(this.#graph, this.#graph.take());
    const meanwhile = this.#set.replace(next);
    for (let count = 1; ; count++) {
      const step = steps.next();
      if (step.done !== true) {
        for (const event of meanwhile.splice(0, 1)) this.#graph.onEvent(event);
        continue;
      }
      if (step.value !== undefined) this.table = nextPolicy(this.table, this.#layout.parts(step.value));
      for (const event of meanwhile) this.#graph.onEvent(event);
      return count;
    }
  }

  identityOf(address: string): number {
    const { w0, w1, w2, w3 } = wordsOf(address);
    return policy.identityOf(this.table, w0, w1, w2, w3);
  }

  /** Below 0: no pod is known to have it. */
  subjectOf(address: string): number {
    const { w0, w1, w2, w3 } = wordsOf(address);
    return policy.subjectOf(this.table, w0, w1, w2, w3);
  }
}

/** The same few addresses are asked for again and again. */
const known = new Map<string, IpWords>();

function wordsOf(address: string): IpWords {
  const found = known.get(address) ?? ip(address);
  known.set(address, found);
  return found;
}
