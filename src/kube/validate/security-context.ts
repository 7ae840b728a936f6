// Security contexts, and what goes with them in a pod, as ValidatePodSpec (pkg/apis/core/validation) refuses it: before
// pod security is asked, whatever the namespace's labels. Names of Windows accounts are not looked at.
import { type FieldPath, type FieldProblems, formatPath } from "../manifest/field-problems.ts";
import type { Container, PodSpec } from "../objects.ts";
import * as names from "./names.ts";

type PodContext = NonNullable<PodSpec["securityContext"]>;
type Context = NonNullable<Container["securityContext"]>;

const ID_MAX = 2 ** 31 - 1;
const ID_TEXT = "must be between 0 and 2147483647, inclusive";
const POLICIES: Readonly<Record<string, readonly string[]>> = {
  fsGroupChangePolicy: ["Always", "OnRootMismatch"],
  supplementalGroupsPolicy: ["Merge", "Strict"],
  seLinuxChangePolicy: ["MountOption", "Recursive"],
};
const PROFILE_TYPES = ["Localhost", "RuntimeDefault", "Unconfined"];
const SYSCTL = "([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const SYSCTL_RE = new RegExp(`^(?:${SYSCTL})$`);
const SYSCTL_MAX = 253;
const APPARMOR_NAME_MAX = 4095;
/** Fields of a pod's context, and of the pod, that Windows does not have; then those of a container's. */
const LINUX_POD_CONTEXT = ["appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup"].concat(
  ["fsGroupChangePolicy", "runAsUser", "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy"],
  ["seLinuxChangePolicy"],
);
const LINUX_CONTEXT = ["appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities"].concat([
  "readOnlyRootFilesystem",
  "privileged",
  "allowPrivilegeEscalation",
  "procMount",
  "runAsUser",
  "runAsGroup",
]);
const WINDOWS_TEXT = "cannot be set for a windows pod";

export function validateSecurity(spec: PodSpec, at: FieldPath, problems: FieldProblems): void {
  const context = spec.securityContext ?? {};
  validatePodContext(spec, context, at, problems);
  for (const [container, path] of containersOf(spec, at)) {
    if (container.securityContext === undefined) continue;
    validateContext(container.securityContext, spec, [...path, "securityContext"], problems);
  }
  validateHostUsers(spec, at, problems);
  validateHostProcess(spec, at, problems);
  validateOs(spec, at, problems);
  const { runtimeClassName } = spec;
  const wrong = runtimeClassName === undefined ? [] : names.dns1123Subdomain(runtimeClassName);
  for (const why of wrong) problems.invalid([...at, "runtimeClassName"], runtimeClassName, why);
}

function containersOf(spec: PodSpec, at: FieldPath): [Container, FieldPath][] {
  return (["initContainers", "containers"] as const).flatMap((list) =>
    (spec[list] ?? []).map((container, i): [Container, FieldPath] => [container, [...at, list, i]]),
  );
}

function validatePodContext(
  spec: PodSpec,
  context: PodContext,
  at: FieldPath,
  problems: FieldProblems,
): void {
  const path = [...at, "securityContext"];
  for (const field of ["fsGroup", "runAsUser", "runAsGroup"] as const)
    checkId(context[field], [...path, field], problems);
  for (const [i, id] of (context.supplementalGroups ?? []).entries())
    checkId(id, [...path, "supplementalGroups", i], problems);
  if (spec.shareProcessNamespace === true && spec.hostPID === true) {
    const detail = "ShareProcessNamespace and HostPID cannot both be enabled";
    problems.invalid([...path, "shareProcessNamespace"], true, detail);
  }
  validateSysctls(spec, context, [...path, "sysctls"], problems);
  for (const [field, values] of Object.entries(POLICIES)) {
    const chosen = (context as Record<string, unknown>)[field];
    if (chosen !== undefined && !values.includes(chosen as string))
      problems.unsupported([...path, field], chosen, values);
  }
  validateSeccomp(context.seccompProfile, [...path, "seccompProfile"], problems);
  validateAppArmor(context.appArmorProfile, [...path, "appArmorProfile"], problems);
}

