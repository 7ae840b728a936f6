import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { markChildren, readCpu, shareBetween, takeUsualNice } from "./cpu-account.ts";

/** user nice system idle iowait irq softirq steal */
const CPU = (ticks: string) => `cpu  ${ticks} 0 0\ncpu0 ${ticks} 0 0\n`;

interface Process {
  parent: number;
  /** utime stime cutime cstime */
  ticks: string;
  environ: string;
}

function writeProc(dir: string, cpu: string, processes: Record<string, Process>): string {
  writeFileSync(join(dir, "stat"), CPU(cpu));
  mkdirSync(join(dir, "self"), { recursive: true });
  for (const [pid, { parent, ticks, environ }] of Object.entries(processes)) {
    mkdirSync(join(dir, pid), { recursive: true });
    const stat = `${pid} (a ) b) S ${parent} 1 1 0 -1 0 0 0 0 0 ${ticks} 20 0 1 0 77 0\n`;
    writeFileSync(join(dir, pid, "stat"), stat);
    writeFileSync(join(dir, pid, "environ"), environ);
  }
  return dir;
}

t.test("what a subject took is what the processors did, less what others' programs did", (t) => {
  const dir = t.testdir({});
  const ours = `A=b\0PODWIRE_BENCH=${process.pid}\0`;
  const of = (editor: string, agent: string) => ({
    2: { parent: 0, ticks: "0 0 0 0", environ: "" },
    9: { parent: 2, ticks: "0 500 0 0", environ: "" },
    100: { parent: 1, ticks: editor, environ: "HOME=/\0" },
    200: { parent: 1, ticks: agent, environ: ours },
    [process.pid]: { parent: 1, ticks: `0 0 ${agent.slice(0, -4)}`, environ: "HOME=/\0" },
    1: { parent: 0, ticks: `0 0 ${agent.slice(0, -4)}`, environ: "" },
  });
  const from = readCpu(writeProc(dir, "100 0 100 1000 0 0 50 0", of("10 0 0 0", "1 1 0 0")));
  const to = readCpu(writeProc(dir, "200 0 160 1200 0 0 90 50", of("30 10 5 5", "90 90 0 0")));
  t.equal(
    from.others,
    10,
    "nor kernel threads, nor what carries the mark, nor what the benchmark or init waited for",
  );
  t.equal(to.others, 50);
  const share = shareBetween(from, to, 2, 1.5);
  // 450 ticks: 200 idle, 50 stolen, 200 busy, 40 of them for others.
  t.same(share, { cpuUs: 1_600_000, othersCores: (2 * 40) / 450, stealPercent: (100 * 50) / 450, load: 1.5 });
  t.end();
});

t.test("others never take more than what was done", (t) => {
  const from = { all: 0, idle: 0, stolen: 0, others: 0 };
  t.equal(shareBetween(from, { all: 100, idle: 90, stolen: 0, others: 30 }, 1, 0).cpuUs, 0);
  t.equal(shareBetween(from, from, 1, 0).cpuUs, 0, "no time at all");
  t.end();
});

t.test("what is started after markChildren is the benchmark's own", (t) => {
  const before = process.env.PODWIRE_BENCH;
  t.teardown(() => {
    if (before === undefined) delete process.env.PODWIRE_BENCH;
  });
  markChildren();
  t.equal(process.env.PODWIRE_BENCH, String(process.pid));
  t.end();
});

t.test("senders and receivers are as nice as pods", (t) => {
  let nice = 19;
  const set = (n: number) => {
    nice = n;
  };
  t.match(
    takeUsualNice(() => nice, set),
    /nice 19/,
  );
  t.equal(nice, 0);
  t.equal(
    takeUsualNice(() => nice, set),
    "",
  );
  const refuse = () => {
    throw new Error("EACCES: not yours");
  };
  t.match(
    takeUsualNice(() => 5, refuse),
    /senders and receivers have nice 5, pods have 0: EACCES/,
  );
  t.end();
});
