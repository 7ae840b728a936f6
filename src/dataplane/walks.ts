/** What goes on from packet to packet and from turn to turn, and is no table. Nobody misses it after a restart. */
import { type Columns, OWN_COLUMNS } from "../base/columns.ts";
import { SourcePorts } from "./table/connection/source-ports.ts";

/** A walk over conntrack for connections whose endpoints went: reset-idle. */
class RemovalWalk {
  seen = 0; //   number of removals when it began
  hand = -1; //  next slot; -1: done
}

export class Walks {
  readonly removal = new RemovalWalk();
  readonly sourcePorts = new SourcePorts(); // what a search for a source port leaves to the next one: masquerade
  readonly lastIpId: Int32Array; // one word: identification of IPv4 packets that the plane makes
  constructor(columns: Columns = OWN_COLUMNS) {
    this.lastIpId = columns.int32(1);
    if (columns.isNew) this.lastIpId[0] = 1;
  }
  /** Who makes such packets moves it on: tunnel, bundles, send-icmp-error. */
  get ipId(): number {
    return this.lastIpId[0];
  }
  set ipId(id: number) {
    this.lastIpId[0] = id;
  }
}
