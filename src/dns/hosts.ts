/** Names that the configuration gives addresses, as /etc/hosts would; and names for these addresses. */
import { formatIp, type Ip, parseIp } from "../base/ip.ts";
import type { DnsHost } from "../config/dns.ts";
import { Rcode, Type } from "./query.ts";
import { bareReply, type Reply, type Rr } from "./reply.ts";
import { reverseAddress } from "./reverse.ts";

export class Hosts {
  readonly #addresses = new Map<string, Ip[]>();
  readonly #names = new Map<string, string[]>();
  readonly #ttl: number;

  constructor(hosts: readonly DnsHost[], ttl: number) {
    this.#ttl = ttl;
    for (const { ip, hostnames } of hosts) {
      const address = parseIp(ip);
      if (address === null) continue;
      this.#names.set(ip, [...(this.#names.get(ip) ?? []), ...hostnames]);
      for (const name of hostnames)
        this.#addresses.set(name, [...(this.#addresses.get(name) ?? []), address]);
    }
  }

  /** undefined: not named here. Labels are in lower case. */
  lookup(labels: readonly string[], type: number): Reply | undefined {
    const answers = this.#records(labels, type);
    return answers === undefined ? undefined : { ...bareReply(Rcode.NOERROR, true), answers };
  }

  #records(labels: readonly string[], type: number): Rr[] | undefined {
    const addresses = this.#addresses.get(labels.join("."));
    if (addresses !== undefined) {
      const wanted = addresses.filter(({ family }) => type === Type.ANY || type === typeOf(family));
      return wanted.map((address) => ({ ...this.#own, type: typeOf(address.family), address }));
    }
    if (this.#names.size === 0 || type !== Type.PTR) return undefined;
    const address = reverseAddress(labels);
    const names = address === null ? undefined : this.#names.get(formatIp(address));
    return names?.map((target) => ({ ...this.#own, type, target }));
  }

  get #own() {
    return { owner: "", ttl: this.#ttl };
  }
}

const typeOf = (family: 4 | 6) => (family === 4 ? Type.A : Type.AAAA);
