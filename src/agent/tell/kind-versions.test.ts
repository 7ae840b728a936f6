import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { KindVersions } from "./kind-versions.ts";

const object = (kind: string, resourceVersion?: string): KubeObject => ({
  ...{ apiVersion: "v1", kind, metadata: { name: "a", ...(resourceVersion && { resourceVersion }) } },
});

t.test("what came before a change began is in the plane when it is over, by kind", async (t) => {
  const versions = new KindVersions();
  t.same(versions.applied, {});
  versions.saw(object("Pod", "7"));
  versions.saw(object("Service", "5"));
  versions.saw(object("Pod", "6"));
  versions.saw(object("Node"));
  const applied = versions.begin();
  versions.saw(object("Pod", "9"));
  t.same(versions.applied, {}, "not yet");
  applied();
  t.same(versions.applied, { Pod: 7, Service: 5, Node: 0 }, "and no more than that");
  versions.begin()();
  t.same(versions.applied, { Pod: 9, Service: 5, Node: 0 });
});
