import t from "tap";
import type { KubeObject } from "../../../kube/objects.ts";
import { changesBetween } from "../../api/changes-between.ts";
import type { KindList } from "../../nodes/nodes.ts";
import { columnsFor } from "../object-columns.ts";
import { listObjects } from "../workload.ts";
import { allEndpoints } from "./endpoints.ts";
import { document, nameOf, printerOf, withoutManagers } from "./output.ts";
import { fieldMatcher, labelMatcher } from "./selector.ts";
import { Shown } from "./watch.ts";

const pod = (name: string, labels: Record<string, string>, version = "1"): KubeObject =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", labels, uid: name, resourceVersion: version },
    spec: { nodeName: "node1" },
  }) as KubeObject;
const PODS = [pod("a", { app: "web", env: "prod" }), pod("b", { app: "api" }), pod("c", {})];
const names = (fits: (object: KubeObject) => boolean): string =>
  PODS.filter(fits)
    .map((each) => each.metadata.name)
    .join("");

t.test("label selectors, as the API reads them", async (t) => {
  const cases: [string | undefined, string][] = [
    [undefined, "abc"],
    ["", "abc"],
    ["app=web", "a"],
    ["app==web", "a"],
    ["app!=web", "bc"],
    ["app", "ab"],
    ["!app", "c"],
    ["app in (web, api)", "ab"],
    ["app notin (web)", "bc"],
    ["app in (web,api),env", "a"],
    ["env=", ""],
  ];
  for (const [text, wanted] of cases) t.equal(names(labelMatcher(text)), wanted, String(text));
  for (const text of ["a=b=c", "app in web", "app,", "=x", "app in (a"])
    t.throws(() => labelMatcher(text), { exitCode: 2, message: /^-l [^\n]+$/ }, text);
});

t.test("field selectors", async (t) => {
  t.equal(names(fieldMatcher("metadata.name=b")), "b");
  t.equal(names(fieldMatcher("metadata.name!=b,spec.nodeName==node1")), "ac");
  t.equal(names(fieldMatcher("spec.nodeName=node2")), "");
  t.throws(() => fieldMatcher("name"), { exitCode: 2, message: /^--field-selector name: / });
});

t.test("output forms that are no forms say so before anybody is asked", async (t) => {
  for (const form of [
    "xml",
    "jsonpath",
    "jsonpath={.a",
    "go-template={{.}}",
    "custom-columns=NAME",
    "jsonpath-file=/no",
  ])
    t.throws(() => printerOf(form, true), { exitCode: 2, message: /^[^\n]+$/ }, form);
  for (const form of ["json", "yaml", "name", "jsonpath={.a}", "custom-columns=N:.metadata.name,X:.a"])
    t.ok(printerOf(form, true), form);
  t.equal(printerOf("wide", true), undefined);
  t.equal(nameOf(PODS[0]), "pod/a");
  t.equal(
    nameOf({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "w" } }),
    "deployment.apps/w",
  );
});

t.test("who has which field is left out", async (t) => {
  const [a] = PODS;
  const managed = { ...a, metadata: { ...a.metadata, managedFields: [{ manager: "x" }] } };
  t.same([withoutManagers(managed), withoutManagers(a)], [a, a]);
});

t.test("what changed between two lists", async (t) => {
  const after = [pod("a", {}, "2"), PODS[1], pod("d", {})];
  const told = changesBetween(PODS, after).map(({ type, object }) => `${type} ${object.metadata.name}`);
  t.same(told, ["DELETED c", "MODIFIED a", "ADDED d"]);
});

