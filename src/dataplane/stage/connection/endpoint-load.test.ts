// Live connections by endpoint: after any sequence of packets, changes and time the counts are what a walk over conntrack
// counts anew, and schedulers that ask for them send new connections where there are fewest.

import fc from "fast-check";
import t from "tap";
import { sctpFrame, tcpFrame, udpFrame } from "../../../testing/frames/frame-builder.ts";
import type { SctpChunk } from "../../../testing/frames/frame-options.ts";
import * as chunk from "../../../testing/frames/sctp-chunks.ts";
import { pathTo } from "../../../testing/world/test-fabric.ts";
import { TestNode } from "../../../testing/world/test-node.ts";
import { Scheduler } from "../../spec/services.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import { Conntrack } from "../../table/connection/conntrack.ts";
import { TcpState } from "../../table/connection/ct-states.ts";
import { slotOf } from "../../table/service/identities.ts";

const [VIP, POD2, POD3] = ["10.96.0.10", "10.244.1.2", "10.244.1.3"];
const [MINE, THEIRS] = [0x11111111, 0x7a7a7a7a]; // verification tags
const ACTIVE: readonly number[] = [
  TcpState.SYN_SENT,
  TcpState.SYN_RECV,
  TcpState.ESTABLISHED,
  TcpState.SYN_SENT2,
];

/** "slot: active/inactive" of every endpoint that has any, counted from the entries themselves. */
function recount(n: TestNode): Map<number, string> {
  const { conntrack: ct, services: s } = n.tables;
  const counts = new Map<number, [active: number, inactive: number]>();
  for (let slot = 0; slot < conntrack.highWater(ct); slot++) {
    const endpoint = slotOf(s.ids, ct.endpoint[slot << 4]);
    if (ct.status[slot << 4] === 0 || endpoint < 0) continue;
    const proto = conntrack.protoOf(ct, slot);
    const isActive = proto === 17 || ACTIVE.includes(ct.state[slot << 5]);
    const count = counts.get(endpoint) ?? [0, 0];
    count[isActive ? 0 : 1]++;
    counts.set(endpoint, count);
  }
  return new Map([...counts].map(([endpoint, [a, i]]) => [endpoint, `${a}/${i}`]));
}

function counted(n: TestNode): Map<number, string> {
  const { active, inactive } = n.tables.services.schedule.load;
  const list = [...active.keys()].filter((slot) => active[slot] !== 0 || inactive[slot] !== 0);
  return new Map(list.map((slot) => [slot, `${active[slot]}/${inactive[slot]}`]));
}

const sorted = (counts: Map<number, string>): string[] => [...counts].map(([s, c]) => `${s}: ${c}`).sort();

/** The endpoint of the connection with this client port as "10.244.1.3:port", and how to answer from there. */
function endpointOf(n: TestNode, srcPort: number): number {
  const { conntrack: ct, services: s } = n.tables;
  for (let slot = 0; slot < conntrack.highWater(ct); slot++) {
    if (ct.status[slot << 4] === 0 || conntrack.portsOf(ct, slot << 1) >>> 16 !== srcPort) continue;
    return s.epPort[slotOf(s.ids, ct.endpoint[slot << 4])] ?? -1;
  }
  return -1;
}

const step = fc.oneof(
  fc.record({
    do: fc.constant("tcp"),
    client: fc.integer({ min: 1, max: 8 }),
    flags: fc.constantFrom("S", "S", ".", "F.", "R"),
  }),
  fc.record({
    do: fc.constant("answer"),
    client: fc.integer({ min: 1, max: 8 }),
    flags: fc.constantFrom("S.", "S.", ".", "F.", "R"),
  }),
  fc.record({ do: fc.constant("udp"), client: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ do: fc.constant("wait"), seconds: fc.constantFrom(1, 5, 40, 130, 1000) }),
  fc.record({ do: fc.constant("delete"), nth: fc.integer({ min: 0, max: 7 }) }),
  fc.record({
    do: fc.constant("endpoints"),
    ports: fc.uniqueArray(fc.integer({ min: 8001, max: 8004 }), { maxLength: 4 }),
  }),
  fc.record({ do: fc.constant("gone") }),
) as fc.Arbitrary<{
  do: string;
  client: number;
  flags: string;
  seconds: number;
  nth: number;
  ports: number[];
}>;

function setServices(n: TestNode, ports: readonly number[]): void {
  const endpoints = [...ports].sort().map((port) => `${POD3}:${port}`);
  const common = { clusterIp: VIP, endpoints, scheduler: Scheduler.LC };
  n.setService({ ...common, name: "web" });
  n.setService({ ...common, name: "dns", protocol: 17, port: 53 });
}

