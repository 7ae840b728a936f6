// The engine round the pipeline: batches, counters, its one try, housekeeping, ports that come and go.
import t from "tap";
import { IoKind } from "../base/addon.ts";
import { createMemoryPair } from "../device/memory-pair.ts";
import * as build from "../testing/frames/frame-builder.ts";
import { macOf, nodeAddress, uplinkMacOf } from "../testing/world/test-cluster.ts";
import { pathTo } from "../testing/world/test-fabric.ts";
import { TestNode } from "../testing/world/test-node.ts";
import * as offloadTwin from "../wire/bytes/offload.ts";
import { Event, PortCounter, portCounter } from "./counters.ts";
import { DropReason } from "./drop-reason.ts";
import * as engine from "./engine.ts";
import { type Port, PortRole } from "./port.ts";
import * as fdb from "./table/fdb.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const PODS = [POD2, POD3];
const PODS6 = ["fd00:10:244:1::2", "fd00:10:244:1::3"];
const EAGAIN = -11;
const ENETDOWN = -100;
const EBADFD = -77;

const hello = (node: TestNode, payload = 5): Uint8Array =>
  build.udpFrame({ ...pathTo(node, POD2, POD3), payload });

t.test("one poll takes one batch and sends what came of it", async (t) => {
  const node = new TestNode();
  for (let i = 0; i < engine.BATCH + 10; i++) node.send("pod2", hello(node));
  t.equal(engine.pollPort(node.engine, node.portId("pod2")), engine.BATCH);
  t.equal(node.tables.tx.count, 0);
  t.equal(engine.pollPort(node.engine, node.portId("pod2")), 10);
  t.equal(engine.pollPort(node.engine, node.portId("pod2")), 0);
  node.run();
  t.equal(node.received("pod3").length, engine.BATCH + 10);
  t.equal(node.counters.events[Event.RX_BATCHES], 2);
});

t.test("packets and bytes are counted where they come in and where they leave", async (t) => {
  const node = new TestNode();
  const frame = hello(node);
  node.through("pod2", frame);
  node.send("pod2", new Uint8Array(9));
  node.run();
  const at = (port: string, column: number): number => portCounter(node.counters, node.portId(port), column);
  t.equal(at("pod2", PortCounter.RX_PACKETS), 2);
  t.equal(at("pod2", PortCounter.RX_BYTES), frame.length + 9);
  t.equal(at("pod2", PortCounter.RX_DROPS), 1);
  t.equal(at("pod3", PortCounter.TX_PACKETS), 1);
  t.equal(at("pod3", PortCounter.TX_BYTES), frame.length);
});

t.test("an exception costs the frame it happened in, not the rest of the batch", async (t) => {
  let calls = 0;
  const checksum: typeof offloadTwin.checksum = (...args) => {
    if (++calls === 2) throw new RangeError("planted");
    return offloadTwin.checksum(...args);
  };
  const node = new TestNode({ offload: { ...offloadTwin, checksum } });
  const fragmented = (id: number): Uint8Array =>
    build.udpFrame({ ...pathTo(node, "203.0.113.9", POD2), dontFragment: false, id, payload: 1472 });
  for (let id = 0; id < 3; id++) {
    node.send("uplink", fragmented(id), Uint8Array.from([1, 0, 0, 0, 0, 0, 34, 0, 6, 0]));
  }
  t.equal(engine.pollPort(node.engine, node.portId("uplink")), 3);
  t.equal(node.counters.drops[DropReason.INTERNAL_ERROR], 1);
  t.match(node.engine.lastError, /RangeError: planted/);
  node.counters.drops[DropReason.INTERNAL_ERROR] = 0;
  node.engine.lastError = "";
  node.run();
  t.equal(node.received("pod2").length, 4, "two datagrams in two fragments");
});

t.test("a port that has nothing is no error, nor one whose link is down; one that is gone is", async (t) => {
  const node = new TestNode();
  const answers = [EAGAIN, ENETDOWN, EBADFD];
  const port: Port = {
    ...{ name: "flaky", role: PortRole.POD, ioKind: 0, fd: -1 },
    receive: () => answers.shift() ?? 0,
  };
  engine.attach(node.engine, 40, port, build.mac(macOf("10.244.1.40")), 1450);
  t.equal(engine.pollPort(node.engine, 40), 0);
  t.equal(engine.pollPort(node.engine, 40), 0);
  t.equal(engine.pollPort(node.engine, 40), EBADFD);
  t.equal(engine.pollPort(node.engine, 41), 0, "never attached");
});

