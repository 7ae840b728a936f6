// Pods, namespaces, nodes and policies → what the plane is told of policies. Incremental: a change costs what it touches,
// and what the plane has is never written again (dataplane/table/policy). It counts on one thing: that one update is in
// force before the next one is asked for. What takes long comes in steps of some milliseconds.
//
//   pods ─▶ classes ─┐
//   nodes ───────────┼─▶ terms that match ─┬─▶ identities ─┬─▶ cells ─▶ programs ─▶ verdicts with their rules
//   ipBlocks ────────┘                     └─▶ rows ───────┘
import { deepEqual } from "../../base/deep-equal.ts";
import type { Ip } from "../../base/ip.ts";
import { finish, Pace } from "../../base/pace.ts";
import { firstOf, listOf } from "../../base/some.ts";
import {
  epochAfter,
  type PolicyAddress,
  type PolicyAddressSpec,
  type PolicyBlock,
  type PolicyUpdate,
} from "../../dataplane/spec/policy.ts";
import type { Labels } from "../../kube/labels.ts";
import type { KubeObject, Node, Pod } from "../../kube/objects.ts";
import { isOnTrial } from "../../kube/on-trial.ts";
import type { Changes, DesiredState } from "../../watch/desired-state.ts";
import { cniAddresses } from "../node.ts";
import { nodeAddresses } from "../proxy-settings.ts";
import { AddressBlocks, type Area } from "./address-blocks.ts";
import { Holders, holds, podAddresses } from "./holders.ts";
import { type Base, Identities } from "./identities.ts";
import { type Held, type Holder, HolderKind, type PodClass } from "./members.ts";
import { PodClasses } from "./pod-classes.ts";
import { Policies } from "./policies.ts";
import { namespaceOf, type PolicyInput, PolicyInputs } from "./policy-input.ts";
import { clusterPolicySpec, networkPolicySpec } from "./policy-rules.ts";
import { ALLOWED, type Row, Rows } from "./rows.ts";
import { type LastingIds, RuleNames } from "./rule-names.ts";
import { namespaceLabels } from "./selectors.ts";
import { Subjects } from "./subjects.ts";
import type { Term } from "./terms.ts";

const { NODE, POD, TUNNEL } = HolderKind;
const NO_SUBJECT = -1;
const NO_TERMS: readonly number[] = [];
const NO_LABELS: Labels = {};

/** How much work there is in one of them, as Pace counts. */
const POLICY_UNITS = 30;
const POD_UNITS = 6;
const CLASS_UNITS = 20;
const ADDRESS_UNITS = 3;
/** Terms that a class or a node is asked about, in a unit. */
const TERMS_A_UNIT = 16;
/** When more blocks come at once, it is less work to ask for the identity of every address. */
const BLOCKS_FOLLOWED = 32;

interface NamespaceFacts {
  readonly labels: Labels;
  /** Its policies are on trial. */
  readonly audit: boolean;
}

export interface PolicyCompilerOptions {
  /** Whose pods are decided for; everybody's when left out. */
  readonly nodeName?: string | undefined;
  /** Nodes have a tunnel, and each an address at its end of it. */
  readonly hasTunnel?: boolean;
  readonly ruleIds?: LastingIds | undefined;
  /** How much is done in a step. */
  readonly pace?: Pace;
}

export class PolicyCompiler {
  readonly names: RuleNames;
  readonly policies = new Policies();
  readonly #nodeName: string | undefined;
  readonly #inputs: PolicyInputs;
  readonly #hasTunnel: boolean;
  readonly #pace: Pace;
  readonly #namespaces = new Map<string, NamespaceFacts>();
  readonly #classes: PodClasses;
  readonly #identities = new Identities();
  readonly #rows: Rows;
  readonly #subjects = new Subjects();
  readonly #holders = new Holders();
  /** Classes to ask for their rows and identities again. */
  readonly #touched = new Set<PodClass>();
  #askedNames = "";
  readonly #blocks = new AddressBlocks(this.#identities);
  #epoch = 0;

  constructor({ nodeName, hasTunnel = false, ruleIds, pace = new Pace() }: PolicyCompilerOptions = {}) {
    this.#nodeName = nodeName;
    this.#inputs = new PolicyInputs(nodeName);
    this.#hasTunnel = hasTunnel;
    this.#pace = pace;
    this.names = new RuleNames(ruleIds);
    this.#rows = new Rows(this.names);
    const { peers, subjects } = this.policies;
    this.#classes = new PodClasses(peers, subjects, (namespace) => this.#labelsOf(namespace));
  }

