// Custom resources of a kind that podwire knows, as an API server has them where somebody has installed its definition.
import { splitApiVersion } from "../../kube/api-groups.ts";
import type { CustomDefinition } from "../../kube/custom-definition.ts";
import type { KindInfo } from "../../kube/kinds.ts";
import { definedBy } from "../custom-resources.ts";
import type { Resource } from "../resource.ts";
import type { PrinterColumn } from "../table/custom-columns.ts";
import type { CustomVersion } from "./definition.ts";
import { type ListKeys, schemaOfKind, type Types } from "./type-schema.ts";

export interface KnownKind {
  readonly types: Types;
  readonly keys: ListKeys;
  readonly columns: readonly PrinterColumn[];
  readonly categories: readonly string[];
  readonly check: NonNullable<CustomVersion["check"]>;
}

/** In all versions. Schemas are made when they are asked for: a lab that has no such objects has no use for them. */
export function knownResources(info: KindInfo, known: KnownKind): Resource[] {
  return definedBy(definitionOf(info, known)).map((resource) => {
    let whole: CustomVersion | undefined;
    return {
      ...resource,
      isKnown: true,
      get custom(): CustomVersion {
        whole ??= {
          ...(resource.custom as CustomVersion),
          ...{ schema: schemaOfKind(info.kind, known.types, known.keys), check: known.check },
        };
        return whole;
      },
    };
  });
}

function definitionOf(info: KindInfo, { types, columns, categories }: KnownKind): CustomDefinition {
  const { kind, plural, singular, shortNames, namespaced, apiVersion, formerVersions = [] } = info;
  const [group] = splitApiVersion(apiVersion);
  const versions = [apiVersion, ...formerVersions].map((each, i) => ({
    ...{ name: splitApiVersion(each)[1], served: true, storage: i === 0 },
    schema: { openAPIV3Schema: { type: "object" } },
    ...(types.get(kind)?.has("status") === true && { subresources: { status: {} } }),
    additionalPrinterColumns: columns,
  }));
  const names = { kind, plural, singular, shortNames: shortNames.filter((word) => word !== singular) };
  return {
    ...{ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition" },
    metadata: { name: `${plural}.${group}` },
    spec: {
      ...{ group, scope: namespaced ? "Namespaced" : "Cluster", versions },
      names: { ...names, categories },
    },
  };
}
