// Who has which address: pods with the class they are of, nodes with the terms that match them. Of two that claim one
// address the smaller key has it, so that the table depends on the objects alone.
import { type Ip, parseIp, sameIp } from "../../base/ip.ts";
import type { Pod } from "../../kube/objects.ts";
import type { Held, Holder, HolderSpec } from "./members.ts";

export class Holders {
  readonly #byKey = new Map<string, Holder>();
  readonly #held = new Map<string, Held>();
  /** Addresses to tell again. */
  readonly touched = new Set<Held>();

  get(key: string): Holder | undefined {
    return this.#byKey.get(key);
  }

  put(spec: HolderSpec): Holder {
    this.remove(spec.key);
    const { key, addresses, podClass, terms, isSubject } = spec;
    const own = addresses.map((address) => this.#heldOf(address));
    // Not by a spread, which gives each holder a hidden class of its own.
    const holder = { key, addresses, podClass, terms, isSubject, held: own };
    this.#byKey.set(spec.key, holder);
    for (const held of holder.held) {
      held.holders.push(holder);
      if (held.holders.length > 1) held.holders.sort((a, b) => (a.key < b.key ? -1 : 1));
    }
    this.touch(holder);
    return holder;
  }

  #heldOf(address: Ip): Held {
    const { w0, w1, w2, w3 } = address;
    const key = `${w0},${w1},${w2},${w3}`;
    const known = this.#held.get(key);
    if (known !== undefined) return known;
    const held = { key, address, holders: [], identity: undefined, subject: undefined };
    this.#held.set(key, held);
    return held;
  }

  remove(key: string): Holder | undefined {
    const holder = this.#byKey.get(key);
    if (holder === undefined) return undefined;
    this.#byKey.delete(key);
    for (const { holders } of holder.held) holders.splice(holders.indexOf(holder), 1);
    this.touch(holder);
    return holder;
  }

  touch(holder: Holder): void {
    for (const held of holder.held) this.touched.add(held);
  }

  /** The addresses with these keys. */
  touchThese(keys: Iterable<{ readonly key: string }>): void {
    for (const { key } of keys) {
      const held = this.#held.get(key);
      if (held !== undefined) this.touched.add(held);
    }
  }

  touchAll(): void {
    for (const held of this.#held.values()) this.touched.add(held);
  }

  /** An address that nobody has any more. */
  forget(held: Held): void {
    this.#held.delete(held.key);
  }
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
