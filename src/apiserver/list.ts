// Lists: whole, or in pages that all show the objects of one moment. Stored objects are never changed in place, so a
// page's rest is kept as references until it is asked for, or too many others are.
import type { Store } from "../cluster/store.ts";
import { type KubeObject, keyOf } from "../kube/objects.ts";
import type { ListOptions } from "./request.ts";
import type { Resource } from "./resource.ts";
import { matcherOf } from "./selectors.ts";
import { badRequest, expired, invalidField, type StatusError, tooNew } from "./status.ts";

export interface ListPage {
  readonly items: readonly KubeObject[];
  /** Of the list: resourceVersion, and what asks for the next page. */
  readonly metadata: Readonly<Record<string, string | number>>;
}

interface Rest {
  readonly id: string;
  readonly version: number;
  readonly objects: readonly KubeObject[];
  readonly hasSelector: boolean;
}

/** So many lists in pages are under way at once; of others the rest is forgotten, as if it had been compacted. */
const RESTS_MAX = 64;
const OPTIONS = { group: "meta.k8s.io", plural: "listoptions", kind: "ListOptions" };

export class Lists {
  readonly #store: Store;
  readonly #rests = new Map<string, Rest>();
  #made = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  list(resource: Resource, namespace: string | undefined, options: ListOptions): ListPage {
    if (options.continue !== "") return this.#next(options);
    this.#checkVersion(options);
    const matches = matcherOf(resource, options);
    const all = objectsOf(this.#store, resource, namespace);
    const found = matches === undefined ? all : all.filter(matches);
    const rest = { version: this.#store.version, objects: found, hasSelector: matches !== undefined };
    return this.#page({ id: String(++this.#made), ...rest }, 0, options.limit);
  }

  #page(rest: Rest, from: number, limit: number): ListPage {
    const to = limit === 0 ? rest.objects.length : Math.min(from + limit, rest.objects.length);
    const items = rest.objects.slice(from, to);
    const left = rest.objects.length - to;
    this.#rests.delete(rest.id);
    const metadata = { resourceVersion: String(rest.version) };
    if (left === 0) return { items, metadata };
    this.#rests.set(rest.id, rest); // the last one used
    for (const id of this.#rests.keys()) if (this.#rests.size > RESTS_MAX) this.#rests.delete(id);
    const next = tokenOf({ v: "meta.k8s.io/v1", rv: rest.version, id: rest.id, from: to });
    // With a selector an API server does not know how many are left.
    const remaining = rest.hasSelector ? {} : { remainingItemCount: left };
    return { items, metadata: { ...metadata, continue: next, ...remaining } };
  }

  #next({ continue: text, limit, resourceVersion, resourceVersionMatch }: ListOptions): ListPage {
    if (resourceVersion !== "" && resourceVersion !== "0")
      throw badRequest("specifying resource version is not allowed when using continue");
    if (resourceVersionMatch !== "") throw matchForbidden("is forbidden for continue");
    const token = readToken(text);
    const rest = this.#rests.get(token.id);
    if (rest === undefined || rest.version !== token.rv || token.from > rest.objects.length)
      throw expired("The provided continue parameter is too old to display a consistent list result.");
    return this.#page(rest, token.from, limit);
  }

  #checkVersion({ resourceVersion, resourceVersionMatch, limit }: ListOptions): void {
    if (resourceVersionMatch !== "") {
      if (resourceVersion === "") throw matchForbidden("is forbidden unless resourceVersion is provided");
      if (!["Exact", "NotOlderThan"].includes(resourceVersionMatch))
        throw matchForbidden(`supported values: "Exact", "NotOlderThan", ""`);
    }
    const asked = versionFrom(resourceVersion);
    if (asked === undefined) return;
    const { version } = this.#store;
    if (asked > version) throw tooNew(asked, version);
    // As limit with a version and no rule has always been taken: at that version exactly.
    const isExact = resourceVersionMatch === "Exact" || (resourceVersionMatch === "" && limit > 0);
    if (isExact && asked === 0 && resourceVersionMatch === "Exact")
      throw matchForbidden(`"Exact" is forbidden for resourceVersion "0"`);
    if (resourceVersionMatch === "Exact" && asked < version)
      throw expired(`The resourceVersion for the provided list is too old.`);
  }
}

/** Sorted as an API server's storage has them. */
export function objectsOf(store: Store, { storedAs }: Resource, namespace: string | undefined): KubeObject[] {
  return storedAs === undefined ? [] : store.list(storedAs, namespace);
}

/** Undefined: the newest. Throws a StatusError. */
export function versionFrom(text: string): number | undefined {
  if (text === "") return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw invalidField(
      OPTIONS,
      "",
      "resourceVersion",
      `Invalid value: ${JSON.stringify(text)}: strconv.ParseUint`,
    );
  return Number(text);
}

function matchForbidden(why: string): StatusError {
  return invalidField(OPTIONS, "", "resourceVersionMatch", `Forbidden: resourceVersionMatch ${why}`);
}

interface Token {
  readonly v: string;
  readonly rv: number;
  readonly id: string;
  readonly from: number;
}

function tokenOf(token: Token): string {
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

function readToken(text: string): Token {
  try {
    const token = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as Partial<Token> | null;
    const { rv, id, from } = token ?? {};
    if (typeof rv === "number" && typeof id === "string" && Number.isInteger(from) && (from ?? -1) >= 0)
      return token as Token;
  } catch {
    // told below
  }
  throw badRequest("continue key is not valid: it is not one of this server's");
}

/** Of an object in a store: its key by namespace and name. */
export function keyFor({ namespaced }: Resource, namespace: string | undefined, name: string): string {
  return keyOf({ metadata: namespaced && namespace !== undefined ? { namespace, name } : { name } });
}
