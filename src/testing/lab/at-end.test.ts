import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t from "tap";

const here = (file: string): string => pathToFileURL(join(import.meta.dirname, file)).href;
const AT_END = `import { atEnd } from ${JSON.stringify(here("at-end.js"))};`;

function outputOf(code: string): { stdout: string; status: number | null } {
  const args = ["--input-type=module", "--import", here("../runner/end-on-signal.js"), "-e", AT_END + code];
  return spawnSync(process.execPath, args, { encoding: "utf8" });
}

t.test("what was made last goes first, whatever fails, and what is gone already is left alone", async (t) => {
  const { stdout, status } = outputOf(`
    atEnd(() => console.log("first"));
    const gone = atEnd(() => console.log("gone"));
    atEnd(() => { throw new Error("no"); });
    atEnd(() => console.log("last"));
    gone();
    setInterval(() => {}, 1000);
    process.kill(process.pid, "SIGTERM");`);
  t.equal(stdout, "last\nfirst\n");
  t.equal(status, 143);
});

t.test("who has nothing to undo does not listen to the process", async (t) => {
  const { stdout } = outputOf(`
    const before = process.listenerCount("exit");
    const gone = atEnd(() => {});
    const during = process.listenerCount("exit");
    gone();
    gone();
    console.log(during - before, process.listenerCount("exit") - before);`);
  t.equal(stdout, "1 0\n");
});
