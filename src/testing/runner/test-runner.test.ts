// The runner of the tests, run on files made for it: what each prints and how it ends is planted.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { projectRoot, readSources } from "../tidy/source-tree.ts";
import { listTests } from "./main.ts";
import { keepSeconds, slowestFirst, USUAL_SECONDS } from "./pace.ts";
import { addToReport, readReport, reportText } from "./report.ts";
import { countsOf, type FileResult, quotesOf, runFiles, skipReasons } from "./run-files.ts";
import { runTwice, SavedList } from "./saved.ts";
import { filesOf, findSharedNames, findSubjectGaps, testName } from "./subjects.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-runner-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const options = { jobs: 2, timeoutSeconds: 60, compiled: (file: string) => join(folder, file) };
const plant = (name: string, code: string): string => {
  writeFileSync(join(folder, name), code);
  return name;
};
const summary = (pass: number, fail: number): string =>
  `console.log("# { total: ${pass + fail}, pass: ${pass}, fail: ${fail} }");`;
const byName = (results: readonly FileResult[]) =>
  Object.fromEntries(results.map((result) => [result.file, result]));

t.test("each file is counted by its own summary, in a process of its own", async (t) => {
  const files = [
    plant("good.mjs", `process.env.SEEN = "x"; ${summary(3, 0)}`),
    plant("other.mjs", `if (process.env.SEEN === "x") process.exit(1); ${summary(2, 0)}`),
    plant("bad.mjs", `${summary(4, 2)} process.exitCode = 1;`),
  ];
  const results = byName(await runFiles(files, { ...options, jobs: 1 }));
  t.match(results["good.mjs"], { passed: 3, failed: 0 });
  t.match(results["other.mjs"], { passed: 2, failed: 0 });
  t.match(results["bad.mjs"], { passed: 4, failed: 2 });
});

const endings = [
  { what: "no summary", code: "", failed: 1 },
  { what: "status 1 with nothing failed", code: `${summary(1, 0)} process.exitCode = 1;`, failed: 1 },
  { what: "a signal", code: `${summary(1, 0)} process.kill(process.pid, "SIGKILL");`, failed: 1 },
  { what: "an error while loading", code: "throw new Error('planted');", failed: 1 },
  { what: "a good end", code: summary(1, 0), failed: 0 },
];
for (const { what, code, failed } of endings) {
  t.test(`a file that ends with ${what}: ${failed} failed`, async (t) => {
    const [result] = await runFiles([plant("ends.mjs", code)], options);
    t.equal(result.failed, failed, result.output);
  });
}

t.test(
  "a file that hangs is ended, and one that leaves a program behind does not hold the run",
  async (t) => {
    const hangs = plant("hangs.mjs", "setInterval(() => {}, 1000);");
    const code = `import { spawn } from "node:child_process";
    spawn("sleep", ["20"], { stdio: ["ignore", "inherit", "inherit"], detached: true }).unref(); ${summary(1, 0)}`;
    const [[hung], [left]] = await Promise.all([
      runFiles([hangs], { ...options, timeoutSeconds: 0.1, graceSeconds: 0.5 }),
      runFiles([plant("leaves.mjs", code)], options),
    ]);
    t.equal(hung.failed, 1);
    t.match(hung.output, /ended with signal SIGALRM/);
    t.ok(left.seconds < 15, `${left.seconds} s`);
    t.equal(left.failed, 0);
  },
);

t.test("a run that is stopped ends what runs in order, and begins nothing more", async (t) => {
  const started = join(folder, "started");
  const undone = join(folder, "undone");
  const slow = plant(
    "slow.mjs",
    `import { writeFileSync } from "node:fs";
    process.on("exit", () => writeFileSync(${JSON.stringify(undone)}, ""));
    writeFileSync(${JSON.stringify(started)}, "");
    setInterval(() => {}, 1000);`,
  );
  const stop = new AbortController();
  const ended = runFiles([slow, plant("never.mjs", summary(1, 0))], {
    ...options,
    jobs: 1,
    stop: stop.signal,
  });
  while (!existsSync(started)) await new Promise((resolve) => setTimeout(resolve, 10));
  stop.abort();
  const results = await ended;
  t.same(
    results.map(({ file }) => file),
    ["slow.mjs"],
  );
  t.match(results[0].output, /ended with status 143/);
  t.ok(existsSync(undone));
});

t.test("processor time holds what a file's programs used", async (t) => {
  const burn = "let used; do { used = process.cpuUsage(); } while (used.user + used.system < 500_000);";
  const code = `import { spawnSync } from "node:child_process";
    spawnSync(process.execPath, ["-e", ${JSON.stringify(burn)}]); ${summary(1, 0)}`;
  const [result] = await runFiles([plant("burns.mjs", code)], options);
  t.ok(result.cpuSeconds >= 0.45 && result.cpuSeconds < 5, `${result.cpuSeconds} s`);
});

