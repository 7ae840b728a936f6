/**
 * A Service as a node keeps it. Its names, addresses, labels and selector are its own; what else its spec says thousands
 * of others say as well, and is one value for all of them. Metadata and spec are made of that when somebody asks.
 */
import type { Service } from "../../kube/objects.ts";
import { type KeptVersion, keptVersion, versionText } from "./shared-parts.ts";

type Metadata = Service["metadata"];
type Spec = Service["spec"];
type Own = "name" | "uid" | "resourceVersion" | "creationTimestamp" | "labels";

/** No part of an address. */
const BETWEEN_ADDRESSES = ",";

export class KeptService {
  // Whatever is compared of two services are fields: equal ones, equal services.
  readonly name: string;
  readonly uid: string | undefined;
  readonly version: KeptVersion;
  readonly creationTimestamp: string | undefined;
  readonly labels: Metadata["labels"];
  readonly about: Omit<Metadata, Own>;
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
    const { name, uid, resourceVersion, creationTimestamp, labels, ...about } = metadata;
    const { clusterIP: _, clusterIPs = [], selector, ports, ...rest } = spec;
    this.name = name;
    this.uid = uid;
    this.version = keptVersion(resourceVersion);
    this.creationTimestamp = share(creationTimestamp);
    this.labels = labels;
    this.about = share(about);
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

  get metadata(): Metadata {
    const { name, uid, creationTimestamp, labels } = this;
    const resourceVersion = versionText(this.version);
    return Object.assign({ name, uid, resourceVersion, creationTimestamp, labels }, this.about) as Metadata;
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
