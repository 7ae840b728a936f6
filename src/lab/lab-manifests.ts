// Manifests as a lab takes them: objects of its own kinds, and those of definitions that are stored or come with the same
// call, in whatever order. What a schema refuses is told with its place in the file.
import { type CustomVersion, definitionProblems } from "../apiserver/custom/definition.ts";
import { gatewayResources } from "../apiserver/custom/gateway-resources.ts";
import { meshResources } from "../apiserver/custom/mesh-resources.ts";
import { checkProblems, readCustom } from "../apiserver/custom/read.ts";
import { checkRules } from "../apiserver/custom/rule-check.ts";
import { schemaProblems } from "../apiserver/custom/validate.ts";
import { definedBy } from "../apiserver/custom-resources.ts";
import { apiVersionOf, type Resource } from "../apiserver/resource.ts";
import type { JsonObject } from "../apiserver/schema/schema.ts";
import type { CustomDefinition } from "../kube/custom-definition.ts";
import type { CustomKinds } from "../kube/manifest/custom-kind.ts";
import { fieldPathIn } from "../kube/manifest/field-path.ts";
import type { FieldProblems } from "../kube/manifest/field-problems.ts";
import {
  type Manifest,
  ManifestError,
  type ManifestText,
  type ParseOptions,
  parseManifests,
} from "../kube/manifest/manifest.ts";
import { PassedOver } from "../kube/passed-over.ts";

const DEFINITION = "CustomResourceDefinition";

export interface LabManifests {
  readonly manifests: Manifest[];
  readonly passed: PassedOver;
}

/** Throws a ManifestError with all that is wrong. `stored`: the definitions that are there. */
export function parseForLab(
  texts: readonly ManifestText[],
  options: ParseOptions,
  stored: readonly CustomDefinition[],
): LabManifests {
  const parse = (definitions: readonly CustomDefinition[]): LabManifests => {
    const passed = new PassedOver();
    const customKinds = kindsOf(definitions);
    return { manifests: parseManifests(texts, { ...options, carries: true, passed, customKinds }), passed };
  };
  const read = parse(stored);
  const own = read.manifests.filter(({ object }) => object.kind === DEFINITION);
  if (own.length === 0) return read;
  const problems = own.flatMap(({ object, problem }) =>
    definitionProblems(object as unknown as JsonObject).map((text) => problem(fieldPathIn(text), text)),
  );
  if (problems.length > 0) throw new ManifestError(problems);
  const names = new Set(own.map(({ object }) => object.metadata.name));
  const others = stored.filter(({ metadata }) => !names.has(metadata.name));
  return parse([...others, ...own.map(({ object }) => object as CustomDefinition)]);
}

function kindsOf(definitions: readonly CustomDefinition[]): CustomKinds {
  let resources: Resource[] | undefined;
  return (apiVersion, kind) => {
    resources ??= [...gatewayResources(), ...meshResources(), ...definitions.flatMap(definedBy)];
    const found = resources.find((each) => each.kind === kind && apiVersionOf(each) === apiVersion);
    if (found?.info === undefined) return undefined;
    return { info: found.info, read: (value, _, problems) => readObject(value, found, problems) };
  };
}

function readObject(value: unknown, { custom, convert }: Resource, problems: FieldProblems): unknown {
  const given = value as JsonObject;
  if (custom === undefined || convert === undefined) return given;
  const { object, unknown, wrong } = readCustom(given, custom);
  for (const path of unknown) problems.add(fieldPathIn(path), `unknown field ${JSON.stringify(path)}`, true);
  if (wrong !== undefined) problems.add([], wrong);
  else for (const text of schemaTold(object, custom)) problems.add(fieldPathIn(text), text);
  return convert.toStored(object as never);
}

function schemaTold(object: JsonObject, custom: CustomVersion): string[] {
  const { schema } = custom;
  const found = schemaProblems(object, schema);
  if (found.length === 0) found.push(...checkProblems(object, custom));
  return found.length > 0 ? found : checkRules(object, undefined, schema).problems;
}
