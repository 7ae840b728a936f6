// CustomResourceDefinitions: what they define. A store has their objects under a kind of its own, "HTTPRoute.gateway.…",
// so that nobody takes one of another project's Services for one of the API's.
import type { KubeObject } from "./objects.ts";

export interface DefinedVersion {
  readonly name: string;
  readonly served?: boolean;
  readonly storage?: boolean;
  readonly subresources?: { readonly status?: object; readonly scale?: object };
}

export interface DefinedNames {
  readonly kind: string;
  readonly plural: string;
  readonly singular?: string;
  readonly listKind?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

export interface DefinitionCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime?: string;
}

export type CustomDefinition = KubeObject & {
  kind: "CustomResourceDefinition";
  spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: DefinedNames;
    readonly versions: readonly DefinedVersion[];
  };
  status?: {
    readonly conditions?: readonly DefinitionCondition[];
    readonly acceptedNames?: DefinedNames;
    readonly storedVersions?: readonly string[];
  };
};

/** The kind under which a store has objects of this kind and group. */
export function customKind(kind: string, group: string): string {
  return `${kind}.${group}`;
}

/** Whether a kind of a store is a custom resource's. */
export function isCustomKind(kind: string): boolean {
  return kind.includes(".");
}

export function definedKind({ spec }: CustomDefinition): string {
  return customKind(spec.names.kind, spec.group);
}
