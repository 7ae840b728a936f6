/**
 * Connections that each endpoint of `services` has now, by endpoint slot: what least-connection schedulers ask for.
 * Active and inactive as IPVS tells them apart: a TCP connection counts as active until its first FIN or RST, a UDP
 * flow while it lives, an SCTP association while it is established; whatever else conntrack keeps is inactive.
 *
 * conntrack counts, because it alone sees every beginning and every end of a connection: expiry, deletion, eviction.
 * An entry that is counted says so in its status (`COUNTED`), and whether as active (`COUNTED_ACTIVE`); so one that is
 * not costs its changes one branch. An entry names its endpoint by id: what is left of one's connections that is gone
 * counts no more, and is not taken from whoever has its slot now.
 */
import { type Columns, OWN_COLUMNS } from "../../../base/columns.ts";
import * as identities from "./identities.ts";
import { Identities } from "./identities.ts";

export class EndpointLoad {
  readonly ids: Identities; //     where an endpoint's slot is found
  readonly active: Int32Array;
  readonly inactive: Int32Array;

  constructor(endpoints: number, ids: Identities, columns: Columns = OWN_COLUMNS) {
    this.ids = ids;
    this.active = columns.int32(endpoints);
    this.inactive = columns.int32(endpoints);
  }
}

/** For a conntrack that nobody asks about endpoints. */
export const NO_LOAD: EndpointLoad = new EndpointLoad(0, new Identities(2, 2));

/** One connection more, or (`by` -1) one less, of the endpoint with this id. Does nothing when it is gone. */
export function count(t: EndpointLoad, id: number, active: boolean, by: number): void {
  const endpoint = identities.slotOf(t.ids, id);
  if (endpoint < 0) return;
  if (active) t.active[endpoint] += by;
  else t.inactive[endpoint] += by;
}

/** The endpoint is gone. Cold. */
export function clear(t: EndpointLoad, endpoint: number): void {
  t.active[endpoint] = 0;
  t.inactive[endpoint] = 0;
}
