// semver(): versions as semver.org 2.0 has them.
import type { Run } from "../run.ts";
import { Fault, type Own } from "../value.ts";

const NUMBER = "(0|[1-9]\\d*)";
const WORDS = "[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*";
const VERSION = new RegExp(`^${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-(${WORDS}))?(?:\\+${WORDS})?$`);
const PADDED = /^0\d+$/;

class Version implements Own {
  readonly celKind = "semver";
  readonly numbers: readonly bigint[];
  /** Before the release: ["rc", "1"]. */
  readonly before: readonly string[];
  constructor(numbers: readonly bigint[], before: readonly string[]) {
    this.numbers = numbers;
    this.before = before;
  }
  isEqual(other: Own): boolean {
    return other instanceof Version && order(this, other) === 0;
  }
}

function read(text: string): Version | undefined {
  const [, major, minor, patch, before] = VERSION.exec(text) ?? [];
  const words = before?.split(".") ?? [];
  if (major === undefined || words.some((word) => PADDED.test(word))) return undefined;
  return new Version([major, minor, patch].map(BigInt), words);
}

/** "v1.02" is 1.2.0. */
function normal(text: string): string {
  const [, head, tail] = /^([^-+]*)(.*)$/s.exec(text.replace(/^v/, "")) ?? ["", "", ""];
  const numbers = head.split(".").map((one) => one.replace(/^0+(?=\d)/, ""));
  while (numbers.length < 3) numbers.push("0");
  return `${numbers.join(".")}${tail}`;
}

function semver(text: string): Version {
  const version = read(text);
  if (version === undefined) throw new Fault(`${JSON.stringify(text)} is not a semantic version`);
  return version;
}

function order(a: Version, b: Version): number {
  for (const [i, number] of a.numbers.entries())
    if (number !== b.numbers[i]) return number < b.numbers[i] ? -1 : 1;
  if (a.before.length === 0 || b.before.length === 0)
    return Number(a.before.length === 0) - Number(b.before.length === 0);
  for (let i = 0; i < Math.max(a.before.length, b.before.length); i++) {
    const found = wordOrder(a.before[i], b.before[i]);
    if (found !== 0) return found;
  }
  return 0;
}

/** Numbers come before words; what ends first comes first. */
function wordOrder(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return Number(b === undefined) - Number(a === undefined);
  const [x, y] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (x && y) return Number(BigInt(a) > BigInt(b)) - Number(BigInt(a) < BigInt(b));
  if (x !== y) return x ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

export const SEMVER: Readonly<Record<string, Run>> = {
  "semver(string): semver": semver,
  "semver(string, bool): semver": (text: string, isLoose: boolean) => semver(isLoose ? normal(text) : text),
  "isSemver(string): bool": (text: string) => read(text) !== undefined,
  "isSemver(string, bool): bool": (text: string, isLoose: boolean) =>
    read(isLoose ? normal(text) : text) !== undefined,
  "semver.isGreaterThan(semver): bool": (a: Version, b: Version) => order(a, b) > 0,
  "semver.isLessThan(semver): bool": (a: Version, b: Version) => order(a, b) < 0,
  "semver.compareTo(semver): int": (a: Version, b: Version) => BigInt(order(a, b)),
  "semver.major(): int": ({ numbers }: Version) => numbers[0],
  "semver.minor(): int": ({ numbers }: Version) => numbers[1],
  "semver.patch(): int": ({ numbers }: Version) => numbers[2],
};
