// Nodes of plain Linux run kube-proxy's rules, and nobody there enforces policies: who applies one is told.
import type { KubeObject } from "../kube/objects.ts";
import type { AgentKind } from "./topology.ts";

const POLICIES: readonly string[] = ["NetworkPolicy", "ClusterNetworkPolicy"];

/** One line, or none. */
export function kernelNodeWarnings(
  applied: readonly KubeObject[],
  nodes: readonly { readonly name: string; readonly agent: AgentKind }[],
): string[] {
  const names = nodes.filter(({ agent }) => agent === "kernel").map(({ name }) => name);
  if (names.length === 0 || !applied.some(({ kind }) => POLICIES.includes(kind))) return [];
  return [
    `warning: ${names.join(", ")}: plain Linux (agent: kernel) enforces no policies: pods there are open`,
  ];
}
