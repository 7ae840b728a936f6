/**
 * What the control side says of policies. `compile/policy` makes updates, `change/policy.ts` lays them out as parts, and
 * the plane puts the parts in force as one, between two batches. Parts are columns in shared memory: the message that
 * brings them carries no rows.
 */
import type { Prefix } from "./prefix.ts";

/** What a verdict does. */
export const PolicyAction = Object.freeze({
  ALLOW: 0,
  DENY: 1, //      isolated, and no rule allows it
  DENY_RULE: 2, // a rule with action Deny
  AUDIT: 3, //     passes, though a policy that is on trial would deny it
} as const);
export type PolicyAction = (typeof PolicyAction)[keyof typeof PolicyAction];

/** A verdict is the id of the rule that gave it, and what it does in the last two bits. */
export const ACTION_BITS = 2;
export const ACTION_MASK = 3;
/** Rule ids, so that their counters have a table of one size. Id 0: no policy has anything to say. */
export const RULES_MAX = 1 << 16;

/** Epochs count from 1 to this, and then from 1 again: connections remember them in 28 bits, with a sign. */
export const EPOCH_MAX = (1 << 27) - 1;
export function epochAfter(epoch: number): number {
  return epoch === EPOCH_MAX ? 1 : epoch + 1;
}
/** Of what was said before there were policies: */
export const NO_EPOCH = 0;
/** Of what an earlier agent's policies said. */
export const INHERITED = -1;

/** Words of a subject: rows of cells, and cells. */
export const SUBJECT_WORDS = 8;
export const S_EGRESS = 0; //  NO_ROW: nothing to decide
export const S_INGRESS = 1;
/** For what a pod sends to itself by way of a service: IPv4 egress, ingress, IPv6 egress, ingress. */
export const S_SELF = 2;
/** Of a direction in which no policy selects the pod. */
export const NO_ROW = -1;

/** Words of a program before its lists: cells for TCP, UDP, SCTP, and for all else. */
export const PROGRAM_WORDS = 4;

/** An address of a pod or node. */
export interface PolicyAddress {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
}
export interface PolicyAddressSpec extends PolicyAddress {
  readonly identity: number;
  /** -1: no pod that this plane decides for. */
  readonly subject: number;
}

/** Identities of addresses that are no pod's and no node's. The innermost prefix counts. */
export interface PolicyBlock {
  readonly prefix: Prefix;
  readonly identity: number;
}

export interface PolicyUpdate {
  /** Counts up. */
  readonly epoch: number;
  /** Is there any policy? */
  readonly isActive: boolean;
  readonly set: readonly PolicyAddressSpec[];
  readonly remove: readonly PolicyAddress[];
  /** Undefined: as before. */
  readonly blocks: readonly PolicyBlock[] | undefined;
  /** Identity of what is in no block. */
  readonly world: number;
  readonly subjects: Int32Array;
  /** Rows of `stride` cells, one an identity. A cell: a program's place, or ~verdict where ports make no difference. */
  readonly cells: Int32Array;
  readonly stride: number;
  readonly programs: Int32Array;
  /** Ids of rules that mean other ones from now on: what was counted by them was not these. */
  readonly recycled: readonly number[];
}

/** As it crosses to the plane's thread. */
export interface PolicyParts {
  readonly epoch: number;
  readonly active: number; // 1: there is a policy
  /** Rows of ADDRESS_WORDS, open addressing, a power of two of them. Undefined: those that are there, changed. */
  readonly addresses: Int32Array | undefined;
  /** Rows to put into them; without an identity: to take out. */
  readonly changes: Int32Array;
  readonly ranges: ArrayBufferLike;
  /** Numbers of ranges, nodes and cells in `ranges`. */
  readonly rangeCounts: { readonly ranges: number; readonly nodes: number; readonly cells: number };
  readonly world: number;
  readonly subjects: Int32Array;
  readonly cells: Int32Array;
  readonly stride: number;
  readonly programs: Int32Array;
  readonly recycled: readonly number[];
}

/** Words of a row of addresses: four of the address, then these. */
export const ADDRESS_WORDS = 8;
export const A_IDENTITY = 4; // + 1; 0: the row is free
export const A_SUBJECT = 5; //  + 1; 0: none
