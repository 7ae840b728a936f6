// Every verb of kubectl that docs/kubectl.md speaks of, by the kubectl of this machine; scripts/kubectl-verbs tries several.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { cannotRun, ROOT, TestLab } from "../../src/testing/lab/lab.ts";
import { Kubectl } from "../support/verbs/kubectl.ts";
import { MACHINE_TRIALS, makePods } from "../support/verbs/machine-trials.ts";
import { makeWeb, OBJECT_TRIALS } from "../support/verbs/object-trials.ts";
import { tryVerb } from "../support/verbs/trial.ts";

const TRIALS = [...OBJECT_TRIALS, ...MACHINE_TRIALS];

t.test("the table of docs/kubectl.md has them all, and nothing that fails", async (t) => {
  const page = readFileSync(join(ROOT, "docs", "kubectl.md"), "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  const verbOf = (row: string): string => row.slice(2, row.indexOf(" | ")).replaceAll("\\|", "|");
  t.same(
    rows.map(verbOf),
    TRIALS.map(({ verb }) => verb),
  );
  t.notMatch(page, /\*\*NO\*\*/);
});

t.test("verbs", { skip: cannotRun("kubectl", "script", "tar", "diff") }, async (t) => {
  const lab = await TestLab.up("kubectl-verbs", { dns: { forward: "none" } });
  t.teardown(() => lab.down());
  const kubectl = await Kubectl.open("kubectl", lab);
  await makeWeb(kubectl);
  await makePods(kubectl);
  for (const trial of TRIALS) {
    const cell = await tryVerb(trial, kubectl);
    t.not(cell.is, "failed", `${trial.verb}${cell.is === "failed" ? `: ${cell.why}` : ""}`);
  }
});
