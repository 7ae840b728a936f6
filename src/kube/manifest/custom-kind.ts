// Kinds that somebody has defined, for whoever reads manifests.
import type { KindInfo } from "../kinds.ts";
import type { FieldProblems } from "./field-problems.ts";

export interface CustomKind {
  /** `kind` as a store names it: "HTTPRoute.gateway.networking.k8s.io". */
  readonly info: KindInfo;
  /** The object with that kind; problems are reported. */
  read(value: unknown, kind: string, problems: FieldProblems): unknown;
}

/** Undefined: nobody has defined it. */
export type CustomKinds = (apiVersion: string, kind: string) => CustomKind | undefined;
