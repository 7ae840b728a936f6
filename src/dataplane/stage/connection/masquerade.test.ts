// Source NAT: when, with which address, with which port, and what happens when there is none left.

import fc from "fast-check";
import t from "tap";
import * as build from "../../../testing/frames/frame-builder.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../../testing/world/test-fabric.ts";
import { TestNode } from "../../../testing/world/test-node.ts";
import { setSeed } from "../../change/conntrack.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import { Conntrack } from "../../table/connection/conntrack.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";

function knowing(o: ConstructorParameters<typeof TestNode>[0] = {}): TestNode {
  const node = new TestNode(o);
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
  return node;
}
function sourcePort(text: string): number {
  const match = /^IP \S+\.(\d+) > /.exec(text);
  return Number(match?.[1]);
}

t.test("a pod leaves the cluster with the node's address, and its answer finds it", async (t) => {
  const node = knowing();
  const out = node.through("pod2", build.udpFrame({ ...pathTo(node, POD2, CLIENT), payload: "?" }));
  t.equal(out.port, "uplink");
  const port = sourcePort(out.text);
  t.match(out.text, `IP ${node.address}.${port} > ${CLIENT}.53`);
  const back = node.through(
    "uplink",
    build.udpFrame({ ...pathTo(node, CLIENT, node.address), srcPort: 53, dstPort: port }),
  );
  t.equal(back.port, "pod2");
  t.match(back.text, `IP ${CLIENT}.53 > ${POD2}.41000`);
  node.settle();
});

t.test("pings leave with the node's address and an id of their own", async (t) => {
  const node = knowing();
  const out = node.through("pod2", build.echoFrame({ ...pathTo(node, POD2, CLIENT), echoId: 5, seq: 3 }));
  const id = Number(/id (\d+)/.exec(out.text)?.[1]);
  t.match(out.text, `IP ${node.address} > ${CLIENT}: ICMP echo request, id ${id}, seq 3`);
  const back = node.through(
    "uplink",
    build.echoFrame({ ...pathTo(node, CLIENT, node.address), reply: true, echoId: id, seq: 3 }),
  );
  t.equal(back.port, "pod2");
  t.match(back.text, `IP ${CLIENT} > ${POD2}: ICMP echo reply, id 5, seq 3`);
});

t.test("a protocol without ports is masqueraded by address, one connection a destination", async (t) => {
  const node = knowing();
  const gre = (src: string): Uint8Array =>
    build.ipFrame(pathTo(node, src, CLIENT), 47, 8, (view, off) => view.setFloat64(off, 0));
  t.equal(node.through("pod2", gre(POD2)).text.slice(0, 32), `IP ${node.address} > ${CLIENT}`.slice(0, 32));
  node.send("pod3", gre(POD3));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { CT_TUPLE_TAKEN: 1 });
});

t.test("inside the cluster, and to the node, nobody is masqueraded", async (t) => {
  const node = knowing();
  t.match(node.through("pod2", build.udpFrame(pathTo(node, POD2, POD3))).text, `IP ${POD2}.41000`);
  t.match(node.through("pod2", build.udpFrame(pathTo(node, POD2, node.address))).text, `IP ${POD2}.41000`);
  t.match(
    node.through("host", build.udpFrame(pathTo(node, node.address, POD2))).text,
    `IP ${node.address}.41000`,
  );
});

t.test("the node's own traffic keeps its address and port", async (t) => {
  const node = knowing();
  t.match(
    node.through("host", build.udpFrame(pathTo(node, node.address, CLIENT))).text,
    `IP ${node.address}.41000 >`,
  );
});

t.test("with masquerading off a pod leaves with its own address", async (t) => {
  const node = knowing();
  node.tables.config.snat.egress = 0;
  t.match(node.through("pod2", build.udpFrame(pathTo(node, POD2, CLIENT))).text, `IP ${POD2}.41000 >`);
});

t.test("a connection keeps its port unless its answers could be taken for another's", async (t) => {
  const node = knowing();
  node.setService({ name: "a", clusterIp: "10.96.0.1", endpoints: [`${POD3}:80`] });
  const syn = (dst: string): Uint8Array =>
    build.tcpFrame({ ...pathTo(node, POD2, dst), flags: "S", dstMac: node.gatewayMac });
  t.equal(sourcePort(node.through("pod2", syn("10.96.0.1")).text), 41000);
  // Straight to the endpoint from the same port: the answers would look the same.
  const second = sourcePort(node.through("pod2", syn(POD3)).text);
  t.not(second, 41000);
  t.equal(node.events().SNAT_PORT_REMAPPED, 1);
  const back = build.tcpFrame({ ...pathTo(node, POD3, POD2), flags: "S.", srcPort: 80, dstPort: second });
  t.match(node.through("pod3", back).text, `IP ${POD3}.80 > ${POD2}.41000`);
});

t.test(
  "no two connections to one destination ever share a source port, and none is a node port's",
  async () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1024, max: 29_990 }), (seed, from) => {
        const table = new Conntrack(10);
        setSeed(table, seed);
        const node = knowing({ tables: { conntrack: table } });
        // A narrow range round the node ports, so that collisions are the rule.
        node.tables.config.snat.min = 29_900;
        node.tables.config.snat.max = 32_900;
        const ports = new Set<number>();
        for (let i = 0; i < 150; i++) {
          const pod = i % 2 === 0 ? POD2 : POD3;
          node.send(
            i % 2 === 0 ? "pod2" : "pod3",
            build.udpFrame({ ...pathTo(node, pod, CLIENT), srcPort: from + i }),
          );
        }
        node.run();
        for (const text of node.texts("uplink")) {
          const port = sourcePort(text);
          if (port < 29_900 || port > 32_900 || (port >= 30_000 && port <= 32_767))
            throw new Error(`port ${port}`);
          ports.add(port);
        }
        if (ports.size !== 150) throw new Error(`${ports.size} ports for 150 connections`);
      }),
      { numRuns: 15 },
    );
  },
);

