// Who owns an object, and who has to let go of it: ValidateOwnerReferences, ValidateFinalizers and
// validateKubeFinalizerName (apimachinery's and core's validation).
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type { Metadata } from "../objects.ts";
import { qualifiedName } from "./names.ts";

const STANDARD_FINALIZERS = ["kubernetes", "orphan", "foregroundDeletion"];

/** An API server names no index here; the place in the file does. */
export function validateOwners({ ownerReferences = [] }: Metadata, problems: FieldProblems): void {
  const list = "metadata.ownerReferences";
  let controller: string | undefined;
  for (const [i, owner] of ownerReferences.entries()) {
    const at: FieldPath = ["metadata", "ownerReferences", i];
    const { apiVersion = "", kind = "", name = "", uid = "" } = owner;
    for (const [field, value, detail] of [
      ["apiVersion", apiVersion, "version must not be empty"],
      ["kind", kind, "must not be empty"],
      ["name", name, "must not be empty"],
      ["uid", uid, "must not be empty"],
    ]) {
      if (value === "") problems.add([...at, field], `${list}.${field}: Invalid value: "": ${detail}`);
    }
    if (kind === "Event" && apiVersion === "v1")
      problems.add(at, `${list}: Invalid value: /v1, Kind=Event is disallowed from being an owner`);
    if (owner.controller !== true) continue;
    if (controller !== undefined) {
      const both = `Found "true" in references for ${controller} and ${kind}/${name}`;
      problems.add(at, `${list}: Invalid value: Only one reference can have Controller set to true. ${both}`);
    } else controller = `${kind}/${name}`;
  }
}

export function validateFinalizers({ finalizers = [] }: Metadata, problems: FieldProblems): void {
  for (const [i, name] of finalizers.entries()) {
    for (const wrong of qualifiedName(name)) {
      const text = `metadata.finalizers: Invalid value: ${JSON.stringify(name)}: ${wrong}`;
      problems.add(["metadata", "finalizers", i], text);
    }
    if (!name.includes("/") && !STANDARD_FINALIZERS.includes(name)) {
      const detail = "name is neither a standard finalizer name nor is it fully qualified";
      problems.invalid(["metadata", "finalizers", i], name, detail);
    }
  }
  if (finalizers.includes("orphan") && finalizers.includes("foregroundDeletion")) {
    const detail = "finalizer orphan and foregroundDeletion cannot be both set";
    problems.invalid(["metadata", "finalizers"], finalizers, detail);
  }
}
