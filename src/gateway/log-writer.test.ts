import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Test, t } from "tap";
import { LogWriter } from "./log-writer.ts";

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), "log-writer-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const linesOf = (file: string): string[] => readFileSync(file, "utf8").trim().split("\n");
const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `line ${from + i}`);

t.test("whatever was added is there when it is closed, in its order", async (t) => {
  const file = join(folderOf(t), "log");
  const told: string[] = [];
  const log = new LogWriter({ file }, (line) => told.push(line));
  const lines = numbered(100_000);
  for (const each of lines) log.add(each);
  await log.close();
  log.add("too late");
  t.same(linesOf(file), lines);
  t.same([log.lost, told], [0, []]);
});

t.test("lines are written soon, without anybody asking for it", async (t) => {
  const file = join(folderOf(t), "log");
  const log = new LogWriter({ file }, () => {});
  t.teardown(() => log.close());
  log.add("one");
  for (let i = 0; i < 100 && readFileSync(file, "utf8") === ""; i++) await sleep(20);
  t.equal(readFileSync(file, "utf8"), "one\n");
});

t.test("a full disk is told once; lines are kept up to a bound, and what is more is counted", async (t) => {
  const told: string[] = [];
  const log = new LogWriter({ file: "/dev/full" }, (line) => told.push(line), 100);
  for (const each of numbered(10)) log.add(each);
  for (let i = 0; i < 100 && told.length === 0; i++) await sleep(20);
  t.same(told, ["access log: cannot be written (ENOSPC): lines are kept for a while, and then lost"]);
  for (const each of numbered(1000)) log.add(each);
  t.equal(told.length, 1);
  const before = log.lost;
  t.ok(before > 900 && before < 1000, `${before} of 1,000 are lost`);
  await log.close();
  t.equal(log.lost, 1010, "at the end all of them are");
  t.same(told.slice(1), ["access log: cannot be written (ENOSPC): 1010 lines are lost"]);
});

t.test("a file that was moved away is opened anew, and no line is lost between the two", async (t) => {
  const folder = folderOf(t);
  const file = join(folder, "log");
  const log = new LogWriter({ file }, () => {});
  for (const each of numbered(50_000)) log.add(each);
  renameSync(file, `${file}.1`);
  log.reopen();
  for (const each of numbered(50_000, 50_000)) log.add(each);
  for (let i = 0; i < 100 && !existsSync(file); i++) await sleep(20);
  await log.close();
  t.same([...linesOf(`${file}.1`), ...linesOf(file)], numbered(100_000));
});

t.test("a file that cannot be opened anew: it is told, and the old one goes on", async (t) => {
  const folder = folderOf(t);
  const file = join(folder, "sub", "log");
  t.throws(() => new LogWriter({ file }, () => {}), /cannot be written \(ENOENT\): name another file/);
  const inside = join(folder, "log");
  const told: string[] = [];
  const log = new LogWriter({ file: inside }, (line) => told.push(line));
  log.add("one");
  renameSync(folder, `${folder}-moved`);
  t.teardown(() => rmSync(`${folder}-moved`, { recursive: true, force: true }));
  log.reopen();
  log.add("two");
  await log.close();
  t.same(linesOf(join(`${folder}-moved`, "log")), ["one", "two"]);
  t.match(told, [/cannot be written \(ENOENT\).*the old one/]);
  t.same(readdirSync(`${folder}-moved`), ["log"]);
});
