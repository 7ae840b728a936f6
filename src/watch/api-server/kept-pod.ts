/**
 * A pod of another node as a node keeps it. Its name, uid and addresses are its own; labels and ports are those of the
 * Deployment's other pods, and where it runs is where others run: each is one value for all that say the same. Metadata,
 * spec and status are made of that when somebody asks.
 */
import { parseIp } from "../../base/ip.ts";
import type { Pod } from "../../kube/objects.ts";
import { type KeptVersion, keptVersion, versionText } from "./shared-parts.ts";

type Metadata = Pod["metadata"];
type Own = "name" | "uid" | "resourceVersion" | "creationTimestamp";
/** Undefined: it does not say. */
type Said<T> = { readonly [K in keyof T]-?: T[K] | undefined };
type Place = Said<Pick<Pod["spec"], "nodeName"> & Pick<Pod["status"], "hostIP" | "phase">>;

/** No part of an address. */
const BETWEEN_ADDRESSES = ",";

export class KeptPod {
  // Whatever is compared of two pods are fields: equal ones, equal pods.
  readonly name: string;
  readonly uid: string | undefined;
  readonly version: KeptVersion;
  readonly creationTimestamp: string | undefined;
  readonly about: Omit<Metadata, Own>;
  readonly template: Omit<Pod["spec"], "nodeName">;
  readonly place: Place;
  readonly addresses: string;

  /** Is there nothing else to it than what is kept here? An address that is none might be two. */
  static fits({ status: { podIP = "", podIPs = [] } }: Pod): boolean {
    return podIP === (podIPs[0]?.ip ?? "") && podIPs.every(({ ip = "" }) => parseIp(ip) !== null);
  }

  /** `share` answers a value that says the same, and the same one for all that do. */
  constructor({ metadata, spec, status }: Pod, share: <T>(value: T) => T) {
    const { name, uid, resourceVersion, creationTimestamp, ...about } = metadata;
    const { nodeName, ...template } = spec;
    const { phase, hostIP } = status;
    this.name = name;
    this.uid = uid;
    this.version = keptVersion(resourceVersion);
    this.creationTimestamp = share(creationTimestamp);
    this.about = share(about);
    this.template = share(template);
    this.place = share({ nodeName, phase, hostIP });
    this.addresses = (status.podIPs ?? []).map(({ ip }) => ip).join(BETWEEN_ADDRESSES);
  }

  get apiVersion(): string {
    return "v1";
  }

  get kind(): "Pod" {
    return "Pod";
  }

  get metadata(): Metadata {
    const { name, uid, creationTimestamp } = this;
    const resourceVersion = versionText(this.version);
    return Object.assign({ name, uid, resourceVersion, creationTimestamp }, this.about) as Metadata;
  }

  get spec(): Pod["spec"] {
    return Object.assign({ nodeName: this.place.nodeName }, this.template) as Pod["spec"];
  }

  get status(): Pod["status"] {
    const { phase, hostIP } = this.place;
    const status = { phase, hostIP } as Pod["status"];
    if (this.addresses === "") return status;
    const podIPs = this.addresses.split(BETWEEN_ADDRESSES).map((ip) => ({ ip }));
    return Object.assign(status, { podIP: podIPs[0].ip, podIPs });
  }

  /** As everybody writes it. */
  toJSON(): Pod {
    const { apiVersion, kind, metadata, spec, status } = this;
    return { apiVersion, kind, metadata, spec, status };
  }
}
