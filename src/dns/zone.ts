/**
 * The cluster's zone: a name and a type in, records out, by the DNS specification of Kubernetes, schema 1.1.0
 * (kubernetes/dns, docs/specification.md). Pure: the same objects give the same answers. Where the specification says
 * nothing it is CoreDNS' way: SRV records of a name without port are those of all its ports, targets' addresses stand
 * beside them, an endpoint without hostname is called by its address, and those of any Service have names. Unlike there,
 * what is above a name that is there is no NXDOMAIN (RFC 8020).
 */
import { formatIp, type Ip, parseIp } from "../base/ip.ts";
import { labelsBefore, splitName } from "./name.ts";
import { Rcode, Type } from "./query.ts";
import { bareReply, type Reply, type Rr } from "./reply.ts";
import { reverseAddress } from "./reverse.ts";
import type { NamedEndpoint, NamedPort, NamedService, ZoneObjects } from "./zone-objects.ts";

export interface ZoneOptions {
  /** "cluster.local" */
  readonly zone: string;
  /** Of its records and its negative answers, seconds. */
  readonly ttl: number;
  /** The server's own address for `ns.dns`, where no Service kube-dns says it. */
  readonly address?: Ip | undefined;
}

export interface ZoneAnswer extends Reply {
  /** The answers end with an alias for this name of another zone. */
  readonly alias?: string;
}

const SCHEMA_VERSION = "1.1.0";
const SCHEMA_TTL = 28_800; // as the specification's example has it
const SOA_TIMES = [7200, 1800, 86_400] as const;
const CHAIN_MAX = 8; // aliases in a row
const DNS_SERVICE = ["kube-system", "kube-dns"] as const;
const WEIGHT_ALL = 100; // what targets of a name share

export class Zone {
  readonly #objects: ZoneObjects;
  readonly #options: ZoneOptions;
  readonly #suffix: readonly string[];
  /** When objects changed, seconds. */
  serial = 1;

  constructor(objects: ZoneObjects, options: ZoneOptions) {
    this.#objects = objects;
    this.#options = options;
    this.#suffix = splitName(options.zone);
  }