t.test("counts: the last summary counts, skipped are named", async (t) => {
  const output = "# { total: 9, pass: 9 }\nok\n# { total: 5, pass: 3, fail: 1, skip: 1 }\n";
  t.same(countsOf(output, "status 1"), { passed: 3, failed: 1, skipped: 1 });
  const [podman, again] = [1, 2].map((i) => `ok ${i} - x # SKIP needs podman\n`);
  t.same(skipReasons(`${podman}    ok 1 - y # SKIP needs root\n    ok 2 - z # SKIP\n${again}`), [
    "needs podman",
    "needs root",
  ]);
});

t.test("what others' programs say is quoted, comments of our own are not", async (t) => {
  const output =
    "# > SUCCESS! -- 3 Passed\n    ok 1 - x\n    # > two\n    # took 3 s\n    # Subtest: > three\n";
  t.same(quotesOf(output), ["> SUCCESS! -- 3 Passed", "> two"]);
});

/** Fails as often as the number in its file says, then passes. */
const flickering = (name: string, times: number): string => {
  const left = join(folder, `${name}.left`);
  writeFileSync(left, String(times));
  return plant(
    name,
    `import { readFileSync, writeFileSync } from "node:fs";
     const left = Number(readFileSync(${JSON.stringify(left)}, "utf8"));
     writeFileSync(${JSON.stringify(left)}, String(left - 1));
     if (left > 0) { ${summary(0, 1)} process.exitCode = 1; } else { ${summary(1, 0)} }`,
  );
};
const failures = (results: readonly FileResult[]) => results.filter(({ failed }) => failed > 0).length;

t.test("a file is saved once, and fails the run when it was saved the last time too", async (t) => {
  const path = join(folder, "list", "saved.json");
  const run = async (times: number, others: string[] = []) => {
    const flickers = flickering("flickers.mjs", times);
    return runTwice([flickers, ...others], options, new SavedList(path));
  };
  const first = await run(1);
  t.match([first.saved, first.twice, failures(first.results)], [["flickers.mjs"], [], 0]);
  t.same(JSON.parse(readFileSync(path, "utf8")), ["flickers.mjs"]);
  await runTwice([plant("good.mjs", summary(1, 0))], options, new SavedList(path));
  t.same(JSON.parse(readFileSync(path, "utf8")), ["flickers.mjs"], "a run of other files does not clear it");
  const second = await run(1);
  t.match([second.saved, second.twice, failures(second.results)], [["flickers.mjs"], ["flickers.mjs"], 1]);
  t.match([(await run(0)).saved, JSON.parse(readFileSync(path, "utf8"))], [[], []], "a good run clears it");
  t.equal(failures((await run(1)).results), 0);
  t.equal(failures((await run(2)).results), 1, "what fails again has failed");
});

t.test("more than three failed files are no accident: none runs again", async (t) => {
  const files = ["a", "b", "c", "d"].map((name) => flickering(`${name}.mjs`, 1));
  const { results, saved } = await runTwice(files, options, new SavedList(join(folder, "none.json")));
  t.same([failures(results), saved], [4, []]);
});

t.test("the report names the slowest twenty of all parts, and who was saved", async (t) => {
  const path = join(folder, "report");
  const result = (i: number): FileResult => ({
    ...{ file: `f${i}.test.ts`, seconds: i, cpuSeconds: i / 2, passed: 1, failed: 0, skipped: 0, output: "" },
  });
  addToReport(path, [result(1), result(2)], ["f1.test.ts"]);
  addToReport(
    path,
    Array.from({ length: 28 }, (_, i) => result(i + 3)),
    [],
  );
  const lines = reportText(readReport(path));
  t.equal(lines[0], "30 test files took 233 s of CPU; the slowest:");
  t.equal(lines[2], "  30.0    15.0  f30.test.ts");
  t.equal(lines.filter((line) => /^ +\d/.test(line)).length, 20);
  t.equal(lines.at(-1), "FAILED ONCE, passed when run again: f1.test.ts");
  t.same(reportText(readReport(join(folder, "nothing"))), []);
});

