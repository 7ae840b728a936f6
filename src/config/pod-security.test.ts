import t from "tap";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { LATEST } from "../kube/pod-security/level.ts";
import { checkConfiguration } from "./check.ts";
import { readPodSecurity } from "./pod-security.ts";

function problemsOf(podSecurity: unknown): string[] {
  const problems = new FieldProblems();
  checkConfiguration(
    "Lab",
    { apiVersion: "podwire.dev/v1alpha1", kind: "Lab", spec: { podSecurity } },
    problems,
  );
  return problems.list.map(({ message }) => message);
}

t.test("a PodSecurityConfiguration in a lab's file, whole or in part", async (t) => {
  const whole = {
    apiVersion: "pod-security.admission.config.k8s.io/v1beta1",
    kind: "PodSecurityConfiguration",
    defaults: { enforce: "baseline", "enforce-version": "v1.30" },
    exemptions: { namespaces: ["kube-system"] },
  };
  t.same(problemsOf(whole), []);
  t.same(problemsOf({}), []);
  t.same(readPodSecurity(whole, new FieldProblems()), {
    defaults: {
      enforce: { level: "baseline", version: 30 },
      audit: { level: "privileged", version: LATEST },
      warn: { level: "privileged", version: LATEST },
    },
    exemptions: { namespaces: ["kube-system"], runtimeClasses: [], usernames: [] },
  });
});

t.test("what is wrong is told by field, all of it", async (t) => {
  t.same(problemsOf({ defaults: { enforce: "strict", level: "x" }, exemptions: { users: [] } }), [
    'unknown field "spec.podSecurity.defaults.level"',
    'unknown field "spec.podSecurity.exemptions.users"',
  ]);
  t.same(
    problemsOf({
      defaults: { enforce: "strict", "warn-version": "1.30" },
      exemptions: { usernames: ["a", "a"] },
    }),
    [
      'spec.podSecurity.defaults.enforce: Invalid value: "strict": must be one of privileged, baseline, restricted',
      'spec.podSecurity.defaults.warn-version: Invalid value: "1.30": must be "latest" or "v1.x"',
      'spec.podSecurity.exemptions.usernames[1]: Duplicate value: "a"',
    ],
  );
  t.match(problemsOf({ apiVersion: "v1", kind: "Pod" }), [
    /spec\.podSecurity\.kind: Unsupported value: "Pod": supported values: "PodSecurityConfiguration"/,
    /spec\.podSecurity\.apiVersion: Unsupported value: "v1"/,
  ]);
  t.match(problemsOf({ kind: "AdmissionConfiguration", plugins: [] }), [
    /^spec\.podSecurity\.kind: Invalid value: "AdmissionConfiguration": give what stands under configuration of its plugin PodSecurity/,
  ]);
  t.match(problemsOf("restricted"), [/spec\.podSecurity: Invalid value: "restricted"/]);
});
