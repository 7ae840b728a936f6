/**
 * What the main thread tells the data-plane worker. Messages are applied in order, each wholly, between two batches.
 * Only plain data crosses: numbers, typed arrays, shared buffers.
 */

import type { BpfInstruction } from "../base/bpf-program.ts";
import type { IpWords } from "../base/ip.ts";
import type { MeshParts } from "../dataplane/spec/mesh.ts";
import type { ConfigChange } from "../dataplane/spec/node-config.ts";
import type { PackedServices } from "../dataplane/spec/packed-services.ts";
import type { PolicyParts } from "../dataplane/spec/policy.ts";
import type { Prefix } from "../dataplane/spec/prefix.ts";
import type { PortRates } from "../dataplane/spec/rates.ts";
import type { RouteSpec, VtepSpec } from "../dataplane/spec/routes.ts";
import type { EndpointPart, ServiceUpdate } from "../dataplane/spec/services.ts";

/** A message on its way: services are packed. */
export interface NumberedMessage {
  readonly seq: number;
  readonly body: Exclude<PlaneMessage, { type: "services" }> | { type: "packed"; services: PackedServices };
}

/** Whether each worker's engine has something of its own to change; else the keeper does it all. */
export function concernsAll(type: PlaneMessage["type"] | "packed"): boolean {
  return !TABLES_ONLY.has(type);
}

/** What the workers have in common. */
const TABLES_ONLY: ReadonlySet<string> = new Set<PlaneMessage["type"] | "packed">([
  ...(["services", "packed", "endpoints", "complete", "conntrack", "conntrack-delete", "neighbors"] as const),
]);

export interface PortMessage {
  id: number;
  name: string;
  role: number;
  ioKind: number;
  fd: number;
  macHi: number;
  macLo: number;
  mtu: number;
}
export interface StationMessage extends IpWords {
  macHi: number;
  macLo: number;
  port: number;
}

export interface NeighborMessage extends IpWords {
  macHi: number;
  macLo: number;
  /** Nobody asks for it: somebody has set it. */
  isStatic: boolean;
}

export type PlaneMessage =
  | { type: "attach"; port: PortMessage }
  | { type: "detach"; id: number }
  | { type: "join"; port: number; on: number } // UDP datagrams for the pod behind the port, to superframes
  | { type: "rates"; port: number; rates: PortRates } // what the port may be sent, and send
  | { type: "stations"; add: StationMessage[]; remove: IpWords[] }
  | {
      type: "node";
      config: ConfigChange;
      local: IpWords[];
      podSources: Prefix[];
      masqueradeSources: Prefix[];
      masqueradeExempt: Prefix[];
      ownSources: Prefix[];
      nodeSources: Prefix[];
      serviceRanges: Prefix[];
    }
  | { type: "announced"; addresses?: IpWords[]; told: IpWords[] } // load balancers' (absent: as before); to tell of now
  | { type: "config"; config: ConfigChange } // what no object tells
  | { type: "neighbors"; known: NeighborMessage[]; gone: IpWords[] } // of a shared uplink, as the kernel has them
  | { type: "tunnel-gso"; fd: number } // superframes in VXLAN leave by this descriptor; -1: they are cut here
  | { type: "policy"; parts: PolicyParts }
  | { type: "mesh"; config: NonNullable<ConfigChange["mesh"]>; parts: MeshParts }
  | { type: "routes"; routes: RouteSpec[]; vteps: VtepSpec[] }
  | { type: "services"; update: ServiceUpdate }
  | { type: "endpoints"; part: EndpointPart }
  | { type: "complete" } // everything that there is has been told once: a plane before this one had no more
  | { type: "conntrack"; words: [word: number, value: number][] } // of the table's header
  | {
      type: "watch";
      index: number;
      mode: number;
      program: BpfInstruction[] | null;
      remaining: number;
      snapLen: number;
      ring: SharedArrayBuffer | null;
      ringLog2: number;
    }
  | { type: "conntrack-delete"; slots: Int32Array; tuples: Int32Array }
  | { type: "stop" };
