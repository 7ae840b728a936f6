// What a cluster's objects take of an agent's memory, beyond what it has without them.
import t from "tap";
import { measureObjectMemory } from "../../src/bench/object-memory.ts";
import { undoAll } from "../../src/bench/shell.ts";
import { cannotRun } from "../../src/testing/lab/lab.ts";

/** 48 and 57 were measured on a machine that others used, and 130 before an agent gave memory back. */
const MOST_MIB = 80;

t.test(
  `10,000 services, 100,000 endpoints and 20,000 pods take less than ${MOST_MIB} MiB`,
  { skip: cannotRun("curl") },
  async (t) => {
    t.teardown(undoAll);
    const { before, after } = await measureObjectMemory({ services: 10_000, endpoints: 10, pods: 20_000 });
    const more = after.resident - before.resident;
    t.ok(more < MOST_MIB, `${more.toFixed(0)} MiB: ${JSON.stringify({ before, after })}`);
    t.ok(more > 10, "they are there");
  },
);
