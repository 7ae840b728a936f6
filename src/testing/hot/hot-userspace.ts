// Hot subject of userspace mode: connections that are held, refused, unanswered and sent again, until the last attempt.
import { Event } from "../../dataplane/counters.ts";
import { Conntrack } from "../../dataplane/table/connection/conntrack.ts";
import { PendingConnections } from "../../dataplane/table/service/pending-connections.ts";
import * as build from "../frames/frame-builder.ts";
import { pathTo } from "../world/test-fabric.ts";
import { TestNode } from "../world/test-node.ts";
import { fixed, fresh, varyingSubject } from "./hot-connections.ts";
import type { HotSubject } from "./hot-subject.ts";

const [POD2, POD3, VIP] = ["10.244.1.2", "10.244.1.3", "10.96.0.10"];

export function createUserspaceSubject(): HotSubject {
  const tables = { conntrack: new Conntrack(12), pending: new PendingConnections(8, 1 << 12) };
  const node = new TestNode({ unchecked: true, tables });
  node.tables.config.proxy.userspace = 1;
  node.tables.config.proxy.retry = 1;
  node.setService({ name: "web", clusterIp: VIP, endpoints: [`${POD3}:8080`] });
  node.setService({ name: "dns", clusterIp: VIP, protocol: 17, port: 53, endpoints: [`${POD3}:5353`] });
  node.setService({ name: "none", clusterIp: VIP, port: 81, endpoints: [] });
  node.setService({ name: "gone", clusterIp: VIP, port: 82, endpoints: ["10.244.1.99:8080"] });
  const at = (src: string, dst: string) => pathTo(node, src, dst);
  const about = build.udpFrame({ ...at(POD2, POD3), dstPort: 5353, payload: 30 });
  const refusal = { srcPort: 8080, dstPort: 41000, ack: 1, flags: "R." };
  const traffic = new Map([
    [
      node.portId("pod2"),
      [
        fixed(build.tcpFrame({ ...at(POD2, VIP), flags: "S" })), // refused
        fixed(build.udpFrame({ ...at(POD2, VIP), payload: 30 })),
        fresh(build.tcpFrame({ ...at(POD2, VIP), flags: "S", mss: 1400 })), // not answered
        fresh(build.tcpFrame({ ...at(POD2, VIP), dstPort: 81, flags: "S" })),
        fixed(build.tcpFrame({ ...at(POD2, VIP), dstPort: 82, flags: "S" })),
      ],
    ],
    [
      node.portId("pod3"),
      [
        fixed(build.tcpFrame({ ...at(POD3, POD2), ...refusal })),
        fixed(build.icmpErrorFrame({ ...at(POD3, POD2), type: 3, code: 3, about })),
      ],
    ],
  ]);
  const { CONNECTION_RETRIED, RETRY_NOT_HELD, TCP_RESETS } = Event;
  return varyingSubject(node, traffic, [CONNECTION_RETRIED, RETRY_NOT_HELD, TCP_RESETS]);
}
