/**
 * A Service as a node keeps it. Its names, addresses, labels and selector are its own; what else its spec says thousands
 * of others say as well, and is one value for all of them. Metadata and spec are made of that when somebody asks.
 */
import type { Service } from "../../kube/objects.ts";
import { KeptMetadata } from "./kept-metadata.ts";

type Spec = Service["spec"];

/** No part of an address. */
const BETWEEN_ADDRESSES = ",";

export class KeptService extends KeptMetadata {
  readonly addresses: string;
  readonly selector: Spec["selector"];
  readonly ports: Spec["ports"];
  readonly rest: Omit<Spec, "clusterIP" | "clusterIPs" | "selector" | "ports">;
  readonly status: Service["status"];

  /** Is there nothing else to it than what is kept here? */
  static fits({ spec: { clusterIP, clusterIPs } }: Service): boolean {
    if (clusterIPs === undefined || clusterIPs.length === 0 || clusterIP !== clusterIPs[0]) return false;
    return clusterIPs.every((address) => address !== "" && !address.includes(BETWEEN_ADDRESSES));
  }

  /** `share` answers a value that says the same, and the same one for all that do. */
  constructor({ metadata, spec, status }: Service, share: <T>(value: T) => T) {
    super(metadata, share);
    const { clusterIP: _, clusterIPs = [], selector, ports, ...rest } = spec;
    this.addresses = clusterIPs.join(BETWEEN_ADDRESSES);
    this.selector = selector;
    this.ports = share(ports);
    this.rest = share(rest);
    this.status = share(status);
  }

  get apiVersion(): string {
    return "v1";
  }

  get kind(): "Service" {
    return "Service";
  }

  get spec(): Spec {
    const clusterIPs = this.addresses.split(BETWEEN_ADDRESSES);
    const { selector, ports } = this;
    return Object.assign({ clusterIP: clusterIPs[0], clusterIPs, selector, ports }, this.rest) as Spec;
  }

  /** As everybody writes it. */
  toJSON(): Service {
    const { apiVersion, kind, metadata, spec, status } = this;
    return { apiVersion, kind, metadata, spec, status } as Service;
  }
}
