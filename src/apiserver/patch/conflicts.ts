// Conflicts of server-side apply, in kube-apiserver's words.
import { type FieldSet, type Path, paths, pathText } from "./field-set.ts";
import type { Manager } from "./managers.ts";
import { type Cause, Refused } from "./refused.ts";

export interface Conflict {
  readonly manager: Manager;
  readonly path: Path;
}

export const conflictsOf = (manager: Manager, fields: FieldSet): Conflict[] =>
  [...paths(fields)].map((path) => ({ manager, path }));

/** `"kubectl-edit" with subresource "status" using v1`. */
function managerText({ manager, operation, apiVersion, subresource }: Manager): string {
  const name = JSON.stringify(manager);
  const who = subresource === "" ? name : `${name} with subresource ${JSON.stringify(subresource)}`;
  return operation === "Update" ? `${who} using ${apiVersion}` : who;
}

export function conflictError(conflicts: readonly Conflict[]): Refused {
  const causes = conflicts.map(
    ({ manager, path }): Cause => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${managerText(manager)}`,
      field: pathText(path),
    }),
  );
  return new Refused(409, "Conflict", messageOf(conflicts), causes);
}

function messageOf(conflicts: readonly Conflict[]): string {
  const count = conflicts.length;
  if (count === 1) {
    const { manager, path } = conflicts[0];
    return `Apply failed with 1 conflict: conflict with ${managerText(manager)}: ${pathText(path)}`;
  }
  const byManager = new Map<string, string[]>();
  for (const { manager, path } of conflicts) {
    const lines = byManager.get(managerText(manager)) ?? [];
    byManager.set(managerText(manager), [...lines, `- ${pathText(path)}`]);
  }
  const lines = [...byManager]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([manager, ofIt]) => [`conflicts with ${manager}:`, ...ofIt]);
  return `Apply failed with ${count} conflicts: ${lines.join("\n")}`;
}
