import t from "tap";
import { brokenPolicy, formatPolicy, loadFigures, packetFigures } from "./policy-figures.ts";

const CHANGE = { ms: 9, longestMs: 20, cpuMs: 1, heldMs: 9, heldCpuMs: 0.2 };
const LOAD = {
  ...{ compileCpuMs: 500, stepMs: 90, stepCpuMs: 20, memoryMiB: 30, heldMs: 9, heldCpuMs: 0.4 },
  ...{ pod: CHANGE, policy: CHANGE, namespace: CHANGE },
  ...{ blockOutside: CHANGE, blockAround: CHANGE, blockAcross: { ...CHANGE, cpuMs: 45 } },
};
const PACKETS = {
  first: [800, 850, 851],
  known: [300, 301, 299],
  firstMore: [50, 51],
  knownMore: [1, -1],
  cutMs: [1, 9],
} as const;

t.test("each promise that does not hold is named", async (t) => {
  const load = (change: object) => brokenPolicy(loadFigures("one", { ...LOAD, ...change }, true));
  const packets = (change: object) => brokenPolicy(packetFigures({ ...PACKETS, ...change }));
  t.same([load({}), packets({})], [[], []]);
  t.same(load({ compileCpuMs: 3001 }), ["policy one: compile, processor time: 3001.00 ms, promised 3000"]);
  t.same(load({ memoryMiB: 101 }), ["policy one: memory: 101.00 MiB, promised 100"]);
  t.same(load({ policy: { ...CHANGE, cpuMs: 5.1 } }), [
    "policy one: one policy, processor time: 5.10 ms, promised 5",
  ]);
  t.same(load({ namespace: { ...CHANGE, heldCpuMs: 0.6 } }), [
    "policy one: one namespace's label, packets wait, processor time: 0.60 ms, promised 0.5",
  ]);
  t.same(load({ blockAround: { ...CHANGE, cpuMs: 5.1 } }), [
    "policy one: a block of all pods, processor time: 5.10 ms, promised 5",
  ]);
  t.same(load({ blockAcross: { ...CHANGE, heldCpuMs: 0.6, cpuMs: 51 } }), [
    "policy one: a block of some pods, processor time: 51.00 ms, promised 50",
    "policy one: a block of some pods, packets wait, processor time: 0.60 ms, promised 0.5",
  ]);
  t.same(packets({ firstMore: [50, 61] }), [
    "policy first packet of a connection, 10000 policies, more than without: 61.00 ns, promised 60",
  ]);
  t.same(packets({ knownMore: [11, 0] }), [
    "policy packet of a known connection, 10 policies, more than without: 11.00 ns, promised 10",
  ]);
  t.same(packets({ cutMs: [5.5, 9] }), [
    "policy recheck: from a policy to the cut, median: 5.50 ms, promised 5",
  ]);
});

t.test("a line for each figure", async (t) => {
  const figures = [...loadFigures("one", LOAD, true), ...packetFigures(PACKETS)];
  t.equal(formatPolicy(figures).split("\n").length, figures.length + 1);
});
