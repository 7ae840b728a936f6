import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { type Backoff, ManagedProcess, type ProcessSpec } from "./managed-process.ts";
import { isAlive, signal } from "./process-table.ts";

const QUICK: Backoff = { delaysMs: [0, 60_000], resetAfterMs: 60_000 };

function spec(dir: string, argv: string[], more: Partial<ProcessSpec> = {}): ProcessSpec {
  const files = { logFile: join(dir, "p.log"), pidFile: join(dir, "p.pid") };
  return {
    argv,
    env: { PATH: process.env.PATH ?? "" },
    restart: "Always",
    backoff: QUICK,
    ...files,
    ...more,
  };
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !what(); i++) await sleep(10);
}

t.test("managed processes", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "podwire-mp-"));
  t.teardown(() => rmSync(dir, { recursive: true }));

  await t.test("a killed process comes back at once, the second time it waits", async (t) => {
    const p = new ManagedProcess(spec(dir, ["sleep", "60"]), () => {});
    p.start();
    const first = p.id!;
    signal(first, "SIGKILL");
    await until(() => p.restarts === 1 && p.phase === "running");
    t.match(p.lastExit, { exitCode: 137, signal: "SIGKILL", reason: "Error" });
    t.not(p.id?.pid, first.pid);
    signal(p.id!, "SIGKILL");
    await until(() => p.phase === "waiting");
    t.match(p, { phase: "waiting", reason: "CrashLoopBackOff", restarts: 2 });
    p.retryNow();
    t.equal(p.phase, "running");
    const last = p.id!;
    await p.stop(1000);
    t.notOk(isAlive(last));
  });

  await t.test("who reads its pid file while it is written anew reads one whole file", async (t) => {
    const p = new ManagedProcess(spec(dir, ["sleep", "60"]), () => {});
    p.start();
    const earlier = readFileSync(join(dir, "p.pid"), "utf8");
    const reader = openSync(join(dir, "p.pid"), "r");
    signal(p.id!, "SIGKILL");
    await until(() => p.restarts === 1 && p.phase === "running");
    t.equal(readFileSync(reader, "utf8"), earlier);
    closeSync(reader);
    t.equal(JSON.parse(readFileSync(join(dir, "p.pid"), "utf8")).pid, p.id?.pid);
    await p.stop(1000);
  });

  await t.test("a process that runs on is taken over by the next one that looks after it", async (t) => {
    const a = new ManagedProcess(spec(dir, ["sleep", "60"]), () => {});
    a.start();
    const b = new ManagedProcess(spec(dir, ["sleep", "60"]), () => {});
    b.start();
    t.same(b.id, a.id);
    await a.stop(1000);
    await until(() => b.lastExit !== undefined);
    t.equal(b.lastExit?.reason, "ContainerStatusUnknown");
    await until(() => b.phase === "running");
    await b.stop(1000);
  });

  await t.test("SIGTERM that is ignored is followed by SIGKILL after the grace period", async (t) => {
    const p = new ManagedProcess(
      spec(dir, ["sh", "-c", "trap '' TERM; echo ready >&3; while :; do sleep 1; done"], { announces: true }),
      () => {},
    );
    p.start();
    await until(() => p.announced);
    const began = Date.now();
    await p.stop(300);
    t.ok(Date.now() - began >= 290);
    t.match(p, { phase: "terminated" });
    t.equal(p.lastExit?.signal, "SIGKILL");
  });

  await t.test("what makes its place first runs when it says so, and is ended before that too", async (t) => {
    const begin = (script: string): { p: ManagedProcess; phases: string[] } => {
      const phases: string[] = [];
      const env = { PATH: process.env.PATH ?? "" };
      const prepare = () => ({ argv: ["sh", "-c", script], env, makesPlace: true });
      const p = new ManagedProcess(spec(dir, [], { prepare, restart: "Never" }), (each) => {
        phases.push(each.phase);
      });
      p.start();
      return { p, phases };
    };
    const go = join(dir, "go");
    const slow = begin(`until [ -e ${go} ]; do sleep 0.05; done; exec 4>&-; exec sleep 60`);
    t.match(slow, { p: { phase: "waiting", isMaking: true }, phases: [] });
    await sleep(200);
    t.match(slow, { p: { phase: "waiting", isMaking: true }, phases: [] }, "it waits for its place");
    writeFileSync(go, "");
    await until(() => slow.p.phase === "running");
    t.match(slow, { p: { phase: "running", isMaking: false }, phases: ["running"] });
    await slow.p.stop(1000);
    const cut = begin("sleep 60");
    const { id } = cut.p;
    await cut.p.stop(1000);
    t.match(cut, { p: { phase: "terminated", isMaking: false }, phases: ["terminated"] });
    t.notOk(isAlive(id!), "nothing is left of it");
    const short = begin("exit 5");
    await until(() => short.p.phase === "terminated");
    t.same(short.phases, ["running", "terminated"], "a start is told, however short");
  });

  await t.test("Never and OnFailure", async (t) => {
    const never = new ManagedProcess(
      spec(dir, ["sh", "-c", "echo gone wrong >&2; exit 3"], { restart: "Never" }),
      () => {},
    );
    never.start();
    await until(() => never.phase === "terminated");
    t.match(never.lastExit, { exitCode: 3, message: "gone wrong" });
    const done = new ManagedProcess(spec(dir, ["true"], { restart: "OnFailure" }), () => {});
    done.start();
    await until(() => done.phase === "terminated");
    t.match(done, { restarts: 0, reason: "Completed" });
  });

  await t.test("what it prints is not for everybody, whatever the log was before", async (t) => {
    const logFile = join(dir, "open.log");
    writeFileSync(logFile, "");
    chmodSync(logFile, 0o666);
    const p = new ManagedProcess(spec(dir, ["true"], { restart: "Never", logFile }), () => {});
    p.start();
    await until(() => p.phase === "terminated");
    t.equal(statSync(logFile).mode & 0o777, 0o640);
  });

  await t.test("a program that does not exist is an ended one, not an exception", async (t) => {
    const p = new ManagedProcess(spec(dir, ["/no/such/program"], { restart: "Never" }), () => {});
    p.start();
    await until(() => p.phase === "terminated");
    t.match(p.lastExit, { exitCode: 128, reason: "StartError" });
  });
  t.ok(readFileSync(join(dir, "p.log"), "utf8").includes("gone wrong"));
});
