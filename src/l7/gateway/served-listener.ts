// A listener with the routes that are attached to it.
import { HostMap } from "../match/host-map.ts";
import { isHostIn } from "../match/hostnames.ts";
import type { HostEntries } from "./entries.ts";
import type { OwnListener } from "./listeners.ts";
import type { RouteRule } from "./route-rule.ts";

export interface ServedListener extends OwnListener {
  readonly hosts: HostMap<HostEntries>;
  /** By the name that TLS asks for, of TLSRoutes. */
  readonly named: HostMap<RouteRule>;
  /** What has all connections, or datagrams, that no name leads elsewhere; the oldest route's. */
  all: RouteRule | undefined;
  attached: number;
}

export function served(own: OwnListener): ServedListener {
  return { ...own, hosts: new HostMap(true), named: new HostMap(true), all: undefined, attached: 0 };
}

/** Of several that are for a host the most telling: the name, then the longest wildcard, then every host. */
export function bestFor(listeners: readonly ServedListener[], host: string): ServedListener | undefined {
  const score = ({ hostname }: ServedListener): number =>
    hostname === "" ? 1 : hostname.startsWith("*.") ? hostname.length : 10_000;
  const fitting = listeners.filter(({ hostname }) => isHostIn(host, hostname));
  return fitting.reduce<ServedListener | undefined>(
    (best, each) => (best === undefined || score(each) > score(best) ? each : best),
    undefined,
  );
}
