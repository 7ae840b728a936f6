// Policies while things change, for a short time (scripts/policy-live has more of it): what every state allows passes, what
// every state denies does not; what recheck cuts is cut at once; a pod that policies close is closed from its first
// moment, and while its node's agent is killed and starts again.
import t from "tap";
import { cannotRun } from "../../src/testing/lab/lab.ts";
import { Gates, gateFaults } from "../support/live/gates.ts";
import { liveChanges, liveFaults } from "../support/live/live-changes.ts";
import { cutFaults, recheckCuts } from "../support/live/recheck.ts";

const skip = cannotRun("bash", "iperf3");
const CHANGES = 60;

t.test("policies, labels, namespaces and pods change under questions and a stream", { skip }, async (t) => {
  const seed = Date.now() % 100_000;
  const report = await liveChanges("policy-changes", { changes: CHANGES, seed, perSec: 200, pauseMs: 100 });
  const { verdict, questions, seconds } = report;
  t.same(
    liveFaults(report),
    [],
    `seed ${seed}: ${JSON.stringify({ ...report, verdict: { ...verdict, wrong: 0 } })}`,
  );
  t.ok(questions > 100 * seconds, `${questions} questions in ${seconds} s`);
  // With seed 8758 policies deny one question in 21.
  t.ok(verdict.allowed > questions / 50 && verdict.denied > questions / 50, "both are tried");
});

t.test("recheck cuts TCP and UDP to both nodes, in both families, within 5 ms", { skip }, async (t) => {
  const cuts = await recheckCuts("policy-recheck", 2);
  t.equal(cuts.length, 8);
  t.same(cutFaults(cuts), [], JSON.stringify(cuts));
});

t.test("closed pods", { skip }, async (t) => {
  const gates = await Gates.up("policy-gates");
  t.teardown(() => gates.down());
  t.test("while they start, some with addresses that others had, nothing comes in or out", async (t) => {
    const reports = await gates.podStarts(20);
    t.equal(reports.closed.pods, 20);
    t.same(gateFaults(reports), [], JSON.stringify(reports));
  });
  t.test("while agents are killed and start again, nothing does; others go on afterwards", async (t) => {
    const reports = await gates.agentRestarts(1);
    t.same(gateFaults(reports), [], JSON.stringify(reports));
    const { open, openAfter } = reports;
    t.ok(openAfter.cameIn > open.cameIn && openAfter.cameOut > open.cameOut, "open pods are reached again");
  });
});
