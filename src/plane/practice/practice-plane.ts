/**
 * A plane of nobody's with two pods, a node beyond a tunnel and a Service: what warm-packets.ts sends packets through. It
 * has tables, counters and memory of its own, and what leaves it goes to /dev/null.
 */
import { IoKind } from "../../base/addon.ts";
import { createRoutes } from "../../dataplane/change/routes.ts";
import * as serviceChange from "../../dataplane/change/services.ts";
import { createVteps, findRoutes } from "../../dataplane/change/vteps.ts";
import * as engine from "../../dataplane/engine.ts";
import { PortRole } from "../../dataplane/port.ts";
import { addOwner } from "../../dataplane/send/port-table.ts";
import { RouteKind, type RouteSpec } from "../../dataplane/spec/routes.ts";
import { Action, FrontendKind, type ServicePortSpec } from "../../dataplane/spec/services.ts";
import * as fdb from "../../dataplane/table/fdb.ts";
import { LocalAddresses } from "../../dataplane/table/local-addresses.ts";
import * as neighbor from "../../dataplane/table/neighbor.ts";
import { OPEN } from "../../dataplane/table/policy/policy.ts";
import type { Native } from "../../native/binding.ts";
import { createPlaneEngine } from "../plane-engine.ts";
import type { PlaneSizes } from "../plane-memory.ts";

const SIZES: PlaneSizes = {
  ...{ conntrackLog2: 10, maxPorts: 8, fdbLog2: 6, neighborsLog2: 6, stationsLog2: 6, frontendsLog2: 6 },
  ...{ endpointsLog2: 6, policyRulesLog2: 4, poolSlots: 16, seed: 1 },
};
const V4_MAPPED = 0xffff;
const ANY = { w0: 0, w1: 0, w2: V4_MAPPED } as const;
const FAMILY = { ...ANY, family: 4 } as const;
const MTU = 1500;
export const OVERLAY_MTU = 1450;

/** Ports, and the stations behind them; MACs are 02:00 and four bytes. */
export const At = Object.freeze({ UPLINK: 0, POD: 1, PEER: 2 } as const);
export const MAC_HI = 0x0200;
export const Mac = Object.freeze({
  UPLINK: 1,
  POD: 2,
  PEER: 3,
  GATEWAY: 4,
  NODE: 5,
  VTEP: 6,
  FAR_VTEP: 7,
} as const);
export const Address = Object.freeze({
  NODE: 0xc0a8320b | 0,
  FAR_NODE: 0xc0a8320c | 0,
  POD: 0x0af40102,
  PEER: 0x0af40103,
  FAR: 0x0af40202,
  SERVICE: 0x0a60000a,
  FAR_SERVICE: 0x0a60000b,
} as const);
export const SERVICE_PORT = 80;
export const ENDPOINT_PORT = 8080;
const TCP = 6;
const UDP = 17;

/** sink: a descriptor that takes everything, and has nothing to read. */
export function createPracticePlane(native: Native, sink: number): engine.Engine {
  const plane = createPlaneEngine(SIZES, { io: native, offload: native });
  const t = plane.tables;
  const { router, tunnel } = t.config;
  Object.assign(router, { macHi: MAC_HI, macLo: Mac.GATEWAY, uplinkPort: At.UPLINK, v4: Address.NODE });
  Object.assign(tunnel, { on: 1, macHi: MAC_HI, macLo: Mac.VTEP, bundle: 1 });
  t.addresses.local = new LocalAddresses([{ ...ANY, w3: Address.NODE }]);
  t.vteps = createVteps([{ ...ANY, w3: Address.FAR_NODE, macHi: MAC_HI, macLo: Mac.FAR_VTEP }]);
  t.routes = createRoutes([
    route(Address.NODE, 32, RouteKind.LOCAL, MTU),
    route(Address.NODE & ~0xff, 24, RouteKind.ONLINK, MTU),
    route(Address.POD & ~0xff, 24, RouteKind.PODS, OVERLAY_MTU),
    route(Address.FAR & ~0xff, 24, RouteKind.VTEP, OVERLAY_MTU),
  ]);
  findRoutes(t.vteps, t.routes);
  attach(plane, At.UPLINK, PortRole.UPLINK, Mac.UPLINK, sink);
  attach(plane, At.POD, PortRole.POD, Mac.POD, sink);
  attach(plane, At.PEER, PortRole.POD, Mac.PEER, sink);
  addPod(plane, At.POD, Address.POD, Mac.POD);
  addPod(plane, At.PEER, Address.PEER, Mac.PEER);
  neighbor.addPermanent(t.fabric, 0, 0, V4_MAPPED, Address.FAR_NODE, MAC_HI, Mac.NODE, At.UPLINK);
  plane.ports.joins[At.PEER] = 1;
  plane.ports.tunnelFd = sink;
  const upsert = [TCP, UDP].flatMap((protocol) => [
    service(protocol, protocol, Address.SERVICE, Address.PEER),
    service(protocol + 100, protocol, Address.FAR_SERVICE, Address.FAR),
  ]);
  serviceChange.update(t.services, { upsert, remove: [] });
  return plane;
}

function attach(plane: engine.Engine, id: number, role: PortRole, mac: number, sink: number): void {
  const port = { name: "practice", role, ioKind: IoKind.TAP_VNET, fd: sink };
  engine.attach(plane, id, port, { hi: MAC_HI, lo: mac }, role === PortRole.UPLINK ? MTU : OVERLAY_MTU);
}

function addPod({ tables: t }: engine.Engine, port: number, address: number, mac: number): void {
  neighbor.addPermanent(t.stations, 0, 0, V4_MAPPED, address, MAC_HI, mac, port);
  addOwner(t.ports, port, 0, 0, V4_MAPPED, address);
  fdb.addStatic(t.fdb, MAC_HI, mac, port);
  t.ports.subject[port] = OPEN;
}

function route(w3: number, prefixLen: number, kind: number, mtu: number): RouteSpec {
  const none = { gw0: 0, gw1: 0, gw2: 0, gw3: 0, vtep: 0, port: At.UPLINK };
  return {
    ...FAMILY,
    ...none,
    w3,
    prefixLen,
    kind,
    mtu,
    src0: 0,
    src1: 0,
    src2: V4_MAPPED,
    src3: Address.NODE,
  };
}

function service(id: number, protocol: number, address: number, endpoint: number): ServicePortSpec {
  const each = { action: Action.DNAT, set: 0, masquerade: false };
  return {
    ...{ id, name: "practice", protocol, affinitySec: 0, sets: [[0]] },
    endpoints: [{ ...ANY, w3: endpoint, port: ENDPOINT_PORT, flags: 6 }],
    frontends: [
      {
        ...{ ...FAMILY, w3: address, port: SERVICE_PORT, kind: FrontendKind.CLUSTER_IP, sourceRanges: null },
        byClass: [each, each, each],
      },
    ],
  };
}