function validateSysctls(spec: PodSpec, context: PodContext, at: FieldPath, problems: FieldProblems): void {
  const seen = new Set<string>();
  for (const [i, { name = "" }] of (context.sysctls ?? []).entries()) {
    const path = [...at, i, "name"];
    if (name === "") problems.required(path);
    else if (name.length > SYSCTL_MAX || !SYSCTL_RE.test(name))
      problems.invalid(path, name, `must have at most ${SYSCTL_MAX} characters and match regex ^${SYSCTL}$`);
    else if (seen.has(name)) problems.duplicate(path, name);
    seen.add(name);
    if (spec.hostNetwork === true && /^net[./]/.test(name))
      problems.invalid(path, name, "may not be specified when 'hostNetwork' is true");
    if (spec.hostIPC === true && /^(?:kernel[./](?:sem$|msg|shm)|fs[./]mqueue[./])/.test(name))
      problems.invalid(path, name, "may not be specified when 'hostIPC' is true");
  }
}

function validateContext(context: Context, spec: PodSpec, at: FieldPath, problems: FieldProblems): void {
  checkId(context.runAsUser, [...at, "runAsUser"], problems);
  checkId(context.runAsGroup, [...at, "runAsGroup"], problems);
  const { procMount, allowPrivilegeEscalation, privileged, capabilities } = context;
  if (procMount !== undefined && procMount !== "Default" && procMount !== "Unmasked")
    problems.unsupported([...at, "procMount"], procMount, ["Default", "Unmasked"]);
  if (procMount === "Unmasked" && spec.hostUsers !== false)
    problems.invalid([...at, "procMount"], procMount, "`hostUsers` must be false to use `Unmasked`");
  validateSeccomp(context.seccompProfile, [...at, "seccompProfile"], problems);
  if (allowPrivilegeEscalation === false) {
    const cannot = "cannot set `allowPrivilegeEscalation` to false and";
    if (privileged === true) problems.invalid(at, context, `${cannot} \`privileged\` to true`);
    if (capabilities?.add?.includes("CAP_SYS_ADMIN"))
      problems.invalid(at, context, `${cannot} \`capabilities.Add\` CAP_SYS_ADMIN`);
  }
  validateAppArmor(context.appArmorProfile, [...at, "appArmorProfile"], problems);
}

function checkId(id: number | undefined, at: FieldPath, problems: FieldProblems): void {
  if (id !== undefined && (id < 0 || id > ID_MAX)) problems.invalid(at, id, ID_TEXT);
}

function validateSeccomp(profile: Context["seccompProfile"], at: FieldPath, problems: FieldProblems): void {
  if (profile === undefined) return;
  const { type = "", localhostProfile } = profile;
  const path = [...at, "localhostProfile"];
  if (type === "") problems.required([...at, "type"], "type is required when seccompProfile is set");
  else if (!PROFILE_TYPES.includes(type)) problems.unsupported([...at, "type"], type, PROFILE_TYPES);
  if (type !== "Localhost") {
    if (localhostProfile !== undefined)
      problems.invalid(path, profile, "can only be set when seccomp type is Localhost");
  } else if (localhostProfile === undefined) {
    problems.required(path, "must be set when seccomp type is Localhost");
  } else {
    if (localhostProfile.startsWith("/")) problems.invalid(path, localhostProfile, "must be a relative path");
    if (localhostProfile.split("/").includes(".."))
      problems.invalid(path, localhostProfile, "must not contain '..'");
  }
}

function validateAppArmor(profile: Context["appArmorProfile"], at: FieldPath, problems: FieldProblems): void {
  if (profile === undefined) return;
  const { type = "", localhostProfile: name } = profile;
  const path = [...at, "localhostProfile"];
  if (type === "") problems.required([...at, "type"], "type is required when appArmorProfile is set");
  else if (!PROFILE_TYPES.includes(type)) problems.unsupported([...at, "type"], type, PROFILE_TYPES);
  else if (type !== "Localhost") {
    if (name !== undefined) problems.invalid(path, name, "can only be set when AppArmor type is Localhost");
  } else if (name === undefined || name === "") {
    problems.required(path, "must be set when AppArmor type is Localhost");
  } else {
    if (name.trim() !== name) problems.invalid(path, name, "must not be padded with whitespace");
    if (name.length > APPARMOR_NAME_MAX)
      problems.add(path, `${formatPath(path)}: Too long: may not be more than ${APPARMOR_NAME_MAX} bytes`);
  }
}

