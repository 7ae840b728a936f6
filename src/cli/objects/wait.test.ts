import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { rolloutStatus } from "./rollout.ts";
import { doneText, splitWords } from "./set-metadata.ts";
import { wantedOf } from "./wait.ts";

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "a", labels: { app: "web" } },
  spec: { containers: [] },
  status: { phase: "Running", podIP: "10.0.0.1", conditions: [{ type: "Ready", status: "False" }] },
} as KubeObject;

const cases: [text: string, holds: boolean, ofNothing: boolean][] = [
  ["delete", false, true],
  ["condition=Ready", false, false],
  ["condition=ready=false", true, false],
  ["condition=Nosuch", false, false],
  ["jsonpath={.status.phase}=Running", true, false],
  ["jsonpath='{.status.phase}'=Running", true, false],
  ["jsonpath={.status.phase}=Pending", false, false],
  ["jsonpath={.status.podIP}", true, false],
  ["jsonpath={.status.nosuch}", false, false],
  ['jsonpath={.status.conditions[?(@.type=="Ready")].status}=False', true, false],
  ["jsonpath=.status.phase=Running", true, false],
];
for (const [text, holds, ofNothing] of cases)
  t.test(`wait --for=${text}`, async (t) => {
    const wanted = wantedOf(text);
    t.same([wanted(pod), wanted(undefined)], [holds, ofNothing]);
  });

t.test("wait for what is none of these", async (t) => {
  for (const text of ["Ready", "condition=", "jsonpath=", "jsonpath={.a", ""])
    t.throws(() => wantedOf(text), { exitCode: 2, message: /./ }, text);
});

t.test("label and annotate: names, then changes", async (t) => {
  t.same(splitWords("label", "label", ["pod", "a", "x=1", "y-", "z="]), {
    names: ["pod", "a"],
    change: { set: { x: "1", z: "" }, remove: ["y"] },
  });
  for (const words of [
    ["pod", "a"],
    ["pod", "x=1", "b"],
    ["pod", "a", "=1"],
    ["pod", "a", "x=1", "x-"],
    ["pod", "a", "-"],
  ])
    t.throws(() => splitWords("label", "label", words), { exitCode: 2, message: /./ }, words.join(" "));
});

t.test("label: kubectl's words for what came of it", async (t) => {
  const of = (set: Record<string, string>, remove: string[] = []): string =>
    doneText("labels", pod, { set, remove });
  t.equal(of({ x: "1" }), "labeled");
  t.equal(of({ app: "web" }), "not labeled");
  t.equal(of({}, ["app"]), "unlabeled");
  t.equal(of({}, ["nosuch"]), "not labeled");
  t.equal(of({}, ["constructor"]), "not labeled");
  t.same(splitWords("label", "label", ["pod", "a", "x=1", "constructor-"]).change.remove, ["constructor"]);
  t.equal(doneText("annotations", pod, { set: {}, remove: ["x"] }), "annotated");
});

const rolling: [kind: string, spec: object, status: object, text: string, done: boolean][] = [
  [
    "Deployment",
    { replicas: 3 },
    { updatedReplicas: 1, replicas: 4 },
    'Waiting for deployment "x" rollout to finish: 1 out of 3 new replicas have been updated...',
    false,
  ],
  [
    "Deployment",
    { replicas: 3 },
    { updatedReplicas: 3, replicas: 4 },
    'Waiting for deployment "x" rollout to finish: 1 old replicas are pending termination...',
    false,
  ],
  [
    "Deployment",
    { replicas: 3 },
    { updatedReplicas: 3, replicas: 3, availableReplicas: 2 },
    'Waiting for deployment "x" rollout to finish: 2 of 3 updated replicas are available...',
    false,
  ],
  [
    "Deployment",
    { replicas: 3 },
    { updatedReplicas: 3, replicas: 3, availableReplicas: 3 },
    'deployment "x" successfully rolled out',
    true,
  ],
  [
    "DaemonSet",
    {},
    { desiredNumberScheduled: 2, updatedNumberScheduled: 1 },
    'Waiting for daemon set "x" rollout to finish: 1 out of 2 new pods have been updated...',
    false,
  ],
  [
    "DaemonSet",
    {},
    { desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2 },
    'daemon set "x" successfully rolled out',
    true,
  ],
  ["StatefulSet", { replicas: 2 }, { readyReplicas: 1 }, "Waiting for 1 pods to be ready...", false],
  [
    "StatefulSet",
    { replicas: 2 },
    { readyReplicas: 2, updatedReplicas: 1, currentRevision: "a", updateRevision: "b" },
    "waiting for statefulset rolling update to complete 1 pods at revision b...",
    false,
  ],
  [
    "StatefulSet",
    { replicas: 2 },
    { readyReplicas: 2, currentReplicas: 2, currentRevision: "b", updateRevision: "b" },
    "statefulset rolling update complete 2 pods at revision b...",
    true,
  ],
];
t.test("rollout status, in kubectl's sentences", async (t) => {
  for (const [kind, spec, status, text, done] of rolling) {
    const object = { apiVersion: "apps/v1", kind, metadata: { name: "x" }, spec, status } as KubeObject;
    t.same(rolloutStatus(object), { text, done });
  }
  t.throws(() => rolloutStatus(pod), { message: "no status viewer has been implemented for Pod" });
});
