// What a namespace's labels ask for: a level and version for each mode. What a label does not say, the configuration
// says (defaults); a label that says nonsense is taken for the strictest where pods are refused, for nothing elsewhere.
import {
  compareLevels,
  LATEST,
  LEVEL_TEXT,
  type LevelVersion,
  parseLevel,
  parseVersion,
  VERSION_TEXT,
} from "./level.ts";

export const MODES = ["enforce", "audit", "warn"] as const;
export type Mode = (typeof MODES)[number];
export type PodSecurityPolicy = Readonly<Record<Mode, LevelVersion>>;

export interface LabelProblem {
  readonly label: string;
  /** The field error of an API server. */
  readonly message: string;
}

const PREFIX = "pod-security.kubernetes.io/";
const levelLabel = (mode: Mode): string => `${PREFIX}${mode}`;
const versionLabel = (mode: Mode): string => `${PREFIX}${mode}-version`;

const PRIVILEGED: LevelVersion = { level: "privileged", version: LATEST };
const PRIVILEGED_POLICY: PodSecurityPolicy = {
  enforce: PRIVILEGED,
  audit: PRIVILEGED,
  warn: PRIVILEGED,
};

export function policyOf(
  labels: Readonly<Record<string, string>> = {},
  defaults: PodSecurityPolicy = PRIVILEGED_POLICY,
): { policy: PodSecurityPolicy; problems: LabelProblem[] } {
  const problems: LabelProblem[] = [];
  const fail = (label: string, detail: string): void => {
    const message = `metadata.labels[${label}]: Invalid value: ${JSON.stringify(labels[label])}: ${detail}`;
    problems.push({ label, message });
  };
  const read = (mode: Mode): LevelVersion => {
    let { level, version } = defaults[mode];
    if (hasLevel(labels, mode)) {
      const given = parseLevel(labels[levelLabel(mode)]);
      if (given === undefined) fail(levelLabel(mode), LEVEL_TEXT);
      level = given ?? (mode === "enforce" ? "restricted" : "privileged");
    }
    if (hasVersion(labels, mode)) {
      const given = parseVersion(labels[versionLabel(mode)]);
      if (given === undefined) fail(versionLabel(mode), VERSION_TEXT);
      version = given ?? LATEST;
    }
    return { level, version };
  };
  const [enforce, audit, warn] = MODES.map(read);
  const isAsked = parseLevel(labels[levelLabel("enforce")] ?? "") !== undefined;
  const follows = isAsked && !hasLevel(labels, "warn") && compareLevels(enforce.level, warn.level) > 0;
  const version = hasVersion(labels, "warn") ? warn.version : enforce.version;
  return { policy: { enforce, audit, warn: follows ? { level: enforce.level, version } : warn }, problems };
}

export function hasLevel(labels: Readonly<Record<string, string>>, mode: Mode): boolean {
  return Object.hasOwn(labels, levelLabel(mode));
}

export function hasVersion(labels: Readonly<Record<string, string>>, mode: Mode): boolean {
  return Object.hasOwn(labels, versionLabel(mode));
}

export function isPrivileged(policy: PodSecurityPolicy): boolean {
  return MODES.every((mode) => policy[mode].level === "privileged");
}

/** A PodSecurityConfiguration: what holds where labels say nothing, and whom none of it concerns. */
export interface PodSecurityConfig {
  readonly defaults: PodSecurityPolicy;
  readonly exemptions: Readonly<Record<Exemption, readonly string[]>>;
}

const EXEMPTIONS = ["usernames", "runtimeClasses", "namespaces"] as const;
export type Exemption = (typeof EXEMPTIONS)[number];

/** As an API server without a configuration. */
export const DEFAULT_CONFIG: PodSecurityConfig = {
  defaults: PRIVILEGED_POLICY,
  exemptions: { usernames: [], runtimeClasses: [], namespaces: [] },
};
