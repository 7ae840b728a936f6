// podFailurePolicy of a Job: what the failure of a pod means, by exit codes and conditions. The first rule that fits
// counts.
import type { Job, Pod } from "../../../kube/objects.ts";

interface ExitCodes {
  readonly containerName?: string;
  readonly operator: string;
  readonly values: readonly number[];
}

interface FailureRule {
  readonly action: string;
  readonly onExitCodes?: ExitCodes;
  readonly onPodConditions?: readonly { readonly type: string; readonly status?: string }[];
}

interface FailureMeaning {
  /** FailJob, FailIndex, Ignore, Count; undefined: no rule fits, and it counts. */
  readonly action: string | undefined;
  /** Why the Job has failed. */
  readonly message: string | undefined;
}

const COUNTS: FailureMeaning = { action: undefined, message: undefined };

function rulesOf({ spec }: Job): readonly FailureRule[] {
  return (spec.podFailurePolicy?.rules ?? []) as unknown as readonly FailureRule[];
}

export function meaningOf(job: Job, pod: Pod): FailureMeaning {
  const { namespace, name } = pod.metadata;
  for (const [i, { action, onExitCodes, onPodConditions }] of rulesOf(job).entries()) {
    const behind = `matching ${action} rule at index ${i}`;
    if (onExitCodes !== undefined) {
      const found = exited(pod, onExitCodes);
      if (found === undefined) continue;
      const what = `Container ${found.name} for pod ${namespace}/${name} failed with exit code ${found.code}`;
      return { action, message: action === "FailJob" ? `${what} ${behind}` : undefined };
    }
    const types = (onPodConditions ?? []).map(({ type, status = "True" }) => `${type}=${status}`);
    const found = pod.status.conditions?.find(({ type, status }) => types.includes(`${type}=${status}`));
    if (found === undefined) continue;
    const what = `Pod ${namespace}/${name} has condition ${found.type}`;
    return { action, message: action === "FailJob" ? `${what} ${behind}` : undefined };
  }
  return COUNTS;
}

/** Containers before init containers. */
function exited({ status }: Pod, wanted: ExitCodes): { name: string; code: number } | undefined {
  for (const { name, state } of [
    ...(status.containerStatuses ?? []),
    ...(status.initContainerStatuses ?? []),
  ]) {
    const code = state?.terminated?.exitCode ?? 0;
    if (code === 0 || (wanted.containerName ?? name) !== name) continue;
    if (wanted.values.includes(code) === (wanted.operator === "In")) return { name, code };
  }
  return undefined;
}
