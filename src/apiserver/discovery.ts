// Discovery: which groups, versions and resources there are. Plain, one document a version, and aggregated (v2), one for
// all of /api and one for all of /apis.
import { goArchitecture } from "../kube/kubelet-labels.ts";
import { ALL_VERBS, apiVersionOf, type Resource, type Resources } from "./resource.ts";

/** Kubernetes' version whose API this is. */
export const VERSION = {
  major: "1",
  minor: "35",
  gitVersion: "v1.35.0+podwire",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "",
  compiler: "",
  platform: `linux/${goArchitecture(process.arch)}`,
} as const;

export class Discovery {
  readonly #resources: Resources;

  constructor(resources: Resources) {
    this.#resources = resources;
  }

  /** The document at this path; undefined: there is none. `accept`: of the request. */
  at(parts: readonly string[], accept: string): object | undefined {
    const [root, group, version, ...rest] = parts;
    if (rest.length > 0) return undefined;
    const isAggregated = /as=APIGroupDiscoveryList/.test(accept);
    if (root === "api" && version === undefined) {
      if (group !== undefined) return group === "v1" ? this.#list("", "v1") : undefined;
      return isAggregated ? this.#aggregated(true) : this.#coreVersions();
    }
    if (root !== "apis") return undefined;
    if (group === undefined) return isAggregated ? this.#aggregated(false) : this.#groups();
    return version === undefined ? this.#group(group) : this.#list(group, version);
  }

  /** The type of what `at` answers. */
  static typeOf(parts: readonly string[], accept: string): string {
    const way = accept.split(",").find((each) => each.includes("as=APIGroupDiscoveryList"));
    return parts.length === 1 && way !== undefined
      ? way.trim().replace(/;q=[\d.]+$/, "")
      : "application/json";
  }

  #coreVersions(): object {
    const serverAddressByClientCIDRs: object[] = [];
    return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs };
  }

  #groups(): object {
    const groups = [...this.#resources.groups.keys()].filter((each) => each !== "");
    return { kind: "APIGroupList", apiVersion: "v1", groups: groups.map((name) => this.#groupEntry(name)) };
  }

  #group(name: string): object | undefined {
    if (name === "" || !this.#resources.groups.has(name)) return undefined;
    return { kind: "APIGroup", apiVersion: "v1", ...this.#groupEntry(name) };
  }

  #groupEntry(name: string): object {
    const versions = (this.#resources.groups.get(name) ?? []).map((version) => ({
      groupVersion: `${name}/${version}`,
      version,
    }));
    return { name, versions, preferredVersion: versions[0] };
  }

  #list(group: string, version: string): object | undefined {
    const found = this.#resources.of(group, version);
    if (found.length === 0) return undefined;
    const resources = found.flatMap((each) => [
      plainEntry(each),
      ...each.subresources.map((sub) => subEntry(each, sub)),
    ]);
    return {
      kind: "APIResourceList",
      apiVersion: "v1",
      groupVersion: apiVersionOf({ group, version }),
      resources,
    };
  }

  #aggregated(isCore: boolean): object {
    const groups = [...this.#resources.groups].filter(([name]) => (name === "") === isCore);
    const items = groups.map(([name, versions]) => ({
      metadata: { ...(name === "" ? {} : { name }), creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        resources: this.#resources.of(name, version).map(aggregatedEntry),
        freshness: "Current",
      })),
    }));
    return { kind: "APIGroupDiscoveryList", apiVersion: "apidiscovery.k8s.io/v2", metadata: {}, items };
  }
}

function verbsOf({ storedAs }: Resource): readonly string[] {
  return storedAs === undefined ? ["create"] : ALL_VERBS;
}

function plainEntry(resource: Resource): object {
  const { plural, singular, namespaced, kind, shortNames, categories } = resource;
  return {
    ...{ name: plural, singularName: singular, namespaced, kind, verbs: verbsOf(resource) },
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
  };
}

interface Subresource {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly verbs: readonly string[];
}

/** Of subresources whose kind is another one than the resource's. */
const SUBRESOURCES: Readonly<Record<string, Subresource>> = {
  binding: { group: "", version: "v1", kind: "Binding", verbs: ["create"] },
  eviction: { group: "policy", version: "v1", kind: "Eviction", verbs: ["create"] },
  scale: { group: "autoscaling", version: "v1", kind: "Scale", verbs: ["get", "patch", "update"] },
  token: { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest", verbs: ["create"] },
  log: { group: "", version: "v1", kind: "Pod", verbs: ["get"] },
  exec: { group: "", version: "v1", kind: "PodExecOptions", verbs: ["create", "get"] },
  attach: { group: "", version: "v1", kind: "PodAttachOptions", verbs: ["create", "get"] },
  portforward: { group: "", version: "v1", kind: "PodPortForwardOptions", verbs: ["create", "get"] },
};

function subresourceOf({ group, version, kind }: Resource, name: string): Subresource {
  return SUBRESOURCES[name] ?? { group, version, kind, verbs: ["get", "patch", "update"] };
}

function subEntry(resource: Resource, name: string): object {
  const { group, version, kind, verbs } = subresourceOf(resource, name);
  const isOther = group !== resource.group || version !== resource.version;
  const other = isOther ? { ...(group === "" ? {} : { group }), version } : {};
  const { plural, namespaced } = resource;
  return { name: `${plural}/${name}`, singularName: "", namespaced, ...other, kind, verbs };
}

function aggregatedEntry(resource: Resource): object {
  const { group, version, kind, plural, singular, namespaced, shortNames, categories } = resource;
  return {
    resource: plural,
    responseKind: { group, version, kind },
    scope: namespaced ? "Namespaced" : "Cluster",
    singularResource: singular,
    verbs: verbsOf(resource),
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    ...(resource.subresources.length === 0
      ? {}
      : { subresources: resource.subresources.map((name) => aggregatedSub(resource, name)) }),
  };
}

function aggregatedSub(resource: Resource, name: string): object {
  const { verbs, ...responseKind } = subresourceOf(resource, name);
  return { subresource: name, responseKind, verbs };
}
