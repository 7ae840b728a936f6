// The documents by which kubectl explains and validates; protocol buffers are read back here by the wire format alone.
import t from "tap";
import { isObject, type Json, type JsonObject } from "../schema/schema.ts";
import { encodeOpenApiV2 } from "./openapi-protobuf.ts";
import { openApiV2 } from "./openapi-v2.ts";
import { openApiV3, openApiV3Index } from "./openapi-v3.ts";
import type { Served } from "./served.ts";

const SERVED: readonly Served[] = [
  { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true },
  { group: "", version: "v1", kind: "Node", plural: "nodes", namespaced: false },
  { group: "apps", version: "v1", kind: "Deployment", plural: "deployments", namespaced: true },
  {
    ...{ group: "stable.example.com", version: "v1", kind: "CronTab", plural: "crontabs", namespaced: true },
    custom: {
      type: "object",
      properties: {
        metadata: { $ref: "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" },
        spec: { type: "object", description: "What is wanted.", properties: { cron: { type: "string" } } },
        port: { "x-kubernetes-int-or-string": true },
      },
      "x-kubernetes-group-version-kind": [{ group: "stable.example.com", version: "v1", kind: "CronTab" }],
    },
  },
];

t.test("version 3 has a document for each group, with all that it refers to", async (t) => {
  const index = openApiV3Index(SERVED).paths as JsonObject;
  t.same(Object.keys(index), ["api/v1", "apis/apps/v1", "apis/stable.example.com/v1"]);
  t.match(index["apis/apps/v1"], { serverRelativeURL: /^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{64}$/ });
  for (const path of Object.keys(index)) {
    const document = openApiV3(path, SERVED) as JsonObject;
    const { schemas } = document.components as { schemas: JsonObject };
    const missing: string[] = [];
    const follow = (value: Json): void => {
      if (Array.isArray(value)) value.forEach(follow);
      if (!isObject(value)) return;
      const { $ref } = value;
      if (typeof $ref === "string" && schemas[$ref.replace("#/components/schemas/", "")] === undefined)
        missing.push($ref);
      Object.values(value).forEach(follow);
    };
    follow(document);
    t.same(missing, [], path);
  }
  t.equal(openApiV3("apis/batch/v1", SERVED), undefined);
  const apps = openApiV3("apis/apps/v1", SERVED) as JsonObject;
  const path = (apps.paths as JsonObject)[
    "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
  ] as JsonObject;
  const patch = path.patch as { parameters: { name: string; in: string }[] };
  t.same(
    patch.parameters.map(({ name, in: where }) => `${where} ${name}`),
    ["query dryRun", "query fieldManager", "query fieldValidation", "query force"],
  );
  const core = openApiV3("api/v1", SERVED) as JsonObject;
  t.ok((core.paths as JsonObject)["/api/v1/nodes/{name}"]);
});

t.test("version 2 has everything in one, and takes off what it cannot say", async (t) => {
  const document = openApiV2(SERVED);
  const definitions = document.definitions as JsonObject;
  t.ok(Object.keys(definitions).length > 400);
  t.match(definitions["com.example.stable.v1.CronTab"], {
    type: "object",
    properties: { spec: { type: "object", description: "What is wanted." }, port: { type: undefined } },
    "x-kubernetes-group-version-kind": [{ kind: "CronTab" }],
  });
});

type Fields = Map<number, (Uint8Array | number)[]>;

/** A message as the wire has it: by field number. Throws where it is none. */
function readMessage(bytes: Uint8Array): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const field = key >> 3;
    let value: Uint8Array | number;
    if ((key & 7) === 0) value = varint();
    else if ((key & 7) === 2) {
      const length = varint();
      value = bytes.subarray(at, (at += length));
      if (value.length !== length) throw new Error("cut off");
    } else throw new Error(`wire type ${key & 7}`);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

const inside = (fields: Fields, field: number): Fields => readMessage(fields.get(field)?.[0] as Uint8Array);
const textIn = (fields: Fields, field: number): string =>
  Buffer.from(fields.get(field)?.[0] as Uint8Array).toString();
const entries = (fields: Fields, field: number): Map<string, Fields> =>
  new Map(
    (fields.get(field) ?? []).map((bytes) => {
      const entry = readMessage(bytes as Uint8Array);
      return [textIn(entry, 1), inside(entry, 2)];
    }),
  );

t.test("protocol buffers say the same as the document", async (t) => {
  const document = openApiV2(SERVED);
  const read = readMessage(encodeOpenApiV2(document));
  t.equal(textIn(read, 1), "2.0");
  const definitions = entries(inside(read, 9), 1);
  t.same([...definitions.keys()], Object.keys(document.definitions as JsonObject));
  const deployment = definitions.get("io.k8s.api.apps.v1.Deployment") as Fields;
  t.equal(textIn(inside(deployment, 22), 1), "object");
  const properties = entries(inside(deployment, 25), 1);
  t.equal(textIn(properties.get("spec") as Fields, 1), "#/definitions/io.k8s.api.apps.v1.DeploymentSpec");
  const extension = readMessage(deployment.get(31)?.[0] as Uint8Array);
  t.equal(textIn(extension, 1), "x-kubernetes-group-version-kind");
  t.match(JSON.parse(textIn(inside(extension, 2), 2)), [{ kind: "Deployment" }]);
  const container = entries(inside(definitions.get("io.k8s.api.core.v1.PodSpec") as Fields, 25), 1).get(
    "containers",
  );
  t.equal(
    textIn(readMessage(inside(container as Fields, 23).get(1)?.[0] as Uint8Array), 1),
    "#/definitions/io.k8s.api.core.v1.Container",
  );
  const paths = entries(inside(read, 8), 2);
  const patch = inside(paths.get("/apis/apps/v1/namespaces/{namespace}/deployments/{name}") as Fields, 8);
  const names = (patch.get(8) ?? []).map((bytes) =>
    textIn(inside(inside(inside(readMessage(bytes as Uint8Array), 1), 2), 3), 4),
  );
  t.same(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
});
