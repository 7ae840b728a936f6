// Files that share a process: each is counted for itself, and none hears of another.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { type FileResult, runFiles } from "./run-files.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-shared-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const options = { jobs: 1, timeoutSeconds: 60, mayShare: () => true };
let runs = 0;

const TAP = JSON.stringify(import.meta.resolve("tap"));

/** Runs these files in this order; each begins with tap as `t` and is told by its name. */
async function run(files: Record<string, string>, over = {}): Promise<Record<string, FileResult>> {
  const head = `import t from ${TAP};`;
  const own = join(folder, String(++runs)); // runs may go side by side
  mkdirSync(own);
  const compiled = (file: string): string => join(own, file);
  for (const [name, code] of Object.entries(files))
    writeFileSync(compiled(`${name}.mjs`), `${head}\n${code}\n`);
  const names = Object.keys(files).map((name) => `${name}.mjs`);
  const results = await runFiles(names, { ...options, compiled, ...over });
  return Object.fromEntries(results.map((result) => [result.file.replace(".mjs", ""), result]));
}
const passes = (count: number): string => `t.test("x", async (t) => { ${"t.pass();".repeat(count)} });`;
const tells = `process.stdout.write("# in " + process.pid + "\\n");`;
const processOf = ({ output }: FileResult): string => /# in (\d+)/.exec(output)?.[1] ?? "none";

t.test("files in one process are counted each for itself, and as they are alone", async (t) => {
  const files = {
    a: `${tells} ${passes(3)} t.equal(1, 1); t.test("y", async () => { t.strictSame([1], [1]); });`,
    c: `${tells} ${passes(2)} t.test("nothing", async () => {}); t.test("later", { todo: true }, () => {});`,
    b: `${tells} t.test("x", async (t) => { t.equal(1, 2); t.pass(); }); t.test("y", { skip: true }, () => {});`,
  };
  const [alone, { a, b, c }] = [await run(files, { mayShare: () => false }), await run(files)];
  for (const [name, { passed, failed, skipped }] of Object.entries({ a, b, c }))
    t.match(alone[name], { passed, failed, skipped }, name);
  t.match(
    [a, b],
    [
      { failed: 0, skipped: 0 },
      { passed: 1, failed: 1, skipped: 1 },
    ],
  );
  t.match(b.output, /not ok .*should be equal.*b\.mjs/s, "what failed, and where");
  t.notMatch(a.output + c.output, /not ok/);
  t.not(processOf(a), "none");
  t.same([processOf(b), processOf(c)], [processOf(a), processOf(a)]);
  t.ok(a.cpuSeconds >= 0 && a.cpuSeconds < 5, `${a.cpuSeconds}`);
});

t.test("what a file changes of the process is put back, its teardowns run", async (t) => {
  const { b } = await run({
    a: `process.env.SEEN = "a"; delete process.env.HOME; process.chdir("/"); globalThis.done = [];
    t.teardown(() => globalThis.done.push("root"));
      t.test("x", async (t) => { t.teardown(() => globalThis.done.push("x")); });`,
    b: `t.equal(process.env.SEEN, undefined); t.ok(process.env.HOME); t.not(process.cwd(), "/");
      t.same(globalThis.done, ["x", "root"]);`,
  });
  t.match(b, { passed: 4, failed: 0 }, b.output);
});

const faults: { what: string; code: string; says: RegExp; timeoutSeconds?: number }[] = [
  { what: "dies", code: `process.kill(process.pid, "SIGKILL");`, says: /ended with signal SIGKILL/ },
  { what: "leaves the process", code: "process.exit(0);", says: /unfinished/ },
  { what: "throws while loading", code: "throw new Error('planted');", says: /planted/ },
  { what: "does not exist whole", code: `import "./none.mjs";`, says: /none\.mjs/ },
  {
    what: "rejects later",
    code: `setTimeout(() => Promise.reject(new Error("planted")), 20);`,
    says: /planted/,
  },
  { what: "asserts too late", code: `setTimeout(() => t.pass(), 20);`, says: /after/ },
  {
    what: "asserts beside its t",
    code: `const { pass } = await import(${TAP}); pass("beside");`,
    says: /1 assertions were not of/,
  },
  { what: "leaves a timer", code: "setInterval(() => {}, 1000);", says: /left behind: Timeout/ },
  {
    what: "leaves a server",
    code: `(await import("node:net")).createServer().listen(0, "127.0.0.1");`,
    says: /left behind: TCPServerWrap/,
  },
  { what: "sets a status", code: "process.exitCode = 3;", says: /exitCode was set to 3/ },
  { what: "never ends a test", code: `t.test("y", () => {});`, says: /timeout/, timeoutSeconds: 2 },
  {
    what: "hangs",
    code: "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);",
    says: /ended with signal/,
    timeoutSeconds: 2,
  },
];

/** Those that wait for their limits do so while the patient ones run. */
let begun: Promise<Record<string, FileResult>>[] = [];

t.test("a file that goes wrong has failed, and the next runs", async (t) => {
  begun = faults.slice(-2).map(({ code, timeoutSeconds }) => {
    const bad = { a: `${passes(1)}\n${code}`, b: passes(2) };
    return run(bad, { graceSeconds: 0.5, timeoutSeconds });
  });
  const patient = faults.filter(({ timeoutSeconds }) => timeoutSeconds === undefined);
  const files = patient.flatMap(({ code }, i) => [
    [`bad${i}`, `${passes(1)}\n${code}`],
    [`good${i}`, passes(2)],
  ]);
  const results = await run(Object.fromEntries(files), { graceSeconds: 0.5 });
  for (const [i, { what, says }] of patient.entries()) {
    const { [`bad${i}`]: bad, [`good${i}`]: good } = results;
    t.ok(bad.failed > 0, what);
    t.match(bad.output, says, what);
    t.match(good, { passed: 2, failed: 0 }, `after one that ${what}`);
  }
});

for (const [i, { what, says }] of faults.slice(-2).entries()) {
  t.test(`a file that ${what} is ended, and the next runs`, async (t) => {
    const { a, b } = await begun[i];
    t.ok(a.failed > 0, a.output);
    t.match(a.output, says);
    t.match(b, { passed: 2, failed: 0 }, b.output);
  });
}

t.test("who listens to the process gets no company", async (t) => {
  const { a, b } = await run({
    a: `${tells} process.on("SIGUSR2", () => {}); ${passes(1)}`,
    b: `${tells} ${passes(1)}`,
  });
  t.match([a, b], [{ failed: 0 }, { failed: 0 }]);
  t.not(processOf(a), processOf(b));
});
