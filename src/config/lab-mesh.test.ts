// spec.mesh of a Lab: what it takes, and how what it does not take is told.
import t from "tap";
import { ManifestError, parseManifests } from "../kube/manifest/manifest.ts";
import { checkConfiguration } from "./check.ts";

function problemsOf(mesh: string): string[] {
  const text = `{ apiVersion: podwire.dev/v1alpha1, kind: Lab, spec: { mesh: ${mesh} } }`;
  try {
    parseManifests([{ file: "lab.yaml", text }], { configuration: checkConfiguration });
    return [];
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error.problems.map((problem) => problem.message);
  }
}

t.test("settings of a lab's mesh", async (t) => {
  for (const right of [
    "{}",
    "{ enabled: false }",
    '{ certificateSec: 60, whenAway: bypass, plain: allow, accessLog: "off" }',
  ])
    t.same(problemsOf(right), [], right);
  for (const [wrong, problem] of [
    ["{ certificateSec: 5 }", /^spec\.mesh\.certificateSec: Invalid value: 5: /],
    ["{ certificateSec: 604801 }", /^spec\.mesh\.certificateSec: Invalid value: 604801: /],
    ["{ whenAway: drop }", /^spec\.mesh\.whenAway: Unsupported value: "drop"/],
    ["{ plain: true }", /^spec\.mesh\.plain: /],
    ["{ trustDomain: a }", /unknown field "spec\.mesh\.trustDomain"/],
  ] as const)
    t.match(problemsOf(wrong), [problem], wrong);
});
