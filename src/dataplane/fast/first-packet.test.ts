// Which first packets of connections take the fast path, and that it makes of them what the stages make. Whether all else
// is the same, too, asks src/testing/fuzz/fuzz-fast.ts.
import { createHash } from "node:crypto";
import t from "tap";
import { Header } from "../../base/columns.ts";
import { toHex } from "../../testing/frames/bytes.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import {
  nodeAddress,
  prefix,
  type ServiceOptions,
  serviceSpec,
  uplinkMacOf,
  vtepMacOf,
} from "../../testing/world/test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { createPrefixSet } from "../change/prefix-set.ts";
import * as serviceChange from "../change/services.ts";
import { Event } from "../counters.ts";
import {
  Action,
  FrontendKind,
  HOST_PORT_ENDPOINT,
  Scheduler,
  type ServicePortSpec,
} from "../spec/services.ts";
import * as conntrack from "../table/connection/conntrack.ts";

const [POD2, POD3, REMOTE, VIP] = ["10.244.1.2", "10.244.1.3", "10.244.2.2", "10.96.0.10"];
const PEER = nodeAddress(2);
const NODE_PORT = 30_053;
const SIZES = {
  conntrackLog2: 4,
  fdbLog2: 6,
  neighborsLog2: 6,
  stationsLog2: 6,
  frontendsLog2: 6,
  endpointsLog2: 6,
};

type Frame = (node: TestNode) => Uint8Array;
interface Case {
  readonly name: string;
  readonly port?: string;
  readonly frame: Frame;
  readonly change?: (node: TestNode) => void;
}

function createNode(isOn: boolean): TestNode {
  const node = new TestNode({ summed: true, poolSlots: 8, sizes: SIZES });
  node.tables.scratch.fast.isOn = isOn;
  setService(node, { endpoints: [`${POD3}:5353`, `${REMOTE}:5353`] });
  node.send("uplink", build.arpFrame({ senderIp: PEER, senderMac: uplinkMacOf(2), targetIp: node.address }));
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
  return node;
}

function setService(node: TestNode, o: Partial<ServiceOptions>): void {
  const service = { name: "dns", protocol: 17, clusterIp: VIP, port: 53, nodePort: NODE_PORT };
  node.setService({ ...service, endpoints: [`${POD3}:5353`], ...o });
}

const datagram =
  (src: string, dst: string, o: object = {}): Frame =>
  (node) =>
    build.udpFrame({ ...pathTo(node, src, dst), payload: 20, dstPort: 53, ...o });
const toService = datagram(POD2, VIP);
const tunnelled: Frame = (node) => {
  const inner = { src: REMOTE, dst: POD2, srcMac: vtepMacOf(2), dstMac: vtepMacOf(1), payload: 20 };
  return build.vxlanFrame({ ...pathTo(node, PEER, node.address), inner: build.udpFrame(inner) });
};

/** What the packet left behind: what came out, the connection, what was counted, and the next random number. */
function leaves(node: TestNode, { port = "pod2", frame }: Case): object {
  node.send(port, frame(node));
  node.run();
  const { services, conntrack: ct } = node.tables;
  return {
    frames: node.everything().map((out) => `${out.port} ${toHex(out.virtio)} ${toHex(out.frame)}`),
    connections: node.connections(),
    hits: [...services.hits, ...services.epHits].filter((hits) => hits > 0),
    drops: node.drops(),
    events: { ...node.events(), FAST_PATH: 0 },
    columns: [ct.tuple, ct.startSec, ct.service, ct.events.words].map(digestOf),
    random: conntrack.random(ct),
  };
}

function digestOf(column: Int32Array | Float64Array): string {
  return createHash("md5").update(column).digest("hex");
}

/** The fast path and the stages make the same of it; which of them had it is as wanted. */
function compare(c: Case, isFast: boolean): void {
  t.test(`${isFast ? "by the fast path" : "left to the stages"}: ${c.name}`, async (t) => {
    const [node, twin] = [true, false].map(createNode);
    for (const each of [node, twin]) c.change?.(each);
    const before = node.counters.events[Event.FAST_PATH];
    t.same(leaves(node, c), leaves(twin, c));
    t.equal(node.counters.events[Event.FAST_PATH] - before, isFast ? 1 : 0);
  });
}

/** Port `port` of the node is a pod's. */
function hostPortSpec(port: number): ServicePortSpec {
  const spec = serviceSpec(99, {
    name: "host port",
    protocol: 17,
    nodePort: port,
    endpoints: [`${POD3}:5353`],
  });
  const endpoints = spec.endpoints.map((endpoint) => ({ ...endpoint, flags: HOST_PORT_ENDPOINT }));
  const frontends = spec.frontends.map((frontend) => ({ ...frontend, kind: FrontendKind.HOST_PORT }));
  return { ...spec, endpoints, frontends };
}

const withService =
  (o: Partial<ServiceOptions>) =>
  (node: TestNode): void =>
    setService(node, o);

