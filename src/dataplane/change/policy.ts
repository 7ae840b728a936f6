/**
 * Policies' updates on their way into the plane. `PolicyLayout` runs on the thread that compiles and makes parts of them;
 * `putInForce` runs between two batches. What takes long is done by the former: the latter writes few addresses into the
 * table that it has, or takes a new table as it is.
 */
import { ColumnCarver } from "../../base/columns.ts";
import { finish, Pace } from "../../base/pace.ts";
import { PortRole } from "../port.ts";
import { NO_OWNER, type PortTable } from "../send/port-table.ts";
import {
  A_IDENTITY,
  A_SUBJECT,
  ADDRESS_WORDS,
  type PolicyAddressSpec,
  type PolicyBlock,
  type PolicyParts,
  type PolicyUpdate,
} from "../spec/policy.ts";
import * as policy from "../table/policy/policy.ts";
import * as answers from "../table/policy/policy-answers.ts";
import * as hits from "../table/policy/policy-hits.ts";
import { PrefixRanges } from "../table/prefix-ranges.ts";
import * as words128 from "../table/words128.ts";
import type { Tables } from "../tables.ts";
import { apply, createAddresses, hasRoom, put, putAll, take } from "./policy-addresses.ts";
import { countsOf, fillRanges, planRanges } from "./prefix-ranges.ts";

/** Addresses that are written between two batches, at most, by code that seldom runs: 0.3 ms. */
const FEW = 256;
/** How much larger a table is made than it has to be. */
const SPARE = 1.25;
const { V4_MAPPED } = words128;
const NO_CHANGES = new Int32Array(0);

export class PolicyLayout {
  /** As the plane has them. */
  #addresses = createAddresses(0);
  #count = 0;
  #ranges = layOut([]);
  #isTold = false;
  readonly #pace = new Pace();

  parts(update: PolicyUpdate): PolicyParts {
    return finish(this.steps(update));
  }

  /** As `parts`, in steps of some milliseconds. */
  *steps(update: PolicyUpdate): Generator<void, PolicyParts> {
    const { epoch, isActive, set, remove, blocks, world, subjects, cells, stride, programs, recycled } =
      update;
    for (const address of remove) {
      if (take(this.#addresses, address)) this.#count--;
      if (this.#pace.isOver(1)) yield;
    }
    const fits = hasRoom(this.#addresses, this.#count + set.length);
    if (!fits) {
      const wider = createAddresses(SPARE * (this.#count + set.length));
      putAll(this.#addresses, wider);
      this.#addresses = wider;
    }
    for (const address of set) {
      if (put(this.#addresses, address)) this.#count++;
      if (this.#pace.isOver(1)) yield;
    }
    if (blocks !== undefined) this.#ranges = layOut(blocks);
    const isFew = this.#isTold && fits && set.length + remove.length <= FEW;
    this.#isTold = true;
    return {
      ...{ epoch, active: isActive ? 1 : 0, world, stride, recycled },
      ...{ subjects: sharedCopy(subjects), cells: sharedCopy(cells), programs: sharedCopy(programs) },
      ...this.#ranges,
      addresses: isFew ? undefined : sharedCopy(this.#addresses),
      changes: isFew ? changesOf(update) : NO_CHANGES,
    };
  }
}

/** Rows as the table has them; of an address that goes, without identity. */
export function changesOf({ set, remove }: Pick<PolicyUpdate, "set" | "remove">): Int32Array {
  const gone = remove.map((address): PolicyAddressSpec => ({ ...address, identity: -1, subject: -1 }));
  const words = new Int32Array((gone.length + set.length) * ADDRESS_WORDS);
  for (const [i, { w0, w1, w2, w3, identity, subject }] of [...gone, ...set].entries()) {
    const at = i * ADDRESS_WORDS;
    words.set([w0, w1, w2, w3], at);
    words[at + A_IDENTITY] = identity + 1;
    words[at + A_SUBJECT] = subject + 1;
  }
  return words;
}

export function sharedCopy(words: Int32Array): Int32Array {
  const copy = new Int32Array(new SharedArrayBuffer(words.byteLength));
  copy.set(words);
  return copy;
}

function layOut(blocks: readonly PolicyBlock[]) {
  const plan = planRanges(
    blocks.map(({ prefix }) => prefix),
    blocks.map(({ identity }) => identity),
  );
  const rangeCounts = countsOf(plan);
  const ranges = new SharedArrayBuffer(PrefixRanges.bytesFor(rangeCounts));
  fillRanges(new PrefixRanges(new ColumnCarver(ranges), rangeCounts), plan);
  return { ranges, rangeCounts };
}

/** The table that follows `before`. Its addresses come with the parts, or are those of `before`, changed. */
export function nextPolicy(before: policy.Policy, parts: PolicyParts): policy.Policy {
  const addresses = parts.addresses ?? before.addresses;
  apply(addresses, parts.changes);
  return new policy.Policy({ ...parts, addresses });
}

export function putInForce(t: Tables, parts: PolicyParts): void {
  t.policy = nextPolicy(t.policy, parts);
  answers.forget(t.policyAnswers);
  t.rulesKept |= parts.active;
  for (const id of parts.recycled) hits.forgetRule(t.policyHits, id);
  bindPorts(t);
}

/**
 * Puts no policies in force, as a plane begins: code that has never run is compiled first, and packets would wait for
 * that when the first policies come.
 */
export function rehearse(t: Tables): void {
  const [subjects, cells, programs] = [NO_CHANGES, NO_CHANGES, NO_CHANGES];
  const none = { epoch: 0, active: 0, world: 0, stride: 0, recycled: [], changes: NO_CHANGES };
  putInForce(t, { ...none, ...layOut([]), subjects, cells, programs, addresses: createAddresses(0) });
}

/** Lets each port of a pod know which policies its pod is subject to; closed where that is not known. */
export function bindPorts(t: Tables): void {
  const { ports, policy: p } = t;
  const unknown = t.config.guard.policyCloses === 0 ? policy.OPEN : policy.CLOSED;
  for (let port = 0; port < ports.count; port++) {
    if (ports.role[port] !== PortRole.POD) continue;
    const subject = subjectBehind(ports, p, port);
    ports.subject[port] = subject === policy.CLOSED ? unknown : subject;
  }
}

function subjectBehind(ports: PortTable, p: policy.Policy, port: number): number {
  const w3 = ports.owner4[port];
  if (w3 !== NO_OWNER) return policy.subjectOf(p, 0, 0, V4_MAPPED, w3);
  const at = 4 * port;
  const [w0, w1, w2, last] = ports.owner6.subarray(at, at + 4);
  return w0 === NO_OWNER ? policy.CLOSED : policy.subjectOf(p, w0, w1, w2, last);
}
