/** What a node keeps of the metadata of a Service or an EndpointSlice, beside what is kept of the rest. */
import type { KubeObject } from "../../kube/objects.ts";
import { type KeptVersion, keptVersion, versionText } from "./shared-parts.ts";

type Metadata = KubeObject["metadata"];
type Own = "name" | "uid" | "resourceVersion" | "creationTimestamp" | "labels";

export abstract class KeptMetadata {
  // Whatever is compared of two objects are fields: equal ones, equal objects.
  readonly name: string;
  readonly uid: string | undefined;
  readonly version: KeptVersion;
  readonly creationTimestamp: string | undefined;
  readonly labels: Metadata["labels"];
  readonly about: Omit<Metadata, Own>;

  /** `share` answers a value that says the same, and the same one for all that do. */
  constructor(metadata: Metadata, share: <T>(value: T) => T) {
    const { name, uid, resourceVersion, creationTimestamp, labels, ...about } = metadata;
    this.name = name;
    this.uid = uid;
    this.version = keptVersion(resourceVersion);
    this.creationTimestamp = share(creationTimestamp);
    this.labels = labels;
    this.about = share(about);
  }

  get metadata(): Metadata {
    const { name, uid, creationTimestamp, labels } = this;
    const resourceVersion = versionText(this.version);
    return Object.assign({ name, uid, resourceVersion, creationTimestamp, labels }, this.about) as Metadata;
  }
}
