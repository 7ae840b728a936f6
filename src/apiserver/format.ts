// The form in which a client wants objects: as they are, as a table, or their metadata alone.
import type { KubeObject } from "../kube/objects.ts";
import type { Resource } from "./resource.ts";
import { apiVersionOf } from "./resource.ts";
import { badRequest, notAcceptable } from "./status.ts";
import { columnsOfKind, includeOf, TableFormat } from "./table/table.ts";

export interface Format {
  /** Two formats of one resource with the same key write the same. */
  readonly key: string;
  /** JSON of one object, as an answer or in a watch; `isFirst`: of a watch's objects. */
  one(object: KubeObject, isFirst: boolean): string;
  /** JSON of a list, `metadata` being that of the list. */
  list(objects: readonly KubeObject[], metadata: object): string;
}

const META = "meta.k8s.io";
/** Clients of before 1.15 ask for the first one. */
const TABLE_VERSIONS: readonly string[] = ["v1beta1", "v1"];

/** One of an Accept header's ways: application/json;as=Table;v=v1;g=meta.k8s.io. */
interface Accepted {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/**
 * The first of the ways that is known here. `include`: what of an object goes with its row of a table. Throws a
 * StatusError when there is none.
 */
export function formatOf(accept: string | undefined, resource: Resource, include: string | null): Format {
  const ways = accept === undefined || accept === "" ? [] : accept.split(",").map(acceptedOf);
  if (ways.length === 0) return new Plain(resource);
  for (const { type, parameters } of ways) {
    if (!["application/json", "application/*", "*/*"].includes(type)) continue;
    const as = parameters.get("as");
    if (as === undefined) return new Plain(resource);
    const version = parameters.get("v") ?? "";
    if (as === "Table" && parameters.get("g") === META && TABLE_VERSIONS.includes(version))
      return tableFormat(resource, version, include);
    const isOurs = parameters.get("g") === META && parameters.get("v") === "v1";
    if (isOurs && (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList")) return METADATA;
  }
  // Browsers, and clients that would rather have something else: JSON is what there is.
  if (ways.some(({ type }) => type === "text/html" || type === "application/yaml"))
    return new Plain(resource);
  throw notAcceptable();
}

function tableFormat(resource: Resource, version: string, include: string | null): Format {
  const included = includeOf(include);
  if (included === undefined)
    throw badRequest(`unrecognized includeObject value: ${JSON.stringify(include)}`);
  const shape = {
    columns: resource.columns ?? resource.custom?.columns ?? columnsOfKind(resource.kind),
    version,
    include: included,
    of: apiVersionOf(resource),
  };
  return new TableFormat(shape, (object) => shown(object, resource));
}

function acceptedOf(text: string): Accepted {
  const [type, ...rest] = text.split(";").map((part) => part.trim());
  const pairs = rest.map((part): [string, string] => {
    const at = part.indexOf("=");
    return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
  });
  return { type: type.toLowerCase(), parameters: new Map(pairs) };
}

/** The last object that was written: who changes one is answered with what those who watch it are told. */
let written: { readonly object: KubeObject; readonly text: string } | undefined;

class Plain implements Format {
  readonly key: string;
  readonly #resource: Resource;

  constructor(resource: Resource) {
    this.#resource = resource;
    this.key = `plain ${apiVersionOf(resource)}`;
  }

  one(object: KubeObject): string {
    if (this.#resource.convert !== undefined) return JSON.stringify(shown(object, this.#resource));
    if (object !== written?.object) written = { object, text: JSON.stringify(object) };
    return written.text;
  }

  list(objects: readonly KubeObject[], metadata: object): string {
    const items = objects.map((object) => this.one(object)).join(",");
    const kind = `${this.#resource.kind}List`;
    const head = JSON.stringify({ kind, apiVersion: apiVersionOf(this.#resource), metadata });
    return `${head.slice(0, -1)},"items":[${items}]}`;
  }
}

/** A stored object in the version of a resource. */
export function shown(object: KubeObject, { convert }: Resource): KubeObject {
  return convert === undefined ? object : convert.fromStored(object);
}

const METADATA: Format = {
  key: "metadata",
  one: ({ metadata }) =>
    JSON.stringify({ kind: "PartialObjectMetadata", apiVersion: `${META}/v1`, metadata }),
  list: (objects, metadata) => {
    const items = objects.map((each) => ({ metadata: each.metadata }));
    return JSON.stringify({ kind: "PartialObjectMetadataList", apiVersion: `${META}/v1`, metadata, items });
  },
};
