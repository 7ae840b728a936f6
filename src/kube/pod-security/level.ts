// Levels of the Pod Security Standards, and the versions of them: "restricted:latest", "baseline:v1.24". A version is a
// minor version of Kubernetes; what came later than NEWEST is judged as NEWEST is, and so is "latest".

const LEVELS = ["privileged", "baseline", "restricted"] as const;
export type Level = (typeof LEVELS)[number];

/** n of v1.n; LATEST is newer than all of them. */
export type PolicyVersion = number;
export const LATEST: PolicyVersion = Number.POSITIVE_INFINITY;

export interface LevelVersion {
  readonly level: Level;
  readonly version: PolicyVersion;
}

export const LEVEL_TEXT = `must be one of ${LEVELS.join(", ")}`;
export const VERSION_TEXT = 'must be "latest" or "v1.x"';

const MINOR_MAX = 2n ** 63n - 1n; // an int of Go's

export function parseLevel(text: string): Level | undefined {
  return LEVELS.find((level) => level === text);
}

export function parseVersion(text: string): PolicyVersion | undefined {
  if (text === "latest") return LATEST;
  const minor = /^v1\.(0|[1-9]\d*)$/.exec(text)?.[1];
  return minor === undefined || BigInt(minor) > MINOR_MAX ? undefined : Number(minor);
}

export function levelVersionText({ level, version }: LevelVersion): string {
  return `${level}:${version === LATEST ? "latest" : `v1.${version}`}`;
}

export function isSame(a: LevelVersion, b: LevelVersion): boolean {
  return a.level === b.level && a.version === b.version;
}

/** Above 0 where `a` is the stricter one. */
export function compareLevels(a: Level, b: Level): number {
  return LEVELS.indexOf(a) - LEVELS.indexOf(b);
}
