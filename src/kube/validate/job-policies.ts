// What Jobs say of failures and successes, as their validation (pkg/apis/batch) refuses it.
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import { formatPath } from "../manifest/field-problems.ts";
import type { Job } from "../objects.ts";
import * as names from "./names.ts";

const RULES_MAX = 20;
const VALUES_MAX = 255;
const MANAGER_MAX = 63;
const FAILED_MAX = 100_000; // indexes
const PARALLEL_MAX = 100_000;
const ACTIONS = ["Count", "FailIndex", "FailJob", "Ignore"];
const REPLACEMENTS = ["Failed", "TerminatingOrFailed"];

interface ExitCodes {
  readonly containerName?: string;
  readonly operator?: string;
  readonly values?: readonly number[];
}

interface FailureRule {
  readonly action?: string;
  readonly onExitCodes?: ExitCodes;
  readonly onPodConditions?: readonly { readonly type?: string; readonly status?: string }[];
}

interface SuccessRule {
  readonly succeededCount?: number;
  readonly succeededIndexes?: string;
}

/** With what the types that we have are too old for. */
type Spec = Omit<Job["spec"], "podFailurePolicy"> & {
  readonly backoffLimitPerIndex?: number;
  readonly maxFailedIndexes?: number;
  readonly managedBy?: string;
  readonly podReplacementPolicy?: string;
  readonly podFailurePolicy?: { readonly rules?: readonly FailureRule[] };
  readonly successPolicy?: { readonly rules?: readonly SuccessRule[] };
};

export function validateJobPolicies(given: Job["spec"], problems: FieldProblems): void {
  const spec = given as unknown as Spec;
  checkIndexes(spec, problems);
  checkManager(spec.managedBy, problems);
  const { podFailurePolicy, successPolicy, podReplacementPolicy: replacement, template } = spec;
  if (podFailurePolicy !== undefined) {
    const path = ["spec", "podFailurePolicy", "rules"];
    const { rules = [] } = podFailurePolicy;
    if (rules.length > RULES_MAX) problems.tooMany(path, rules.length, RULES_MAX);
    for (const [i, rule] of rules.entries()) checkFailureRule(spec, rule, [...path, i], problems);
    const { restartPolicy } = template?.spec ?? {};
    if (restartPolicy === "OnFailure") {
      const why = 'only "Never" is supported when podFailurePolicy is specified';
      problems.invalid(["spec", "template", "spec", "restartPolicy"], restartPolicy, why);
    }
  }
  const allowed = podFailurePolicy === undefined ? REPLACEMENTS : ["Failed"];
  if (replacement !== undefined && !allowed.includes(replacement))
    problems.unsupportedOf(["spec", "podReplacementPolicy"], replacement, allowed);
  if (successPolicy === undefined) return;
  if (spec.completionMode === "Indexed") checkSuccessPolicy(spec, successPolicy.rules ?? [], problems);
  else problems.invalid(["spec", "successPolicy"], successPolicy, "requires indexed completion mode");
}