t.test(
  "when confirmed connections have every port the next one is refused and counted; other destinations go on",
  async (t) => {
    const node = knowing();
    node.tables.config.snat.min = 29_990;
    node.tables.config.snat.max = 32_777; // 10 ports below the node ports, 10 above
    const send = (srcPort: number, dstPort: number): void =>
      node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, CLIENT), srcPort, dstPort }));
    const { status } = node.tables.conntrack;
    for (let i = 0; i < 25; i++) {
      send(1100 + i, 53);
      node.advanceMs(10);
      status[i << 4] |= conntrack.Status.ASSURED;
    }
    const ports = node.texts("uplink").map(sourcePort);
    t.equal(ports.length, 20);
    t.equal(new Set(ports).size, 20);
    t.same(node.drops(), { SNAT_PORTS_EXHAUSTED: 5 });
    send(2000, 54);
    node.run();
    t.equal(node.received("uplink").length, 1);
    node.settle();
  },
);

t.test("a connection that was never confirmed gives its port up, and is gone", async (t) => {
  const node = knowing();
  node.tables.config.snat.min = 29_990;
  node.tables.config.snat.max = 32_777;
  const ct = node.tables.conntrack;
  const send = (srcPort: number): void =>
    node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, CLIENT), srcPort, dstPort: 53 }));
  for (let i = 0; i < 20; i++) send(1100 + i);
  node.run();
  node.everything();
  for (let slot = 0; slot < 19; slot++) ct.status[slot << 4] |= conntrack.Status.ASSURED;
  send(1999);
  node.run();
  t.same(node.everything(), [], "an answer may still come");
  let given = 0;
  for (let i = 0; i < 40; i++) {
    for (let slot = 0; slot < 20; slot++) ct.startSec[slot << 1] = node.engine.nowSec - 5;
    send(2000 + i);
    node.run();
    given += node.everything().length;
  }
  t.ok(given > 20, `${given} of 40 met the one`);
  t.equal(conntrack.earlyDrops(ct), given);
  t.equal(conntrack.used(ct), 20);
  for (let slot = 0; slot < 19; slot++) t.ok((ct.status[slot << 4] & conntrack.Status.ASSURED) !== 0);
});

t.test("while a walk through the ports has just failed, others only try their luck", async (t) => {
  const node = knowing();
  const { config, conntrack: ct } = node.tables;
  Object.assign(config.snat, { min: 20_000, max: 21_999, avoidMin: 22_000, avoidMax: 21_999 });
  const send = (srcPort: number): void =>
    node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, CLIENT), srcPort, dstPort: 53 }));
  for (let i = 0; i < 2000; i++) {
    send(1100 + i);
    node.run();
    ct.status[i << 4] |= conntrack.Status.ASSURED;
    node.advanceMs(10);
  }
  t.equal(conntrack.used(ct), 2000, "the walk finds the last ones");
  conntrack.remove(ct, 77);
  const missed = node.tables.walks.sourcePorts.walkFailedMs;
  send(9000);
  node.run();
  t.equal(conntrack.used(ct), 2000);
  t.equal(node.tables.walks.sourcePorts.walkFailedMs, missed, "found");
  ct.status[77 << 4] |= conntrack.Status.ASSURED;
  send(9001);
  node.run();
  t.equal(node.tables.walks.sourcePorts.walkFailedMs, node.tables.nowMs);
  conntrack.remove(ct, 78);
  send(9002);
  node.run();
  t.equal(conntrack.used(ct), 1999, "32 tries of 2,000 ports did not find it");
  node.advanceMs(6, 6);
  send(9200);
  node.run();
  t.equal(conntrack.used(ct), 2000);
});

t.test("who came from a privileged port leaves from one of the same kind", async (t) => {
  const node = knowing();
  for (const [first, low, high] of [
    [100, 1, 511],
    [600, 600, 1023],
    [1024, 1024, 65_535],
  ]) {
    for (let i = 0; i < 20; i++) {
      node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, CLIENT), srcPort: first + i }));
    }
    node.run();
    const ports = node.texts("uplink").map(sourcePort);
    t.equal(new Set(ports).size, 20);
    t.ok(
      ports.every((port) => Number(port) >= low && Number(port) <= high),
      `${ports}`,
    );
  }
});

t.test("the port of a connection that has expired is free again at once", async (t) => {
  const node = knowing();
  node.tables.config.snat.min = 1024;
  node.tables.config.snat.max = 1025;
  const send = (srcPort: number): void =>
    node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, CLIENT), srcPort }));
  node.tables.config.snat.avoidMin = 1026;
  node.tables.config.snat.avoidMax = 1025;
  send(5001);
  send(5002);
  node.run();
  t.equal(node.received("uplink").length, 2);
  node.clock.advanceSec(31);
  node.engine.lastSweepMs = node.clock.nowMs(); // the walk has not come by
  send(5003);
  node.run();
  t.equal(node.received("uplink").filter((r) => r.text.startsWith("IP")).length, 1);
  t.same(node.drops(), {});
});
