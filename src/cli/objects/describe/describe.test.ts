// What kubectl itself printed of the same objects, letter for letter.
import { readFileSync } from "node:fs";
import t from "tap";
import type { EndpointSlice, Event, KubeObject, Pod } from "../../../kube/objects.ts";
import { describe } from "./describe.ts";
import { layOut } from "./tabs.ts";

interface Described {
  nowMs: number;
  pods: Pod[];
  slices: EndpointSlice[];
  cases: { object: KubeObject; events: Event[]; text: string[] }[];
}

process.env.TZ = "UTC";
const file = new URL("../../../../../src/cli/objects/describe/testdata/described.json", import.meta.url);
const { nowMs, pods, slices, cases }: Described = JSON.parse(readFileSync(file, "utf8"));

function described({ object, events }: { object: KubeObject; events: Event[] }): string {
  const own = slices.filter(
    ({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === object.metadata.name,
  );
  return describe(object, { nowMs, events, pods, slices: own });
}

for (const each of cases) {
  const { kind, metadata } = each.object;
  if (kind === "Node") continue;
  t.test(`${kind} ${metadata.name}`, async (t) => t.equal(described(each), each.text.join("\n")));
}

t.test("a Node: kubectl's lines, but for what a lab does not know of it", async (t) => {
  const [each] = cases.filter(({ object }) => object.kind === "Node");
  const words = (text: string): string[] => text.split("\n").map((line) => line.trim().replace(/ +/g, " "));
  const left = words(described(each)).filter((line) => !words(each.text.join("\n")).includes(line));
  t.same(
    left.filter((line) => !/^default \S+ \d+h\d+m$/.test(line)),
    ["Namespace Name Age", "--------- ---- ---"],
  );
  t.match(described(each), /^Name: {15}node1\nRoles: {14}worker\nLabels: {13}beta/);
});

t.test("columns as Go's tabwriter makes them", async (t) => {
  t.equal(layOut("a\tb\tc\nlong\tx\ty\n\nz\t1"), "a     b  c\nlong  x  y\n\nz  1");
  t.equal(layOut("a\tb\nnone\nlonger\tc"), "a  b\nnone\nlonger  c", "a line without the column ends it");
  t.equal(layOut("é\tb\nab\tc"), "é   b\nab  c", "letters are counted, not bytes");
});

t.test("what a terminal would obey is shown", async (t) => {
  const object = { apiVersion: "v1", kind: "Namespace", metadata: { name: "a", labels: { x: "\x1b[31m" } } };
  t.match(describe(object, { nowMs }), "Labels:       x=^[[31m");
});

t.test(
  "kinds that the network passes over have kubectl's forms; custom ones of their names have none",
  async (t) => {
    const metadata = { name: "x", namespace: "default" };
    const config = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata,
      data: { b: "2\n", a: "1" },
    } as KubeObject;
    t.match(
      describe(config, { nowMs }),
      /Data\n====\na:\n----\n1\n\nb:\n----\n2\n\n\n\nBinaryData\n====\n\n/,
    );
    const secret = { apiVersion: "v1", kind: "Secret", metadata, type: "Opaque", data: { key: "dmFsdWU=" } };
    t.match(describe(secret as KubeObject, { nowMs }), /Type: +Opaque\n\nData\n====\nkey: +5 bytes\n/);
    const own = { ...config, apiVersion: "example.org/v1" } as KubeObject;
    t.match(describe(own, { nowMs }), /API Version: +example\.org\/v1\n/);
  },
);

t.test("kinds without a form of their own: every field, by name", async (t) => {
  const object = {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    metadata: { name: "more", uid: "u" },
    spec: { cidrs: ["10.0.0.0/24"] },
  } as KubeObject;
  t.equal(
    describe(object, { nowMs, events: [] }),
    `Name:         more
Labels:       <none>
Annotations:  <none>
API Version:  networking.k8s.io/v1
Kind:         ServiceCIDR
Metadata:
  UID:  u
Spec:
  Cidrs:
    10.0.0.0/24
Events:  <none>
`,
  );
});