t.test("a port that is full refuses, and that is counted", async (t) => {
  const node = new TestNode({ queue: 4 });
  for (let i = 0; i < 3; i++) node.send("pod2", hello(node));
  engine.pollPort(node.engine, node.portId("pod2"));
  for (let i = 0; i < 3; i++) node.send("pod2", hello(node));
  node.run();
  t.equal(node.received("pod3").length, 4);
  t.same(node.drops(), { TX_QUEUE_FULL: 2 });
});

t.test("a detached port gets nothing more, and its addresses are forgotten", async (t) => {
  const node = new TestNode();
  const used = fdb.used(node.tables.fdb);
  engine.detach(node.engine, node.portId("pod3"));
  t.equal(fdb.used(node.tables.fdb), used - 1);
  node.send("pod2", hello(node));
  node.run();
  t.same(node.received("pod3"), []);
  t.equal(engine.pollPort(node.engine, node.portId("pod3")), 0);
});

t.test("one of two engines decides in its turn and sends between turns", async (t) => {
  const log: string[] = [];
  const turn = {
    enter: () => log.push("enter"),
    resume: () => log.push("resume"),
    leave: () => log.push("leave"),
  };
  const node = new TestNode({ engines: 2, summed: true, turn });
  const { summing } = node;
  if (summing === null) return;
  const { transmit } = summing;
  summing.transmit = (...args: Parameters<typeof transmit>) => {
    log.push("transmit");
    return transmit.apply(summing, args);
  };
  const poll = (port: string, frame: Uint8Array): string[] => {
    log.length = 0;
    node.send(port, frame);
    const id = node.portId(port);
    engine.pollPort(node.engines[id % 2], id);
    return log.slice();
  };
  const between = ["enter", "leave", "transmit", "resume", "leave"];
  t.same(poll("pod2", hello(node)), between);
  const toPeer = build.udpFrame(pathTo(node, node.address, nodeAddress(2)));
  t.same(poll("pod2", build.udpFrame(pathTo(node, POD2, nodeAddress(2)))), between, "asks who that is");
  const told = { senderIp: nodeAddress(2), senderMac: uplinkMacOf(2), targetIp: node.address };
  const reply = build.arpFrame({ op: 2, ...told, targetMac: node.uplinkMac, dstMac: node.uplinkMac });
  t.same(
    poll("uplink", reply),
    ["enter", "transmit", "leave"],
    "what waited leaves before others have their turn",
  );
  t.same(poll("host", toPeer), between);
  node.run();
  t.equal(node.received("uplink").length, 3);
});

t.test("what was read of a device that went before its turn came is thrown away", async (t) => {
  for (const change of ["nothing", "detach", "another device"]) {
    let meanwhile = (): void => {};
    const turn = { enter: () => meanwhile(), resume: () => {}, leave: () => {} };
    const node = new TestNode({ engines: 2, turn });
    const id = node.portId("pod3");
    const own = node.engines[id % 2];
    const [port] = createMemoryPair("pod3", PortRole.POD, 4);
    meanwhile = () => {
      if (change !== "nothing") engine.detach(own, id);
      if (change === "another device") engine.attach(own, id, port, build.mac(macOf(POD3)), 1450);
    };
    node.send("pod3", build.udpFrame(pathTo(node, POD3, POD2)));
    t.equal(engine.pollPort(own, id), 1, change);
    meanwhile = () => {};
    node.run();
    t.equal(node.received("pod2").length, change === "nothing" ? 1 : 0, change);
  }
});

