// Pod security of files alone: what an API server would say of them, were they applied together to an empty cluster.
import { PodSecurityAdmission } from "../../cluster/pod-security-admission.ts";
import { type Manifest, ManifestError } from "../../kube/manifest/manifest.ts";
import { DEFAULT_CONFIG } from "../../kube/pod-security/policy.ts";
import { noteOnce } from "../context.ts";

/** Throws what is refused, says what is warned of. Objects with a uid come from a cluster, which has admitted them. */
export function admitFiles(manifests: readonly Manifest[]): void {
  const namespaces = manifests.map(({ object }) => object).filter(({ kind }) => kind === "Namespace");
  const labels = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
  const admission = new PodSecurityAdmission(DEFAULT_CONFIG, {
    labels: (name) => labels.get(name) ?? {},
    pods: () => [],
  });
  const problems = manifests.flatMap(({ object, problem }) => {
    if (object.metadata.uid !== undefined) return [];
    const judged = admission.judge({ object, user: "" });
    noteOnce(judged.warnings.map((text) => `Warning: ${text}`));
    return judged.problems.map(({ path, message }) => problem(path, message));
  });
  if (problems.length > 0) throw new ManifestError(problems);
}
