// A trace tells all: for every reason to drop there is a packet here whose record says so, for every stage one that it
// kept, sent or changed; and no counted drop and no packet is without an end in the trace.
import t from "tap";
import type { TraceRecord } from "../../observe/trace-record.ts";
import { projectRoot, readSources } from "../../testing/tidy/source-tree.ts";
import { createDropNode, DROPS, type ReasonName, UNUSED } from "../../testing/world/trace-drops.ts";
import { traceNode } from "../../testing/world/trace-node.ts";
import { ask, POLICY_CASES, tracedWorld } from "../../testing/world/trace-policies.ts";
import { createStageNode, STAGES } from "../../testing/world/trace-stages.ts";
import { DropReason } from "../drop-reason.ts";
import { StageId } from "./stage-id.ts";

const told = { reasons: new Set<string>(), stages: new Set<string>() };

/** What is wrong with the story: a counted drop without a record, or a packet whose end nobody tells. */
function gaps(drops: Readonly<Record<string, number>>, steps: readonly TraceRecord[]): string[] {
  const found: string[] = [];
  for (const [reason, counted] of Object.entries(drops)) {
    const records = steps.filter(({ dropReason }) => dropReason === reason).length;
    if (records !== counted) found.push(`${reason}: counted ${counted}, told ${records}`);
  }
  for (const packet of new Set(steps.map((step) => step.packet))) {
    const own = steps.filter((step) => step.packet === packet);
    if (own.every(({ verdict }) => verdict === "next"))
      found.push(`packet ${packet} ends with ${own.at(-1)?.stage}: next`);
  }
  return found;
}

for (const [reason, each] of Object.entries(DROPS)) {
  t.test(`${reason} is told`, async (t) => {
    const node = createDropNode(each);
    const take = traceNode(node, "iptables", 20); // of as many packets as may wait for a neighbour
    each.send(node);
    const steps = take();
    const record = steps.find(({ dropReason }) => dropReason === reason);
    t.ok(record, "there is a record");
    t.equal(record?.verdict, "drop");
    t.same(gaps(node.drops(), steps), []);
    told.reasons.add(reason);
    for (const { stage } of steps) told.stages.add(stage);
  });
}

for (const { reason, stage, create } of POLICY_CASES) {
  t.test(`${reason} of ${stage} is told`, async (t) => {
    const world = create();
    const counted = world.tables.counters.drops[DropReason[reason]];
    const take = traceNode(tracedWorld(world));
    t.equal(ask(world), reason);
    const steps = take();
    const record = steps.find(({ dropReason }) => dropReason === reason);
    t.match(record, { verdict: "drop", stage });
    t.same(gaps({ [reason]: world.tables.counters.drops[DropReason[reason]] - counted }, steps), []);
    told.reasons.add(reason);
    for (const { stage } of steps) told.stages.add(stage);
  });
}

for (const each of STAGES) {
  t.test(`${each.told} is told`, async (t) => {
    const node = createStageNode(each);
    const take = traceNode(node);
    each.send(node);
    const steps = take();
    t.ok(
      steps.some(({ stage, verdict }) => `${stage} ${verdict}` === each.told),
      steps.map(({ stage, verdict }) => `${stage} ${verdict}`).join(", "),
    );
    t.same(gaps(node.drops(), steps), []);
    for (const { stage } of steps) told.stages.add(stage);
  });
}

t.test("no reason and no stage is left out", async (t) => {
  const reasons = Object.keys(DropReason) as ReasonName[];
  t.same(
    reasons.filter((name) => !told.reasons.has(name)),
    UNUSED,
  );
  const plane = Object.entries(readSources(projectRoot(), ["src/dataplane"], [".ts"]));
  for (const name of UNUSED.slice(1)) {
    const users = plane.filter(
      ([path, text]) => !path.endsWith(".test.ts") && text.includes(`DropReason.${name}`),
    );
    t.same(users, [], `${name} is given by nobody`);
  }
  const stages = Object.keys(StageId).map((name) => name.toLowerCase().replaceAll("_", "-"));
  t.same(
    stages.filter((name) => !told.stages.has(name)),
    ["receive"],
    "before the first stage",
  );
  t.comment(
    `${told.reasons.size} of ${reasons.length - UNUSED.length} reasons, ` +
      `${told.stages.size} of ${stages.length - 1} stages`,
  );
});
