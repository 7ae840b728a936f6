import { readdirSync, readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { setTimeout } from "node:timers/promises";
import t from "tap";
import { adjust, ProcessorTime, ThreadPriority } from "./thread-priority.ts";

/** Looks ten times a second, all alike. Returns the nice value after each. */
function looks(
  p: ThreadPriority,
  clock: { ms: number },
  share: number,
  idle: number,
  count: number,
): number[] {
  return Array.from({ length: count }, () => {
    clock.ms += 100;
    adjust(p, share, idle, clock.ms);
    return p.nice;
  });
}

t.test("first while there is little to do, by turns under overload", async (t) => {
  const set: number[] = [];
  const p = new ThreadPriority(-20, (nice) => {
    set.push(nice);
    return "";
  });
  const clock = { ms: 0 };
  t.same(looks(p, clock, 0.5, 1, 6), [0, 0, 0, 0, -20, -20], "after half a second");
  t.same(looks(p, clock, 0.7, 0.2, 3), [-20, -20, -20]);
  t.same(looks(p, clock, 0.75, 1, 2), [0, 0], "at once");
  t.same(looks(p, clock, 0.65, 1, 9), Array(9).fill(0), "as first it would want more than now");
  t.same(looks(p, clock, 0.5, 1, 4), [0, 0, 0, 0]);
  t.same(looks(p, clock, 0.6, 1, 1), [0], "the half second begins anew");
  t.same(looks(p, clock, 0.5, 0.4, 5), [0, 0, 0, 0, -20]);
  t.same(set, [-20, 0, -20], "told to the kernel when it changes");
});

t.test("with no core idle, by turns as soon as it wants a part that others miss", async (t) => {
  const p = new ThreadPriority(-20, () => "");
  const clock = { ms: 0 };
  t.same(
    looks(p, clock, 0.1, 0, 5),
    [0, 0, 0, 0, -20],
    "whoever hogs the cores does not hold up some packets",
  );
  t.same(looks(p, clock, 0.29, 0, 2), [-20, -20]);
  t.same(looks(p, clock, 0.3, 0.19, 1), [0]);
  t.same(looks(p, clock, 0.3, 0.39, 9), Array(9).fill(0));
  t.same(looks(p, clock, 0.19, 0, 5), [0, 0, 0, 0, -20]);
});

t.test("what is refused is not asked for again", async (t) => {
  let asked = 0;
  const p = new ThreadPriority(-20, () => {
    asked++;
    return "EACCES: permission denied";
  });
  t.same(looks(p, { ms: 0 }, 0.1, 1, 20), Array(20).fill(0));
  t.same([asked, p.problem], [1, "EACCES: permission denied"]);
});

t.test("a nice value of Linux belongs to the thread", async (t) => {
  const before = getPriority(); // 0, but for those who run the tests behind other things
  const p = new ThreadPriority(3); // anybody may step back
  looks(p, { ms: 0 }, 0, 1, 6);
  t.same([p.problem, getPriority()], ["", 3]);
  const others = readdirSync("/proc/self/task").filter((thread) => Number(thread) !== process.pid);
  t.ok(others.length > 0);
  t.same([...new Set(others.map((thread) => getPriority(Number(thread))))], [before]);
});

t.test("the kernel's accounts grow", async (t) => {
  const time = ProcessorTime.open()!;
  const before = { wantedMs: time.wantedMs(), idleMs: time.idleMs() };
  const until = process.cpuUsage().user + 30_000;
  while (process.cpuUsage().user < until);
  const wanted = time.wantedMs() - before.wantedMs;
  t.ok(wanted >= 15, `${wanted} ms`);
  const [ranNs, waitedNs] = readFileSync("/proc/thread-self/schedstat", "utf8").split(" ").map(Number);
  t.ok(Math.abs((ranNs + waitedNs) / 1e6 - time.wantedMs()) < 50);
  const idleMs = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[1]) * 1000;
  t.ok(Math.abs(idleMs() - time.idleMs()) < 1000, "of all cores together");
  for (let i = 0; i < 100 && idleMs() <= before.idleMs + 10; i++) await setTimeout(50);
  if (idleMs() > before.idleMs + 10) t.ok(time.idleMs() > before.idleMs);
  else t.ok(time.idleMs() <= before.idleMs + 10, "a machine that is busy for seconds has no idle core");
});
