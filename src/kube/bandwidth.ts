// Bandwidth of pods, by the annotations that kubelet hands to runtimes (pkg/util/bandwidth): bits a second into the pod
// and out of it. Kubernetes has none for the burst; podwire's own say it, in bits.
import { nanosOf } from "./validate/resources.ts";

const INGRESS = "kubernetes.io/ingress-bandwidth";
const EGRESS = "kubernetes.io/egress-bandwidth";
const INGRESS_BURST = "podwire.dev/ingress-burst";
const EGRESS_BURST = "podwire.dev/egress-burst";
const RATE_MIN = 1e3;
const RATE_MAX = 1e15;
/** 4 GB, as the plug-in `bandwidth` has it. */
export const BURST_MAX = 2 ** 35 - 8;
/** What runtimes write where nobody has asked for a burst: containerd, CRI-O. */
const NO_BURST = [2 ** 31 - 1, 2 ** 32 - 1];
const RATE_TEXT = "must be a quantity of bits a second, from 1k to 1P";
const BURST_TEXT = "must be a quantity of bits, from 1 to 32G";

export interface BitRate {
  readonly bitsPerSec: number;
  /** Bits that may pass at once; undefined: what serves. */
  readonly burstBits: number | undefined;
}

/** undefined: without a limit. */
export interface Bandwidth {
  readonly ingress: BitRate | undefined;
  readonly egress: BitRate | undefined;
}

type Annotations = Readonly<Record<string, string>>;

/** What cannot be read counts as not there. */
export function bandwidthOf(annotations: Annotations): Bandwidth {
  return {
    ingress: bitRate(annotations[INGRESS], annotations[INGRESS_BURST]),
    egress: bitRate(annotations[EGRESS], annotations[EGRESS_BURST]),
  };
}

function bitRate(rate = "", burst = ""): BitRate | undefined {
  const bitsPerSec = parseRate(rate);
  return bitsPerSec === undefined ? undefined : { bitsPerSec, burstBits: parseBurst(burst) };
}

/** The annotations, but with this bandwidth. */
export function withBandwidth(annotations: Annotations, { ingress, egress }: Bandwidth): Annotations {
  const others = Object.entries(annotations).filter(([key]) => !RULES.some(([name]) => name === key));
  return {
    ...Object.fromEntries(others),
    ...(ingress !== undefined && { [INGRESS]: `${ingress.bitsPerSec}` }),
    ...(ingress?.burstBits !== undefined && { [INGRESS_BURST]: `${ingress.burstBits}` }),
    ...(egress !== undefined && { [EGRESS]: `${egress.bitsPerSec}` }),
    ...(egress?.burstBits !== undefined && { [EGRESS_BURST]: `${egress.burstBits}` }),
  };
}

/** Annotations of it that cannot be read, and why. */
export function bandwidthProblems(annotations: Annotations): { key: string; value: string; text: string }[] {
  const problems = ([key, parse, text]: Rule): { key: string; value: string; text: string }[] => {
    const value = annotations[key];
    return value === undefined || parse(value) !== undefined ? [] : [{ key, value, text }];
  };
  return RULES.flatMap(problems);
}

type Rule = readonly [key: string, parse: (text: string) => number | undefined, text: string];

/** A rate that a pod may have; undefined: it is none. */
export function isRate(bitsPerSec: number): boolean {
  return bitsPerSec >= RATE_MIN && bitsPerSec <= RATE_MAX;
}

/** A burst as runtimes say it; undefined: they say none. */
export function saidBurst(bits: number): number | undefined {
  return bits === 0 || NO_BURST.includes(bits) ? undefined : bits;
}

function parseRate(text: string): number | undefined {
  const value = parseQuantity(text);
  return value !== undefined && isRate(value) ? value : undefined;
}

function parseBurst(text: string): number | undefined {
  const value = parseQuantity(text);
  return value !== undefined && value >= 1 && value <= BURST_MAX ? value : undefined;
}

const RULES: readonly Rule[] = [
  [INGRESS, parseRate, RATE_TEXT],
  [EGRESS, parseRate, RATE_TEXT],
  [INGRESS_BURST, parseBurst, BURST_TEXT],
  [EGRESS_BURST, parseBurst, BURST_TEXT],
];

const QUANTITY = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3}|[KMGTPE]i|[numkMGTPE])?$/;
/** Whoever may make a pod writes it, and it is read at each change of a node's pods. */
const TEXT_MAX = 64;
const NANO = 1_000_000_000n;

/** A resource.Quantity as a whole number, rounded up; undefined: the text is none. */
function parseQuantity(text: string): number | undefined {
  return text.length <= TEXT_MAX && QUANTITY.test(text)
    ? Number((nanosOf(text) + NANO - 1n) / NANO)
    : undefined;
}
