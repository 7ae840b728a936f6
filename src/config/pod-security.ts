// PodSecurityConfiguration (pod-security.admission.config.k8s.io): what an API server reads of an
// AdmissionConfiguration's plug-in PodSecurity, so that people can bring theirs. Problems are told in its words.
import { decode } from "../kube/manifest/decode.ts";
import type { FieldPath, FieldProblems } from "../kube/manifest/field-problems.ts";
import { parseTypes } from "../kube/manifest/kubernetes-types.ts";
import { LATEST, LEVEL_TEXT, parseLevel, parseVersion, VERSION_TEXT } from "../kube/pod-security/level.ts";
import type { Exemption, Mode, PodSecurityConfig, PodSecurityPolicy } from "../kube/pod-security/policy.ts";
import { dns1123Label, dns1123Subdomain } from "../kube/validate/names.ts";

const TYPES = parseTypes(`
  PodSecurityConfiguration: apiVersion:s kind:s defaults:Defaults exemptions:Exemptions
  Defaults: enforce:s enforce-version:s audit:s audit-version:s warn:s warn-version:s
  Exemptions: usernames:[s] namespaces:[s] runtimeClasses:[s]
`);
const KIND = "PodSecurityConfiguration";
const GROUP = "pod-security.admission.config.k8s.io";
const VERSIONS = ["v1", "v1beta1", "v1alpha1"].map((version) => `${GROUP}/${version}`);

interface Raw {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly defaults?: Readonly<Record<string, string>>;
  readonly exemptions?: Readonly<Partial<Record<Exemption, readonly string[]>>>;
}

/** A whole PodSecurityConfiguration or a part of one; problems are reported below `path`. */
export function readPodSecurity(
  value: unknown,
  problems: FieldProblems,
  path: FieldPath = [],
): PodSecurityConfig {
  const { kind = KIND } = (value ?? {}) as Raw;
  if (kind === "AdmissionConfiguration") {
    const detail = `give what stands under configuration of its plugin PodSecurity: a ${KIND}`;
    problems.invalid([...path, "kind"], kind, detail);
  }
  const known = problems.list.length;
  const raw = (problems.any ? {} : decode(value ?? {}, KIND, problems, TYPES, path)) as Raw;
  const {
    apiVersion = VERSIONS[0],
    defaults = {},
    exemptions = {},
  } = problems.list.length > known ? {} : raw;
  if (kind !== KIND && kind !== "AdmissionConfiguration")
    problems.unsupported([...path, "kind"], kind, [KIND]);
  if (!VERSIONS.includes(apiVersion)) problems.unsupported([...path, "apiVersion"], apiVersion, VERSIONS);
  const at = [...path, "exemptions"];
  return {
    defaults: readDefaults(defaults, problems, [...path, "defaults"]),
    exemptions: {
      namespaces: checked(exemptions.namespaces, dns1123Label, problems, [...at, "namespaces"]),
      runtimeClasses: checked(exemptions.runtimeClasses, dns1123Subdomain, problems, [
        ...at,
        "runtimeClasses",
      ]),
      usernames: checked(exemptions.usernames, userName, problems, [...at, "usernames"]),
    },
  };
}

function readDefaults(
  given: Readonly<Record<string, string>>,
  problems: FieldProblems,
  at: FieldPath,
): PodSecurityPolicy {
  const read = (mode: Mode) => {
    const level = given[mode] || "privileged";
    const version = given[`${mode}-version`] || "latest";
    if (parseLevel(level) === undefined) problems.invalid([...at, mode], level, LEVEL_TEXT);
    if (parseVersion(version) === undefined)
      problems.invalid([...at, `${mode}-version`], version, VERSION_TEXT);
    return { level: parseLevel(level) ?? "restricted", version: parseVersion(version) ?? LATEST };
  };
  return { enforce: read("enforce"), warn: read("warn"), audit: read("audit") };
}

function userName(text: string): string[] {
  return text === "" ? ["username must not be empty"] : [];
}

function checked(
  names: readonly string[] = [],
  rule: (text: string) => string[],
  problems: FieldProblems,
  at: FieldPath,
): readonly string[] {
  const seen = new Set<string>();
  for (const [i, name] of names.entries()) {
    const wrong = rule(name);
    if (wrong.length > 0) problems.invalid([...at, i], name, wrong.join(", "));
    else if (seen.has(name)) problems.duplicate([...at, i], name);
    else seen.add(name);
  }
  return names;
}
