// Which packets take the fast path, and that they leave as by the stages. Whether all else is the same, too, asks
// src/testing/fuzz/fuzz-fast.ts.
import t from "tap";
import { toHex } from "../../testing/frames/bytes.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import {
  partialFrame,
  superframe,
  tunnelSuperframe,
  udpSuperframe,
} from "../../testing/frames/virtio-frames.ts";
import { nodeAddress, uplinkMacOf, vtepMacOf } from "../../testing/world/test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { Event } from "../counters.ts";
import { Mode } from "../trace/watchers.ts";

const [POD2, POD3, REMOTE, VIP] = ["10.244.1.2", "10.244.1.3", "10.244.2.2", "10.96.0.10"];
const PEER = nodeAddress(2);
const REPLY = { srcPort: 8080, dstPort: 41_000 };

/** A node with a connection from pod2 to a service whose endpoint is pod3, established. */
function established(isOn: boolean): TestNode {
  const node = new TestNode({ summed: true });
  node.tables.scratch.fast.isOn = isOn;
  node.setService({ name: "web", clusterIp: VIP, endpoints: [`${POD3}:8080`] });
  node.send("uplink", build.arpFrame({ senderIp: PEER, senderMac: uplinkMacOf(2), targetIp: node.address }));
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.send("pod2", build.tcpFrame({ ...pathTo(node, POD2, VIP), flags: "S" }));
  node.run();
  node.send("pod3", build.tcpFrame({ ...pathTo(node, POD3, POD2), ...REPLY, flags: "S.", ack: 1 }));
  node.run();
  node.send("pod2", build.tcpFrame({ ...pathTo(node, POD2, VIP), flags: ".", seq: 1, ack: 1 }));
  node.run();
  node.everything();
  return node;
}

const fastOf = (node: TestNode): number => node.counters.events[Event.FAST_PATH];

interface Case {
  readonly name: string;
  readonly port?: string;
  readonly frame: (node: TestNode) => Uint8Array;
  /** Sent before, by the same port: it opens the connection. */
  readonly opens?: (node: TestNode) => Uint8Array;
  readonly change?: (node: TestNode) => void;
}

const toVip = { seq: 1, ack: 1, flags: "P.", payload: 9 };
const request = (node: TestNode): Uint8Array => build.tcpFrame({ ...pathTo(node, POD2, VIP), ...toVip });
const datagram = (src: string, dst: string) => (node: TestNode) =>
  build.udpFrame({ ...pathTo(node, src, dst), payload: 20 });
const tunnelled = (node: TestNode): Uint8Array => {
  const inner = { src: REMOTE, dst: POD2, srcMac: vtepMacOf(2), dstMac: vtepMacOf(1), payload: 20 };
  return build.vxlanFrame({ ...pathTo(node, PEER, node.address), inner: build.udpFrame(inner) });
};
const replied = { ...REPLY, seq: 1, ack: 1, payload: 30 };

const FAST: Case[] = [
  { name: "a segment to a service", frame: request },
  {
    name: "a segment with timestamps",
    frame: (node) => build.tcpFrame({ ...pathTo(node, POD2, VIP), ...toVip, timestamps: [7, 8] }),
  },
  {
    name: "an answer of its endpoint, on the bridge",
    port: "pod3",
    frame: (node) => build.tcpFrame({ ...pathTo(node, POD3, POD2), ...replied }),
  },
  { name: "from pod to pod", frame: datagram(POD2, POD3), opens: datagram(POD2, POD3) },
  { name: "into the tunnel", frame: datagram(POD2, REMOTE), opens: datagram(POD2, REMOTE) },
  { name: "out of the tunnel", port: "uplink", frame: tunnelled, opens: tunnelled },
  { name: "masqueraded onto the fabric", frame: datagram(POD2, CLIENT), opens: datagram(POD2, CLIENT) },
];
for (const { name, port = "pod2", frame, opens } of FAST) {
  t.test(`by the fast path: ${name}`, async (t) => {
    const left = [true, false].map((isOn) => {
      const node = established(isOn);
      if (opens !== undefined) node.through(port, opens(node));
      const before = fastOf(node);
      const outs = [node.through(port, frame(node))];
      if (port !== "uplink") {
        const { frame: partial, virtio } = partialFrame(frame(node));
        outs.push(node.through(port, partial, virtio));
      }
      t.equal(fastOf(node) - before, isOn ? outs.length : 0);
      return outs.map((out) => `${out.port} ${toHex(out.virtio)} ${toHex(out.frame)}`);
    });
    t.same(left[0], left[1]);
  });
}

