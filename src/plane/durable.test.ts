// What outlives a plane: another one takes over its memory, its services laid out otherwise, and whoever talks notices
// nothing. And memory that does not fit is refused, with a reason.
import fc from "fast-check";
import t from "tap";
import { regionStarts } from "../dataplane/change/durable.ts";
import { beginDrop } from "../dataplane/change/service-endpoints.ts";
import * as serviceChange from "../dataplane/change/services.ts";
import { Durable, H_LAYOUT, H_MAGIC, H_REGIONS, H_SIZES, REGIONS } from "../dataplane/durable.ts";
import { Scheduler } from "../dataplane/spec/services.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import * as seqadj from "../dataplane/table/connection/conntrack-seqadj.ts";
import * as expectations from "../dataplane/table/connection/expectations.ts";
import { slotOf } from "../dataplane/table/service/identities.ts";
import { tcpFrame, udpFrame } from "../testing/frames/frame-builder.ts";
import { Prng } from "../testing/prng.ts";
import type { ServiceOptions } from "../testing/world/test-cluster.ts";
import { pathTo } from "../testing/world/test-fabric.ts";
import { TestNode } from "../testing/world/test-node.ts";
import { allocate, beginClock, durableMismatch, open, type PlaneSizes } from "./plane-memory.ts";
import { LastingServiceIds } from "./service-ids.ts";

const [POD2, POD3, WEB_IP, DNS_IP, STICKY_IP] = [
  ...["10.244.1.2", "10.244.1.3", "10.96.0.10", "10.96.0.11", "10.96.0.12"],
];
const CLIENTS = 12;
const SIZES: PlaneSizes = {
  ...{ conntrackLog2: 8, maxPorts: 4, fdbLog2: 4, neighborsLog2: 4, stationsLog2: 4, poolSlots: 4 },
  ...{ frontendsLog2: 4, endpointsLog2: 4, policyRulesLog2: 4, seed: 7 },
};

const at = (...ports: number[]): string[] => ports.map((port) => `${POD3}:${port}`);
const WEB = { name: "web", clusterIp: WEB_IP, scheduler: Scheduler.LC, endpoints: at(8001, 8002, 8003) };
const DNS = { name: "dns", clusterIp: DNS_IP, protocol: 17, port: 53, endpoints: at(5301, 5302) };
/** As in ipvs mode: what is remembered is a virtual server's own. */
const STICKY = {
  ...{ name: "sticky", clusterIp: STICKY_IP, nodePort: 30_080, affinitySec: 10_800, ownAffinity: true },
  endpoints: at(9001, 9002, 9003, 9004, 9005, 9006),
};

/** The plane that comes after: it knows nothing but the memory and what it is told, in this order. */
function successor(
  n: TestNode,
  services: readonly ServiceOptions[],
  sizes: Partial<PlaneSizes> = {},
): TestNode {
  const next = new TestNode({ durable: n.memory.durable, clock: n.clock, sizes });
  for (const service of services) next.setService(service);
  return next;
}

function complete({ tables: { services } }: TestNode): void {
  beginDrop(services);
  while (serviceChange.isUnfinished(services)) serviceChange.goOn(services);
}

/** Where a packet of the client with this number comes out, and as what. */
function web(n: TestNode, client: number, flags: string): string {
  const numbers = { seq: flags === "S" ? 0 : 1, ack: flags === "S" ? 0 : 1 };
  return n.through(
    "pod2",
    tcpFrame({ ...pathTo(n, POD2, WEB_IP), srcPort: 40_000 + client, flags, ...numbers }),
  ).text;
}
function webAnswer(n: TestNode, client: number, from: string): string {
  const ends = { srcPort: Number(from), dstPort: 40_000 + client, flags: "S.", seq: 0, ack: 1 };
  return n.through("pod3", tcpFrame({ ...pathTo(n, POD3, POD2), ...ends })).text;
}
function dns(n: TestNode, client: number): string {
  return n.through("pod2", udpFrame({ ...pathTo(n, POD2, DNS_IP), srcPort: 41_000 + client, dstPort: 53 }))
    .text;
}
function sticky(n: TestNode, dst: string, dstPort: number, client: number): string {
  const ends = { ...pathTo(n, POD2, dst), srcPort: 42_000 + client, dstPort, flags: "S" };
  return portOf(n.through("pod2", tcpFrame(ends)).text);
}
const portOf = (text: string): string => /> 10\.244\.1\.3\.(\d+)/.exec(text)?.[1] ?? text;

