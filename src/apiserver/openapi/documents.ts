// /openapi/v2 and /openapi/v3: made when they are asked for, and kept until something else is served.
import { customTyped } from "../custom/read.ts";
import type { Resource, Resources } from "../resource.ts";
import type { JsonObject } from "../schema/schema.ts";
import { encodeOpenApiV2, V2_PROTOBUF, V2_PROTOBUF_SENT } from "./openapi-protobuf.ts";
import { openApiV2 } from "./openapi-v2.ts";
import { openApiV3, openApiV3Index } from "./openapi-v3.ts";
import type { Served } from "./served.ts";

const JSON_TYPE = "application/json";

export interface Document {
  readonly type: string;
  readonly body: string | Uint8Array;
}

export class OpenApiDocuments {
  readonly #resources: Resources;
  #known = new Map<string, Document>();
  #of = -1;

  constructor(resources: Resources) {
    this.#resources = resources;
  }

  /** Of a path's parts; undefined: there is no such document. */
  at(parts: readonly string[], accept: string): Document | undefined {
    const { changes } = this.#resources;
    if (changes !== this.#of) this.#known.clear();
    this.#of = changes;
    const isProtobuf = parts[1] === "v2" && accept.includes(V2_PROTOBUF);
    const key = `${parts.join("/")} ${isProtobuf}`;
    let document = this.#known.get(key);
    if (document === undefined) {
      document = made(parts.slice(1), isProtobuf, servedOf(this.#resources));
      if (document !== undefined) this.#known.set(key, document);
    }
    return document;
  }
}

function made([version, ...path]: readonly string[], isProtobuf: boolean, served: readonly Served[]) {
  const json = (value: JsonObject): Document => ({ type: JSON_TYPE, body: JSON.stringify(value) });
  if (version === "v2" && path.length === 0) {
    const document = openApiV2(served);
    return isProtobuf ? { type: V2_PROTOBUF_SENT, body: encodeOpenApiV2(document) } : json(document);
  }
  if (version !== "v3") return undefined;
  if (path.length === 0) return json(openApiV3Index(served));
  const document = openApiV3(path.join("/"), served);
  return document === undefined ? undefined : json(document);
}

function servedOf(resources: Resources): Served[] {
  const all: Resource[] = [];
  for (const [group, versions] of resources.groups) {
    for (const version of versions) all.push(...resources.of(group, version));
  }
  return all.map(({ group, version, kind, plural, namespaced, custom }) => ({
    ...{ group, version, kind, plural, namespaced },
    ...(custom === undefined ? {} : { custom: customTyped(custom).schema }),
  }));
}
