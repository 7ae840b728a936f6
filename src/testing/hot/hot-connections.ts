// Hot subject of the plane's longer ways: connections that begin, are translated, masqueraded and end,
// fragments joined and cut, ICMP errors made and translated, ARP, early drop in a full table. A pod that does
// nothing but open connections must not wake the collector either.

import { Event } from "../../dataplane/counters.ts";
import * as engine from "../../dataplane/engine.ts";
import { Scheduler } from "../../dataplane/spec/services.ts";
import { Conntrack, H_EVENT_READERS } from "../../dataplane/table/connection/conntrack.ts";
import { fragmentsOf } from "../frames/fragment-frames.ts";
import * as build from "../frames/frame-builder.ts";
import * as chunk from "../frames/sctp-chunks.ts";
import { macOf } from "../world/test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../world/test-fabric.ts";
import { TestNode } from "../world/test-node.ts";
import type { HotSubject } from "./hot-subject.ts";
import { NEVER, type Template, TemplateIo } from "./template-io.ts";

const [POD2, POD3, VIP] = ["10.244.1.2", "10.244.1.3", "10.96.0.10"];
const SOURCE_PORT_AT = 34; // of a TCP or UDP frame without IP options
const SCHEDULERS = Object.values(Scheduler).slice(1);

export const fixed = (frame: Uint8Array): Template => ({ frame, varyAt: NEVER });
export const fresh = (frame: Uint8Array): Template => ({ frame, varyAt: SOURCE_PORT_AT });

export function createConnectionsSubject(): HotSubject {
  const node = new TestNode({ unchecked: true, tables: { conntrack: new Conntrack(10) } });
  node.setService({ name: "web", clusterIp: VIP, endpoints: [`${POD3}:8080`] });
  node.setService({ name: "dns", clusterIp: VIP, protocol: 17, port: 53, endpoints: [`${POD3}:5353`] });
  for (const [i, scheduler] of SCHEDULERS.entries()) {
    const endpoints = [1, 2, 3].map((n) => `${POD3}:${8080 + n}`);
    node.setService({
      name: `s${i}`,
      clusterIp: VIP,
      port: 100 + i,
      endpoints,
      scheduler,
      weights: [1, 2, 3],
    });
  }
  node.setService({ name: "none", clusterIp: VIP, port: 81, endpoints: [] });
  node.setService({ name: "m3ua", clusterIp: VIP, port: 82, protocol: 132, endpoints: [`${POD3}:2905`] });
  node.tables.conntrack.header[H_EVENT_READERS] = 1; // somebody wants to know of each connection
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  const { CT_CREATED, REASSEMBLED, FRAGMENTED, ICMP_ERRORS, ARP_REPLIES } = Event;
  const wanted = [CT_CREATED, REASSEMBLED, FRAGMENTED, ICMP_ERRORS, ARP_REPLIES];
  return varyingSubject(node, createTraffic(node), wanted);
}

/** The subject that this node makes of this traffic. Every event in `wanted` must have happened before it is measured. */
export function varyingSubject(
  node: TestNode,
  traffic: ReadonlyMap<number, readonly Template[]>,
  wanted: readonly number[],
): HotSubject {
  const io = new TemplateIo(traffic);
  Object.assign(node.engine, { io });
  Object.assign(node.engine.tx, { io });
  for (const { id } of node.ports.values()) node.engine.ports.fd[id] = id;
  const ids = Int32Array.from(traffic.keys());
  let nowMs = node.clock.nowMs();
  const run = (): void => {
    engine.setClock(node.engine, ++nowMs);
    engine.tick(node.engine);
    for (let i = 0; i < ids.length; i++) engine.pollPort(node.engine, ids[i]);
  };
  for (let i = 0; i < 2000; i++) run();
  if (wanted.some((event) => node.counters.events[event] === 0)) {
    throw new Error(`not every way was gone: ${JSON.stringify(node.events())}`);
  }
  return { units: [...traffic.values()].flat().length, run };
}

function createTraffic(node: TestNode): Map<number, readonly Template[]> {
  const at = (src: string, dst: string) => pathTo(node, src, dst);
  const datagram = build.udpFrame({ ...at(POD2, VIP), dontFragment: false, id: 9, payload: 3000 });
  const echo = build.udpFrame({ ...at(POD3, POD2), srcPort: 5353, dstPort: 41000, payload: 30 });
  return new Map([
    [
      node.portId("pod2"),
      [
        fresh(build.udpFrame({ ...at(POD2, VIP), payload: 30 })),
        fresh(build.tcpFrame({ ...at(POD2, VIP), flags: "S", mss: 1400 })),
        fresh(build.tcpFrame({ ...at(POD2, VIP), flags: "R" })),
        fresh(build.udpFrame({ ...at(POD2, CLIENT), payload: 30 })),
        fresh(build.tcpFrame({ ...at(POD2, VIP), dstPort: 81, flags: "S" })),
        ...SCHEDULERS.map((_, i) =>
          fresh(build.tcpFrame({ ...at(POD2, VIP), dstPort: 100 + i, flags: "S" })),
        ),
        fixed(build.tcpFrame({ ...at(POD2, VIP), flags: "S" })),
        fixed(build.tcpFrame({ ...at(POD2, VIP), flags: "F." })),
        fixed(build.udpFrame({ ...at(POD2, "8.8.8.8"), ttl: 1 })),
        fixed(build.sctpFrame({ ...at(POD2, VIP), dstPort: 82, vtag: 0, chunks: [chunk.init(1)] })),
        fresh(build.sctpFrame({ ...at(POD2, VIP), dstPort: 82, vtag: 0, chunks: [chunk.init(1)] })), // wrong CRC
        fixed(build.sctpFrame({ ...at(POD2, CLIENT), vtag: 0, chunks: [chunk.init(1)] })),
        fixed(build.sctpFrame({ ...at(POD2, CLIENT), vtag: 9, chunks: [chunk.heartbeat, chunk.data("x")] })),
        fixed(build.udpLiteFrame({ ...at(POD2, CLIENT), payload: 30, coverage: 8 })),
        fixed(build.rawFrame({ ...at(POD2, CLIENT), proto: 47, payload: 30 })),
        ...fragmentsOf(datagram, 1424).map(fixed),
        fixed(build.arpFrame({ senderIp: POD2, senderMac: macOf(POD2), targetIp: node.gateway })),
      ],
    ],
    [
      node.portId("pod3"),
      [
        fixed(echo),
        fixed(
          build.sctpFrame({
            ...at(POD3, POD2),
            srcPort: 2905,
            dstPort: 41000,
            vtag: 1,
            chunks: [chunk.initAck(2)],
          }),
        ),
        fixed(build.tcpFrame({ ...at(POD3, POD2), srcPort: 8080, dstPort: 41000, flags: "S." })),
        fixed(build.tcpFrame({ ...at(POD3, POD2), srcPort: 8080, dstPort: 41000, flags: "F." })),
        fixed(build.icmpErrorFrame({ ...at(POD3, POD2), type: 3, code: 3, about: quotedQuery(node) })),
      ],
    ],
  ]);
}

/** The fragmented query as the endpoint got it, for its ICMP error to quote. */
function quotedQuery(node: TestNode): Uint8Array {
  return build.udpFrame({ ...pathTo(node, POD2, POD3), dstPort: 5353, payload: 30 });
}
