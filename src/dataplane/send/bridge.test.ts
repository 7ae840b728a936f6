// The pod bridge: learning, moves, ageing, flooding, group frames, tags. Stages learn-source and classify,
// and bridge.ts.
import t from "tap";
import * as build from "../../testing/frames/frame-builder.ts";
import { macOf } from "../../testing/world/test-cluster.ts";
import { pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode, type TestNodeOptions } from "../../testing/world/test-node.ts";
import * as fdb from "../table/fdb.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const STRANGER = "02:aa:00:00:00:01";
const BROADCAST = "ff:ff:ff:ff:ff:ff";
const ETHERTYPE_TEST = 0x88b5; // IEEE 802 local experimental

/** A bridge whose pods may have stations of their own behind them. */
function trusting(options: TestNodeOptions = {}): TestNode {
  const node = new TestNode(options);
  node.tables.config.guard.antiSpoofing = 0;
  return node;
}

/** A frame that is not IP: what only a bridge can carry. */
function plain(srcMac: string, dstMac: string): Uint8Array {
  return build.linkFrame({ srcMac, dstMac }, ETHERTYPE_TEST, 46, (view, off) => {
    for (let i = 0; i < 46; i++) view.setUint8(off + i, i);
  });
}

t.test("a frame for a known pod goes to that pod alone, untouched", async (t) => {
  const node = new TestNode();
  const frame = build.udpFrame({ ...pathTo(node, POD2, POD3), payload: "hello" });
  const out = node.through("pod2", frame);
  t.equal(out.port, "pod3");
  t.same(out.frame, frame);
  node.settle();
});

t.test(
  "a frame for a MAC nobody has shown is flooded to every pod but the sender, and to no one else",
  async (t) => {
    const node = new TestNode();
    node.addPod(4);
    node.send("pod2", plain(macOf(POD2), STRANGER));
    node.run();
    t.same(
      node.everything().map((r) => r.port),
      ["pod3", "pod4"],
    );
    t.match(node.events(), { FLOODED: 1 });
    node.settle();
  },
);

t.test("a MAC is learned from its first frame, and frames to it are no longer flooded", async (t) => {
  const node = trusting();
  node.addPod(4);
  node.send("pod3", plain(STRANGER, BROADCAST));
  node.run();
  node.everything();
  t.equal(node.through("pod2", plain(macOf(POD2), STRANGER)).port, "pod3");
});

t.test("a MAC that shows up at another port is followed there", async (t) => {
  const node = trusting();
  node.addPod(4);
  for (const port of ["pod3", "pod4"]) {
    node.send(port, plain(STRANGER, BROADCAST));
    node.run();
    node.everything();
    t.equal(node.through("pod2", plain(macOf(POD2), STRANGER)).port, port);
  }
  t.equal(node.tables.fdb.counters[fdb.Counter.MOVED], 1);
});

t.test("a pod that sends with its neighbour's MAC does not steal its frames", async (t) => {
  const node = trusting();
  node.addPod(4);
  node.send("pod4", plain(macOf(POD3), BROADCAST));
  node.run();
  node.everything();
  t.equal(node.through("pod2", plain(macOf(POD2), macOf(POD3))).port, "pod3");
});

t.test("a learned MAC is forgotten after 300 s, and its slot is given back", async (t) => {
  const node = trusting();
  node.addPod(4);
  node.send("pod3", plain(STRANGER, BROADCAST));
  node.run();
  node.everything();
  const used = fdb.used(node.tables.fdb);
  node.clock.advanceSec(fdb.AGE_SEC - 1);
  t.equal(node.through("pod2", plain(macOf(POD2), STRANGER)).port, "pod3", "one second before");
  node.clock.advanceSec(1);
  node.send("pod2", plain(macOf(POD2), STRANGER));
  node.run();
  t.equal(node.everything().length, 2, "flooded");
  node.advanceMs(60_000);
  t.equal(fdb.used(node.tables.fdb), used - 1, "within a minute of ticks");
});