t.test("Endpoints of Services with a selector are made of their slices", async (t) => {
  const metadata = { name: "web", namespace: "default" };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: { selector: { app: "web" } },
  } as KubeObject;
  const bare = { ...service, metadata: { ...metadata, name: "bare" }, spec: {} } as KubeObject;
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "web-x", namespace: "default", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints: [1, 2, 3, 4, 5].map((i) => ({ addresses: [`10.0.0.${i}`], conditions: { ready: i > 1 } })),
    ports: [{ port: 8080 }],
  } as KubeObject;
  const kinds: Readonly<Record<string, KubeObject[]>> = {
    services: [service, bare],
    endpointslices: [slice],
  };
  const holder = {
    list: async (plural: string): Promise<KindList> => {
      return { kind: "", plural, namespaced: true, apiVersion: "v1", items: kinds[plural] };
    },
  };
  const made = await allEndpoints(holder, []);
  t.same(
    made.map((each) => each.metadata.name),
    ["web"],
  );
  const shown = columnsFor("Endpoints", Date.now()).map((each) => each.value(made[0]));
  t.same(shown.slice(0, 2), ["web", "10.0.0.2:8080,10.0.0.3:8080,10.0.0.4:8080 + 1 more..."]);
  kinds.endpointslices.length = 0;
  t.same(await allEndpoints(holder, made), made, "a stored one stands");
});

t.test("a watch tells of what fits: it comes, changes, and goes when it fits no longer", async (t) => {
  const shown = new Shown([PODS[0]]);
  const fits = labelMatcher("app");
  const types = (object: KubeObject, type: "MODIFIED" | "DELETED" = "MODIFIED"): string =>
    shown
      .seen({ type, object }, fits)
      .map((each) => each.type)
      .join();
  t.equal(types(PODS[0]), "MODIFIED");
  t.equal(types(pod("a", {}, "2")), "DELETED");
  t.equal(types(pod("a", {}, "3")), "");
  t.equal(types(pod("a", { app: "x" }, "4")), "ADDED");
  t.equal(types(PODS[0], "DELETED"), "DELETED");
  t.equal(types(PODS[2], "DELETED"), "");
});

t.test("objects without a version are compared as they are", async (t) => {
  const made = (ip: string): KubeObject =>
    ({
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: { name: "a", namespace: "d" },
      subsets: [{ addresses: [{ ip }] }],
    }) as KubeObject;
  t.same(changesBetween([made("1.1.1.1")], [made("1.1.1.1")]), []);
  t.match(changesBetween([made("1.1.1.1")], [made("1.1.1.2")]), [{ type: "MODIFIED" }]);
});

t.test(
  "Calico's endpoints are made of pods, by any of its words, and listed as calicoctl lists them",
  async (t) => {
    const asked: string[] = [];
    const holder = {
      list: async (word: string, namespace = ""): Promise<KindList> => {
        asked.push(`${word} ${namespace}`);
        const spec = { nodeName: "node1", containers: [] };
        const items = [{ ...PODS[0], spec, status: { podIPs: [{ ip: "10.244.1.5" }] } }, PODS[1]];
        const all = [items[0], { ...items[1], spec: { containers: [] } }] as object as KubeObject[];
        return { kind: "Pod", plural: "pods", namespaced: true, apiVersion: "v1", items: all };
      },
    };
    for (const word of ["wep", "weps", "WorkloadEndpoint", "workloadendpoints.projectcalico.org"]) {
      const { kind, plural, namespaced, items } = await listObjects(holder, word, "default");
      t.same([kind, plural, namespaced], ["WorkloadEndpoint", "workloadendpoints", true], word);
      t.same(items.map(nameOf), ["workloadendpoint.projectcalico.org/node1-k8s-a-eth0"], "b is on no node");
      t.match(document(items, false), {
        apiVersion: "projectcalico.org/v3",
        kind: "WorkloadEndpointList",
        items: [{ kind: "WorkloadEndpoint", spec: { pod: "a", ipNetworks: ["10.244.1.5/32"] } }],
      });
      t.match(document(items, true), { kind: "WorkloadEndpoint" });
    }
    t.same([...new Set(asked)], ["pods default"]);
  },
);
