// Addresses of load balancers, each with one Service. The first that is free is taken, in the order in which the pool is
// written: people expect the first Service at the first address. Nobody is asked who has it beside the pool's Services.
import { type AddressSpan, nthOfSpan, placeIn } from "../../../base/address-span.ts";
import { formatIp, type IpFamily, parseIp } from "../../../base/ip.ts";

export class VipPool {
  readonly #spans: readonly AddressSpan[];
  /** Address → key of the Service. */
  readonly #owners = new Map<string, string>();

  constructor(spans: readonly AddressSpan[]) {
    this.#spans = spans;
  }

  has(address: string): boolean {
    const parsed = parseIp(address);
    return parsed !== null && this.#spans.some((span) => placeIn(span, parsed) >= 0);
  }

  ownerOf(address: string): string | undefined {
    return this.#owners.get(address);
  }

  /** Undefined: none is left. It is not taken by that. */
  firstFree(family: IpFamily): string | undefined {
    for (const span of this.#spans) {
      if (span.first.family !== family) continue;
      for (let n = 0; n < span.size; n++) {
        const address = formatIp(nthOfSpan(span, n));
        if (!this.#owners.has(address)) return address;
      }
    }
    return undefined;
  }

  take(address: string, key: string): void {
    this.#owners.set(address, key);
  }

  release(address: string): void {
    this.#owners.delete(address);
  }
}
