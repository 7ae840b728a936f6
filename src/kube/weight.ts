// Weights of endpoints, for schedulers that know them (ipvs mode, least connections). Kubernetes has no field for one:
// they are annotations. A pod says its own weight; the EndpointSlice controller writes it into the slices that name the
// pod, so that a node needs no pods to know it; slices made by hand say it themselves.
import { formatIp, parseIp } from "../base/ip.ts";

/** On a Pod: its weight. On an EndpointSlice: that of all its endpoints. */
export const WEIGHT_ANNOTATION = "podwire.dev/weight";
/** On an EndpointSlice: "address=weight,…", for those that have one of their own. */
export const WEIGHTS_ANNOTATION = "podwire.dev/weights";
const WEIGHT_MAX = 65_535; // ipvsadm's
export const WEIGHT_TEXT = `must be an integer between 0 and ${WEIGHT_MAX}`;

/** Undefined: the text is no weight. */
export function parseWeight(text: string): number | undefined {
  return /^\d{1,5}$/.test(text) && Number(text) <= WEIGHT_MAX ? Number(text) : undefined;
}

/** Weight by address of a slice with these annotations; what cannot be read counts as not there. */
export function weightsOf(annotations: Readonly<Record<string, string>> = {}): (address: string) => number {
  const rest = parseWeight(annotations[WEIGHT_ANNOTATION] ?? "") ?? 1;
  const list = parseWeights(annotations[WEIGHTS_ANNOTATION] ?? "");
  if (list.length === 0) return () => rest;
  const own = new Map(list.flatMap((e) => (e.weight === undefined ? [] : [[e.address, e.weight] as const])));
  return (address) => own.get(address) ?? rest;
}

/** The parts of a `WEIGHTS_ANNOTATION`; an address in its canonical form, "" when it is none. */
export function parseWeights(text: string): { part: string; address: string; weight: number | undefined }[] {
  if (text === "") return [];
  return text.split(",").map((part) => {
    const [left, right = ""] = part.split("=");
    const address = parseIp(left.trim());
    return { part, address: address === null ? "" : formatIp(address), weight: parseWeight(right.trim()) };
  });
}

/** The annotation that says these weights. */
export function formatWeights(weights: ReadonlyMap<string, number>): string {
  return [...weights].map(([address, weight]) => `${address}=${weight}`).join(",");
}
