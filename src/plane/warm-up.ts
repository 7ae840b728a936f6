/**
 * Runs changes of services through a table of nobody's before there are packets: code that runs for the first time
 * takes ten times as long, and in a plane that forwards already it would be packets that wait for it.
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createPrefixSet } from "../dataplane/change/prefix-set.ts";
import { createRoutes } from "../dataplane/change/routes.ts";
import * as serviceEndpoints from "../dataplane/change/service-endpoints.ts";
import * as serviceChange from "../dataplane/change/services.ts";
import { createVteps } from "../dataplane/change/vteps.ts";
import { packServices, unpackServices } from "../dataplane/spec/packed-services.ts";
import { RouteKind } from "../dataplane/spec/routes.ts";
import { Action, FrontendKind, type FrontendSpec, type ServicePortSpec } from "../dataplane/spec/services.ts";
import { LocalAddresses } from "../dataplane/table/local-addresses.ts";
import * as services from "../dataplane/table/service/services.ts";
import { splitServices } from "./split-services.ts";

const ROUNDS = 10; // 10 ms; with 60 packets wait no less for the first change, and an agent starts 0.1 s later
const SERVICES = 8;
const ENDPOINTS = 8;
const LARGE = 100;

export function warmUp(): void {
  warmUpServices();
  for (let round = 0; round < ROUNDS; round++) warmUpTopology();
}

type Collect = (options?: { type: "minor" }) => void;

/** All of it, at once: what starting left behind. */
export function collectNow(): void {
  collector()();
}

/** All of it, at once, and what stays is moved together: pages that would be kept for little of it go. */
export function compactNow(): void {
  setFlagsFromString("--compact-on-every-full-gc");
  collectNow();
  setFlagsFromString("--no-compact-on-every-full-gc");
}

/**
 * What is young, at once, a few milliseconds: what a large change made that stays would be moved in the middle of a small
 * one that comes after it. The first slice after 10,000 services took 6 ms, and takes 1.
 */
export function collectYoung(): void {
  collector()({ type: "minor" });
}

/**
 * V8 shows its function for it to contexts that are made after the flag was set. Flags are the process's: a thread that
 * took this one back would take it from another one that is about to make its context.
 */
function collector(): Collect {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as Collect;
}

function warmUpServices(): void {
  const table = new services.Services(8, 12);
  for (let round = 0; round < ROUNDS; round++) {
    const upsert = Array.from({ length: SERVICES }, (_, i) =>
      specOf(i, i === 0 && round % 8 === 0 ? LARGE : ENDPOINTS, round),
    );
    for (const message of splitServices({ upsert, remove: [SERVICES + (round & 1)] })) {
      if (message.type === "services")
        serviceChange.update(table, unpackServices(packServices(message.update)));
      else if (message.type === "endpoints") serviceEndpoints.addPart(table, message.part);
    }
  }
}

function warmUpTopology(): void {
  const address = { w0: 0, w1: 0, w2: 0xffff, w3: 1 };
  const none = { gw0: 0, gw1: 0, gw2: 0, gw3: 0, src0: 0, src1: 0, src2: 0, src3: 0 };
  const rest = { vtep: 0, mtu: 1450, port: 1, ...none };
  const routes = Array.from({ length: 8 }, (_, i) => ({
    ...({ ...address, w3: i << 8, prefixLen: 24, family: i < 6 ? 4 : 6 } as const),
    ...{ kind: RouteKind.VTEP, ...rest },
  }));
  createRoutes(routes);
  createVteps([{ ...address, macHi: 1, macLo: 2 }]);
  new LocalAddresses([address]);
  createPrefixSet([{ ...address, bits: 120 }]);
}

function specOf(id: number, endpoints: number, round: number): ServicePortSpec {
  const each = { action: Action.DNAT, set: 0, masquerade: false };
  const address = { w0: 0, w1: 0, w2: 0xffff };
  const frontend = (kind: number, w3: number): FrontendSpec => ({
    kind,
    ...{ ...address, w3, family: 4, port: 80 },
    sourceRanges: null,
    byClass: [each, each, each],
  });
  const { CLUSTER_IP, NODE_PORT } = FrontendKind;
  return {
    id,
    name: "warm",
    protocol: 6,
    affinitySec: 0,
    endpoints: Array.from({ length: endpoints }, (_, i) => ({
      ...address,
      w3: i + round,
      port: 1,
      flags: 6,
    })),
    sets: [Array.from({ length: endpoints }, (_, i) => i)],
    frontends: [frontend(CLUSTER_IP, 2 * id), frontend(NODE_PORT, 2 * id + 1)],
  };
}
