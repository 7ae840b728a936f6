import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { LogIndex } from "./log-index.ts";

t.test("starts and times of a log, also by a later lab process", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podwire-log-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const log = join(folder, "a.log");
  writeFileSync(log, "");
  const index = new LogIndex(log);
  index.begins();
  const t0 = Date.now();
  appendFileSync(log, "one\n");
  await sleep(200);
  const t1 = Date.now();
  appendFileSync(log, "two\n");
  await sleep(200);
  const { starts, times } = index.times();
  t.same(starts, [0]);
  const at = (offset: number): number => times.filter(([from]) => from <= offset).at(-1)?.[1] ?? 0;
  t.ok(at(0) >= t0 && at(0) < t0 + 150, "when the first line came");
  t.ok(at(4) >= t1 && at(4) < t1 + 150, "when the second line came");
  index.begins();
  appendFileSync(log, "three\n");
  index.close();
  const later = new LogIndex(log);
  later.resume();
  t.same(later.times().starts, [0, 8]);
  t.equal(later.times().times.at(-1)?.[0], 8, "what nobody saw come");
  later.close();
});

t.test("a log that grows and grows: times stay bounded", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podwire-log-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const log = join(folder, "a.log");
  writeFileSync(log, "");
  const index = new LogIndex(log);
  for (let i = 0; i < 9000; i++) {
    appendFileSync(log, "x");
    index.times();
  }
  const { times } = index.times();
  t.ok(times.length <= 4096, `${times.length}`);
  t.equal(times[0][0], 0);
  t.equal(times.at(-1)?.[0], 8999);
  t.same(new LogIndex(log).times().times.length, times.length, "on disk too");
});
