// A node is given up when it has not been ready for a second, not when its agent begins anew.
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { LostNodes } from "./lost-nodes.ts";

t.test("who comes back within a second was never lost, and who comes later is lost no more", async (t) => {
  const told: string[] = [];
  const nodes = new LostNodes((name) => told.push(name));
  t.teardown(() => nodes.close());
  nodes.seen("node1", false);
  nodes.seen("node2", false);
  nodes.seen("node3", true);
  await sleep(300);
  nodes.seen("node2", true);
  nodes.seen("node1", false); // the second counts from when it began
  t.equal(nodes.has("node1"), false);
  await sleep(900);
  t.same(told, ["node1"]);
  t.same(
    ["node1", "node2", "node3"].map((name) => nodes.has(name)),
    [true, false, false],
  );
  nodes.seen("node1", true);
  t.equal(nodes.has("node1"), false);
  nodes.seen("node1", false);
  nodes.close();
  await sleep(1100);
  t.same(told, ["node1"], "after the end nothing is told");
});