t.test(
  "what is expected alone leaves alone, but what nobody waits for goes with what follows it",
  async (t) => {
    const tcp = { seq: 1, ack: 1, srcPort: 41000, dstPort: 80 };
    const stamped = { timestamps: [1, 2] } as const;
    for (const [name, first, wanted] of [
      ["an acknowledgement", { flags: "." }, 2],
      ["the same with options", { flags: ".", ...stamped }, 2],
      ["an end", { flags: "F." }, 2],
      ["a reset", { flags: "R." }, 2],
      ["data", { flags: "P.", payload: 1 }, 1],
      ["what opens a connection", { flags: "S", mss: 1400 }, 1],
      ["its answer", { flags: "S." }, 1],
    ] as const) {
      for (const [src, dst] of [PODS, PODS6]) {
        const node = new TestNode();
        const frames = [first, { flags: "P.", payload: 7 }, { flags: "P.", payload: 8 }];
        for (const frame of frames)
          node.send("pod2", build.tcpFrame({ ...pathTo(node, src, dst), ...tcp, ...frame }));
        t.equal(engine.pollFew(node.engine, node.portId("pod2")), wanted, name);
        t.equal(node.tables.tx.count, 0);
        t.equal(engine.pollFew(node.engine, node.portId("pod2")), 1);
        t.equal(portCounter(node.counters, node.portId("pod2"), PortCounter.RX_PACKETS), wanted + 1);
      }
    }
    const node = new TestNode();
    t.equal(engine.pollFew(node.engine, node.portId("pod2")), 0);
    for (let i = 0; i < 2; i++) node.send("pod2", hello(node, 0));
    t.equal(engine.pollFew(node.engine, node.portId("pod2")), 1, "UDP");
  },
);

t.test("what was read in two calls leaves in order, once each", async (t) => {
  const node = new TestNode();
  const path = pathTo(node, POD2, POD3);
  for (const [payload, seq] of [
    [9, 1],
    [0, 10],
    [5, 10],
  ])
    node.send("pod2", build.tcpFrame({ ...path, flags: payload === 0 ? "." : "P.", payload, seq, ack: 1 }));
  t.same(
    [1, 2].map(() => engine.pollFew(node.engine, node.portId("pod2"))),
    [1, 2],
  );
  node.run();
  const lengths = node.received("pod3").map(({ frame }) => frame.length);
  t.same(lengths, [63, 54, 59]);
});

t.test("a packet socket is asked for all that came with what is expected", async (t) => {
  const node = new TestNode();
  const id = node.portId("pod2");
  node.engine.ports.ioKind[id] = IoKind.PACKET_VNET;
  for (let i = 0; i < 10; i++) node.send("pod2", hello(node));
  t.same(
    [1, 2, 3].map(() => engine.pollFew(node.engine, id)),
    [8, 2, 0],
  );
});

t.test("a port without receive or transmit can be attached", async (t) => {
  const node = new TestNode();
  const port: Port = { name: "sink", role: PortRole.POD, ioKind: 0, fd: -1 };
  engine.attach(node.engine, 40, port, build.mac(macOf("10.244.1.40")), 1450);
  t.equal(engine.pollPort(node.engine, 40), 0);
  fdb.addStatic(node.tables.fdb, ...macWords("10.244.1.40"), 40);
  node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, "10.244.1.40") }));
  node.run();
  t.same(node.drops(), { TX_ERROR: 1 });
});

t.test("every learned MAC is aged out in the course of ticks, at whatever pace they come", async (t) => {
  for (const stepMs of [1, 37, 100, 1000, 4096]) {
    const node = new TestNode();
    const table = node.tables.fdb;
    const before = fdb.used(table);
    for (let i = 0; i < 200; i++) fdb.learn(table, 0x0200, i, 9, 1);
    node.clock.advanceSec(301);
    for (let ms = 0; ms < 64_000; ms += stepMs) {
      engine.setClock(node.engine, node.clock.nowMs());
      engine.tick(node.engine);
      node.clock.advanceMs(stepMs);
    }
    t.equal(fdb.used(table), before, `ticks every ${stepMs} ms`);
  }
});

t.test("every turn is counted", async (t) => {
  const node = new TestNode();
  const before = node.tables.counters.events[Event.POLLS];
  for (let i = 0; i < 3; i++) engine.tick(node.engine);
  t.equal(node.tables.counters.events[Event.POLLS], before + 3);
});

t.test("the clock's seconds begin at one, since zero means free", async (t) => {
  const node = new TestNode();
  engine.setClock(node.engine, 0);
  t.equal(node.engine.nowSec, 1);
  engine.setClock(node.engine, 2 ** 31 + 1500);
  t.equal(node.tables.nowMs, (2 ** 31 + 1500) | 0);
  t.equal(node.engine.nowSec, 2_147_485 + 1);
});

function macWords(address: string): [number, number] {
  const { hi, lo } = build.mac(macOf(address));
  return [hi, lo];
}
