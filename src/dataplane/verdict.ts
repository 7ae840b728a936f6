/**
 * What a stage says of a packet. NEXT hands it to the next stage; every other value ends its way through the
 * pipeline: FORWARD it has been queued for transmission, FLOOD queued for several ports, CONSUMED the plane kept
 * it or answered it itself (ARP, a fragment, a queued neighbour), DROP it is gone and `pkt.dropReason` says why.
 */
export const Verdict = Object.freeze({ NEXT: 0, FORWARD: 1, FLOOD: 2, CONSUMED: 3, DROP: 4 } as const);
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** Names for people, indexed by verdict. */
export const VERDICT_NAMES: readonly string[] = ["next", "forward", "flood", "consumed", "drop"];