function checkIndexes(spec: Spec, problems: FieldProblems): void {
  const { backoffLimitPerIndex, maxFailedIndexes, completions, parallelism = 1 } = spec;
  const at = (field: string): FieldPath => ["spec", field];
  names.checkNonNegative(problems, at("backoffLimitPerIndex"), backoffLimitPerIndex);
  names.checkNonNegative(problems, at("maxFailedIndexes"), maxFailedIndexes);
  if (maxFailedIndexes !== undefined && backoffLimitPerIndex === undefined)
    problems.required(at("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
  if (spec.completionMode !== "Indexed") {
    for (const [field, value] of Object.entries({ backoffLimitPerIndex, maxFailedIndexes }))
      if (value !== undefined) problems.invalid(at(field), value, "requires indexed completion mode");
    return;
  }
  if (parallelism > PARALLEL_MAX) {
    const why = `must be less than or equal to ${PARALLEL_MAX} when completion mode is Indexed`;
    problems.invalid(at("parallelism"), parallelism, why);
  }
  if (maxFailedIndexes === undefined) return;
  if (completions !== undefined && maxFailedIndexes > completions)
    problems.invalid(at("maxFailedIndexes"), maxFailedIndexes, "must be less than or equal to completions");
  if (maxFailedIndexes > FAILED_MAX)
    problems.invalid(at("maxFailedIndexes"), maxFailedIndexes, `must be less than or equal to ${FAILED_MAX}`);
}

/** "example.com/controller" */
function checkManager(manager: string | undefined, problems: FieldProblems): void {
  if (manager === undefined) return;
  const path = ["spec", "managedBy"];
  const [domain, ...rest] = manager.split("/");
  if (manager === "") problems.required(path);
  else if (rest.length === 0 || domain === "" || rest.join("/") === "")
    problems.invalid(path, manager, 'must be a domain-prefixed path (such as "acme.io/foo")');
  else for (const why of names.dns1123Subdomain(domain)) problems.invalid(path, domain, why);
  if (manager.length > MANAGER_MAX)
    problems.add(path, `${formatPath(path)}: Too long: may not be more than ${MANAGER_MAX} bytes`);
}

function checkFailureRule(spec: Spec, rule: FailureRule, path: FieldPath, problems: FieldProblems): void {
  const { action = "", onExitCodes, onPodConditions = [] } = rule;
  const at = [...path, "action"];
  if (action === "") problems.required(at, `valid values: [${ACTIONS.map((each) => `"${each}"`).join(" ")}]`);
  else if (!ACTIONS.includes(action)) problems.unsupportedOf(at, action, ACTIONS);
  else if (action === "FailIndex" && spec.backoffLimitPerIndex === undefined)
    problems.invalid(at, action, "requires the backoffLimitPerIndex to be set");
  if (onExitCodes !== undefined) checkExitCodes(spec, onExitCodes, [...path, "onExitCodes"], problems);
  if (onPodConditions.length > RULES_MAX)
    problems.tooMany([...path, "onPodConditions"], onPodConditions.length, RULES_MAX);
  for (const [i, { type = "", status }] of onPodConditions.entries()) {
    const where = [...path, "onPodConditions", i];
    for (const why of names.qualifiedName(type)) problems.invalid([...where, "type"], type, why);
    if (!["False", "True", "Unknown"].includes(status ?? ""))
      problems.unsupportedOf([...where, "status"], status, ["False", "True", "Unknown"]);
  }
  const count = Number(onExitCodes !== undefined) + Number(onPodConditions.length > 0);
  const which =
    count === 2
      ? "both OnExitCodes and OnPodConditions is not supported"
      : "one of OnExitCodes and OnPodConditions is required";
  if (count !== 1) problems.invalidWhole(path, `specifying ${which}`);
}

function checkExitCodes(spec: Spec, given: ExitCodes, path: FieldPath, problems: FieldProblems): void {
  const { operator = "", containerName, values = [] } = given;
  const at = [...path, "operator"];
  if (operator === "") problems.required(at, 'valid values: ["In" "NotIn"]');
  else if (!["In", "NotIn"].includes(operator)) problems.unsupportedOf(at, operator, ["In", "NotIn"]);
  const { containers = [], initContainers = [] } = spec.template?.spec ?? {};
  if (
    containerName !== undefined &&
    ![...containers, ...initContainers].some(({ name }) => name === containerName)
  ) {
    const why = "must be one of the container or initContainer names in the pod template";
    problems.invalid([...path, "containerName"], containerName, why);
  }
  const where = [...path, "values"];
  if (values.length === 0) problems.invalid(where, values, "at least one value is required");
  else if (values.length > VALUES_MAX) problems.tooMany(where, values.length, VALUES_MAX);
  for (const [i, value] of values.entries()) {
    if (operator === "In" && value === 0)
      problems.invalid([...where, i], value, "must not be 0 for the In operator");
    if (values.indexOf(value) < i) problems.duplicate([...where, i], value);
  }
  if (values.some((value, i) => i > 0 && values[i - 1] > value))
    problems.invalid(where, values, "must be ordered");
}

function checkSuccessPolicy(
  { completions = 0 }: Spec,
  rules: readonly SuccessRule[],
  problems: FieldProblems,
): void {
  const path = ["spec", "successPolicy", "rules"];
  if (rules.length === 0)
    problems.required(path, "at least one rules must be specified when the successPolicy is specified");
  if (rules.length > RULES_MAX) problems.tooMany(path, rules.length, RULES_MAX);
  for (const [i, { succeededCount, succeededIndexes }] of rules.entries()) {
    const at = [...path, i];
    if (succeededCount === undefined && succeededIndexes === undefined)
      problems.required(at, "at least one of succeededCount or succeededIndexes must be specified");
    const read = succeededIndexes === undefined ? undefined : readIndexes(succeededIndexes, completions);
    if (typeof read === "string")
      problems.invalid(
        [...at, "succeededIndexes"],
        succeededIndexes,
        `error parsing succeededIndexes: ${read}`,
      );
    if (succeededCount === undefined) continue;
    const where = [...at, "succeededCount"];
    names.checkNonNegative(problems, where, succeededCount);
    const told = (most: number, what: string): void =>
      problems.invalid(where, succeededCount, `must be less than or equal to ${most} (${what})`);
    if (succeededCount > completions) told(completions, "the number of specified completions");
    if (typeof read === "number" && succeededCount > read)
      told(read, "the number of indexes in the specified succeededIndexes field");
  }
}

const TWO_PARTS = "an index interval can have at most two parts separated by '-'";

/** How many they are; a text says why they are none. */
function readIndexes(text: string, completions: number): number | string {
  let last = -1;
  let count = 0;
  for (const part of text === "" ? [] : text.split(",")) {
    const [from, to = from, ...more] = part.split("-");
    if (more.length > 0) return `the fragment "${part}" violates the requirement that ${TWO_PARTS}`;
    for (const each of [from, to])
      if (!/^\d{1,9}$/.test(each)) return `cannot convert string to integer for index: "${each}"`;
    const [a, b] = [Number(from), Number(to)];
    if (b >= completions) return `too large index: "${b}"`;
    if (a < last + 1) return `non-increasing order, previous: ${last}, current: ${a}`;
    if (part.includes("-") && b <= a) return `non-increasing order, previous: ${a}, current: ${b}`;
    count += b - a + 1;
    last = b;
  }
  return count;
}
