// Pods, namespaces, nodes and policies → what the plane is told of policies. Incremental: a change costs what it touches,
// and what the plane has is never written again (dataplane/table/policy). It counts on one thing: that one update is in
// force before the next one is asked for.
//
//   pods ─▶ classes ─┐
//   nodes ───────────┼─▶ terms that match ─┬─▶ identities ─┬─▶ cells ─▶ programs ─▶ verdicts with their rules
//   ipBlocks ────────┘                     └─▶ rows ───────┘
import { deepEqual } from "../../base/deep-equal.ts";
import type {
  PolicyAddress,
  PolicyAddressSpec,
  PolicyBlock,
  PolicyUpdate,
} from "../../dataplane/spec/policy.ts";
import type { Labels } from "../../kube/labels.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { Changes, DesiredState } from "../../watch/desired-state.ts";
import { nodeAddresses } from "../proxy-settings.ts";
import { AddressBlocks, type Block } from "./address-blocks.ts";
import { Holders, podAddresses } from "./holders.ts";
import { Identities, type Identity } from "./identities.ts";
import type { Held, Holder, PodClass } from "./members.ts";
import { PodClasses } from "./pod-classes.ts";
import { Policies } from "./policies.ts";
import { clusterPolicySpec, networkPolicySpec } from "./policy-rules.ts";
import { ALLOWED, type Row, Rows } from "./rows.ts";
import { RuleNames } from "./rule-names.ts";
import { namespaceLabels } from "./selectors.ts";
import { Subjects } from "./subjects.ts";
import type { Term } from "./terms.ts";

const ENFORCEMENT = "podwire.dev/enforcement";
const AUDIT = "audit";
const NO_SUBJECT = -1;
const NO_LABELS: Labels = {};

interface NamespaceFacts {
  readonly labels: Labels;
  /** Its policies are on trial. */
  readonly audit: boolean;
}

export class PolicyCompiler {
  readonly names = new RuleNames();
  readonly policies = new Policies();
  readonly #nodeName: string | undefined;
  readonly #namespaces = new Map<string, NamespaceFacts>();
  readonly #classes: PodClasses;
  readonly #identities = new Identities();
  readonly #rows = new Rows(this.names);
  readonly #subjects = new Subjects();
  readonly #holders = new Holders();
  /** Classes to ask for their rows and identities again. */
  readonly #touched = new Set<PodClass>();
  #askedNames = "";
  #blocks = new AddressBlocks([]);
  /** By combination of blocks. */
  #blockIdentities: readonly Identity[];
  #epoch = 0;

  /** Decides for the pods of `nodeName`; of every node when left out. */
  constructor(nodeName?: string) {
    this.#nodeName = nodeName;
    const { peers, subjects } = this.policies;
    this.#classes = new PodClasses(peers, subjects, (namespace) => this.#labelsOf(namespace));
    this.#blockIdentities = [this.#identities.acquire([], [])];
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
    this.names.epoch = this.#epoch + 1;
    for (const key of changes.namespaces) this.#updateNamespace(state, key);
    const subjects = this.#updatePolicies(state, changes);
    const isRenewed = this.#updateTerms(state, subjects);
    for (const key of changes.pods) this.#updatePod(state, key);
    for (const key of changes.nodes) this.#updateNode(state, key);
    const isChanged =
      subjects.size > 0 || isRenewed || this.#touched.size > 0 || this.#holders.touched.size > 0;
    return isChanged ? this.#tell(isRenewed) : undefined;
  }

