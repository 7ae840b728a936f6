// One policy, and what an API server said to it (testdata/policies beside the rules), held against what is said here; for
// the test and for the fuzzer.
import { isDeepStrictEqual } from "node:util";
import { formatCidr } from "../../base/ip.ts";
import { readCidr } from "../../base/loose-ip.ts";
import { standardizeAddresses } from "../../kube/fields/addresses.ts";
import { ManifestError, parseManifests } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";

export interface PolicyVerdict {
  /** It is refused with these. */
  readonly errors?: readonly string[];
  /** It cannot be read: a field that nobody knows, or a value of another type. */
  readonly decode?: string;
  /** It is taken; with the defaults. */
  readonly spec?: unknown;
}

/** Said by an API server beside errors, of its own way of working and of no field. */
const UNCHECKED = /^<nil>: /;

/** What podwire refuses and a resource definition lets through: nobody could tell what it means. */
const OWN = [
  /\.domainNames: Forbidden: podwire has no view of DNS/,
  /\.destinationNamedPort: Required value$/,
  /\.(?:matchLabels|matchExpressions\[\d+\]\.(?:key|operator|values(?:\[\d+\])?)): /,
];

/** In which way podwire judges otherwise; undefined when it does not. */
export function differenceOf(object: KubeObject, verdict: PolicyVerdict): string | undefined {
  const { problems, read } = judge(object);
  const { errors = [], decode, spec } = verdict;
  const isCustom = object.kind === "ClusterNetworkPolicy";
  if (decode !== undefined) {
    if (problems.length === 0) return `taken, but: ${decode}`;
    const unknown = [...decode.matchAll(/unknown field "([^"]*)"/g)].map(([, path]) => path);
    const missing = unknown.filter((path) => !problems.some((text) => tells(text, path)));
    return unknown.length === 0 || missing.length < unknown.length
      ? undefined
      : `not told: ${missing.join(", ")}: ${problems.join("\n")}`;
  }
  if (errors.length === 0) {
    const others = problems.filter((text) => !isCustom || !isOwn(text));
    if (others.length > 0) return `refused: ${others.join("\n")}`;
    if (problems.length > 0) return undefined;
    const wanted = { kind: object.kind, spec } as object as KubeObject;
    standardizeAddresses(wanted, () => {});
    return isDeepStrictEqual(filled(read, isCustom), filled((wanted as { spec?: unknown }).spec, isCustom))
      ? undefined
      : `read as ${JSON.stringify(read)}, not as ${JSON.stringify(spec)}`;
  }
  const wanted = errors
    .filter((text) => !UNCHECKED.test(text))
    .map((text) => (isCustom ? text : inStandardForm(text)))
    .sort();
  return isDeepStrictEqual([...problems].sort(), wanted)
    ? undefined
    : `told:\n${problems.join("\n")}\nwanted:\n${wanted.join("\n")}`;
}

/** Addresses are brought to their standard form before anything else, and so told. */
function inStandardForm(text: string): string {
  return text.replace(/"([\da-f:.]+\/\d+)"(?=: must be a strict subset)/i, (written, cidr) => {
    const range = readCidr(cidr);
    return range === null ? written : JSON.stringify(formatCidr(range));
  });
}

/** Of an unknown field: it is named, or what holds it is of a type that has no fields. */
function tells(problem: string, path: string): boolean {
  return problem === `unknown field "${path}"` || path.startsWith(problem.slice(0, problem.indexOf(": ")));
}

function isOwn(text: string): boolean {
  return OWN.some((form) => form.test(text));
}

/** Without empty lists and maps, which the API's own kinds do not keep. */
function filled(value: unknown, isCustom: boolean): unknown {
  if (isCustom || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => filled(item, isCustom));
  const fields = Object.entries(value).filter(([name, item]) => {
    const mayBeEmpty = !Array.isArray(item) && name !== "matchLabels";
    return mayBeEmpty || Object.keys(item).length > 0;
  });
  return Object.fromEntries(fields.map(([name, item]) => [name, filled(item, isCustom)]));
}

function judge(object: KubeObject): { problems: string[]; read?: unknown } {
  try {
    const [manifest] = parseManifests([{ file: "a.json", text: JSON.stringify(object) }]);
    return { problems: [], read: (manifest.object as { spec?: unknown }).spec };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return { problems: error.problems.map(({ message }) => message) };
  }
}
