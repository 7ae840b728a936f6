// What the API server refuses of how a change of a template is rolled out; a controller that got it would wait for ever.
import t from "tap";
import { ManifestError, parseManifests } from "../manifest/manifest.ts";

const OBJECT: Record<string, string> = {
  Deployment: "strategy",
  DaemonSet: "updateStrategy",
  StatefulSet: "updateStrategy",
};

function problemsOf(kind: string, spec: string): string[] {
  const text = `
apiVersion: apps/v1
kind: ${kind}
metadata: { name: a }
spec:
  selector: { matchLabels: { a: b } }
  template: { metadata: { labels: { a: b } }, spec: { containers: [ { name: c, image: podwire/echo } ] } }
  ${kind === "StatefulSet" ? "serviceName: a" : ""}
  ${spec}
`;
  try {
    parseManifests([{ file: "a.yaml", text }]);
    return [];
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error.problems.map((p) => p.message);
  }
}

const PERCENT = "a valid percent string must be a numeric string followed by an ending '%'";
const NEGATIVE = "must be greater than or equal to 0";
const cases: [kind: string, rollingUpdate: string, ...wanted: string[]][] = [
  ["Deployment", "{}"],
  ["Deployment", "{ maxSurge: 1, maxUnavailable: 0 }"],
  ["Deployment", '{ maxSurge: 0, maxUnavailable: "100%" }'],
  ["Deployment", '{ maxSurge: "300%" }'],
  ["Deployment", "{ maxSurge: constructor }", `maxSurge: Invalid value: "constructor": ${PERCENT}`],
  ["Deployment", '{ maxSurge: "" }', `maxSurge: Invalid value: "": ${PERCENT}`],
  ["Deployment", '{ maxUnavailable: "1" }', `maxUnavailable: Invalid value: "1": ${PERCENT}`],
  ["Deployment", '{ maxUnavailable: "-1%" }', `maxUnavailable: Invalid value: "-1%": ${PERCENT}`],
  ["Deployment", "{ maxSurge: -1 }", `maxSurge: Invalid value: -1: ${NEGATIVE}`],
  [
    "Deployment",
    '{ maxUnavailable: "101%" }',
    'maxUnavailable: Invalid value: "101%": must not be more than 100%',
  ],
  [
    "Deployment",
    '{ maxSurge: 0, maxUnavailable: "0%" }',
    'maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
  ],
  ["DaemonSet", "{ maxUnavailable: 2 }"],
  ["DaemonSet", "{ maxUnavailable: 0, maxSurge: 1 }"],
  ["DaemonSet", "{ maxUnavailable: -1 }", `maxUnavailable: Invalid value: -1: ${NEGATIVE}`],
  ["DaemonSet", "{ maxUnavailable: 0 }", "maxUnavailable: Required value: cannot be 0 when `maxSurge` is 0"],
  [
    "DaemonSet",
    "{ maxSurge: 1 }",
    "maxSurge: Invalid value: 1: may not be set when `maxUnavailable` is non-zero",
  ],
  ["StatefulSet", "{ maxUnavailable: 1 }"],
  ["StatefulSet", "{ maxUnavailable: 0 }", "maxUnavailable: Invalid value: 0: cannot be 0"],
];
for (const [kind, rollingUpdate, ...wanted] of cases)
  t.test(`${kind}: rollingUpdate: ${rollingUpdate}`, async (t) => {
    const found = problemsOf(kind, `${OBJECT[kind]}: { rollingUpdate: ${rollingUpdate} }`);
    t.equal(found.length, wanted.length, found.join("; "));
    for (const [i, each] of wanted.entries())
      t.ok(found[i]?.startsWith(`spec.${OBJECT[kind]}.rollingUpdate.${each}`), found[i]);
  });

t.test("a Deployment's times", async (t) => {
  const later = "must be greater than minReadySeconds";
  const path = "spec.progressDeadlineSeconds: Invalid value:";
  t.same(problemsOf("Deployment", "progressDeadlineSeconds: 10"), []);
  t.same(problemsOf("Deployment", "minReadySeconds: 600"), [`${path} 600: ${later}`]);
  t.same(problemsOf("Deployment", "progressDeadlineSeconds: -1"), [
    `${path} -1: ${NEGATIVE}`,
    `${path} -1: ${later}`,
  ]);
  t.same(problemsOf("Deployment", "revisionHistoryLimit: -1"), [
    `spec.revisionHistoryLimit: Invalid value: -1: ${NEGATIVE}`,
  ]);
  t.same(problemsOf("Deployment", "strategy: { type: Recreate, rollingUpdate: {} }"), [
    "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
  ]);
});