  #labelsOf(namespace: string): Labels {
    return this.#namespaces.get(namespace)?.labels ?? namespaceLabels(namespace, NO_LABELS);
  }

  #updateNamespace(state: DesiredState, key: string): void {
    const object = state.namespaces.get(key);
    const before = this.#namespaces.get(key);
    const after = { labels: namespaceLabels(key, object?.metadata.labels), audit: isOnTrial(object) };
    this.#namespaces.set(key, after);
    if (object === undefined) this.#namespaces.delete(key);
    if (deepEqual(before?.labels, after.labels)) return;
    const { peers, subjects } = this.policies;
    for (const one of this.#classes.in(key)) {
      if (this.#classes.ask(one, peers.values(), subjects.values())) this.#touched.add(one);
    }
  }

  /** Takes changed policies in. Answers the subjects of what they were and are. */
  #updatePolicies(state: DesiredState, changes: Changes): Set<Term> {
    const subjects = new Set<Term>();
    const put = (terms: readonly Term[]): void => {
      for (const term of terms) subjects.add(term);
    };
    const keys = new Set(changes.policies);
    for (const namespace of changes.namespaces) {
      for (const key of state.policies.keys()) if (key.startsWith(`${namespace}/`)) keys.add(key);
    }
    for (const key of keys) {
      const policy = state.policies.get(key);
      const namespace = key.slice(0, key.indexOf("/"));
      const audit = isOnTrial(policy) || this.#namespaces.get(namespace)?.audit === true;
      put(this.policies.set(`policy ${key}`, policy && networkPolicySpec(policy), audit));
    }
    for (const key of changes.clusterPolicies) {
      const policy = state.clusterPolicies.get(key);
      put(this.policies.set(`cluster ${key}`, policy && clusterPolicySpec(policy), isOnTrial(policy)));
    }
    return subjects;
  }

  /** Marks everybody with the terms that are new, and with none that is gone. True when blocks changed. */
  #updateTerms(state: DesiredState, touched: ReadonlySet<Term>): boolean {
    const { peers, subjects } = this.policies;
    if (touched.size === 0) return false;
    const gone = { peers: peers.sweep(), subjects: subjects.sweep() };
    const selects = [...touched].map(({ id }) => id);
    const asksOther = this.policies.askedNames !== this.#askedNames;
    this.#askedNames = this.policies.askedNames;
    for (const one of this.#classes.values()) {
      let isTouched = asksOther || selects.some((id) => one.subjectOf.has(id));
      for (const { id } of gone.peers) if (one.peerOf.delete(id)) isTouched = true;
      for (const { id } of gone.subjects) if (one.subjectOf.delete(id)) isTouched = true;
      if (this.#classes.ask(one, peers.added, subjects.added)) isTouched = true;
      if (isTouched) this.#touched.add(one);
    }
    const changed = [...peers.added, ...gone.peers];
    if (changed.some(({ spec }) => spec.of === "nodes")) {
      for (const key of state.nodes.keys()) this.#updateNode(state, key);
    }
    const isRenewed = changed.some(({ spec }) => spec.of === "block");
    if (isRenewed) this.#blocks = new AddressBlocks(this.#blockTerms());
    peers.collect(gone.peers);
    subjects.collect(gone.subjects);
    return isRenewed;
  }

  #blockTerms(): Block[] {
    return [...this.policies.peers.values()].flatMap(({ id, spec }) =>
      spec.of === "block" ? [{ term: id, range: spec.range, except: spec.except }] : [],
    );
  }

  #updatePod(state: DesiredState, key: string): void {
    const pod = state.pods.get(key);
    const id = `pod ${key}`;
    const before = this.#holders.get(id);
    const addresses = pod === undefined ? [] : podAddresses(pod);
    const isSubject = this.#nodeName === undefined || pod?.spec.nodeName === this.#nodeName;
    const podClass = pod === undefined || addresses.length === 0 ? undefined : this.#classes.classOf(pod);
    const isSame =
      before?.podClass === podClass &&
      (before === undefined || (before.isSubject === isSubject && deepEqual(before.addresses, addresses)));
    if (isSame) return;
    if (before !== undefined) this.#leave(before);
    if (podClass === undefined) return;
    const holder = this.#holders.put({ key: id, addresses, podClass, terms: [], isSubject });
    podClass.pods.add(holder);
    if (isSubject) podClass.subjects++;
    this.#touched.add(podClass);
  }

  #leave(holder: Holder): void {
    this.#holders.remove(holder.key);
    const { podClass, isSubject } = holder;
    if (podClass === undefined) return;
    podClass.pods.delete(holder);
    if (isSubject) podClass.subjects--;
    this.#touched.add(podClass);
  }

  #updateNode(state: DesiredState, key: string): void {
    const node = state.nodes.get(key);
    const id = `node ${key}`;
    const addresses = nodeAddresses(node);
    const labels = node?.metadata.labels ?? NO_LABELS;
    const terms = [...this.policies.peers.values()]
      .filter((term) => term.nodes(labels))
      .map((term) => term.id);
    terms.sort((a, b) => a - b);
    const before = this.#holders.get(id);
    if (deepEqual(before?.addresses ?? [], addresses) && deepEqual(before?.terms ?? [], terms)) return;
    this.#holders.remove(id);
    if (addresses.length === 0) return;
    this.#holders.put({ key: id, addresses, podClass: undefined, terms, isSubject: false });
  }

  #tell(isRenewed: boolean): PolicyUpdate {
    const isWasteful = this.#rows.isWasteful;
    if (isRenewed || isWasteful) this.#holders.touchAll();
    const held = this.#blockIdentities;
    if (isRenewed) {
      const { combinations } = this.#blocks;
      this.#blockIdentities = combinations.map((terms) => this.#identities.acquire(terms, []));
      for (const identity of held) this.#identities.release(identity);
    }
    for (const one of this.#touched) this.#updateClass(one);
    const changed = new Set<Held>();
    for (const one of this.#holders.touched) if (this.#identify(one)) changed.add(one);
    this.#rows.fill(this.#identities.list, this.#identities.added);
    if (isWasteful) this.#rows.rebuild(this.#identities.list);
    const holders = new Set([...this.#holders.touched].flatMap((one) => one.holders));
    for (const holder of holders) this.#subject(holder, changed);
    if (isWasteful) this.names.endSweep();
    this.#subjects.flush();
    const update = this.#updateOf(changed, isRenewed);
    this.#collect();
    return update;
  }

  #updateOf(changed: ReadonlySet<Held>, isRenewed: boolean): PolicyUpdate {
    const set: PolicyAddressSpec[] = [];
    const remove: PolicyAddress[] = [];
    for (const { address, identity, subject } of changed) {
      const { w0, w1, w2, w3 } = address;
      if (identity === undefined) remove.push({ w0, w1, w2, w3 });
      else set.push({ w0, w1, w2, w3, identity: identity.index, subject: subject?.index ?? NO_SUBJECT });
    }
    const { cells, stride, programs } = this.#rows;
    return {
      epoch: ++this.#epoch,
      isActive: this.policies.size > 0,
      ...{ set, remove, blocks: isRenewed ? this.#blocksNow() : undefined },
      world: this.#blockIdentities[0].index,
      subjects: this.#subjects.words,
      ...{ cells, stride, programs },
      recycled: this.names.takeRecycled(),
    };
  }

  #blocksNow(): PolicyBlock[] {
    return this.#blocks.areas.map(({ prefix, combination }) => ({
      prefix,
      identity: this.#blockIdentities[combination].index,
    }));
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
    const isSame = deepEqual(terms, one.terms) && deepEqual(named, one.asked);
    if (!isSame) one.identities.clear();
    one.terms = terms;
    one.asked = named;
    if (isSame && egress === one.egress && ingress === one.ingress) return;
    for (const pod of one.pods) this.#holders.touch(pod);
  }

  /** Gives an address its identity. True when the plane has to be told. */
  #identify(held: Held): boolean {
    const before = held.identity;
    const holder = held.holders[0];
    held.identity = holder === undefined ? undefined : this.#identityOf(holder, held);
    if (before !== undefined) this.#identities.release(before);
    if (holder !== undefined) return held.identity !== before;
    if (held.subject !== undefined) this.#subjects.release(held.subject);
    held.subject = undefined;
    this.#holders.forget(held);
    return true;
  }

  #identityOf(holder: Holder, { address }: Held): Identity {
    const combination = this.#blocks.combinationOf(address);
    const blocks = this.#blocks.combinations[combination];
    const { podClass } = holder;
    if (podClass === undefined) return this.#identities.acquire(merged(holder.terms, blocks), []);
    const key = blocks.join();
    const known = podClass.identities.get(key);
    if (known !== undefined && this.#identities.hold(known)) return known;
    const identity = this.#identities.acquire(merged(podClass.terms, blocks), podClass.asked);
    podClass.identities.set(key, identity);
    return identity;
  }

  /** Decides how a pod is decided for, and notes the addresses for which that is news. */
  #subject(holder: Holder, changed: Set<Held>): void {
    const { podClass, isSubject } = holder;
    const self: number[] = [];
    if (podClass !== undefined && isSubject) {
      for (const family of [4, 6] as const) {
        const identity = holder.held.find(({ address }) => address.family === family)?.identity;
        for (const row of [podClass.egress, podClass.ingress]) {
          const asks = identity !== undefined && row?.asksSelf === true;
          self.push(asks ? this.#rows.selfCell(row, identity) : ALLOWED);
        }
      }
    }
    for (const held of holder.held) {
      if (held.holders[0] !== holder) continue;
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

function merged(a: readonly number[], b: readonly number[]): readonly number[] {
  return b.length === 0 ? a : [...a, ...b].sort((x, y) => x - y);
}

function isOnTrial(object: KubeObject | undefined): boolean {
  return object?.metadata.annotations?.[ENFORCEMENT] === AUDIT;
}
