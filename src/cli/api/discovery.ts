// What an API server serves, by kubectl's words for it: built-in kinds are known here, custom ones are asked for.
import { splitApiVersion } from "../../kube/api-groups.ts";
import { carriedKind, type KindInfo, kindFromWord, kindOf, unknownKind } from "../../kube/kinds.ts";
import { CliError, Exit } from "../errors.ts";

export interface ApiResource {
  /** "" is the core group. */
  readonly group: string;
  readonly version: string;
  /** apps/v1, or v1. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** As podwire itself knows it: its objects are shown without asking the server how. */
  readonly info?: KindInfo;
}

/** As the server tells of it. */
export interface ServedResource extends ApiResource {
  readonly verbs: readonly string[];
  readonly categories: readonly string[];
}

/** A GET of the API: undefined where nothing is served at the path. */
export type Fetch = (path: string, accept: string) => Promise<object | undefined>;

export function resourceOf(info: KindInfo): ApiResource {
  const [group, version] = splitApiVersion(info.apiVersion);
  const { apiVersion, kind, plural, singular, shortNames, namespaced } = info;
  return { group, version, apiVersion, kind, plural, singular, shortNames, namespaced, info };
}

export function noSuchKind(word: string): CliError {
  return new CliError(unknownKind(word), Exit.FAILED, "UNKNOWN_KIND");
}

export class ResourceFinder {
  readonly #fetch: Fetch;
  readonly #knowsKinds: boolean;
  #served: Promise<ServedResource[]> | undefined;

  /** `knowsKinds`: the server is a lab of this version: what is built in is not asked for. */
  constructor(fetch: Fetch, knowsKinds: boolean) {
    this.#fetch = fetch;
    this.#knowsKinds = knowsKinds;
  }

  /** pods, po, Pod, deployments.apps, certificates.v1.cert-manager.io; undefined: there is no such kind. */
  async byWord(word: string): Promise<ApiResource | undefined> {
    const info = this.#knowsKinds ? kindFromWord(word) : undefined;
    if (info !== undefined) return resourceOf(info);
    const all = await this.all();
    const lower = word.toLowerCase();
    const names = ({ plural, singular, kind, group, version }: ApiResource): string[] =>
      [plural, singular, kind.toLowerCase()].flatMap((each) => [
        each,
        ...(group === "" ? [] : [`${each}.${group}`, `${each}.${version}.${group}`]),
      ]);
    return (
      all.find((each) => names(each).includes(lower)) ??
      all.find(({ shortNames }) => shortNames.includes(lower))
    );
  }

  /** Of a manifest's object. */
  async byKind(apiVersion: string, kind: string): Promise<ApiResource | undefined> {
    const info = this.#knowsKinds ? (kindOf(apiVersion, kind) ?? carriedKind(apiVersion, kind)) : undefined;
    if (info !== undefined) return resourceOf(info);
    return (await this.all()).find((each) => each.kind === kind && each.apiVersion === apiVersion);
  }

  /** Of which there are objects to look at. In every version, the preferred one first; the core group comes first. */
  async all(): Promise<ApiResource[]> {
    return (await this.served()).filter(isListed);
  }

  /** Also what can only be created, as reviews can. */
  served(): Promise<ServedResource[]> {
    this.#served ??= this.#ask();
    return this.#served;
  }

  async #ask(): Promise<ServedResource[]> {
    const documents = await Promise.all(["/api", "/apis"].map((path) => this.#fetch(path, AGGREGATED)));
    const lists = await Promise.all(documents.map((each) => this.#resources((each ?? {}) as Document)));
    return lists.flat();
  }

  /** Servers of before 1.26 have a document for each version. */
  async #resources(document: Document): Promise<ServedResource[]> {
    if (document.kind === "APIGroupDiscoveryList") return aggregatedResources(document.items ?? []);
    const versions = document.versions ?? (document.groups ?? []).flatMap(versionsOf);
    const lists = await Promise.all(
      versions.map(async (apiVersion) => {
        const root = apiVersion.includes("/") ? "/apis" : "/api";
        const list = (await this.#fetch(`${root}/${apiVersion}`, "application/json")) as
          | ResourceList
          | undefined;
        return (list?.resources ?? []).flatMap((each) => plainResource(apiVersion, each));
      }),
    );
    return lists.flat();
  }
}

const AGGREGATED =
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
  "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

interface Document {
  readonly kind?: string;
  readonly items?: readonly AggregatedGroup[];
  readonly versions?: readonly string[];
  readonly groups?: readonly Group[];
}

interface AggregatedGroup {
  readonly metadata?: { readonly name?: string };
  readonly versions?: readonly { readonly version: string; readonly resources?: readonly Aggregated[] }[];
}

interface Aggregated {
  readonly resource: string;
  readonly responseKind?: { readonly kind?: string };
  readonly scope?: string;
  readonly singularResource?: string;
  readonly verbs?: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

interface Group {
  readonly versions?: readonly { readonly groupVersion: string }[];
  readonly preferredVersion?: { readonly groupVersion: string };
}

interface ResourceList {
  readonly resources?: readonly Plain[];
}

interface Plain {
  readonly name: string;
  readonly kind: string;
  readonly singularName?: string;
  readonly namespaced?: boolean;
  readonly verbs?: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

function aggregatedResources(groups: readonly AggregatedGroup[]): ServedResource[] {
  return groups.flatMap(({ metadata, versions = [] }) => {
    const group = metadata?.name ?? "";
    return versions.flatMap(({ version, resources = [] }) => {
      const apiVersion = group === "" ? version : `${group}/${version}`;
      return resources.map((each): ServedResource => {
        const { resource: plural, responseKind, scope, singularResource = "", shortNames = [] } = each;
        const { verbs = [], categories = [] } = each;
        const kind = responseKind?.kind ?? "";
        const singular = singularResource || kind.toLowerCase();
        const namespaced = scope === "Namespaced";
        const named = { group, version, apiVersion, kind, plural, singular, shortNames, namespaced };
        return { ...named, verbs, categories };
      });
    });
  });
}

function plainResource(apiVersion: string, each: Plain): ServedResource[] {
  if (each.name.includes("/")) return [];
  const [group, version] = splitApiVersion(apiVersion);
  const { name: plural, kind, singularName = "", shortNames = [], namespaced = false } = each;
  const { verbs = [], categories = [] } = each;
  const singular = singularName || kind.toLowerCase();
  const named = { group, version, apiVersion, kind, plural, singular, shortNames, namespaced };
  return [{ ...named, verbs, categories }];
}

function isListed({ verbs }: ServedResource): boolean {
  return verbs.includes("list") || verbs.includes("get");
}

function versionsOf({ versions = [], preferredVersion }: Group): string[] {
  const all = versions.map(({ groupVersion }) => groupVersion);
  const first = preferredVersion?.groupVersion;
  return first === undefined ? all : [first, ...all.filter((each) => each !== first)];
}
