/** A route in words, for traces: its range, and the tunnel or gateway it goes by. */

import { formatIp } from "../base/ip.ts";
import type { NodeTopology } from "../compile/node.ts";
import { RouteKind } from "../dataplane/spec/routes.ts";

export function routeText(topology: NodeTopology | undefined, index: number): string | undefined {
  const route = topology?.routes[index];
  if (route === undefined) return undefined;
  const range = `${formatIp(route)}/${route.prefixLen}`;
  switch (route.kind) {
    case RouteKind.LOCAL:
      return `local ${formatIp(route)}`;
    case RouteKind.PODS:
      return `${range} on the pod bridge`;
    case RouteKind.GATEWAY:
      return `${range} via ${formatIp({ w0: route.gw0, w1: route.gw1, w2: route.gw2, w3: route.gw3 })}`;
    case RouteKind.VTEP: {
      const vtep = topology?.vteps[route.vtep];
      return vtep === undefined ? range : `${range} by the tunnel to ${formatIp(vtep)}`;
    }
    default:
      return range;
  }
}
