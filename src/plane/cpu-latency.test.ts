import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { CpuLatency, defaultCpuLatencyUs, follow, release } from "./cpu-latency.ts";

/** Ten looks a second at an even rate, for a time, ms. Returns when it ended. */
function turn(c: CpuLatency, perSec: number, fromMs: number, lengthMs: number): number {
  for (let ms = 100; ms <= lengthMs; ms += 100) follow(c, perSec, fromMs + ms);
  return fromMs + lengthMs;
}

t.test("the request stands while there is load, and a second longer", async (t) => {
  const file = join(t.testdir({ latency: "" }), "latency");
  const c = new CpuLatency(7, file);
  t.teardown(() => release(c));
  let nowMs = turn(c, 900, 0, 2000);
  t.equal(c.fd, -1, "900 turns a second are no load");
  nowMs = turn(c, 1500, nowMs, 200);
  t.ok(c.fd >= 0);
  t.same([...new Int32Array(new Uint8Array(readFileSync(file)).buffer)], [7]);
  const { fd } = c;
  nowMs = turn(c, 1500, nowMs, 500);
  t.equal(c.fd, fd, "asked once");
  nowMs = turn(c, 20, nowMs, 900);
  t.equal(c.fd, fd, "a short pause changes nothing");
  nowMs = turn(c, 20, nowMs, 300);
  t.equal(c.fd, -1);
  turn(c, 1500, nowMs, 300);
  t.ok(c.fd >= 0, "asked again when the load is back");
});

t.test("what cannot be asked for is said once, and not tried again", async (t) => {
  const c = new CpuLatency(0, join(t.testdir(), "none"));
  const nowMs = turn(c, 5000, 0, 300);
  t.match(c.problem, /ENOENT/);
  c.problem = "told";
  turn(c, 5000, nowMs, 300);
  t.same([c.problem, c.fd], ["told", -1]);
});

t.test("a negative limit never asks", async (t) => {
  const file = join(t.testdir({ latency: "" }), "latency");
  const c = new CpuLatency(-1, file);
  turn(c, 5000, 0, 1000);
  t.same([c.fd, c.problem, readFileSync(file, "utf8")], [-1, "", ""]);
});

t.test("by default only guests whose idle cores stop ask", async (t) => {
  const dir = t.testdir({ guest: "haltpoll\n", bare: "intel_idle\n" });
  const defaults = ["guest", "bare", "none"].map((name) => defaultCpuLatencyUs(join(dir, name)));
  t.same(defaults, [0, -1, -1]);
});
