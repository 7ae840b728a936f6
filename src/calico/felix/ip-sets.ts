// Sets of addresses that rules name: of whoever a selector matches, of whoever has a named port, of nodes.
import { formatIp, type IpFamily, parseIp } from "../../base/ip.ts";
import { addressesOf, type Endpoint } from "./endpoints.ts";
import { setId, setName } from "./names.ts";
import type { Selector } from "./selector.ts";

const ELEMENTS_MAX = 1_048_576;

export interface IpSet {
  readonly name: string;
  readonly type: "hash:net" | "hash:ip,port";
  readonly members: readonly string[];
}

/** The sets that the rules of one node and family ask for, as they are asked for. */
export class IpSets {
  readonly #endpoints: readonly Endpoint[];
  readonly #family: IpFamily;
  readonly #sets = new Map<string, IpSet>();

  constructor(endpoints: readonly Endpoint[], family: IpFamily) {
    this.#endpoints = endpoints;
    this.#family = family;
  }

  /** The name of the set of whoever the selector matches. */
  ofSelector(selector: Selector): string {
    return this.#set(setId("s", selector.text), "hash:net", () =>
      this.#matching(selector).flatMap((endpoint) => addressesOf(endpoint, this.#family)),
    );
  }

  /** Addresses with the port that each of them calls so. */
  ofNamedPort(selector: Selector, protocol: string, name: string): string {
    const id = setId("n", `${setId("s", selector.text)},${protocol},${name}`);
    return this.#set(id, "hash:ip,port", () =>
      this.#matching(selector).flatMap((endpoint) => {
        const ports = endpoint.ports.filter((port) => port.name === name && port.protocol === protocol);
        return addressesOf(endpoint, this.#family).flatMap((ip) =>
          ports.map(({ port }) => `${ip},${protocol}:${port}`),
        );
      }),
    );
  }

  /** One that is called by what it is: all-vxlan-net. */
  ofAddresses(id: string, addresses: readonly string[]): string {
    return this.#set(id, "hash:net", () =>
      addresses.flatMap((text) => {
        const parsed = parseIp(text);
        return parsed?.family === this.#family ? [formatIp(parsed)] : [];
      }),
    );
  }

  #matching(selector: Selector): Endpoint[] {
    return this.#endpoints.filter(({ labels }) => selector.matches(labels));
  }

  #set(id: string, type: IpSet["type"], members: () => string[]): string {
    const name = setName(this.#family, id);
    if (!this.#sets.has(name)) this.#sets.set(name, { name, type, members: [...new Set(members())].sort() });
    return name;
  }

  /** By their names. */
  list(): IpSet[] {
    return [...this.#sets.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** For ipset restore: each set, then its members. */
  lines(): string[] {
    const family = this.#family === 4 ? "inet" : "inet6";
    return this.list().flatMap(({ name, type, members }) => [
      `create ${name} ${type} family ${family} hashsize 1024 maxelem ${ELEMENTS_MAX}`,
      ...members.map((member) => `add ${name} ${member}`),
    ]);
  }
}
