// Resources that CustomResourceDefinitions add, as the definitions come and go.
import type { Store } from "../cluster/store.ts";
import { type CustomDefinition, type DefinedVersion, definedKind } from "../kube/custom-definition.ts";
import type { KubeObject } from "../kube/objects.ts";
import { readVersion } from "./custom/definition.ts";
import type { Conversion, Resource, Resources } from "./resource.ts";
import type { JsonObject } from "./schema/schema.ts";

const KIND = "CustomResourceDefinition";

/** Keeps `resources` true. Returns the way to stop. */
export function followDefinitions(store: Store, resources: Resources): () => void {
  for (const object of store.list<CustomDefinition>(KIND))
    for (const each of servedBy(object)) resources.add(each);
  return store.watch(({ type, object, old }) => {
    if (object.kind !== KIND) return;
    for (const each of old === undefined ? [] : servedBy(old as CustomDefinition)) resources.remove(each);
    if (type === "DELETED") return;
    for (const each of servedBy(object as CustomDefinition)) resources.add(each);
  });
}

/** Nothing before its names were accepted. */
function servedBy(definition: CustomDefinition): Resource[] {
  const { conditions = [] } = definition.status ?? {};
  const isReady = conditions.some(({ type, status }) => type === "Established" && status === "True");
  return isReady ? definedBy(definition) : [];
}

/** In all versions that it serves. */
export function definedBy(definition: CustomDefinition): Resource[] {
  return definition.spec.versions
    .filter(({ served }) => served !== false)
    .map((each) => resourceOf(definition, each));
}

function resourceOf(definition: CustomDefinition, version: DefinedVersion): Resource {
  const { group, scope, versions } = definition.spec;
  const names = definition.status?.acceptedNames ?? definition.spec.names;
  const { kind, plural, singular = kind.toLowerCase(), shortNames = [], categories = [] } = names;
  const namespaced = scope === "Namespaced";
  const storedAs = definedKind(definition);
  const stored = versions.find(({ storage }) => storage === true) ?? version;
  const storedVersion = `${group}/${stored.name}`;
  const info = {
    ...{ kind: storedAs, apiVersion: storedVersion, plural, singular, shortNames, namespaced },
    ...{ stored: true, carried: true },
  };
  const to = (apiVersion: string, as: string) => (object: KubeObject) => ({
    ...object,
    apiVersion,
    kind: as,
  });
  const convert: Conversion = {
    fromStored: to(`${group}/${version.name}`, kind),
    toStored: to(storedVersion, storedAs),
  };
  const custom = readVersion(version as unknown as JsonObject, group, kind);
  const subresources = [
    ...(version.subresources?.status === undefined ? [] : ["status"]),
    ...(custom.scale === undefined ? [] : ["scale"]),
  ];
  return {
    ...{ group, version: version.name, kind, plural, singular, shortNames, categories, namespaced },
    ...{ subresources, storedAs, info, convert, custom },
  };
}
