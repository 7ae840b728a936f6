/**
 * Connections that each endpoint of `services` has now, by endpoint slot: what least-connection schedulers ask for.
 * Active and inactive as IPVS tells them apart: a TCP connection counts as active until its first FIN or RST, a UDP
 * flow while it lives, an SCTP association while it is established; whatever else conntrack keeps is inactive.
 *
 * conntrack counts, because it alone sees every beginning and every end of a connection: expiry, deletion, eviction.
 * An entry that is counted says so in its status (`COUNTED`), and whether as active (`COUNTED_ACTIVE`); so one that is
 * not costs its changes one branch. The slot of an endpoint that goes is set to zero and gets a new
 * generation; what is left of the old one's connections counts no more, and must not be taken from its successor.
 */
export class EndpointLoad {
  readonly generation: Int32Array; // the endpoint slots' own, in `services`
  readonly active: Int32Array;
  readonly inactive: Int32Array;

  constructor(generation: Int32Array) {
    this.generation = generation;
    this.active = new Int32Array(generation.length);
    this.inactive = new Int32Array(generation.length);
  }
}

/** For a conntrack that nobody asks about endpoints. */
export const NO_LOAD: EndpointLoad = new EndpointLoad(new Int32Array(0));

/** One connection more, or (`by` -1) one less. Does nothing when the endpoint of that generation is gone. */
export function count(
  t: EndpointLoad,
  endpoint: number,
  generation: number,
  active: boolean,
  by: number,
): void {
  if (t.generation[endpoint] !== generation) return;
  if (active) t.active[endpoint] += by;
  else t.inactive[endpoint] += by;
}

/** The endpoint is gone. Cold. */
export function clear(t: EndpointLoad, endpoint: number): void {
  t.active[endpoint] = 0;
  t.inactive[endpoint] = 0;
}
