// OpenAPI v3, as far as clients ask whether a server knows the parameters of a request (kubectl: fieldValidation,
// dryRun). Types of fields are not described.
import { apiVersionOf, type Resource, type Resources } from "./resource.ts";

const PARAMETERS = ["dryRun", "fieldManager", "fieldValidation", "force", "pretty"];

/** Of /openapi/v3/…; undefined: there is no such document. */
export function openApi(parts: readonly string[], resources: Resources): object | undefined {
  const [, version, root, ...rest] = parts;
  if (version !== "v3") return undefined;
  if (root === undefined) return { paths: Object.fromEntries(documentsOf(resources)) };
  const [group, apiVersion] = root === "api" ? ["", rest[0]] : rest;
  const found = resources.of(group ?? "", apiVersion ?? "");
  if (found.length === 0 || (root !== "api" && root !== "apis")) return undefined;
  const info = { title: "Kubernetes", version: "v1.35.0" };
  return { openapi: "3.0.0", info, paths: Object.fromEntries(found.map(pathOf)) };
}

function* documentsOf(resources: Resources): Generator<[string, object]> {
  for (const [group, versions] of resources.groups) {
    for (const version of versions) {
      const path = `${group === "" ? "api" : "apis"}/${apiVersionOf({ group, version })}`;
      yield [path, { serverRelativeURL: `/openapi/v3/${path}` }];
    }
  }
}

function pathOf({ group, version, kind, plural, namespaced }: Resource): [string, object] {
  const root = `/${group === "" ? "api" : "apis"}/${apiVersionOf({ group, version })}`;
  const place = namespaced ? "/namespaces/{namespace}" : "";
  const parameters = PARAMETERS.map((name) => ({ name, in: "query", schema: { type: "string" } }));
  const patch = { parameters, "x-kubernetes-group-version-kind": { group, kind, version }, responses: {} };
  return [`${root}${place}/${plural}/{name}`, { patch }];
}
