/** What goes on from packet to packet and from turn to turn, and is no table. Nobody misses it after a restart. */
import { SourcePorts } from "./table/connection/source-ports.ts";

/** A walk over conntrack for connections whose endpoints went: reset-idle. */
class RemovalWalk {
  seen = 0; //   number of removals when it began
  hand = -1; //  next slot; -1: done
}

export class Walks {
  readonly removal = new RemovalWalk();
  readonly sourcePorts = new SourcePorts(); // what a search for a source port leaves to the next one: masquerade
  ipId = 1; // identification of IPv4 packets that the plane makes: tunnel, send-icmp-error
}
