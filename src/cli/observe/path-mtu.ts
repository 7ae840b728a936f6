// The largest packet that a path carries whole: probes with DF set. A router's "fragmentation needed" names
// the next size to try; where a path swallows large packets without a word, the gap is halved as tracepath
// would never do.
import type { EchoAnswer } from "./icmp-prober.ts";

export interface MtuStep {
  /** Bytes of the IP packet. */
  bytes: number;
  answer: EchoAnswer;
}

const SMALLEST = 576; //      every IPv4 host takes this much (RFC 791)
const LARGEST = 65_535;
const TRIES = 2; //           silence may be a lost packet
/** Sizes worth a probe of their own: jumbo frames, Ethernet, VXLAN on Ethernet. */
const LIKELY = [9000, 8950, 1500, 1450];

/** Undefined when not even a small packet is answered. */
export async function findPathMtu(
  probe: (bytes: number) => Promise<EchoAnswer>,
  tell: (step: MtuStep) => void,
): Promise<number | undefined> {
  const fits = async (bytes: number): Promise<EchoAnswer> => {
    let answer = await probe(bytes);
    for (let i = 1; i < TRIES && answer.kind === "timeout"; i++) answer = await probe(bytes);
    tell({ bytes, answer });
    return answer;
  };
  if ((await fits(SMALLEST)).kind !== "reply") return undefined;
  let low = SMALLEST; //       answered
  let high = LARGEST + 1; //   not
  let next: number | undefined = LIKELY[0];
  while (high - low > 1) {
    const bytes: number = next ?? (low + high) >> 1;
    const answer = await fits(bytes);
    if (answer.kind === "reply") low = bytes;
    else high = Math.min(bytes, (answer.mtu ?? bytes) + 1); // a router's word is as good as a probe
    if (high <= low) high = low + 1; // unless an answer has shown it wrong
    next = guess(low, high, answer.mtu);
  }
  return low;
}

/** What a router said first, then the usual sizes, and just above what fitted: all of them inside the gap. */
function guess(low: number, high: number, hint: number | undefined): number | undefined {
  if (hint !== undefined && hint > low && hint < high) return hint;
  for (const likely of LIKELY) {
    if (likely > low && likely < high) return likely;
    if (likely === low) return low + 1; // exactly a usual size: one probe above proves it
  }
  return undefined;
}