t.test("what took long goes first the next time, what is new in its place", async (t) => {
  const path = join(folder, "pace", "seconds.json");
  const files = ["a", "b", "c", "d"];
  t.same(slowestFirst(files, path), files, "without a record, by name");
  const result = { passed: 1, failed: 0, skipped: 0, output: "", seconds: 9 };
  keepSeconds([{ ...result, file: "b", cpuSeconds: 2 }], path);
  keepSeconds([{ ...result, file: "d", cpuSeconds: 3 }], path);
  t.same(slowestFirst(files, path), ["d", "b", "a", "c"]);
  writeFileSync(path, "{");
  t.same(slowestFirst(files, path), files, "a record cut short is none");
  const usual = ["a/wire.test.ts", "b/kernel-judge.test.ts", "c/alloc.test.ts"];
  t.same(
    slowestFirst(usual, path),
    [usual[1], usual[2], usual[0]],
    "without a record, what is known to be slow",
  );
  const names = [...listTests("src"), ...listTests("native-test")].map(testName);
  for (const name of Object.keys(USUAL_SECONDS)) t.ok(names.includes(name), name);
});

t.test("subjects find files by their own names, wherever they lie", async (t) => {
  const files = ["src/a/tcp.test.ts", "src/b/c/tcp-talk.test.ts", "native-test/e2e-tcp.test.ts"];
  const subjects = { tcp: { what: "", files: "tcp e2e-*" }, talk: { what: "", files: "tcp-*" } };
  t.equal(testName("build/src/a/tcp.test.js"), "tcp");
  t.same(filesOf("tcp", files, subjects), [files[0], files[2]]);
  t.same(filesOf("talk", files, subjects), [files[1]]);
  t.same(findSubjectGaps(files, subjects), []);
  t.same(findSubjectGaps([...files, "src/x/udp.test.ts"], subjects), [
    "src/x/udp.test.ts: belongs to no subject: name it in runner/subjects.ts",
  ]);
  t.same(findSubjectGaps(files.slice(0, 2), subjects), ["subject tcp: ^e2e-[a-z0-9-]*$ names no test file"]);
});

t.test("files that need the machine come last, each alone", async (t) => {
  const log = join(folder, "alone.log");
  const code = (name: string): string => `import { appendFileSync } from "node:fs";
    appendFileSync(${JSON.stringify(log)}, "${name} begins\\n");
    setTimeout(() => appendFileSync(${JSON.stringify(log)}, "${name} ends\\n"), 100); ${summary(1, 0)}`;
  const files = ["q1", "x1", "q2", "x2"].map((name) => plant(`${name}.mjs`, code(name)));
  const needsMachine = (file: string): boolean => file.startsWith("q");
  const results = await runFiles(files, { ...options, needsMachine });
  t.same(results.map(({ file }) => file).slice(2), ["q1.mjs", "q2.mjs"]);
  const lines = readFileSync(log, "utf8").trim().split("\n");
  t.same(lines.slice(4), ["q1 begins", "q1 ends", "q2 begins", "q2 ends"]);
});

t.test("native tests that run side by side have labs and namespaces of their own", async (t) => {
  const sources = readSources(projectRoot(), ["native-test"], [".ts"]);
  t.ok(Object.keys(sources).length > 40);
  t.same(findSharedNames(sources), []);
  const planted = { "a.test.ts": `TestLab.up("x", {})`, "b.test.ts": `new Namespaces("y"); TestLab.up("x")` };
  t.same(findSharedNames(planted), ["b.test.ts: a.test.ts has a lab or namespaces called x, too"]);
});

t.test("the command: counts in the last line, wrong usage is status 2", async (t) => {
  const script = join(projectRoot(), "scripts/unit-test.mjs");
  const run = (...args: string[]) => spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
  const report = join(folder, "command-report");
  const good = run("src/wire/transport/gre.test.ts", "--report", report);
  t.equal(good.status, 0, good.stderr);
  t.match(
    good.stdout,
    /\nok 1 - build\/src\/wire\/transport\/gre\.test\.js # 6 passed, 0 failed, .*\n6 passed, 0 failed\n$/,
  );
  t.ok(existsSync(report));
  t.match(run("--summary", report).stdout, /^1 test files took .*gre\.test\.ts\n$/s);
  for (const args of [
    ...[["--only", "nosuch"], ["--jobs", "none"], ["--nosuch"], ["src/none.test.ts"], ["src"], ["README.md"]],
    ["--only", "lab", "src/wire/transport/gre.test.ts"], // nothing would run, and nothing fail
  ]) {
    const { status, stderr } = run(...args);
    t.equal(status, 2, args.join(" "));
    t.match(stderr, /^unit-test: [^\n]+\n$/);
  }
});

t.test("scripts/test shows that nothing of a set ran, as it shows files and failures", async (t) => {
  const said = "test-cluster: nothing ran: no Go";
  const brief = `eval "$(sed -n '/^unbuffered=/,/^}/p' scripts/test)"; brief`;
  const input = `${said}\nok 1 - a.test.js\n    ok 1 - fine\n0 passed, 0 failed\n`;
  const { stdout } = spawnSync("bash", ["-c", brief], { cwd: projectRoot(), input, encoding: "utf8" });
  t.equal(stdout, `${said}\nok 1 - a.test.js\n`);
});
