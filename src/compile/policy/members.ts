// Who and what the compiler keeps in mind: classes of pods, those who hold addresses, and the addresses.
import type { Ip } from "../../base/ip.ts";
import type { Some } from "../../base/some.ts";
import type { Labels } from "../../kube/labels.ts";
import type { Base, Identity, Member, NamedPort } from "./identities.ts";
import type { Row } from "./rows.ts";
import type { Subject } from "./subjects.ts";

export interface PodClass {
  readonly key: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly named: readonly NamedPort[];
  /** Its pods, and how many of them this plane decides for. */
  readonly pods: Set<Holder>;
  subjects: number;
  /** Ids of what matches it: as a peer, and as the subject of policies. */
  readonly peerOf: Set<number>;
  readonly subjectOf: Set<number>;
  egress: Row | undefined;
  ingress: Row | undefined;
  /** Of its identities; undefined until it is asked for. */
  base: Base | undefined;
}

/** Of two that claim one address, who is of the smaller kind has it. A node's end of the tunnel gives way to pods. */
export const HolderKind = Object.freeze({ NODE: 0, POD: 1, TUNNEL: 2 } as const);
export type HolderKind = (typeof HolderKind)[keyof typeof HolderKind];

/** What a holder is beside its addresses. */
export interface HolderFacts {
  readonly kind: HolderKind;
  /** "namespace/name" of a pod, the name of a node. */
  readonly key: string;
  /** Of a pod. */
  readonly podClass: PodClass | undefined;
  /** Of a node: terms that match it, sorted. */
  readonly terms: readonly number[];
  /** Does this plane decide for it? */
  readonly isSubject: boolean;
}

export interface Holder extends HolderFacts {
  /** Its addresses, whether it has them or another one that claims them. */
  readonly held: readonly Held[];
}

/** An address, and what was told of it. */
export interface Held extends Member, Ip {
  /** Sorted; the first one has it. */
  holders: Some<Holder> | undefined;
  identity: Identity | undefined;
  subject: Subject | undefined;
}