/** "port: active/inactive" of each endpoint, as the scheduler sees it, and as the entries say it. */
function loads(n: TestNode): { counted: string[]; recounted: string[] } {
  const { services: s, conntrack: ct } = n.tables;
  const { active, inactive } = s.schedule.load;
  const slots = [...active.keys()].filter((slot) => active[slot] !== 0 || inactive[slot] !== 0);
  const found = new Map<number, number>();
  for (let slot = 0; slot < conntrack.highWater(ct); slot++) {
    if ((ct.status[slot << 4] & conntrack.Status.COUNTED) === 0) continue;
    const port = s.epPort[slotOf(s.ids, ct.endpoint[slot << 4])];
    found.set(port, (found.get(port) ?? 0) + 1);
  }
  return {
    counted: slots.map((slot) => `${s.epPort[slot]}: ${active[slot]}/${inactive[slot]}`).sort(),
    recounted: [...found].map(([port, count]) => `${port}: ${count}/0`).sort(),
  };
}

t.test("another plane goes on where one ended, its services told in another order", async (t) => {
  const n = new TestNode();
  for (const service of [{ ...DNS, name: "gone" }, WEB, DNS, STICKY]) {
    n.removeService("gone"); // the others' slots do not begin at the first one
    n.setService(service);
  }
  const clients = Array.from({ length: CLIENTS }, (_, i) => i);
  const chosen = clients.map((i) => portOf(web(n, i, "S")));
  const answers = clients.map((i) => webAnswer(n, i, chosen[i]));
  const segments = clients.map((i) => web(n, i, "."));
  const asked = clients.map((i) => dns(n, i));
  t.same([...new Set(asked.map(portOf))].sort(), ["5301", "5302"]);
  const [byVip, byNode] = [sticky(n, STICKY_IP, 80, 1), sticky(n, n.address, 30_080, 2)];
  const before = loads(n);
  t.same(before.counted, ["8001: 4/0", "8002: 4/0", "8003: 4/0"]);
  const list = n.connections();

  // The endpoint at 5301 has gone meanwhile, and there are services before all others that were not there.
  const more = { name: "first", clusterIp: "10.96.0.99", endpoints: at(7001, 7002, 7003) };
  const reversed = [...WEB.endpoints].reverse();
  const next = successor(n, [
    ...[more, { ...STICKY, endpoints: [...STICKY.endpoints].reverse() }],
    ...[
      { ...DNS, endpoints: at(5302) },
      { ...WEB, endpoints: reversed },
    ],
  ]);
  const [was, is] = [n, next].map(({ tables: { services: s } }) => s.epPort.indexOf(8001));
  t.not(is, was, "other slots");
  t.same(next.connections(), list);
  t.same(loads(next), before);
  t.same(
    clients.map((i) => dns(next, i)),
    asked,
    "who was not told of yet serves until everything has been told",
  );
  complete(next);

  t.same(
    clients.map((i) => web(next, i, ".")),
    segments,
    "towards the endpoint",
  );
  t.same(
    clients.map((i) => webAnswer(next, i, chosen[i])),
    answers,
    "towards the client",
  );
  t.same(loads(next), before);
  const again = clients.map((i) => dns(next, i));
  t.same(
    new Set(again.map(portOf)),
    new Set(["5302"]),
    "a UDP flow to an endpoint that is gone is decided anew",
  );
  t.same(next.events().CT_REDECIDED, asked.filter((text) => portOf(text) === "5301").length);
  t.same(
    [...clients.keys()].map((i) => sticky(next, STICKY_IP, 80, 100 + i)),
    clients.map(() => byVip),
  );
  t.same(
    [...clients.keys()].map((i) => sticky(next, next.address, 30_080, 200 + i)),
    clients.map(() => byNode),
  );
  for (let i = 0; i < 3; i++) web(next, 1000 + i, "S");
  t.same(
    loads(next).counted,
    ["8001: 5/0", "8002: 5/0", "8003: 5/0"],
    "the scheduler goes on from the counts",
  );
  next.advanceMs(400_000, 50_000);
  t.same(loads(next).counted, loads(next).recounted);
});

