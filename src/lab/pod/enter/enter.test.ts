import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { ENTER_FILE, enterWords, firstWords, joinWords } from "./enter.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-enter-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const base = join(folder, "a");
const { pid } = process;
const startTicks = Number(
  readFileSync("/proc/self/stat", "utf8")
    .replace(/^.*\) /, "")
    .split(" ")[19],
);

function joined(workingDir?: string): string[] {
  writeFileSync(`${base}.pid`, JSON.stringify({ pid, startTicks }));
  writeFileSync(`${base}.${ENTER_FILE}`, JSON.stringify({ words: ["enter", "--"], env: {}, workingDir }));
  return joinWords(base, "pw-x-p-a");
}

t.test("whoever joins a container begins in its own files", async (t) => {
  const words = ["nsenter", `--target=${pid}`, "--mount", "--uts", "--net", "--root"];
  t.same(joined(), [...words, `--wd=/proc/${pid}/root/`, "--"]);
  t.same(joined("/srv"), [...words, `--wd=/proc/${pid}/root/srv`, "--"]);
});

t.test("where nothing of it runs its view is made again, or there is none yet", async (t) => {
  joined();
  writeFileSync(`${base}.pid`, JSON.stringify({ pid, startTicks: startTicks - 1 }));
  t.same(joinWords(base, "pw-x-p-a"), ["enter", "--"]);
  t.same(joinWords(join(folder, "none"), "pw-x-p-a"), ["ip", "netns", "exec", "pw-x-p-a"]);
});

t.test("only the container's own program says when its view is made", async (t) => {
  const input = { file: "/in", isOnce: true, isTerminal: true };
  t.same(firstWords(["enter", "net", "/n", "--"], input), [
    ...["enter", "made", "once", "/in", "terminal", "net", "/n", "--"],
  ]);
  t.same(firstWords(["enter", "--"], { file: undefined, isOnce: false, isTerminal: false }), [
    ...["enter", "made", "--"],
  ]);
});

t.test("what is to be seen whatever volumes lie over comes last, in /dev", async (t) => {
  const view = {
    ...{ netns: "pw-x-p-a", hostname: undefined, root: undefined, etc: [], workingDir: undefined },
    termination: { path: "/dev/termination-log", file: "/t" },
    mounts: [{ source: "/v", target: "/tmp", readOnly: false }],
    inDev: [{ source: "/tmp/a", path: "/dev/a" }],
  };
  t.match(enterWords(view).join(" "), "bind /v /tmp file /t /dev/termination-log file /tmp/a /dev/a --");
});
