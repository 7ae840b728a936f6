// Hot subject of policies: connections that begin under policies of both kinds, allowed and denied by each, and packets
// of known ones; and the same where known ones are asked about again, after every change.
import { nextPolicy } from "../../dataplane/change/policy.ts";
import { Event } from "../../dataplane/counters.ts";
import { DropReason } from "../../dataplane/drop-reason.ts";
import type { PolicyParts } from "../../dataplane/spec/policy.ts";
import { Conntrack } from "../../dataplane/table/connection/conntrack.ts";
import * as build from "../frames/frame-builder.ts";
import { testClusterPolicy, testNamespace, testPod, testPolicy } from "../world/policy-world.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../world/test-fabric.ts";
import { TestNode } from "../world/test-node.ts";
import { TestPolicies } from "../world/test-policies.ts";
import { fixed, fresh, varyingSubject } from "./hot-connections.ts";
import { addNeighbor } from "./hot-pipeline.ts";
import type { HotSubject } from "./hot-subject.ts";
import type { Template } from "./template-io.ts";

const [POD2, POD3, VIP, NOBODY] = ["10.244.1.2", "10.244.1.3", "10.96.0.10", "203.0.113.5"];
const NODE_PORT = 30_080;
const NO_CHANGES = new Int32Array(0);

const EVERYBODY = { namespaces: {} };
const FRONT = { podSelector: { matchLabels: { app: "front" } } };
const DB = { podSelector: { matchLabels: { app: "db" } } };
const OBJECTS: readonly object[] = [
  testNamespace("default"),
  testPod({ name: "front", ips: [POD2] }),
  testPod({ name: "db", ips: [POD3], ports: ["web=8080/TCP"] }),
  testPolicy("db", {
    ...DB,
    policyTypes: ["Ingress"],
    ingress: [
      { from: [FRONT], ports: [{ port: "web" }, { protocol: "UDP", port: 5000, endPort: 6000 }] },
      { from: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.244.0.0/16"] } }], ports: [{ port: 8080 }] },
      { ports: [{ port: 4444 }] },
    ],
  }),
  testPolicy("front", {
    ...FRONT,
    policyTypes: ["Egress"],
    egress: [{ to: [DB] }, { to: [{ ipBlock: { cidr: `${CLIENT}/32` } }], ports: [{ protocol: "UDP" }] }],
  }),
  testClusterPolicy("guard", {
    tier: "Admin",
    priority: 1,
    subject: EVERYBODY,
    ingress: [
      { action: "Deny", from: [EVERYBODY], protocols: [{ tcp: { destinationPort: { number: 9999 } } }] },
      { action: "Pass", from: [EVERYBODY] },
    ],
    egress: [
      { action: "Accept", to: [EVERYBODY], protocols: [{ tcp: { destinationPort: { number: 4444 } } }] },
      { action: "Deny", to: [{ networks: ["203.0.113.0/24"] }] },
    ],
  }),
  testClusterPolicy("rest", {
    tier: "Baseline",
    priority: 1,
    subject: EVERYBODY,
    ingress: [{ action: "Deny", from: [EVERYBODY] }],
  }),
];

export function createPolicySubject(): HotSubject {
  return subject(createNode().node);
}

/** Policies change before every turn, without another answer. */
export function createRecheckSubject(): HotSubject {
  const { node, policies } = createNode();
  const t = node.tables;
  t.config.guard.policyRecheck = 1;
  const parts = policies.parts as PolicyParts;
  const { addresses } = t.policy;
  const tables = [1, 2].map((n) =>
    nextPolicy(t.policy, { ...parts, addresses, changes: NO_CHANGES, epoch: parts.epoch + n }),
  );
  let turn = 0;
  const { units, run } = subject(node);
  return {
    units,
    run: () => {
      turn ^= 1;
      t.policy = tables[turn];
      run();
    },
  };
}

function createNode(): { node: TestNode; policies: TestPolicies } {
  const node = new TestNode({ unchecked: true, tables: { conntrack: new Conntrack(10) } });
  node.setService({ name: "web", clusterIp: VIP, nodePort: NODE_PORT, endpoints: [`${POD3}:8080`] });
  addNeighbor(node, CLIENT, CLIENT_MAC);
  const policies = new TestPolicies(node);
  policies.become(OBJECTS);
  return { node, policies };
}

/** Every verdict there is has to have been given before it is measured. */
function subject(node: TestNode): HotSubject {
  const made = varyingSubject(node, createTraffic(node), [Event.CT_CREATED]);
  const { drops } = node.counters;
  const unused = [DropReason.POLICY_DENY, DropReason.POLICY_DENY_RULE].filter(
    (reason) => drops[reason] === 0,
  );
  if (unused.length > 0 || drops[DropReason.POLICY_NOT_READY] > 0)
    throw new Error(`not every verdict was given: ${JSON.stringify(node.drops())}`);
  return made;
}

function createTraffic(node: TestNode): Map<number, readonly Template[]> {
  const at = (src: string, dst: string) => pathTo(node, src, dst);
  const syn = (dst: string, dstPort: number) =>
    fresh(build.tcpFrame({ ...at(POD2, dst), dstPort, flags: "S" }));
  const datagram = (dst: string, dstPort: number) =>
    build.udpFrame({ ...at(POD2, dst), dstPort, payload: 30 });
  const answer = { srcPort: 5353, dstPort: 41000, payload: 30 };
  return new Map([
    [
      node.portId("pod2"),
      [
        ...[syn(VIP, 80), syn(POD3, 8080), syn(POD3, 4444), syn(POD3, 9999), syn(POD3, 80), syn(NOBODY, 80)],
        ...[5353, 5000, 6001].map((port) => fresh(datagram(POD3, port))),
        ...[fresh(datagram(CLIENT, 53)), fresh(datagram(NOBODY, 53))],
        fixed(datagram(POD3, 5353)),
        fixed(build.tcpFrame({ ...at(POD2, VIP), flags: "S" })),
        fixed(build.echoFrame(at(POD2, POD3))),
      ],
    ],
    [node.portId("pod3"), [fixed(build.udpFrame({ ...at(POD3, POD2), ...answer }))]],
    [
      node.portId("uplink"),
      [fresh(build.tcpFrame({ ...at(CLIENT, node.address), dstPort: NODE_PORT, flags: "S" }))],
    ],
  ]);
}