  /** How much there is of what. */
  get sizes(): Readonly<Record<string, number>> {
    return {
      policies: this.policies.size,
      classes: this.#classes.size,
      identities: this.#identities.size,
      rows: this.#rows.size,
      cells: this.#rows.cells.length,
      programs: this.#rows.programs.length,
    };
  }

  /** What these changes make of the table; undefined when they make no difference. */
  update(state: DesiredState, changes: Changes): PolicyUpdate | undefined {
    return finish(this.steps(state, changes));
  }

  /** As `update`, in steps, for a caller who has more to do. `state` may change between them. */
  *steps(state: DesiredState, changes: Changes): Generator<void, PolicyUpdate | undefined> {
    const input = this.#inputs.next(state, changes, (key) => this.#holders.get(POD, key) !== undefined);
    this.names.epoch = epochAfter(this.#epoch);
    for (const [key, object] of input.namespaces) {
      if (this.#pace.isOver(this.#updateNamespace(key, object))) yield;
    }
    const subjects = new Set<Term>();
    yield* this.#updatePolicies(input, subjects);
    yield* this.#updateTerms(input, subjects);
    for (const [key, pod] of input.pods) if (this.#pace.isOver(this.#updatePod(key, pod))) yield;
    for (const [key, node] of input.nodes) if (this.#pace.isOver(this.#updateNode(key, node))) yield;
    const isChanged = subjects.size > 0 || this.#touched.size > 0 || this.#holders.touched.size > 0;
    return isChanged ? yield* this.#tell() : undefined;
  }

  #labelsOf(namespace: string): Labels {
    return this.#namespaces.get(namespace)?.labels ?? namespaceLabels(namespace, NO_LABELS);
  }

  /** Answers how much was done, as the others that follow. */
  #updateNamespace(key: string, object: KubeObject | undefined): number {
    const before = this.#namespaces.get(key);
    const after = { labels: namespaceLabels(key, object?.metadata.labels), audit: isOnTrial(object) };
    this.#namespaces.set(key, after);
    if (object === undefined) this.#namespaces.delete(key);
    if (deepEqual(before?.labels, after.labels)) return 1;
    const { peers, subjects } = this.policies;
    let units = 1;
    for (const one of this.#classes.in(key)) {
      if (this.#classes.ask(one, peers.values(), subjects.values())) this.#touched.add(one);
      units += askingUnits(peers.size + subjects.size);
    }
    return units;
  }

  /** Takes changed policies in. Adds the subjects of what they were and are. */
  *#updatePolicies(input: PolicyInput, subjects: Set<Term>): Generator<void, void> {
    const put = (terms: readonly Term[]): void => {
      for (const term of terms) subjects.add(term);
    };
    for (const [key, policy] of input.policies) {
      const audit = isOnTrial(policy) || this.#namespaces.get(namespaceOf(key))?.audit === true;
      put(this.policies.set(`policy ${key}`, policy && networkPolicySpec(policy), audit));
      if (this.#pace.isOver(POLICY_UNITS)) yield;
    }
    for (const [key, policy] of input.clusterPolicies) {
      put(this.policies.set(`cluster ${key}`, policy && clusterPolicySpec(policy), isOnTrial(policy)));
      if (this.#pace.isOver(POLICY_UNITS)) yield;
    }
  }

  /** Marks everybody with the terms that are new, and with none that is gone. */
  *#updateTerms(input: PolicyInput, touched: ReadonlySet<Term>): Generator<void, void> {
    const { peers, subjects } = this.policies;
    if (touched.size === 0) return;
    const gone = { peers: peers.sweep(), subjects: subjects.sweep() };
    const selects = [...touched].map(({ id }) => id);
    const asksOther = this.policies.askedNames !== this.#askedNames;
    this.#askedNames = this.policies.askedNames;
    const units = askingUnits(peers.added.size + subjects.added.size + gone.peers.length + selects.length);
    for (const one of this.#classes.values()) {
      let isTouched = asksOther || selects.some((id) => one.subjectOf.has(id));
      for (const { id } of gone.peers) if (one.peerOf.delete(id)) isTouched = true;
      for (const { id } of gone.subjects) if (one.subjectOf.delete(id)) isTouched = true;
      if (this.#classes.ask(one, peers.added, subjects.added)) isTouched = true;
      if (isTouched) this.#touched.add(one);
      if (this.#pace.isOver(units)) yield;
    }
    const changed = [...peers.added, ...gone.peers];
    if (changed.some(({ spec }) => spec.of === "nodes")) {
      for (const [key, node] of input.allNodes) if (this.#pace.isOver(this.#updateNode(key, node))) yield;
    }
    yield* this.#updateBlocks(peers.added, gone.peers);
    peers.collect(gone.peers);
    subjects.collect(gone.subjects);
  }

  /** New ones first: what both the old and the new ones tell apart is never one in between. */
  *#updateBlocks(added: Iterable<Term>, gone: readonly Term[]): Generator<void, void> {
    const news = [...added].flatMap(({ id, spec }) => (spec.of === "block" ? [{ ...spec, term: id }] : []));
    const follows = news.length <= BLOCKS_FOLLOWED;
    for (const block of news) yield* this.#blocks.add(block, follows, this.#pace);
    for (const { id, spec } of gone) {
      if (spec.of === "block") yield* this.#blocks.remove(id, this.#pace);
    }
    if (follows) this.#holders.touchThese(this.#identities.moved);
    else this.#holders.touchAll();
  }

  #updatePod(key: string, pod: Pod | undefined): number {
    const before = this.#holders.get(POD, key);
    const addresses = pod === undefined ? [] : podAddresses(pod);
    const isSubject = this.#nodeName === undefined || pod?.spec.nodeName === this.#nodeName;
    const classes = this.#classes.size;
    const podClass = pod === undefined || addresses.length === 0 ? undefined : this.#classes.classOf(pod);
    const { peers, subjects } = this.policies;
    const units = POD_UNITS + (this.#classes.size - classes) * askingUnits(peers.size + subjects.size);
    const isSame =
      before?.podClass === podClass &&
      (before === undefined || (before.isSubject === isSubject && holds(before, addresses)));
    if (isSame) return units;
    if (before !== undefined) this.#leave(before);
    if (podClass === undefined) return units;
    const holder = this.#holders.put({ kind: POD, key, podClass, terms: NO_TERMS, isSubject }, addresses);
    podClass.pods.add(holder);
    if (isSubject) podClass.subjects++;
    this.#touched.add(podClass);
    return units;
  }

  #leave(holder: Holder): void {
    this.#holders.remove(POD, holder.key);
    const { podClass, isSubject } = holder;
    if (podClass === undefined) return;
    podClass.pods.delete(holder);
    if (isSubject) podClass.subjects--;
    this.#touched.add(podClass);
  }

  /** Where a pod has one of the addresses that a node gives itself, it is the pod's: they come after "pod ". */
  #updateNode(key: string, node: Node | undefined): number {
    const labels = node?.metadata.labels ?? NO_LABELS;
    const { peers } = this.policies;
    const terms: number[] = [];
    for (const term of peers.values()) if (term.nodes(labels)) terms.push(term.id);
    terms.sort((a, b) => a - b);
    this.#holdNode(NODE, key, nodeAddresses(node), terms);
    this.#holdNode(TUNNEL, key, cniAddresses(node, this.#hasTunnel), terms);
    return 1 + askingUnits(peers.size);
  }

  #holdNode(kind: HolderKind, key: string, addresses: readonly Ip[], terms: readonly number[]): void {
    const before = this.#holders.get(kind, key);
    const isSame = before === undefined ? addresses.length === 0 : holds(before, addresses);
    if (isSame && deepEqual(before?.terms ?? terms, terms)) return;
    this.#holders.remove(kind, key);
    if (addresses.length === 0) return;
    this.#holders.put({ kind, key, podClass: undefined, terms, isSubject: false }, addresses);
  }

  *#tell(): Generator<void, PolicyUpdate> {
    const isWasteful = this.#rows.isWasteful;
    if (isWasteful) this.#holders.touchAll();
    for (const one of this.#touched) {
      this.#updateClass(one);
      if (this.#pace.isOver(CLASS_UNITS)) yield;
    }
    const changed = new Set<Held>();
    for (const one of this.#holders.touched) {
      if (this.#identify(one)) changed.add(one);
      if (this.#pace.isOver(ADDRESS_UNITS)) yield;
    }
    yield* this.#rows.fill(this.#identities.list, this.#identities.added, this.#pace);
    if (isWasteful) yield* this.#rows.rebuild(this.#identities.list, this.#pace);
    const holders = new Set<Holder>();
    for (const one of this.#holders.touched) for (const holder of listOf(one.holders)) holders.add(holder);
    for (const holder of holders) {
      this.#subject(holder, changed);
      if (this.#pace.isOver(ADDRESS_UNITS)) yield;
    }
    if (isWasteful) this.names.endSweep();
    this.#subjects.flush();
    const update = this.#updateOf(changed);
    this.#collect();
    return update;
  }

  #updateOf(changed: ReadonlySet<Held>): PolicyUpdate {
    const set: PolicyAddressSpec[] = [];
    const remove: PolicyAddress[] = [];
    for (const { w0, w1, w2, w3, identity, subject } of changed) {
      if (identity === undefined) remove.push({ w0, w1, w2, w3 });
      else set.push({ w0, w1, w2, w3, identity: identity.index, subject: subject?.index ?? NO_SUBJECT });
    }
    const { cells, stride, programs } = this.#rows;
    this.#epoch = epochAfter(this.#epoch);
    return {
      epoch: this.#epoch,
      isActive: this.policies.size > 0,
      ...{ set, remove, blocks: this.#blocks.isChanged ? this.#blocksNow() : undefined },
      world: this.#worldOf(this.#blocks.areas[0]),
      subjects: this.#subjects.words,
      ...{ cells, stride, programs },
      recycled: this.names.takeRecycled(),
    };
  }

  #blocksNow(): PolicyBlock[] {
    this.#blocks.isChanged = false;
    return this.#blocks.areas
      .slice(1)
      .map((area) => ({ prefix: area.prefix, identity: this.#worldOf(area) }));
  }

  #worldOf({ combination }: Area): number {
    return this.#identities.worldOf(combination).index;
  }

  /** Ends a change: what was given up in it may be given out in the next one. */
  #collect(): void {
    for (const one of this.#touched) if (one.pods.size === 0) this.#classes.drop(one);
    this.#touched.clear();
    this.#holders.touched.clear();
    this.#identities.collect();
    this.#rows.collect();
  }

  /** Rows and terms of a class; its pods are touched when these are others than before. */
  #updateClass(one: PodClass): void {
    const { egress, ingress } = one;
    const rowOf = (direction: "egress" | "ingress"): Row | undefined => {
      const policies = one.subjects > 0 ? this.policies.selecting(one.subjectOf, direction) : [];
      return policies.length === 0 ? undefined : this.#rows.acquire(direction, policies, one.named);
    };
    one.egress = rowOf("egress");
    one.ingress = rowOf("ingress");
    if (egress !== undefined) this.#rows.release(egress);
    if (ingress !== undefined) this.#rows.release(ingress);
    const terms = [...one.peerOf].sort((a, b) => a - b);
    const named = one.named.filter(({ name }) => this.policies.asksFor(name));
    const { base } = one;
    one.base = this.#identities.baseOf("pod", terms, named);
    if (base === one.base && egress === one.egress && ingress === one.ingress) return;
    for (const pod of one.pods) this.#holders.touch(pod);
  }

  /** Gives an address its identity. True when the plane has to be told. */
  #identify(held: Held): boolean {
    const before = held.identity;
    const holder = firstOf(held.holders);
    if (holder !== undefined) {
      const combination = this.#blocks.combinationOf(held);
      held.identity = this.#identities.join(held, this.#baseOf(holder), combination);
      return held.identity !== before;
    }
    if (before !== undefined) this.#identities.leave(held, before);
    held.identity = undefined;
    if (held.subject !== undefined) this.#subjects.release(held.subject);
    held.subject = undefined;
    this.#holders.forget(held);
    return true;
  }

  #baseOf({ podClass, terms }: Holder): Base {
    return podClass?.base ?? this.#identities.baseOf("node", terms, []);
  }

  /** Decides how a pod is decided for, and notes the addresses for which that is news. */
  #subject(holder: Holder, changed: Set<Held>): void {
    const { podClass, isSubject } = holder;
    const self: number[] = [];
    if (podClass !== undefined && isSubject) {
      for (const family of [4, 6] as const) {
        const identity = holder.held.find((held) => held.family === family)?.identity;
        for (const row of [podClass.egress, podClass.ingress]) {
          const asks = identity !== undefined && row?.asksSelf === true;
          self.push(asks ? this.#rows.selfCell(row, identity) : ALLOWED);
        }
      }
    }
    for (const held of holder.held) {
      if (firstOf(held.holders) !== holder) continue;
      const before = held.subject;
      held.subject =
        podClass !== undefined && isSubject
          ? this.#subjects.acquire(podClass.egress, podClass.ingress, self)
          : undefined;
      if (held.subject !== before) changed.add(held);
      if (before !== undefined) this.#subjects.release(before);
    }
  }
}

function askingUnits(terms: number): number {
  return 1 + terms / TERMS_A_UNIT;
}
