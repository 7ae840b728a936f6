/** Worked cases of policies: objects, and which pods may reach which on which ports (src/compile/policy/testdata). */
import { readFileSync } from "node:fs";
import type { KubeObject } from "../../kube/objects.ts";

export interface CasePod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Record<string, string>;
  readonly ip: string;
  /** "sql=5432/TCP" */
  readonly ports: readonly string[];
}

export interface PolicyCase {
  readonly name: string;
  readonly sequence?: string;
  readonly namespaces: readonly { name: string; labels: Record<string, string> }[];
  readonly pods: readonly CasePod[];
  readonly policies: readonly KubeObject[];
  readonly tested: readonly string[];
  readonly pairs: readonly string[];
  readonly denied: readonly string[];
}

export function policyCases(): readonly PolicyCase[] {
  return JSON.parse(readFileSync("src/compile/policy/testdata/policy-cases.json", "utf8"));
}
