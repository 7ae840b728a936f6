// Addresses that are no pod's and no node's, as ends of a matrix: a range is cut where policies cut it, so that each
// piece gets one answer. A piece is called what it is: "0.0.0.0/0 except 203.0.113.0/24".
import { type Cidr, contains, formatCidr, type Ip, type IpFamily, parseCidr } from "../../base/ip.ts";
import { clusterPolicySpec, networkPolicySpec, type PolicySpec } from "../../compile/policy/policy-rules.ts";
import type { ClusterNetworkPolicy, KubeObject, NetworkPolicy } from "../../kube/objects.ts";
import type { End } from "./ends.ts";

/** Everybody, by family. */
export const WORLD: Readonly<Record<IpFamily, string>> = { 4: "0.0.0.0/0", 6: "::/0" };

export interface RangeWord {
  readonly range: Cidr;
  readonly except: readonly Cidr[];
}

/** "192.0.2.0/24", "192.0.2.0/24 except 192.0.2.0/28, 192.0.2.64/28"; undefined: none of these. */
export function readRange(word: string): RangeWord | undefined {
  const [, first, rest = ""] = /^(\S+)(?: except (.+))?$/.exec(word) ?? [];
  const range = first === undefined ? null : parseCidr(first);
  const texts = rest.split(",").map((text) => text.trim());
  const except = texts.flatMap((text) => parseCidr(text) ?? []);
  if (range === null || (rest !== "" && except.length !== texts.length)) return undefined;
  return { range, except };
}

/** The prefixes of ipBlocks, their exceptions, and networks: where one address may be treated otherwise than another. */
export function prefixesOf(objects: readonly KubeObject[]): Cidr[] {
  const specs = objects.flatMap((object): PolicySpec[] => {
    if (object.kind === "NetworkPolicy") return [networkPolicySpec(object as NetworkPolicy)];
    return object.kind === "ClusterNetworkPolicy" ? [clusterPolicySpec(object as ClusterNetworkPolicy)] : [];
  });
  const rules = specs.flatMap(({ ingress = [], egress = [] }) => [...ingress, ...egress]);
  const found = rules.flatMap(({ peers = [] }) =>
    peers.flatMap(({ term }) => (term.of === "block" ? [term.range, ...term.except] : [])),
  );
  return [...new Map(found.map((prefix) => [formatCidr(prefix), prefix])).values()];
}

/**
 * The pieces of a range that policies may tell apart, without what is excepted. A piece that has no address but those of
 * pods and nodes (`taken`) is none.
 */
export function rangeEnds(
  { range, except }: RangeWord,
  prefixes: readonly Cidr[],
  taken: ReadonlySet<string>,
): End[] {
  const isInside = (inner: Cidr, outer: Cidr): boolean =>
    inner.family === outer.family && inner.prefixLen > outer.prefixLen && contains(outer, inner);
  const pieces = [range, ...prefixes.filter((prefix) => isInside(prefix, range)), ...except];
  const known = [...new Map(pieces.map((piece) => [formatCidr(piece), piece])).values()].sort(byPlace);
  return known.flatMap((piece): End[] => {
    if (except.some((hole) => formatCidr(hole) === formatCidr(piece) || isInside(piece, hole))) return [];
    const inner = known.filter((other) => isInside(other, piece));
    const holes = inner.filter((hole) => !inner.some((other) => isInside(hole, other)));
    const address = addressIn(piece, holes, taken);
    if (address === undefined) return [];
    const names = holes.map(formatCidr).join(", ");
    const name = `${formatCidr(piece)}${names === "" ? "" : ` except ${names}`}`;
    return [
      { name, addresses: [address], families: [address.family], pod: undefined, ports: [], isRange: true },
    ];
  });
}

function byPlace(a: Cidr, b: Cidr): number {
  const [x, y] = [numberOf(a), numberOf(b)];
  return x < y ? -1 : x > y ? 1 : a.prefixLen - b.prefixLen;
}

/** The first address that is in no hole and nobody's. */
function addressIn(piece: Cidr, holes: readonly Cidr[], taken: ReadonlySet<string>): Ip | undefined {
  const last = lastOf(piece);
  for (let at = numberOf(piece); at <= last; ) {
    const address = addressOf(at, piece.family);
    const hole = holes.find((each) => contains(each, address));
    if (hole === undefined && !taken.has(`${at}`)) return address;
    at = hole === undefined ? at + 1n : lastOf(hole) + 1n;
  }
  return undefined;
}

/** As `taken` has them. */
export function addressKey(address: Ip): string {
  return `${numberOf(address)}`;
}

const WORD_BITS = 32n;
const WORD_MASK = 0xffff_ffffn;
const ADDRESS_BITS = 128;

function numberOf({ w0, w1, w2, w3 }: Ip | Cidr): bigint {
  return [w0, w1, w2, w3].reduce((sum, word) => (sum << WORD_BITS) | BigInt(word >>> 0), 0n);
}

function lastOf(range: Cidr): bigint {
  const free = range.family === 4 ? 32 - range.prefixLen : ADDRESS_BITS - range.prefixLen;
  return numberOf(range) + (1n << BigInt(free)) - 1n;
}

function addressOf(number: bigint, family: IpFamily): Ip {
  const word = (shift: number): number => Number((number >> BigInt(shift)) & WORD_MASK) | 0;
  return { family, w0: word(96), w1: word(64), w2: word(32), w3: word(0) };
}
