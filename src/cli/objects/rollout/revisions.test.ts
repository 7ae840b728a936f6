import t from "tap";
import type { KubeObject } from "../../../kube/objects.ts";
import {
  deploymentPatch,
  earlier,
  historyText,
  isCurrent,
  keeperOf,
  revisionsOf,
  templateText,
} from "./revisions.ts";

const template = (image: string, labels: object = {}): object => ({
  metadata: { labels: { app: "web", ...labels } },
  spec: { containers: [{ name: "c", image }] },
});
const owner = [{ apiVersion: "apps/v1", kind: "Deployment", name: "web", uid: "u1", controller: true }];
const WEB = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: {
    name: "web",
    uid: "u1",
    annotations: { "deployment.kubernetes.io/revision": "3", "kubernetes.io/change-cause": "third", x: "y" },
  },
  spec: { template: template("echo:3") },
} as unknown as KubeObject;
const set = (revision: string, image: string, cause?: string, owners: object[] = owner): KubeObject =>
  ({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `web-${revision}`,
      annotations: {
        "deployment.kubernetes.io/revision": revision,
        ...(cause === undefined ? {} : { "kubernetes.io/change-cause": cause }),
      },
      ownerReferences: owners,
    },
    spec: { template: template(image, { "pod-template-hash": `h${revision}` }) },
  }) as unknown as KubeObject;
const SETS = [
  set("3", "echo:3", "third"),
  set("1", "echo:1"),
  set("2", "echo:2", "second"),
  set("9", "x", "", []),
];

t.test("revisions of a deployment are its replica sets", (t) => {
  const revisions = revisionsOf(WEB, SETS);
  t.equal(
    historyText(revisions, 0),
    "REVISION  CHANGE-CAUSE\n1         <none>\n2         second\n3         third\n",
  );
  t.match(historyText(revisions, 2), /Image: +echo:2\n/);
  t.throws(() => historyText(revisions, 7), { message: "unable to find the specified revision" });
  t.equal(historyText([], 0), "No rollout history found.");
  t.equal(earlier(WEB, revisions, 0).number, 2);
  t.equal(earlier(WEB, revisions, 1).number, 1);
  t.throws(() => earlier(WEB, revisions, 5), /unable to find specified revision 5 in history/);
  t.throws(() => earlier(WEB, revisions.slice(2), 0), /no rollout history found for deployment "web"/);
  t.ok(isCurrent(WEB, revisions[2]), "but for the hash");
  t.notOk(isCurrent(WEB, revisions[1]));
  t.end();
});

t.test("a deployment goes back with the annotations of then, and keeps its own number", (t) => {
  const [, second] = revisionsOf(WEB, SETS);
  t.same(deploymentPatch(WEB, second), [
    { op: "replace", path: "/spec/template", value: template("echo:2") },
    {
      op: "replace",
      path: "/metadata/annotations",
      value: { "deployment.kubernetes.io/revision": "3", "kubernetes.io/change-cause": "second" },
    },
  ]);
  t.end();
});

t.test("revisions of the others are ControllerRevisions", (t) => {
  const daemons = { ...WEB, kind: "DaemonSet" } as KubeObject;
  const keep = (revision: number, image: string): KubeObject =>
    ({
      kind: "ControllerRevision",
      metadata: { name: `web-${revision}`, ownerReferences: owner },
      revision,
      data: { spec: { template: { $patch: "replace", ...template(image) } } },
    }) as unknown as KubeObject;
  const revisions = revisionsOf(daemons, [keep(2, "echo:3"), keep(1, "echo:1")]);
  t.same(
    revisions.map(({ number }) => number),
    [1, 2],
  );
  t.match(templateText(revisions[0]), /echo:1/);
  t.ok(isCurrent(daemons, revisions[1]));
  t.throws(() => earlier(daemons, revisions.slice(1), 0), /no last revision to roll back to/);
  t.equal(keeperOf("StatefulSet", "statefulsets.apps", "history viewer"), "controllerrevisions");
  t.throws(
    () => keeperOf("Pod", "pods", "history viewer"),
    /no history viewer has been implemented for "pods"/,
  );
  t.end();
});