t.test("an endpoint that went and came back is another one, before a restart and after", async (t) => {
  const n = new TestNode();
  n.setService(DNS);
  const asked = Array.from({ length: 8 }, (_, i) => dns(n, i));
  n.setService({ ...DNS, endpoints: at(5302) });
  const next = successor(n, [DNS]);
  complete(next);
  const stale = asked.filter((text) => portOf(text) === "5301").length;
  for (let i = 0; i < 8; i++) dns(next, i);
  t.same([stale > 0, next.events().CT_REDECIDED], [true, stale]);
});

t.test("a service port that is not told again takes its endpoints along", async (t) => {
  const n = new TestNode();
  for (const service of [WEB, STICKY]) n.setService(service);
  for (let i = 0; i < 3; i++) web(n, i, "S");
  const next = successor(n, [STICKY]);
  t.equal(loads(next).counted.length, 3);
  complete(next);
  const { ids } = next.tables.services;
  t.same(loads(next).counted, []);
  t.equal(ids.header[3], STICKY.endpoints.length, "ids in use");
  t.same([ids.unclaimed.size, ids.rows.size], [0, 3], "its name and two virtual servers");
  t.equal(next.connections().length, 3, "TCP connections stay, as kube-proxy leaves them");
});

t.test("a third plane finds what the second one made of it", async (t) => {
  const n = new TestNode();
  n.setService(WEB);
  const first = portOf(web(n, 1, "S"));
  const second = successor(n, [DNS, WEB]);
  complete(second);
  const other = portOf(web(second, 2, "S"));
  const third = successor(second, [STICKY, DNS, WEB]);
  complete(third);
  t.same(
    [1, 2].map((i) => portOf(web(third, i, "S"))),
    [first, other],
  );
  t.same(loads(third).counted, loads(second).counted);
});

t.test("ids of service ports: who had one keeps it, nobody gets another's", async (t) => {
  const n = new TestNode();
  for (const service of [WEB, DNS, STICKY]) n.setService(service);
  n.removeService("web");
  const ids = new LastingServiceIds(n.tables.services.ids);
  const taken = ["dns", "sticky", "web", "new"].map((name) => ids.take(name).id);
  t.same(taken, [2, 3, 4, 5]);
  t.not(ids.take("dns").id, 2, "taken once");
});

t.test("half a write is put in order: index, free slots and counts come from the entries", async (t) => {
  const sizes = { conntrackLog2: 6 };
  const property = fc.property(fc.integer(), fc.integer({ min: 1, max: 29 }), (seed, gone) => {
    const noise = new Prng(seed);
    const n = new TestNode({ sizes });
    n.setService(WEB);
    for (let i = 0; i < 30; i++) web(n, i, "S");
    const ct = n.tables.conntrack;
    for (let slot = 0; slot < gone; slot++) conntrack.remove(ct, slot);
    const list = n.connections();
    for (let i = 0; i < ct.index.length; i++) ct.index[i] = noise.next() | 0;
    for (const word of [conntrack.H_USED, conntrack.H_FREE]) ct.header[word] = noise.next() | 0;
    ct.header[conntrack.H_EVENT_READERS] = 1;
    const next = successor(n, [WEB], sizes);
    const { conntrack: after } = next.tables;
    const isCounted = conntrack.used(after) === 30 - gone && after.header[conntrack.H_EVENT_READERS] === 0;
    for (let i = gone; i < 30; i++) web(next, i, "S");
    const isFound = next.connections().length === list.length;
    for (let i = 0; i < gone; i++) web(next, 100 + i, "S"); // every slot that was free is to be had again
    return isCounted && isFound && conntrack.highWater(after) === 30 && conntrack.used(after) === 30;
  });
  fc.assert(property, { numRuns: 5 });
  t.pass();
});