/** A pod in a user namespace has the other namespaces of its own. */
function validateHostUsers(spec: PodSpec, at: FieldPath, problems: FieldProblems): void {
  if (spec.hostUsers !== false) return;
  const words = { hostNetwork: "hostNetwork", hostPID: "HostPID", hostIPC: "HostIPC" } as const;
  for (const field of ["hostNetwork", "hostPID", "hostIPC"] as const) {
    if (spec[field] !== true) continue;
    const path = formatPath([...at, words[field]]); // written so by API servers
    problems.add([...at, field], `${path}: Forbidden: when \`hostUsers\` is false`);
  }
}

function validateHostProcess(spec: PodSpec, at: FieldPath, problems: FieldProblems): void {
  const own = spec.securityContext?.windowsOptions?.hostProcess;
  const all = containersOf(spec, at).map(([{ securityContext }, path]) => {
    const asked = securityContext?.windowsOptions?.hostProcess;
    if (own !== undefined && asked !== undefined && own !== asked) {
      const field = [...path, "securityContext", "windowsOptions", "hostProcess"];
      problems.invalid(
        field,
        asked,
        `pod hostProcess value must be identical if both are specified, was ${own}`,
      );
    }
    return asked ?? own ?? false;
  });
  if (!all.includes(true)) return;
  const every =
    "If pod contains any hostProcess containers then all containers must be HostProcess containers";
  if (all.includes(false)) problems.invalid(at, "", every);
  if (spec.hostNetwork === true) return;
  const detail = "hostNetwork must be true if pod contains any hostProcess containers";
  problems.invalid([...at, "hostNetwork"], false, detail);
}

function validateOs(spec: PodSpec, at: FieldPath, problems: FieldProblems): void {
  if (spec.os === undefined) return;
  const { name = "" } = spec.os;
  if (name === "") problems.required([...at, "os", "name"]);
  else if (name === "windows") validateWindows(spec, at, problems);
  else if (name !== "linux") problems.unsupported([...at, "os"], name, ["linux", "windows"]);
  if (name !== "linux") return;
  const contexts = [[spec.securityContext, at] as const].concat(
    containersOf(spec, at).map(([{ securityContext }, path]) => [securityContext, path] as const),
  );
  for (const [context, path] of contexts)
    if (context?.windowsOptions !== undefined)
      problems.forbidden(
        [...path, "securityContext", "windowsOptions"],
        "windows options cannot be set for a linux pod",
      );
}

function validateWindows(spec: PodSpec, at: FieldPath, problems: FieldProblems): void {
  const isSet = (holder: object | undefined, field: string): boolean =>
    (holder as Record<string, unknown> | undefined)?.[field] !== undefined;
  const context = spec.securityContext;
  for (const field of LINUX_POD_CONTEXT)
    if (isSet(context, field)) problems.forbidden([...at, "securityContext", field], WINDOWS_TEXT);
  if ((context?.sysctls ?? []).length > 0)
    problems.forbidden([...at, "securityContext", "sysctls"], WINDOWS_TEXT);
  for (const field of ["hostUsers", "shareProcessNamespace"])
    if (isSet(spec, field)) problems.forbidden([...at, field], WINDOWS_TEXT);
  for (const field of ["hostPID", "hostIPC"] as const)
    if (spec[field] === true) problems.forbidden([...at, field], WINDOWS_TEXT);
  for (const [{ securityContext }, path] of containersOf(spec, at))
    for (const field of LINUX_CONTEXT)
      if (isSet(securityContext, field))
        problems.forbidden([...path, "securityContext", field], WINDOWS_TEXT);
}

const APPARMOR = "container.apparmor.security.beta.kubernetes.io/";

/** AppArmor's annotations, of a pod or of a template of pods: of containers that there are, and profiles that may be. */
export function validateAppArmorAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  spec: PodSpec,
  at: FieldPath,
  problems: FieldProblems,
): void {
  const containers = [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ];
  for (const [key, value] of Object.entries(annotations ?? {})) {
    if (!key.startsWith(APPARMOR)) continue;
    const path = [...at, "metadata", "annotations", key];
    const where = `${formatPath([...at, "metadata", "annotations"])}[${key}]: Invalid value: `;
    const name = key.slice(APPARMOR.length);
    if (!containers.some((each) => each.name === name))
      problems.add(path, `${where}${JSON.stringify(name)}: container not found`);
    const isKnown = ["", "runtime/default", "unconfined"].includes(value) || value.startsWith("localhost/");
    const text = JSON.stringify(value);
    if (!isKnown) problems.add(path, `${where}${text}: invalid AppArmor profile name: ${text}`);
  }
}
