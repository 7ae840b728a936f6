// spec.gateways of a Lab: what it takes, and how what it does not take is told.
import t from "tap";
import { ManifestError, parseManifests } from "../kube/manifest/manifest.ts";
import { checkConfiguration } from "./check.ts";

function problemsOf(gateways: string): string[] {
  const text = `{ apiVersion: podwire.dev/v1alpha1, kind: Lab, spec: { gateways: ${gateways} } }`;
  try {
    parseManifests([{ file: "lab.yaml", text }], { configuration: checkConfiguration });
    return [];
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error.problems.map((problem) => problem.message);
  }
}

t.test("settings of a lab's gateways", async (t) => {
  for (const right of [
    "{}",
    "{ enabled: false }",
    "{ ingress: true, replicas: 3, accessLog: off, proxyProtocol: accept }".replace("off", '"off"'),
    "{ limits: { headerBytes: 8192, headers: 50, idleSec: 10, connections: 100, streams: 8 } }",
  ])
    t.same(problemsOf(right), [], right);
  for (const [wrong, problem] of [
    ["{ replicas: 0 }", /^spec\.gateways\.replicas: Invalid value: 0: /],
    ["{ accessLog: /var/log/x }", /^spec\.gateways\.accessLog: Unsupported value: "\/var\/log\/x"/],
    ["{ limits: { headers: many } }", /^spec\.gateways\.limits\.headers: /],
    ["{ limits: { body: 1 } }", /unknown field "spec\.gateways\.limits\.body"/],
    ["{ ports: [ 80 ] }", /unknown field "spec\.gateways\.ports"/],
  ] as const)
    t.match(problemsOf(wrong), [problem], wrong);
});