t.test("a frame for the sender's own port is not sent back", async (t) => {
  const node = trusting();
  node.send("pod2", plain(STRANGER, macOf(POD2)));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { NO_OTHER_PORT: 1 });
});

t.test("broadcast and multicast reach every other pod, but not host and fabric", async (t) => {
  const node = new TestNode();
  node.addPod(4);
  for (const dstMac of [BROADCAST, "01:00:5e:00:00:fb"]) {
    node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, "224.0.0.251"), dstMac, payload: 5 }));
    node.run();
    t.same(
      node.everything().map((r) => r.port),
      ["pod3", "pod4"],
    );
  }
  node.settle();
});

t.test("group frames pass between the node's stack and its fabric as over a cable", async (t) => {
  const node = new TestNode();
  const out = node.through("uplink", plain("02:00:00:00:00:99", BROADCAST));
  t.equal(out.port, "host");
  const back = node.through("host", plain(node.uplinkMac, "01:80:c2:00:00:0e"));
  t.equal(back.port, "uplink");
});

t.test("a frame of the fabric for another station is refused", async (t) => {
  const node = new TestNode();
  node.send("uplink", build.udpFrame({ ...pathTo(node, "192.168.50.1", node.address), dstMac: STRANGER }));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { NOT_FOR_US: 1 });
});

t.test("a source that is a group address is refused and not learned", async (t) => {
  const node = trusting();
  node.send("pod2", plain("03:00:00:00:00:01", macOf(POD3)));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { MALFORMED_ETHERNET: 1 });
});

t.test("802.1Q frames cross the bridge unread, even with an IP packet inside that is nonsense", async (t) => {
  const node = trusting();
  const inner = build.udpFrame({ ...pathTo(node, POD2, POD3), vlans: [7], payload: 9 });
  inner[14 + 4 + 8] = 0; // TTL 0, checksum now wrong
  const tagged = trusting({ unchecked: true }).through("pod2", inner);
  t.equal(tagged.port, "pod3");
  t.same(tagged.frame, inner);
  node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, "10.96.0.10"), vlans: [7, 8] }));
  node.run();
  t.same(node.everything(), [], "the router speaks no VLAN");
  t.same(node.drops(), { UNSUPPORTED_L3: 1 });
});

t.test("a runt is refused", async (t) => {
  const node = new TestNode();
  node.send("pod2", new Uint8Array(13));
  node.run();
  t.same(node.drops(), { MALFORMED_ETHERNET: 1 });
});

t.test("frames for a pod that went are dropped, those on the bridge flooded", async (t) => {
  const node = new TestNode();
  node.addPod(4);
  node.removePod(3);
  node.send("pod2", plain(macOf(POD2), macOf(POD3)));
  node.run();
  t.same(
    node.everything().map((r) => r.port),
    ["pod4"],
  );
  node.send("host", build.udpFrame(pathTo(node, node.address, POD3)));
  node.run();
  t.same(node.drops(), { NEIGHBOR_FAILED: 1 });
});

t.test("a pod that invents MACs by the thousand fills the table and nothing more", async (t) => {
  const node = trusting();
  for (let i = 0; i < 3000; i++) {
    const srcMac = `02:bb:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`;
    node.send("pod2", plain(srcMac, macOf(POD3)));
  }
  node.run();
  t.equal(node.received("pod3").length, 3000);
  t.ok(fdb.used(node.tables.fdb) <= node.tables.fdb.usedMax);
  t.ok(node.tables.fdb.counters[fdb.Counter.FULL] > 2000);
  t.equal(node.through("pod3", plain(macOf(POD3), macOf(POD2))).port, "pod2", "static entries stay");
  node.settle();
});

t.test("padding behind an IP packet is not sent on", async (t) => {
  const node = new TestNode();
  const frame = build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 2 });
  const padded = new Uint8Array(60);
  padded.set(frame);
  t.same(node.through("pod2", padded).frame, frame);
});