  /** Is the name in this zone? */
  holds(labels: readonly string[]): boolean {
    return labelsBefore(labels, this.#suffix) >= 0;
  }

  /** Of a name in the zone. Labels are in lower case. */
  lookup(labels: readonly string[], type: number): ZoneAnswer {
    const found = this.#lookup(labels.slice(0, labelsBefore(labels, this.#suffix)), type);
    if (found === undefined) return this.#negative(Rcode.NXDOMAIN);
    if (found.alias !== undefined) return this.#chase(found, type);
    return found.answers.length === 0 ? this.#negative(Rcode.NOERROR) : { ...positive(found), ...found };
  }

  /** Of a name for an address. undefined: of no Service or endpoint here. */
  reverse(labels: readonly string[], type: number): ZoneAnswer | undefined {
    const address = reverseAddress(labels);
    if (address === null) return undefined;
    const names = this.#namesOf(formatIp(address));
    if (names.length === 0) return undefined;
    const records = names.map((name): Rr => ({ owner: "", ttl: this.#ttl, type: Type.PTR, target: name }));
    const answers = type === Type.PTR || type === Type.ANY ? records : [];
    return answers.length > 0
      ? positive({ answers })
      : { ...bareReply(Rcode.NOERROR, true), authority: [this.soa(labels.slice(-2).join("."))] };
  }

  /** Who begins the zone; for an answer that says no. */
  soa(owner = this.#options.zone): Rr {
    const { zone, ttl } = this.#options;
    const times = [...SOA_TIMES, ttl] as const;
    const [primary, mailbox] = [`ns.dns.${zone}`, `hostmaster.${zone}`];
    return { owner, ttl, type: Type.SOA, primary, mailbox, serial: this.serial, times };
  }

  get #ttl(): number {
    return this.#options.ttl;
  }

  #negative(rcode: number): Reply {
    return { ...bareReply(rcode, true), authority: [this.soa()] };
  }

  /** undefined: there is no such name; no answers: none of this type. */
  #lookup(before: readonly string[], type: number): Found | undefined {
    const branch = before.at(-1);
    if (before.length === 0) return this.#apex(type);
    if (branch === "dns-version") return before.length === 1 ? this.#version(type) : undefined;
    if (branch === "dns") return this.#dns(before.slice(0, -1), type);
    if (branch !== "svc" && branch !== "pod") return undefined;
    if (before.length === 1) return NOTHING;
    const namespace = before[before.length - 2];
    if (!this.#objects.hasNamespace(namespace)) return undefined;
    if (before.length === 2) return NOTHING;
    const rest = before.slice(0, -2);
    if (branch === "pod") return rest.length === 1 ? this.#pod(namespace, rest[0], type) : undefined;
    const service = this.#objects.service(namespace, rest[rest.length - 1]);
    return service === undefined ? undefined : this.#below(service, rest.slice(0, -1), type);
  }

  #apex(type: number): Found {
    if (type === Type.SOA) return { answers: [this.soa("")] };
    if (type !== Type.NS) return NOTHING;
    const target = `ns.dns.${this.#options.zone}`;
    return {
      answers: [{ owner: "", ttl: this.#ttl, type: Type.NS, target }],
      additional: this.#addressRecords(target, this.#serverAddresses(), Type.ANY),
    };
  }

  #version(type: number): Found {
    if (type !== Type.TXT && type !== Type.ANY) return NOTHING;
    return { answers: [{ owner: "", ttl: SCHEMA_TTL, type: Type.TXT, text: SCHEMA_VERSION }] };
  }

  /** Names of the server itself. */
  #dns(rest: readonly string[], type: number): Found | undefined {
    if (rest.length === 0) return NOTHING;
    if (rest.length > 1 || rest[0] !== "ns") return undefined;
    return { answers: this.#addressRecords("", this.#serverAddresses(), type) };
  }

  #serverAddresses(): readonly Ip[] {
    const service = this.#objects.service(...DNS_SERVICE);
    if (service !== undefined && service.addresses.length > 0) return service.addresses;
    return this.#options.address === undefined ? [] : [this.#options.address];
  }

  /** 10-244-1-2, fd00--1-2: only of a pod that is there. */
  #pod(namespace: string, label: string, type: number): Found | undefined {
    const isFour = label.split("-").length === 4 && !label.includes("--");
    const address = parseIp(label.replaceAll("-", isFour ? "." : ":"));
    if (address === null) return undefined;
    const pods = this.#objects.podsAt(formatIp(address));
    if (!pods.some(({ metadata }) => metadata.namespace === namespace)) return undefined;
    return { answers: this.#addressRecords("", [address], type) };
  }

  /** `labels` are those below the Service's own name. */
  #below(service: NamedService, labels: readonly string[], type: number): Found | undefined {
    if (service.kind === "external") {
      if (labels.length > 0 || service.externalName === "") return undefined;
      const alias = service.externalName;
      return { answers: [{ owner: "", ttl: this.#ttl, type: Type.CNAME, target: alias }], alias };
    }
    if (labels.length === 0) return this.#records(targetsOf(service, EVERY), service, type);
    if (labels.length > 2) return undefined;
    if (labels.length === 2) {
      const [port, protocol] = labels.map(withoutUnderscore);
      if (port === "" || protocol === "") return undefined;
      return this.#records(targetsOf(service, { port, protocol }), service, type);
    }
    const endpoints = service.endpoints.filter(({ label }) => label === labels[0]);
    if (endpoints.length > 0) return this.#records(endpointTargets(endpoints, EVERY), service, type);
    const protocol = withoutUnderscore(labels[0]); // _tcp: there are names below it
    const hasPorts = targetsOf(service, { port: undefined, protocol }).some(({ port }) => port.name !== "");
    return protocol !== "" && hasPorts ? NOTHING : undefined;
  }

  #records(targets: readonly Target[], service: NamedService, type: number): Found | undefined {
    const isWaiting = service.kind === "cluster" && service.addresses.length === 0; // for its address
    if (targets.length === 0) return isWaiting ? NOTHING : undefined;
    if (type === Type.SRV) return this.#srv(targets, service);
    return {
      answers: this.#addressRecords(
        "",
        targets.map(({ address }) => address),
        type,
      ),
    };
  }

  #srv(targets: readonly Target[], { namespace, name }: NamedService): Found {
    const own = `${name}.${namespace}.svc.${this.#options.zone}`;
    const withPort = targets.filter(({ port }) => port.port >= 0);
    const weight = Math.max(1, Math.floor(WEIGHT_ALL / targets.length));
    const answers = new Map<string, Rr>();
    const addresses = new Map<string, Set<Ip>>();
    for (const { label, address, port } of withPort) {
      const target = label === "" ? own : `${label}.${own}`;
      const rest = { priority: 0, weight, port: port.port, target };
      answers.set(`${target} ${port.port}`, { owner: "", ttl: this.#ttl, type: Type.SRV, ...rest });
      addresses.set(target, (addresses.get(target) ?? new Set()).add(address));
    }
    const additional = [...addresses].flatMap(([target, of]) =>
      this.#addressRecords(target, [...of], Type.ANY),
    );
    return { answers: [...answers.values()], additional };
  }

  /** One a different address of the type's family; of both for ANY. */
  #addressRecords(owner: string, addresses: readonly Ip[], type: number): Rr[] {
    const records = new Map<string, Rr>();
    for (const address of addresses) {
      const own = address.family === 4 ? Type.A : Type.AAAA;
      if (type !== own && type !== Type.ANY) continue;
      records.set(formatIp(address), { owner, ttl: this.#ttl, type: own, address });
    }
    return [...records.values()];
  }

  #namesOf(address: string): string[] {
    const { zone } = this.#options;
    const service = this.#objects.serviceAt(address);
    if (service !== undefined) return [`${service.name}.${service.namespace}.svc.${zone}`];
    const names = this.#objects
      .servicesOfEndpoint(address)
      .flatMap(({ name, namespace, endpoints }) =>
        endpoints
          .filter((endpoint) => formatIp(endpoint.address) === address)
          .map(({ label }) => `${label}.${name}.${namespace}.svc.${zone}`),
      );
    return [...new Set(names)].sort();
  }

  /** What an alias leads to, as far as that is in this zone. */
  #chase(first: Found, type: number): ZoneAnswer {
    const answers = [...first.answers];
    let alias = first.alias ?? "";
    if (type === Type.CNAME || type === Type.ANY) return positive({ answers });
    for (let i = 0; i < CHAIN_MAX; i++) {
      const labels = splitName(alias);
      if (!this.holds(labels)) return { ...positive({ answers }), alias };
      const next = this.#lookup(labels.slice(0, labelsBefore(labels, this.#suffix)), type);
      if (next === undefined) return { ...this.#negative(Rcode.NXDOMAIN), answers };
      answers.push(...next.answers.map((rr) => ({ ...rr, owner: alias })));
      if (next.alias === undefined) {
        if (next.answers.length > 0) return positive({ answers, additional: next.additional ?? [] });
        return { ...this.#negative(Rcode.NOERROR), answers };
      }
      alias = next.alias;
    }
    return bareReply(Rcode.SERVFAIL, true); // it goes round
  }
}

interface Found {
  readonly answers: readonly Rr[];
  readonly additional?: readonly Rr[];
  /** Where the last of the answers points. */
  readonly alias?: string;
}

const NOTHING: Found = { answers: [] };

interface Wanted {
  /** undefined: whatever. */
  readonly port: string | undefined;
  readonly protocol: string | undefined;
}

const EVERY: Wanted = { port: undefined, protocol: undefined };

interface Target {
  /** Below the Service's name; "": that itself. */
  readonly label: string;
  readonly address: Ip;
  readonly port: NamedPort;
}

function targetsOf(service: NamedService, wanted: Wanted): Target[] {
  if (service.kind === "headless") return endpointTargets(service.endpoints, wanted);
  const ports = service.ports.filter((port) => isWanted(port, wanted));
  return ports.flatMap((port) => service.addresses.map((address) => ({ label: "", address, port })));
}

function endpointTargets(endpoints: readonly NamedEndpoint[], wanted: Wanted): Target[] {
  return endpoints.flatMap(({ label, address, ports }) =>
    ports.filter((port) => isWanted(port, wanted)).map((port) => ({ label, address, port })),
  );
}

function isWanted({ name, protocol }: NamedPort, wanted: Wanted): boolean {
  return (
    (wanted.port === undefined || wanted.port === name) &&
    (wanted.protocol === undefined || wanted.protocol === protocol)
  );
}

/** "_http" → "http"; "" of a label without it. */
function withoutUnderscore(label: string): string {
  return label.startsWith("_") ? label.slice(1) : "";
}

function positive({ answers, additional = [] }: Pick<Found, "answers" | "additional">): Reply {
  return { rcode: Rcode.NOERROR, authoritative: true, answers, authority: [], additional };
}