for (const c of [
  { name: "to a service", frame: toService },
  { name: "to a pod, on the bridge", frame: datagram(POD2, POD3) },
  { name: "to a pod of another node", frame: datagram(POD2, REMOTE) },
  { name: "out of the tunnel", port: "uplink", frame: tunnelled },
  { name: "to the node itself", frame: (node) => datagram(POD2, node.address)(node) },
  { name: "from the node to a pod", port: "host", frame: (node) => datagram(node.address, POD3)(node) },
  {
    name: "onto the fabric, where nobody is masqueraded",
    frame: datagram(POD2, CLIENT),
    change: ({ tables }) => void (tables.config.snat.egress = 0),
  },
  {
    name: "what somebody wants to hear of",
    frame: toService,
    change: ({ tables }) => void (tables.conntrack.header[conntrack.H_EVENT_READERS] = 1),
  },
  {
    name: "where verdicts are noted",
    frame: toService,
    change: ({ tables }) => void (tables.rulesKept = 1),
  },
] as Case[])
  compare(c, true);

for (const c of [
  {
    name: "who is masqueraded",
    port: "uplink",
    frame: (node) => datagram(CLIENT, node.address, { dstPort: NODE_PORT })(node),
  },
  { name: "who asks itself", frame: toService, change: withService({ endpoints: [`${POD2}:5353`] }) },
  { name: "who is remembered", frame: toService, change: withService({ affinitySec: 10 }) },
  { name: "who gets the next endpoint", frame: toService, change: withService({ scheduler: Scheduler.RR }) },
  { name: "who is refused", frame: toService, change: withService({ endpoints: [] }) },
  {
    name: "who gets another endpoint where the first does not answer",
    frame: toService,
    change: ({ tables }) => void (tables.config.proxy.retry = 1),
  },
  { name: "who is dropped", frame: toService, change: withService({ action: Action.DROP }) },
  {
    name: "a service's address, but no port of it",
    frame: datagram(POD2, REMOTE),
    change: withService({ clusterIp: REMOTE, port: 54, isBound: true }),
  },
  {
    name: "an address that no service has",
    frame: datagram(POD2, REMOTE),
    change: ({ tables }) =>
      void (tables.addresses.serviceRanges = createPrefixSet([prefix("10.244.2.0/24")])),
  },
  {
    name: "a pod's host port",
    frame: (node) => datagram(POD2, node.address, { dstPort: 99 })(node),
    change: ({ tables: { services } }) =>
      serviceChange.update(services, { upsert: [hostPortSpec(99)], remove: [] }),
  },
  {
    name: "what the node sends itself by a service",
    port: "host",
    frame: (node) => datagram(node.gateway, VIP)(node),
    change: (node) => {
      setService(node, { endpoints: [`${node.address}:5353`] });
      node.tables.services.masq.fill(0);
    },
  },
  {
    name: "what the node sends a service's endpoint beyond an uplink that is its kernel's, too",
    port: "host",
    frame: (node) => datagram(node.address, VIP)(node),
    change: (node) => {
      setService(node, { endpoints: [`${PEER}:5353`] });
      node.tables.services.masq.fill(0);
      node.tables.config.router.shared = 1;
    },
  },
  {
    name: "what a service leads back to the node from such an uplink",
    port: "uplink",
    frame: (node) => datagram(CLIENT, node.address, { dstPort: NODE_PORT })(node),
    change: (node) => {
      setService(node, { endpoints: [`${node.address}:5353`] });
      node.tables.services.masq.fill(0);
      node.tables.config.router.shared = 1;
    },
  },
  { name: "a pod's way out of the cluster", frame: datagram(POD2, CLIENT) },
  { name: "tunnel packets of a pod", frame: (node) => datagram(POD2, node.address, { dstPort: 8472 })(node) },
  {
    name: "loopback that a service brings off the bridge",
    frame: (node) => datagram(POD2, POD3, { src: "127.0.0.1", dst: VIP })(node),
    change: ({ tables }) => {
      tables.config.guard.antiSpoofing = 0;
      tables.services.masq.fill(0);
    },
  },
  {
    name: "who would get another one's answers",
    frame: toService,
    change: (node) => {
      setService(node, {});
      node.through("pod2", datagram(POD2, POD3, { dstPort: 5353 })(node));
    },
  },
  {
    name: "one more than the table holds",
    frame: toService,
    change: (node) => {
      for (let i = 0; i < node.tables.conntrack.capacity; i++)
        node.through("pod2", datagram(POD2, REMOTE, { srcPort: 2000 + i })(node));
    },
  },
  {
    name: "what may have been announced",
    frame: toService,
    change: ({ tables }) => void (tables.expectations.header[Header.USED] = 1),
  },
  { name: "a pod that is not there", frame: datagram(POD2, "10.244.1.9", { dstMac: undefined }) },
] as Case[])
  compare(c, false);

t.test("a flow that has just begun is known to who looks on from its second packet on", async (t) => {
  const node = createNode(true);
  setService(node, {});
  const first = node.through("pod2", toService(node));
  node.tables.watchers.active = 1;
  t.same(node.through("pod2", toService(node)), first);
  t.equal(node.connections().length, 1);
});
