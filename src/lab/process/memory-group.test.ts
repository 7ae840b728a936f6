// Where control groups of memory are found, and what they say of programs that were killed.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import t from "tap";
import { killsOf, MemoryGroup, memoryHierarchy } from "./memory-group.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-groups-"));
t.teardown(() => rmSync(folder, { recursive: true }));
function put(path: string, text = ""): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}
const read = (path: string): string => readFileSync(join(folder, path), "utf8");

t.test("v2 where memory may be limited below its root, else v1, else nothing", async (t) => {
  t.equal(memoryHierarchy(join(folder, "none")), undefined);
  put("v2/cgroup.subtree_control", "cpu memory pids\n");
  t.same(memoryHierarchy(join(folder, "v2")), { root: join(folder, "v2"), isV2: true });
  put("v1/memory/memory.limit_in_bytes");
  put("v1/cgroup.subtree_control", "cpu\n");
  t.same(memoryHierarchy(join(folder, "v1")), { root: join(folder, "v1/memory"), isV2: false });
});

t.test(
  "a group of v2: limit, no swap, all of it ends together; what was killed before does not count",
  async (t) => {
    const group = new MemoryGroup({ root: join(folder, "v2"), isV2: true }, "lab", "a_b", 1 << 20);
    t.equal(group.prepare(), join(folder, "v2/podwire/lab/a_b/cgroup.procs"));
    t.equal(read("v2/podwire/lab/a_b/memory.max"), "1048576");
    t.equal(read("v2/podwire/lab/a_b/memory.swap.max"), "0");
    t.equal(read("v2/podwire/lab/a_b/memory.oom.group"), "1");
    for (const above of ["podwire", "podwire/lab"])
      t.equal(read(`v2/${above}/cgroup.subtree_control`), "+memory");
    t.equal(group.hasKilled, false);
    put("v2/podwire/lab/a_b/memory.events", "low 0\noom 1\noom_kill 1\n");
    t.equal(group.hasKilled, true);
    group.prepare();
    t.equal(group.hasKilled, false);
  },
);

t.test("both versions count in the same words", async (t) => {
  t.equal(killsOf("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n"), 2);
  t.equal(killsOf("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"), 4);
  t.equal(killsOf(""), 0);
});
