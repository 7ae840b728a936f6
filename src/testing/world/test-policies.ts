// Policies at a TestNode: compiled from objects, and put in force between its packets.

import { PolicyCompiler } from "../../compile/policy/policy-compiler.ts";
import type { LastingIds } from "../../compile/policy/rule-names.ts";
import { PolicyLayout, putInForce } from "../../dataplane/change/policy.ts";
import type { PolicyParts } from "../../dataplane/spec/policy.ts";
import { manifestOf } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { ObjectGraph } from "../../watch/desired-state.ts";
import { ObjectSet } from "../../watch/object-set.ts";
import { testNodes } from "./policy-world.ts";
import type { TestNode } from "./test-node.ts";

const NODES = testNodes();
const known = new WeakMap<object, KubeObject>();

/** The same objects come again and again, few of them changed. */
function readOnce(object: object): KubeObject {
  const read = known.get(object) ?? manifestOf(object, "test").object;
  known.set(object, read);
  return read;
}

export class TestPolicies {
  readonly compiler: PolicyCompiler;
  readonly #node: TestNode;
  readonly #graph = new ObjectGraph();
  readonly #set = new ObjectSet();
  readonly #layout = new PolicyLayout();
  /** What the node was told last. */
  parts: PolicyParts | undefined;

  constructor(node: TestNode, ruleIds?: LastingIds) {
    this.#node = node;
    this.compiler = new PolicyCompiler({ nodeName: `node${node.index}`, ruleIds });
  }

  /** These objects in the place of those before. Answers when the change began, all of it being read. */
  become(objects: readonly object[]): { beganMs: number } {
    const read = [...NODES, ...objects].map(readOnce);
    const events = this.#set.replace(read);
    const beganMs = performance.now();
    for (const event of events) this.#graph.onEvent(event);
    const update = this.compiler.update(this.#graph, this.#graph.take());
    if (update === undefined) return { beganMs };
    this.parts = this.#layout.parts(update);
    putInForce(this.#node.tables, this.parts);
    return { beganMs };
  }
}