t.test("counts are what a recount finds, whatever happens to connections and endpoints", async (t) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
      // 32 slots: room runs out, and the early drop has to count as well.
      const n = new TestNode({ tables: { conntrack: new Conntrack(5) }, unchecked: true });
      setServices(n, [8001, 8002, 8003]);
      let fresh = 0;
      for (const s of steps) {
        const srcPort = 41000 + s.client;
        if (s.do === "tcp") {
          // Every fourth is a client that was never seen before.
          const port = ++fresh % 4 === 0 ? 42000 + fresh : srcPort;
          n.send("pod2", tcpFrame({ ...pathTo(n, POD2, VIP), srcPort: port, flags: s.flags }));
        } else if (s.do === "answer") {
          const from = endpointOf(n, srcPort);
          const ends = { ...pathTo(n, POD3, POD2), srcPort: from, dstPort: srcPort };
          if (from > 0) n.send("pod3", tcpFrame({ ...ends, flags: s.flags }));
        } else if (s.do === "udp") {
          n.send("pod2", udpFrame({ ...pathTo(n, POD2, VIP), srcPort, dstPort: 53 }));
        } else if (s.do === "wait") n.advanceMs(s.seconds * 1000, s.seconds * 250);
        else if (s.do === "endpoints") setServices(n, s.ports);
        else if (s.do === "gone") n.removeService("web");
        else {
          const ct = n.tables.conntrack;
          if (ct.status[s.nth << 4] !== 0) conntrack.remove(ct, s.nth);
        }
        n.run();
        n.everything();
        t.same(sorted(counted(n)), sorted(recount(n)), s.do);
      }
      return true;
    }),
    { numRuns: 60 },
  );
});

/** Opens a TCP connection and answers it; the endpoint's port. */
function open(n: TestNode, srcPort: number): number {
  n.send("pod2", tcpFrame({ ...pathTo(n, POD2, VIP), srcPort, flags: "S" }));
  n.run();
  const from = endpointOf(n, srcPort);
  const back = { ...pathTo(n, POD3, POD2), srcPort: from, dstPort: srcPort };
  n.send("pod3", tcpFrame({ ...back, flags: "S." }));
  n.run();
  n.send("pod2", tcpFrame({ ...pathTo(n, POD2, VIP), srcPort, flags: "." }));
  n.run();
  n.everything();
  return from;
}

const ENDPOINTS = [8001, 8002, 8003].map((port) => `${POD3}:${port}`);

t.test("lc sends the next connection to the endpoint that has the fewest", async (t) => {
  const n = new TestNode({ unchecked: true });
  n.setService({ name: "web", clusterIp: VIP, endpoints: ENDPOINTS, scheduler: Scheduler.LC });
  t.same(
    [1, 2, 3, 4].map((i) => open(n, 41000 + i)),
    [8001, 8002, 8003, 8001],
  );
  // The second client says farewell: its endpoint has only an inactive connection now.
  n.send("pod2", tcpFrame({ ...pathTo(n, POD2, VIP), srcPort: 41002, flags: "F." }));
  n.run();
  t.same(
    [5, 6].map((i) => open(n, 41000 + i)),
    [8002, 8003],
  );
});

t.test("wlc counts by weight, and weight 0 gets nothing", async (t) => {
  const n = new TestNode({ unchecked: true });
  const common = { name: "web", clusterIp: VIP, endpoints: ENDPOINTS, scheduler: Scheduler.WLC };
  n.setService({ ...common, weights: [0, 1, 3] });
  const got = Array.from({ length: 12 }, (_, i) => open(n, 41000 + i));
  t.same(
    [8001, 8002, 8003].map((port) => got.filter((p) => p === port).length),
    [0, 3, 9],
  );
});

t.test("an SCTP association is active while it is established", async (t) => {
  const n = new TestNode();
  const endpoints = [`${POD3}:9999`];
  n.setService({
    name: "m3ua",
    clusterIp: VIP,
    port: 9999,
    protocol: 132,
    endpoints,
    scheduler: Scheduler.LC,
  });
  const load = (): string => [...counted(n).values()].join();
  const say = (who: "pod2" | "pod3", vtag: number, ...chunks: SctpChunk[]): string => {
    const there = { ...pathTo(n, POD2, VIP), srcPort: 41000, dstPort: 9999 };
    const back = { ...pathTo(n, POD3, POD2), srcPort: 9999, dstPort: 41000 };
    n.through(who, sctpFrame({ ...(who === "pod2" ? there : back), vtag, chunks }));
    return load();
  };
  t.equal(say("pod2", 0, chunk.init(MINE)), "0/1");
  t.equal(say("pod3", MINE, chunk.initAck(THEIRS)), "0/1");
  t.equal(say("pod2", THEIRS, chunk.cookieEcho), "0/1");
  t.equal(say("pod3", MINE, chunk.cookieAck), "1/0");
  t.equal(say("pod2", THEIRS, chunk.shutdown), "0/1");
  n.advanceMs(300_000, 5000);
  t.equal(load(), "");
});

t.test("without a scheduler nothing is counted", async (t) => {
  const n = new TestNode({ unchecked: true });
  n.setService({ name: "web", clusterIp: VIP, endpoints: ENDPOINTS });
  open(n, 41001);
  t.equal(counted(n).size, 0);
});
