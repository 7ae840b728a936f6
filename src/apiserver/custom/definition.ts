// A CustomResourceDefinition taken apart: what it makes an API server serve, and why it may be refused. Versions are
// converted by changing their apiVersion alone (strategy None); webhooks are refused, since nobody is asked here.
import type { GroupVersionKind, JsonObject, Schema } from "../schema/schema.ts";
import { isObject, type Json } from "../schema/schema.ts";
import { structuralProblems } from "./structural.ts";

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly jsonPath: string;
  readonly priority: number;
}

export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

export interface CustomVersion extends GroupVersionKind {
  readonly served: boolean;
  readonly storage: boolean;
  /** As the definition has it. */
  readonly schema: Schema;
  readonly hasStatus: boolean;
  readonly scale: ScalePaths | undefined;
  readonly columns: readonly Column[];
  /** A warning for whoever uses it. */
  readonly deprecation: string | undefined;
}

export interface Definition {
  readonly group: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** As clients see them: the newest stable one first. */
  readonly versions: readonly CustomVersion[];
  /** Some schema has rules in CEL, which are kept and not judged. */
  readonly hasRules: boolean;
}

const LABEL = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;
const NO_LABEL = "a DNS-1035 label must consist of lower case alphanumeric characters or '-'";
const NO_DOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'";
const DOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const VERSION = /^v(\d+)(?:(alpha|beta)(\d+))?$/;

const objectOf = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});
const textOf = (value: Json | undefined): string => (typeof value === "string" ? value : "");
const textsOf = (value: Json | undefined): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
const objectsOf = (value: Json | undefined): JsonObject[] =>
  Array.isArray(value) ? value.filter(isObject) : [];

/** The definition with the names that it leaves to the server. */
export function withDefaultNames(object: JsonObject): JsonObject {
  const spec = objectOf(object.spec);
  const names = objectOf(spec.names);
  const kind = textOf(names.kind);
  const filled = { singular: kind.toLowerCase(), listKind: `${kind}List`, ...names };
  return { ...object, spec: { ...spec, conversion: spec.conversion ?? { strategy: "None" }, names: filled } };
}

