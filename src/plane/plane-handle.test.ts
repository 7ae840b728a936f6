// The worker as the main thread sees it: changes of any size are taken in, and none holds the plane up for long.

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import t, { type Test } from "tap";
import { Event } from "../dataplane/counters.ts";
import { Action, FrontendKind, type ServicePortSpec } from "../dataplane/spec/services.ts";
import * as neighbor from "../dataplane/table/neighbor.ts";
import { endedLate } from "../dataplane/trace/late.ts";
import * as ring from "../dataplane/trace/record-ring.ts";
import { StageId } from "../dataplane/trace/stage-id.ts";
import { Mode } from "../dataplane/trace/watchers.ts";
import { Verdict } from "../dataplane/verdict.ts";
import { loadNative } from "../native/binding.ts";
import { TestNode } from "../testing/world/test-node.ts";
import { applyMessage } from "./apply-message.ts";
import { Crew } from "./crew/crew.ts";
import { PlaneHandle } from "./plane-handle.ts";

const SIZES = {
  ...{ conntrackLog2: 10, maxPorts: 4, fdbLog2: 4, neighborsLog2: 4, stationsLog2: 4, poolSlots: 4 },
  ...{ frontendsLog2: 10, endpointsLog2: 10, policyRulesLog2: 4, seed: 7 },
};

function spec(id: number, endpoints: number): ServicePortSpec {
  const each = { action: Action.DNAT, set: 0, masquerade: false };
  const address = { w0: 0, w1: 0, w2: 0xffff };
  return {
    id,
    name: `s${id}`,
    protocol: 6,
    affinitySec: 0,
    endpoints: Array.from({ length: endpoints }, (_, i) => ({ ...address, w3: i, port: id, flags: 6 })),
    sets: [Array.from({ length: endpoints }, (_, i) => i)],
    frontends: [
      {
        kind: FrontendKind.CLUSTER_IP,
        ...{ ...address, w3: id, family: 4, port: 80 },
        sourceRanges: null,
        byClass: [each, each, each],
      },
    ],
  };
}

function planeOf(t: Test, workers?: number): PlaneHandle {
  const onExit = (error: Error): void => void t.fail(error.message);
  const scheduling = { spinUs: 0, pauseUs: 0, cpuLatencyUs: -1, nice: 0, ...(workers && { workers }) };
  const plane = new PlaneHandle(loadNative(), { sizes: SIZES, ...scheduling, onExit });
  t.teardown(() => plane.stop());
  return plane;
}