t.test("expected connections and shifted numbers are in the memory", async (t) => {
  const one = open(allocate(SIZES), SIZES).durable;
  const key = Int32Array.of(0, 0, 0xffff, 1, 0, 0, 0xffff, 2, 21, (4 << 8) | 6);
  const slot = conntrack.insert(
    one.conntrack,
    key,
    Int32Array.of(0, 0, 0xffff, 2, 0, 0, 0xffff, 1, 21 << 16, 0x406),
    1,
  );
  one.conntrack.status[slot << 4] |= conntrack.Status.HELPER;
  expectations.expect(one.expectations, one.conntrack, slot, key, 1);
  seqadj.add(one.seqadj, one.conntrack, slot);
  seqadj.shift(one.seqadj, 2 * seqadj.find(one.seqadj, slot), 100, 7);
  const memory = one.memory as SharedArrayBuffer;
  const two = open(allocate(SIZES, memory), SIZES).durable;
  t.equal(expectations.used(two.expectations), 1);
  t.equal(expectations.find(two.expectations, two.conntrack, key, 2), 0);
  t.equal(seqadj.offsetOf(two.seqadj, 2 * seqadj.find(two.seqadj, slot), 200), 7);
});

t.test("the clock and the seeds go on", async (t) => {
  const { durable } = open(allocate(SIZES), SIZES);
  t.equal(beginClock(durable, 5000), 5000);
  const memory = durable.memory as SharedArrayBuffer;
  const other = { ...SIZES, seed: 99 };
  const { durable: again } = open(allocate(other, memory), other);
  t.equal(beginClock(again, 9000), 5000);
  t.equal(again.affinity.seed, 7);
  t.equal(again.conntrack.header[4], 7);
});

t.test("memory that does not fit is refused, with the reason", async (t) => {
  const memory = allocate(SIZES).durable;
  t.equal(durableMismatch(memory, SIZES), "", "zeroed: a group is made in it");
  open({ ...allocate(SIZES), durable: memory }, SIZES);
  t.equal(durableMismatch(memory, SIZES), "");
  const words = new Int32Array(memory);
  const changed = (word: number, value: number): string => {
    const before = words[word];
    words[word] = value;
    const found = durableMismatch(memory, SIZES);
    words[word] = before;
    return found;
  };
  t.match(changed(H_MAGIC, 1), "it holds something else");
  t.match(changed(H_LAYOUT, 9), "its header has layout 9, this podwire has 1");
  t.match(changed(H_REGIONS, 2), /its connections have layout 2, this podwire's have \d+/);
  t.match(changed(H_SIZES, 9), "its conntrackLog2 is 9, now it is 8");
  const sizes = { ...SIZES, affinityLog2: 17 };
  for (const [{ name, hasHeader }, at] of regionStarts(sizes))
    if (hasHeader === true) {
      t.match(changed(at / 4, 0), `its ${name} are damaged: no table begins there`);
      t.match(changed(at / 4 + 1, 20), "it is damaged: memory holds table layout");
    }
  const connections = (regionStarts(sizes).get(REGIONS.conntrack) as number) / 4;
  t.match(changed(connections, 0), "its connections are damaged: no table begins there");
  t.match(changed(connections + 1, 99), "it is damaged: conntrack memory has layout 99");
  for (const word of [conntrack.H_NEVER_USED, conntrack.H_SWEEP, conntrack.H_EVICT])
    t.match(changed(connections + word, -1), "its connections are damaged: slot -1 of 256");
  t.equal(durableMismatch(memory, SIZES), "");
  t.match(durableMismatch(memory, { ...SIZES, endpointsLog2: 5 }), "its endpointsLog2 is 4, now it is 5");
  t.match(durableMismatch(new SharedArrayBuffer(64), SIZES), "it has 64 bytes, not");
  t.match(durableMismatch(new SharedArrayBuffer(4096), SIZES), "it has 4096 bytes, not");
  const wrong = { ...SIZES, conntrackLog2: 9 };
  t.throws(() => open({ ...allocate(wrong), durable: memory }, wrong), RangeError);
  t.equal(memory.byteLength, Durable.bytesFor({ ...SIZES, affinityLog2: 17 }));
});
