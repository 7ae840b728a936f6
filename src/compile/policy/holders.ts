// Who has which address: pods with the class they are of, nodes with the terms that match them. Of two that claim one
// address the smaller kind and key has it, so that the table depends on the objects alone. A cluster has tens of
// thousands of them: fields are written one by one, since a spread gives each object a hidden class of its own.
import { type Ip, type IpWords, ipKey, parseIp, sameIp } from "../../base/ip.ts";
import { listOf, someOf } from "../../base/some.ts";
import type { Pod } from "../../kube/objects.ts";
import { type Held, type Holder, type HolderFacts, HolderKind } from "./members.ts";

export class Holders {
  /** By kind. */
  readonly #byKey = Object.values(HolderKind).map(() => new Map<string, Holder>());
  readonly #held = new Map<string, Held>();
  /** Addresses to tell again. */
  readonly touched = new Set<Held>();

  get(kind: HolderKind, key: string): Holder | undefined {
    return this.#byKey[kind].get(key);
  }

  put({ kind, key, podClass, terms, isSubject }: HolderFacts, addresses: readonly Ip[]): Holder {
    this.remove(kind, key);
    const held = addresses.map((address) => this.#heldOf(address));
    const holder = { kind, key, podClass, terms, isSubject, held };
    this.#byKey[kind].set(key, holder);
    for (const one of held) one.holders = someOf([...listOf(one.holders), holder].sort(byRank));
    this.touch(holder);
    return holder;
  }

  #heldOf({ w0, w1, w2, w3, family }: Ip): Held {
    const key = ipKey({ w0, w1, w2, w3 });
    const known = this.#held.get(key);
    if (known !== undefined) return known;
    const [holders, identity, subject] = [undefined, undefined, undefined];
    const held: Held = { w0, w1, w2, w3, family, holders, identity, subject };
    this.#held.set(key, held);
    return held;
  }

  remove(kind: HolderKind, key: string): void {
    const holder = this.#byKey[kind].get(key);
    if (holder === undefined) return;
    this.#byKey[kind].delete(key);
    for (const one of holder.held)
      one.holders = someOf(listOf(one.holders).filter((each) => each !== holder));
    this.touch(holder);
  }

  touch(holder: Holder): void {
    for (const held of holder.held) this.touched.add(held);
  }

  touchThese(addresses: Iterable<IpWords>): void {
    for (const address of addresses) {
      const held = this.#held.get(ipKey(address));
      if (held !== undefined) this.touched.add(held);
    }
  }

  touchAll(): void {
    for (const held of this.#held.values()) this.touched.add(held);
  }

  /** An address that nobody has any more. */
  forget(held: Held): void {
    this.#held.delete(ipKey(held));
  }
}

function byRank(a: Holder, b: Holder): number {
  return a.kind - b.kind || (a.key < b.key ? -1 : 1);
}

/** Are these the holder's addresses, in this order? */
export function holds({ held }: Holder, addresses: readonly Ip[]): boolean {
  return held.length === addresses.length && held.every((one, i) => sameIp(one, addresses[i]));
}

/** Addresses that are the pod's own: none of a pod on its node's network, or of one that has ended. */
export function podAddresses({ spec, status = {} }: Pod): Ip[] {
  if (spec.hostNetwork === true || status.phase === "Succeeded" || status.phase === "Failed") return [];
  const texts = new Set([...(status.podIPs ?? []).map(({ ip }) => ip), status.podIP]);
  const list: Ip[] = [];
  for (const text of texts) {
    const address = parseIp(text ?? "");
    if (address !== null && !list.some((known) => sameIp(known, address))) list.push(address);
  }
  return list;
}