t.test("service ports that do not fit are told, and taken in when there is room", async (t) => {
  const plane = planeOf(t);
  const put = (...upsert: ServicePortSpec[]): Promise<void> =>
    plane.apply({ type: "services", update: { upsert, remove: [] } });
  await put(spec(1, 500), spec(2, 500));
  t.same(plane.refused.count, 0);
  await put(spec(3, 500), spec(4, 10));
  t.same(plane.refused, { count: 1, id: 3 }, "the small one fits");
  await plane.apply({ type: "services", update: { upsert: [], remove: [1] } });
  for (let i = 0; i < 200 && plane.refused.count > 0; i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(plane.refused.count, 0);
  t.equal(plane.errors, 0);
  t.ok(plane.heldMs > 0);
});

t.test("of two workers one changes the tables, both what each has for itself", async (t) => {
  const plane = planeOf(t, 2);
  const address = { w0: 0, w1: 0, w2: 0xffff, w3: 9 };
  const port = { role: 0, ioKind: 0, fd: -1, macHi: 2, macLo: 3, mtu: 1500 };
  for (const id of [0, 1]) await plane.apply({ type: "attach", port: { ...port, id, name: `p${id}` } });
  await plane.apply({ type: "services", update: { upsert: [spec(1, 3)], remove: [] } });
  await plane.apply({ type: "stations", add: [{ ...address, macHi: 2, macLo: 3, port: 1 }], remove: [] });
  const { stations, counters } = plane.tables;
  t.not(neighbor.find(stations, 0, 0, 0xffff, 9), -1);
  await plane.apply({ type: "stations", add: [], remove: [address] });
  t.equal(neighbor.find(stations, 0, 0, 0xffff, 9), -1);
  await plane.apply({ type: "detach", id: 1 });
  t.equal(counters.events[Event.COMMITS], 6, "each change counts once");
  t.equal(plane.errors, 0);
});

t.test("two threads never have their turn at once, and the tables' time never goes back", async (t) => {
  const rounds = 5_000;
  const memory = Crew.memory();
  const seen = new Float64Array(new SharedArrayBuffer(24)); // entries, time, faults
  const file = new URL("./crew/crew.js", import.meta.url).href;
  const work = `
    import { workerData } from "node:worker_threads";
    const { memory, seen, rounds, file } = workerData;
    const { Crew } = await import(file);
    const crew = new Crew(memory, () => {});
    for (let i = 0; i < rounds; i++) {
      crew.nowMs = Math.floor(Math.random() * 1000) + i;
      crew.enter();
      const entries = seen[0];
      if (crew.clock[1] < seen[1] || crew.clock[1] < crew.nowMs) seen[2]++;
      seen[1] = crew.clock[1];
      seen[0] = entries + 1;
      crew.leave();
    }`;
  const code = new URL(`data:text/javascript,${encodeURIComponent(work)}`);
  const threads = [0, 1].map(() => new Worker(code, { workerData: { memory, seen, rounds, file } }));
  await Promise.all(threads.map((thread) => once(thread, "exit")));
  t.same(
    [...seen].filter((_, i) => i !== 1),
    [2 * rounds, 0],
  );
});

t.test("who watches sees times of all workers that never go back, from the first packet on", async (t) => {
  const memory = Crew.memory();
  const node = new TestNode({ engines: 2 });
  const crews = node.engines.map(({ tables }) => {
    return new Crew(memory, () => {
      tables.watchers.active = 1;
    });
  });
  const seen = [0, 1, 0, 1].map((index, i) => {
    const crew = crews[index];
    crew.engine = node.engines[index];
    crew.nowUs = [5, 3, 2, 9][i];
    crew.enter();
    if (i === 0) {
      node.engines[0].tables.watchers.active = 1;
      crew.changed(1);
    }
    crew.leave();
    return node.engines[index].tables.watchers.clockUs[0];
  });
  t.same(seen, [0, 3, 3, 9]);
});

t.test("a worker makes the keeper's changes before its next turn", async (t) => {
  const memory = Crew.memory();
  const made: number[] = [];
  const keeper = new Crew(memory, () => t.fail("the keeper has made them"));
  const other = new Crew(memory, (change) => made.push(change));
  for (const change of [3, 4]) {
    keeper.enter();
    keeper.changed(change);
    keeper.leave();
  }
  for (let turn = 0; turn < 2; turn++) {
    other.enter();
    other.leave();
  }
  other.resume();
  other.leave();
  t.same(made, [4]);
});

t.test("a plane of which a worker has died stops all the same", { timeout: 10_000 }, async (t) => {
  const faults: string[] = [];
  let died = (): void => {};
  const dead = new Promise<void>((resolve) => {
    died = resolve;
  });
  const plane = new PlaneHandle(loadNative(), {
    ...{ sizes: SIZES, spinUs: 0, pauseUs: 0, cpuLatencyUs: -1, nice: 0, workers: 2 },
    onExit: ({ message }) => {
      faults.push(message);
      if (faults.length === 2) died();
    },
  });
  const nobody = { index: 99, mode: 1, program: null, remaining: 1, snapLen: 0, ring: null, ringLog2: 10 };
  plane.send({ type: "watch", ...nobody }); // there is no such place: the keeper dies in the middle of its turn
  await dead;
  t.match(faults, [/undefined/, "data-plane thread ended with code 1"]);
  await plane.stop();
});

t.test(
  "the end of a packet that one worker chose is told by another one that began to watch later",
  async (t) => {
    const node = new TestNode({ engines: 2 });
    const memory = new SharedArrayBuffer(ring.RecordRing.bytesFor(12));
    const all = { program: null, remaining: -1, snapLen: 0, ring: memory, ringLog2: 12 };
    const polling = { add: () => 0, remove: () => 0 };
    const [first, second] = node.engines;
    for (const each of [first, second]) {
      applyMessage(each, { type: "watch", index: 0, mode: Mode.TRACE, ...all }, polling);
      if (each === first) first.tables.watchers.nextId++; // number 1 goes through the keeper, and waits for a neighbour
    }
    const { watchers, counters } = second.tables;
    endedLate(watchers, counters, (1 << 24) | 1, StageId.OUTPUT, Verdict.DROP, 1, -1);
    t.not(ring.peek(new ring.RecordRing(12, memory)), -1);
  },
);
