// Definitions of custom resources: names are accepted where nobody else of the group has them.
import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { deleteNamed } from "../../testing/world/delete-named.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";

const definition = (plural: string, kind: string, more: object = {}, group = "example.com"): KubeObject =>
  ({
    ...{ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition" },
    metadata: { name: `${plural}.${group}` },
    spec: {
      ...{ group, scope: "Namespaced", names: { plural, kind, ...more } },
      versions: [{ name: "v1", served: true, storage: true }],
    },
  }) as unknown as KubeObject;

interface Told {
  readonly status: { readonly conditions: readonly { readonly type: string; readonly status: string }[] };
}

t.test("who comes first has the names, and the next one gets them when they are free", async (t) => {
  const cluster = makeCluster();
  const apply = (object: KubeObject): void => {
    const old = cluster.get(object.kind, object.metadata.name);
    cluster.write({ ...old, ...object, metadata: { ...old?.metadata, ...object.metadata } } as KubeObject);
  };
  const of = (name: string) => cluster.get("CustomResourceDefinition", name) as unknown as { status: object };
  const told = (type: string, status: string, reason: string, message: string): object => ({
    type,
    status,
    reason,
    message,
  });
  const fine = told("NamesAccepted", "True", "NoConflicts", "no conflicts found");
  const ready = told("Established", "True", "InitialNamesAccepted", "the initial names have been accepted");
  apply(definition("gates", "Gate", { shortNames: ["g"] }));
  t.match(of("gates.example.com").status, {
    acceptedNames: {
      plural: "gates",
      singular: "gate",
      kind: "Gate",
      listKind: "GateList",
      shortNames: ["g"],
    },
    conditions: [fine, ready],
    storedVersions: ["v1"],
  });
  apply(definition("goats", "Goat", { shortNames: ["g", "go"] }));
  const waits = told("Established", "False", "NotAccepted", "not all names are accepted");
  t.match(of("goats.example.com").status, {
    acceptedNames: { plural: "goats", kind: "Goat" },
    conditions: [told("NamesAccepted", "False", "ShortNamesConflict", '"g" is already in use'), waits],
  });
  apply(definition("doors", "Gate"));
  t.match(of("doors.example.com").status, {
    acceptedNames: { plural: "doors", kind: "" },
    conditions: [told("NamesAccepted", "False", "ListKindConflict", '"GateList" is already in use'), waits],
  });
  apply(definition("gates", "Gate", { shortNames: ["g"] }, "other.example.com"));
  t.match(of("gates.other.example.com").status, { conditions: [fine, ready] }, "another group");
  apply(definition("gates", "Gate", { shortNames: ["ga"] }));
  t.match(of("goats.example.com").status, {
    acceptedNames: { shortNames: ["g", "go"] },
    conditions: [fine, ready],
  });
  deleteNamed(cluster, "crd", "default", ["gates.example.com"]);
  t.match(of("doors.example.com").status, { acceptedNames: { kind: "Gate" }, conditions: [fine, ready] });
  apply(definition("doors", "Gate", { shortNames: ["go"] }));
  t.match(
    of("doors.example.com").status,
    { conditions: [{ status: "False" }, ready] },
    "it stays established",
  );
});

t.test("a manifest's own status of a definition, as generators write it, changes nothing", async (t) => {
  const cluster = makeCluster();
  const status = { acceptedNames: { kind: "", plural: "" }, conditions: null, storedVersions: null };
  const text = JSON.stringify({ ...definition("gates", "Gate"), status });
  const told: unknown[] = [];
  for (let i = 0; i < 2; i++) {
    cluster.apply([{ file: "crd.yaml", text }], { carries: true });
    const { conditions } = (cluster.get("CustomResourceDefinition", "gates.example.com") as never as Told)
      .status;
    told.push(conditions.map((each) => `${each.type} ${each.status}`));
  }
  const fine = ["NamesAccepted True", "Established True"];
  t.same(told, [fine, fine]);
});