t.test("by the fast path: superframes, and what comes bundled out of it", async (t) => {
  const left = [true, false].map((isOn) => {
    const node = established(isOn);
    node.through("uplink", tunnelled(node));
    const before = fastOf(node);
    const large = build.tcpFrame({ ...pathTo(node, POD2, VIP), ...toVip, payload: 9000 });
    const whole = superframe(large, 1398);
    node.send("pod2", whole.frame, whole.virtio);
    const vxlan = tunnelled(node);
    const bundle = udpSuperframe(
      build.udpFrame({
        ...pathTo(node, PEER, node.address),
        ...{ dstPort: 8472, payload: Uint8Array.from([...vxlan.subarray(42), ...vxlan.subarray(42)]) },
      }),
      vxlan.length - 42,
    );
    node.send("uplink", bundle.frame, bundle.virtio);
    node.run();
    t.equal(fastOf(node) - before, isOn ? 3 : 0);
    return node.everything().map((out) => `${out.port} ${toHex(out.virtio)} ${toHex(out.frame)}`);
  });
  t.equal(left[0].length, 3);
  t.same(left[0], left[1]);
});

t.test(
  "by the fast path: what a neighbour without a wire between hands over as it is in its tunnel",
  async (t) => {
    const left = [true, false].map((isOn) => {
      const node = established(isOn);
      const ends = { src: REMOTE, dst: POD2, srcMac: vtepMacOf(2), dstMac: vtepMacOf(1) };
      const numbers = { srcPort: 41_001, dstPort: 80 };
      const segment = (o: object): Uint8Array => build.tcpFrame({ ...ends, ...numbers, ...o });
      const inTunnel = (inner: Uint8Array, checksum = false): Uint8Array =>
        build.vxlanFrame({ ...pathTo(node, PEER, node.address), inner, checksum });
      node.through("uplink", inTunnel(segment({ flags: "S" })));
      const ack = { srcPort: 80, dstPort: 41_001, flags: "S.", ack: 1 };
      node.through("pod2", build.tcpFrame({ ...pathTo(node, POD2, REMOTE), ...ack }));
      node.through("uplink", inTunnel(segment({ flags: ".", seq: 1, ack: 1 })));
      node.everything();
      const before = fastOf(node);
      const large = inTunnel(segment({ ...toVip, payload: 9000, timestamps: [7, 8] }), true);
      const whole = tunnelSuperframe(large, 1398);
      const wrong = whole.virtio.slice();
      wrong[0] = 0; // nobody makes the segments' checksums
      const lone = tunnelSuperframe(inTunnel(segment({ ...toVip, seq: 9001, payload: 70 })), 0);
      lone.virtio.fill(0, 1, 4);
      for (const { frame, virtio } of [whole, { ...whole, virtio: wrong }, lone])
        node.send("uplink", frame, virtio);
      node.run();
      t.equal(fastOf(node) - before, isOn ? 2 : 0, "but for the one that is no superframe");
      return node.everything().map((out) => `${out.port} ${toHex(out.virtio)} ${toHex(out.frame)}`);
    });
    t.equal(left[0].length, 2);
    t.same(left[0], left[1]);
  },
);

const SLOW: Case[] = [
  ...["F.", "R", "S", "R."].map((flags) => ({
    name: `a segment with the flags ${flags}`,
    frame: (node: TestNode) => build.tcpFrame({ ...pathTo(node, POD2, VIP), ...toVip, flags }),
  })),
  {
    name: "IPv4 options",
    frame: (node) =>
      build.tcpFrame({ ...pathTo(node, POD2, VIP), ...toVip, ipOptions: Uint8Array.of(1, 1, 1, 0) }),
  },
  {
    name: "a TTL that is over",
    frame: (node) => build.tcpFrame({ ...pathTo(node, POD2, VIP), ...toVip, ttl: 1 }),
  },
  {
    name: "a segment out of its window",
    frame: (node) => build.tcpFrame({ ...pathTo(node, POD2, VIP), ...toVip, seq: 1_000_000 }),
  },
  {
    name: "more than the way's MTU",
    frame: (node) => build.tcpFrame({ ...pathTo(node, POD2, VIP), ...toVip, payload: 1440 }),
  },
  { name: "another pod's address", port: "pod3", frame: request },
  {
    name: "what somebody traces",
    frame: request,
    change: ({ tables: { watchers } }) => {
      watchers.active = 1;
      watchers.list[0].mode = Mode.TRACE;
    },
  },
  {
    name: "clients that are to hear of removed endpoints",
    frame: request,
    change: (node) => {
      node.tables.config.extra.resetRemoved = 1;
    },
  },
  {
    name: "clients that other nodes bring",
    port: "uplink",
    opens: tunnelled,
    frame: tunnelled,
    change: (node) => {
      node.tables.config.tunnel.keepClients = 1;
    },
  },
  {
    name: "what policies are to be asked about again",
    frame: request,
    change: ({ tables }) => {
      tables.config.guard.policyRecheck = 1;
      tables.rulesKept = 1;
      Object.assign(tables.policy, { epoch: tables.policy.epoch + 1 });
    },
  },
  {
    name: "a port that is gone",
    frame: request,
    change: (node) => {
      node.tables.ports.active[node.portId("pod3")] = 0;
    },
  },
];
for (const { name, port = "pod2", frame, opens, change } of SLOW) {
  t.test(`left to the stages: ${name}`, async (t) => {
    const node = established(true);
    if (opens !== undefined) node.through(port, opens(node));
    change?.(node);
    const before = fastOf(node);
    node.send(port, frame(node));
    node.run();
    t.equal(fastOf(node), before);
  });
}
