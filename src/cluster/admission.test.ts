import t from "tap";
import { makeCluster } from "../testing/world/make-cluster.ts";

t.test("the namespaces that every cluster needs stay, and so does what else the call names", async (t) => {
  const cluster = makeCluster({ nodes: 0 });
  const text = (name: string): string => `apiVersion: v1\nkind: Namespace\nmetadata: { name: ${name} }\n`;
  cluster.apply([{ file: "shop.yaml", text: text("shop") }]);
  for (const name of ["default", "kube-public", "kube-system"]) {
    const why = `namespaces "${name}" is forbidden: this namespace may not be deleted`;
    const byName = { message: `Error from server (Forbidden): ${why}` };
    t.throws(() => cluster.deleteNamed("ns", "", ["shop", name]), byName, name);
    t.throws(() => cluster.deleteNamed("ns", "", ["shop", name], undefined, { dryRun: true }), byName, name);
    const byFile = { message: `Error from server (Forbidden): error when deleting "a.yaml": ${why}` };
    t.throws(() => cluster.deleteManifests([{ file: "a.yaml", text: text(name) }]), byFile, name);
  }
  t.ok(cluster.get("Namespace", "shop"));
  cluster.deleteNamed("ns", "", ["shop", "kube-node-lease"]);
  t.notOk(cluster.get("Namespace", "shop"));
});
