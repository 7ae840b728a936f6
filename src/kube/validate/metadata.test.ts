// Owners, finalizers, taints and resources: what an API server refuses of them, in its words, with the place in the file.
import t from "tap";
import { bandwidthOf } from "../bandwidth.ts";
import { ManifestError, parseManifests } from "../manifest/manifest.ts";
import { nanosOf } from "./resources.ts";

function problemsOf(text: string): string[] {
  try {
    parseManifests([{ file: "a.yaml", text }]);
    return [];
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error.problems.map((p) => `${p.line}:${p.column} ${p.message}`);
  }
}

const pod = (metadata: string, resources = ""): string[] =>
  problemsOf(`apiVersion: v1
kind: Pod
metadata: { name: a${metadata} }
spec: { containers: [ { name: c, image: podwire/echo${resources} } ] }
`);
const node = (taints: string): string[] =>
  problemsOf(`apiVersion: v1
kind: Node
metadata: { name: a }
spec: { taints: [ ${taints} ] }
`);
const OWNER = "apiVersion: v1, kind: Pod, name: p, uid: u";

t.test("an owner says who it is, and one of them at most is the controller", async (t) => {
  t.same(pod(`, ownerReferences: [ { ${OWNER} }, { ${OWNER}, controller: true } ]`), []);
  for (const [field, rest, detail] of [
    ["apiVersion", "kind: Pod, name: p, uid: u", "version must not be empty"],
    ["kind", "apiVersion: v1, name: p, uid: u", "must not be empty"],
    ["name", "apiVersion: v1, kind: Pod, uid: u", "must not be empty"],
    ["uid", "apiVersion: v1, kind: Pod, name: p", "must not be empty"],
  ]) {
    const [problem, ...more] = pod(`, ownerReferences: [ { ${rest} } ]`);
    t.match(
      problem,
      new RegExp(`^3:\\d+ metadata\\.ownerReferences\\.${field}: Invalid value: "": ${detail}$`),
    );
    t.same(more, []);
  }
  const two = pod(`, ownerReferences: [ { ${OWNER}, controller: true }, { ${OWNER}, controller: true } ]`);
  t.match(two, [
    /Only one reference can have Controller set to true\. Found "true" in references for Pod\/p and Pod\/p$/,
  ]);
});

t.test("finalizers are standard ones, or qualified names", async (t) => {
  t.same(pod(", finalizers: [ foregroundDeletion, example.com/mine ]"), []);
  t.match(pod(", finalizers: [ mine ]"), [
    /^3:\d+ metadata\.finalizers\[0\]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully/,
  ]);
  t.match(pod(', finalizers: [ "example.com/a b" ]'), [
    /metadata\.finalizers: Invalid value: "example\.com\/a b": name part/,
  ]);
  t.match(pod(", finalizers: [ orphan, foregroundDeletion ]"), [
    /orphan and foregroundDeletion cannot be both set$/,
  ]);
});

t.test("a taint has a key, an effect and a value that a label could have, each pair once", async (t) => {
  t.same(node("{ key: a, effect: NoSchedule }, { key: a, value: b, effect: NoExecute }"), []);
  t.match(node("{ key: a }"), [/^4:\d+ spec\.taints\[0\]\.effect: Required value$/]);
  t.match(node("{ effect: NoSchedule }"), [/spec\.taints\[0\]\.key: /]);
  t.match(node('{ key: a, value: "b c", effect: NoSchedule }'), [
    /^4:\d+ spec\.taints\[0\]\.value: Invalid value: "b c": /,
  ]);
  t.match(node("{ key: a, effect: NoSchedule }, { key: a, value: b, effect: NoSchedule }"), [
    /spec\.taints\[1\]: Duplicate value: .*taints must be unique by key and effect pair$/,
  ]);
});

t.test("resources are not negative, requests not above limits", async (t) => {
  const resources = (text: string): string[] => pod("", `, resources: { ${text} }`);
  t.same(resources("limits: { cpu: 1, memory: 1Gi }, requests: { cpu: 1000m, memory: 1024Mi }"), []);
  t.same(resources("requests: { cpu: 4 }"), []);
  t.match(resources("limits: { cpu: -1 }"), [
    /^4:\d+ spec\.containers\[0\]\.resources\.limits\[?\.?cpu\]?: Invalid value: "-1": must be greater than or equal to 0$/,
  ]);
  t.match(resources("limits: { cpu: 1 }, requests: { cpu: 1001m }"), [
    /^4:\d+ spec\.containers\[0\]\.resources\.requests: Invalid value: "1001m": must be less than or equal to cpu limit of 1$/,
  ]);
  t.match(resources("limits: { example.com/gpu: 2 }, requests: { example.com/gpu: 1 }"), [
    /must be equal to example\.com\/gpu limit of 2$/,
  ]);
  t.match(resources("requests: { example.com/gpu: 1 }"), [
    /Limit must be set for non overcommitable resources$/,
  ]);
  t.match(resources("limits: { example.com/gpu: 500m }"), [/must be an integer$/]);
});

t.test("quantities as numbers", async (t) => {
  const cases: [text: string, nanos: bigint][] = [
    ["1", 10n ** 9n],
    ["100m", 10n ** 8n],
    ["1.5Ki", 1536n * 10n ** 9n],
    ["2e3", 2000n * 10n ** 9n],
    ["1E", 10n ** 27n],
    [".5", 5n * 10n ** 8n],
    ["-3k", -3000n * 10n ** 9n],
    ["0.1n", 1n],
  ];
  for (const [text, nanos] of cases) t.equal(nanosOf(text), nanos, text);
});

t.test("bandwidth is a quantity that a runtime can read", async (t) => {
  const of = (annotation: string) => pod(`, annotations: { ${annotation} }`);
  t.same(of("kubernetes.io/ingress-bandwidth: 10M, kubernetes.io/egress-bandwidth: 1.5Gi"), []);
  t.same(of("podwire.dev/ingress-burst: 80k"), []);
  for (const value of ["10X", "999", "2P", "-1M", "1e99", ""]) {
    t.match(of(`kubernetes.io/egress-bandwidth: "${value}"`), [
      /metadata\.annotations\.kubernetes\.io\/egress-bandwidth: Invalid value: ".*": must be a quantity of bits a second/,
    ]);
  }
  t.match(of('podwire.dev/egress-burst: "0"'), [/must be a quantity of bits, from 1 to 32G/]);
});

t.test("a bandwidth in bits a second", async (t) => {
  for (const [text, bitsPerSec] of [
    ["10M", 1e7],
    ["1500", 1500],
    ["1.5Gi", 1_610_612_736],
    ["1e6", 1e6],
    ["1000100m", 1001],
    ["0.1G", 1e8],
  ] as const) {
    t.equal(bandwidthOf({ "kubernetes.io/ingress-bandwidth": text }).ingress?.bitsPerSec, bitsPerSec, text);
  }
  const long = { "kubernetes.io/ingress-bandwidth": `${"0".repeat(200_000)}10M` };
  t.equal(bandwidthOf(long).ingress, undefined, "nor is anybody kept busy with it");
});
