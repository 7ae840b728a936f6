import t from "tap";
import { testNamespace, testPod, testPolicy } from "../world/policy-world.ts";
import { clusterOf, type Named } from "./cluster.ts";
import { judgeLive, type Knock, type Period } from "./live-judge.ts";

const [A, B] = ["10.244.1.2", "10.244.1.3"];
const PODS = [
  testNamespace("default"),
  testPod({ name: "a", ips: [A] }),
  testPod({ name: "b", ips: [B] }),
] as Named[];
const closed = testPolicy("closed", { podSelector: {}, policyTypes: ["Ingress"] }) as Named;
const [open, shut] = [clusterOf(PODS), clusterOf([...PODS, closed])];
const gone = clusterOf(PODS.slice(0, 2));
/** Each change takes from its 0th to its 10th millisecond to be in force. */
const PERIODS: readonly Period[] = [
  { fromMs: 0, toMs: 110, cluster: open },
  { fromMs: 100, toMs: 210, cluster: shut },
  { fromMs: 200, toMs: 310, cluster: open },
  { fromMs: 300, toMs: 400, cluster: gone },
];
const knock = (startMs: number, passed: boolean, endMs = startMs + 5): Knock => ({
  ...{
    from: A,
    address: B,
    protocol: "TCP",
    port: 80,
    startMs,
    endMs,
    passed,
    note: passed ? "" : "no connection",
  },
});

t.test("what every state of a question's time allows has to pass, what all deny has to fail", async (t) => {
  const fine = [knock(50, true), knock(150, false)];
  t.same(judgeLive(PERIODS, fine), { allowed: 1, denied: 1, either: 0, wrong: [] });
  const { wrong } = judgeLive(PERIODS, [knock(50, false), knock(150, true)]);
  t.same(wrong, [
    `${A} -> ${B} 80/TCP did not pass (no connection), and every state allows it: 50.0 to 55.0 ms`,
    `${A} -> ${B} 80/TCP passed, and every state denies it: 150.0 to 155.0 ms`,
  ]);
});

t.test("while a change is under way, and across one, either is right", async (t) => {
  const times: [startMs: number, endMs?: number][] = [[97], [105], [203], [60, 140], [90, 250]];
  for (const passed of [true, false]) {
    const knocks = times.map(([startMs, endMs]) => knock(startMs, passed, endMs));
    t.same(judgeLive(PERIODS, knocks), { allowed: 0, denied: 0, either: knocks.length, wrong: [] });
  }
  const edges = [knock(94, false), knock(111, true), knock(211, false, 299)];
  t.equal(judgeLive(PERIODS, edges).wrong.length, 3, "just before and just after are not");
});

t.test("who comes or goes meanwhile has to do neither", async (t) => {
  t.same(judgeLive(PERIODS, [knock(305, false), knock(350, false)]), {
    ...{ allowed: 0, denied: 0, either: 2, wrong: [] },
  });
});

t.test(
  "between two nodes one state's way out may meet the other one's way in; on one node never",
  async (t) => {
    const silent = testPolicy("silent", { podSelector: {}, policyTypes: ["Egress"] }) as Named;
    for (const [node, either] of [
      ["node1", 0],
      ["node2", 1],
    ] as const) {
      const pods = [...PODS.slice(0, 2), testPod({ name: "b", ips: [B], node }) as Named];
      const periods = [
        { fromMs: 0, toMs: 110, cluster: clusterOf([...pods, silent]) },
        { fromMs: 100, toMs: 400, cluster: clusterOf([...pods, closed]) },
      ];
      t.equal(judgeLive(periods, [knock(105, false)]).either, either);
      t.equal(judgeLive(periods, [knock(105, true)]).wrong.length, 1 - either);
      t.equal(
        judgeLive(periods, [knock(50, true), knock(150, true)]).wrong.length,
        2,
        "outside of the change",
      );
    }
  },
);
