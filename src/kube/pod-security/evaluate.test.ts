// Every cell of the corpus: each pod at each level of each version, held against what k8s.io/pod-security-admission finds.
// How the corpus was made is told in testdata/README.md.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { CELLS, type CorpusPod, differencesOf, LAST_MINOR } from "../../testing/pod-security-corpus.ts";
import { projectRoot } from "../../testing/tidy/source-tree.ts";
import { CHECKS, detailText, evaluate, NEWEST, reasonText } from "./evaluate.ts";
import { LATEST } from "./level.ts";

type Entry = CorpusPod & {
  /** Of the pods that were written for one check. */
  readonly check?: string;
  readonly passes?: boolean;
  /** Versions that find something in it. */
  readonly since?: number;
  readonly until?: number;
};

const file = join(projectRoot(), "src/kube/pod-security/testdata/corpus.jsonl");
const corpus = readFileSync(file, "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Entry);

t.test("the corpus is judged as an API server judges it, cell by cell", async (t) => {
  const different = corpus.flatMap((entry) =>
    differencesOf(entry).map((text) => `${JSON.stringify(entry.pod)}: ${text}`),
  );
  t.same(different.slice(0, 10), []);
  t.equal(different.length, 0);
  t.comment(`${corpus.length} pods, ${corpus.length * CELLS} cells, ${different.length} differ`);
  t.ok(corpus.length > 300 && LAST_MINOR > NEWEST);
});

t.test(
  "for each check there are pods that pass and pods that do not, at two versions and more",
  async (t) => {
    for (const { id, level, since } of CHECKS) {
      const first = Math.min(...since.keys());
      const reasonsAt = (entry: Entry, version: number): string[] =>
        evaluate({ level, version }, entry.pod).map(({ reason }) => reason);
      const own = corpus.filter((entry) => entry.check === id);
      for (const passes of [true, false])
        t.ok(
          own.some((each) => each.passes === passes),
          `${id}: a pod that ${passes ? "passes" : "fails"}`,
        );
      for (const entry of own) {
        const from = Math.max(first, entry.since ?? 0);
        const found = Array.from({ length: LAST_MINOR + 1 }, (_, minor) => minor)
          .filter((minor) => minor >= first)
          .filter((minor) => reasonsAt(entry, minor).some((each) => REASONS[id].test(each)));
        const wanted =
          entry.passes === true
            ? []
            : Array.from({ length: (entry.until ?? LAST_MINOR + 1) - from }, (_, i) => from + i);
        t.same(found, wanted, `${id}: ${JSON.stringify(entry.pod)}`);
        t.ok(entry.passes === true || wanted.length >= 2, "at two versions");
      }
    }
  },
);

/** By which a finding is told to be this check's. */
const REASONS: Readonly<Record<string, RegExp>> = {
  appArmorProfile: /AppArmor/,
  capabilities_baseline: /non-default capabilities/,
  hostNamespaces: /host namespaces/,
  hostPathVolumes: /hostPath volumes/,
  hostPorts: /^hostPort$/,
  hostProbesAndHostLifecycle: /probe or lifecycle host/,
  privileged: /^privileged$/,
  procMount: /procMount/,
  seLinuxOptions: /seLinuxOptions/,
  seccompProfile_baseline: /seccompProfile/,
  sysctls: /forbidden sysctls/,
  windowsHostProcess: /hostProcess/,
  allowPrivilegeEscalation: /allowPrivilegeEscalation/,
  capabilities_restricted: /unrestricted capabilities/,
  procMount_restricted: /procMount/,
  restrictedVolumes: /restricted volume types/,
  runAsNonRoot: /runAsNonRoot/,
  runAsUser: /runAsUser/,
  seccompProfile_restricted: /seccompProfile/,
};

t.test("privileged finds nothing, and latest is the newest version", async (t) => {
  for (const { pod } of corpus) {
    t.same(evaluate({ level: "privileged", version: LATEST }, pod), []);
    const latest = evaluate({ level: "restricted", version: LATEST }, pod);
    t.same(latest, evaluate({ level: "restricted", version: NEWEST }, pod));
    t.same(latest, evaluate({ level: "restricted", version: 1000 }, pod));
  }
});

t.test("findings in one line, with details and without", async (t) => {
  const spec = {
    hostNetwork: true,
    hostPID: true,
    containers: [{ name: "a", securityContext: { privileged: true } }],
  };
  const found = evaluate({ level: "baseline", version: LATEST }, { spec });
  const second = 'privileged (container "a" must not set securityContext.privileged=true)';
  t.equal(detailText(found), `host namespaces (hostNetwork=true, hostPID=true), ${second}`);
  t.equal(reasonText(found), "host namespaces, privileged");
});