/** Each as "PATH: Word value: why"; none: it may be read. */
export function definitionProblems(object: JsonObject): string[] {
  const spec = objectOf(object.spec);
  const { plural } = objectOf(spec.names);
  const { name } = objectOf(object.metadata);
  const found: string[] = [];
  if (name !== `${plural}.${spec.group}`) {
    found.push(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'));
  }
  found.push(...namesProblems(spec));
  const versions = objectsOf(spec.versions);
  const own = versions.map((version) => textOf(version.name));
  if (new Set(own).size < own.length)
    found.push(invalid("spec.versions", own, "must contain unique version names"));
  if (versions.filter(({ storage }) => storage === true).length !== 1) {
    found.push(invalid("spec.versions", own, "must have exactly one version marked as storage version"));
  }
  for (const [i, version] of versions.entries())
    found.push(...versionProblems(version, `spec.versions[${i}]`));
  const { strategy = "None" } = objectOf(spec.conversion);
  if (strategy !== "None") {
    const why = "podwire has no webhooks: make it None, which changes the apiVersion alone";
    found.push(invalid("spec.conversion.strategy", strategy, why));
  }
  if (spec.preserveUnknownFields === true) {
    found.push(
      invalid("spec.preserveUnknownFields", true, "must be false in order to use defaults in the schema"),
    );
  }
  return found;
}

const invalid = (path: string, value: Json | undefined, why: string): string =>
  `${path}: Invalid value: ${JSON.stringify(value ?? "")}: ${why}`;

function namesProblems(spec: JsonObject): string[] {
  const names = objectOf(spec.names);
  const group = textOf(spec.group);
  const found: string[] = [];
  if (group === "") found.push("spec.group: Required value");
  else if (!DOMAIN.test(group)) found.push(invalid("spec.group", group, NO_DOMAIN));
  else if (!group.includes(".")) {
    found.push(invalid("spec.group", group, "should be a domain with at least one dot"));
  }
  if (spec.scope === undefined) found.push("spec.scope: Required value");
  else if (spec.scope !== "Namespaced" && spec.scope !== "Cluster") {
    const scope = JSON.stringify(spec.scope);
    found.push(`spec.scope: Unsupported value: ${scope}: supported values: "Cluster", "Namespaced"`);
  }
  for (const field of ["plural", "singular", "kind", "listKind"]) {
    const value = textOf(names[field]);
    const isLabel = field.endsWith("ind") || LABEL.test(value);
    if (value === "") found.push(`spec.names.${field}: Required value`);
    else if (!isLabel) found.push(invalid(`spec.names.${field}`, value, NO_LABEL));
  }
  if (textOf(names.kind) !== "" && names.kind === names.listKind) {
    found.push(invalid("spec.names.listKind", names.listKind, "kind and listKind may not be the same"));
  }
  return found;
}

function versionProblems(version: JsonObject, path: string): string[] {
  const found: string[] = [];
  const name = textOf(version.name);
  if (!LABEL.test(name)) {
    found.push(`${path}.name: Invalid value: ${JSON.stringify(name)}: ${NO_LABEL}`);
  }
  const { openAPIV3Schema: schema } = objectOf(version.schema);
  const at = `${path}.schema.openAPIV3Schema`;
  if (!isObject(schema)) found.push(`${at}: Required value`);
  else found.push(...structuralProblems(schema, at));
  for (const [i, column] of objectsOf(version.additionalPrinterColumns).entries()) {
    for (const field of ["name", "type", "jsonPath"]) {
      if (textOf(column[field]) === "")
        found.push(`${path}.additionalPrinterColumns[${i}].${field}: Required value`);
    }
  }
  const { scale } = objectOf(version.subresources);
  if (!isObject(scale)) return found;
  for (const field of ["specReplicasPath", "statusReplicasPath"]) {
    const value = textOf(scale[field]);
    if (value === "") found.push(`${path}.subresources.scale.${field}: Required value`);
    else if (!/^\.(?:spec|status)\./.test(value)) {
      found.push(
        `${path}.subresources.scale.${field}: Invalid value: ${JSON.stringify(value)}: ` +
          `should be a json path under .${field.startsWith("spec") ? "spec" : "status"}`,
      );
    }
  }
  return found;
}

/** Of a definition without problems. */
export function readDefinition(object: JsonObject): Definition {
  const spec = objectOf(object.spec);
  const names = objectOf(spec.names);
  const group = textOf(spec.group);
  const kind = textOf(names.kind);
  const versions = objectsOf(spec.versions).map((version) => readVersion(version, group, kind));
  return {
    ...{ group, kind, listKind: textOf(names.listKind) },
    ...{ plural: textOf(names.plural), singular: textOf(names.singular) },
    ...{ shortNames: textsOf(names.shortNames), categories: textsOf(names.categories) },
    namespaced: spec.scope === "Namespaced",
    versions: versions.toSorted((a, b) => compareVersions(a.version, b.version)),
    hasRules: JSON.stringify(spec.versions).includes('"x-kubernetes-validations":[{'),
  };
}

function readVersion(version: JsonObject, group: string, kind: string): CustomVersion {
  const name = textOf(version.name);
  const { status, scale } = objectOf(version.subresources);
  const { openAPIV3Schema } = objectOf(version.schema);
  const told = textOf(version.deprecationWarning) || `${group}/${name} ${kind} is deprecated`;
  return {
    ...{ group, kind, version: name, served: version.served === true, storage: version.storage === true },
    schema: objectOf(openAPIV3Schema) as unknown as Schema,
    hasStatus: status !== undefined && status !== null,
    scale: isObject(scale) ? (scale as unknown as ScalePaths) : undefined,
    columns: objectsOf(version.additionalPrinterColumns).map(readColumn),
    deprecation: version.deprecated === true ? told : undefined,
  };
}

function readColumn(column: JsonObject): Column {
  const { name, type, format, description, jsonPath, priority } = column;
  return {
    ...{ name: textOf(name), type: textOf(type), format: textOf(format), description: textOf(description) },
    ...{ jsonPath: textOf(jsonPath), priority: typeof priority === "number" ? priority : 0 },
  };
}

/** v2 before v1, v1 before v1beta1, and that before v1alpha1; whatever is none of these comes last, by its name. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [VERSION.exec(a), VERSION.exec(b)];
  if (left === null || right === null) {
    if (left !== null || right !== null) return left === null ? 1 : -1;
    return a < b ? -1 : a > b ? 1 : 0;
  }
  const rank = (stage: string | undefined): number => (stage === undefined ? 2 : stage === "beta" ? 1 : 0);
  return (
    rank(right[2]) - rank(left[2]) ||
    Number(right[1]) - Number(left[1]) ||
    Number(right[3] ?? 0) - Number(left[3] ?? 0)
  );
}

/** The status by which clients see that it is served: names accepted, established. */
export function establishedStatus(definition: Definition, old: JsonObject, now: string): JsonObject {
  const { kind, listKind, plural, singular, shortNames, categories, versions } = definition;
  const before = objectsOf(old.conditions);
  const condition = (type: string, reason: string, message: string): JsonObject => {
    const known = before.find((one) => one.type === type && one.status === "True");
    return known ?? { type, status: "True", reason, message, lastTransitionTime: now };
  };
  const storage = versions.filter((version) => version.storage).map(({ version }) => version);
  return {
    conditions: [
      condition("NamesAccepted", "NoConflicts", "no conflicts found"),
      condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ],
    acceptedNames: {
      ...{ plural, singular, kind, listKind },
      ...(shortNames.length === 0 ? {} : { shortNames: [...shortNames] }),
      ...(categories.length === 0 ? {} : { categories: [...categories] }),
    },
    storedVersions: [...new Set([...textsOf(old.storedVersions), ...storage])],
  };
}
