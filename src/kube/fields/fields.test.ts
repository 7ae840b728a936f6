// No field of an object may be accepted and silently ignored: every field of every type has a row, and only one.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import t from "tap";
import { checkConfiguration } from "../../config/check.ts";
import { schemaFields } from "../../config/schema.ts";
import { type ManifestText, parseManifests } from "../manifest/manifest.ts";
import { parseFieldTable } from "./field-table.ts";
import { ROWS, TYPES } from "./fields.ts";
import { LAB_FIELDS } from "./lab-fields.ts";
import { fieldsPage, servedTypes } from "./page.ts";
import { warningLines } from "./warnings.ts";

const require = createRequire(import.meta.url);
const published = require.resolve("kubernetes-types/package.json").replace(/package\.json$/, "");

/** Fields of the published types, by type. */
function publishedFields(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const group of ["core/v1", "apps/v1", "networking/v1", "meta/v1", "discovery/v1"]) {
    const text = readFileSync(`${published}${group}.d.ts`, "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
    for (const [, name, body] of text.matchAll(/export interface (\w+)[^{]*\{([\s\S]*?)\n\}/g)) {
      const fields = [...body.matchAll(/^ {4}"?([$\w-]+)"?\??:/gm)].map(([, field]) => field);
      found.set(name, [...(found.get(name) ?? []), ...fields]);
    }
  }
  return found;
}

t.test("every field of every kind is served, kept, refused or said not to be done", async (t) => {
  const own = publishedFields();
  let count = 0;
  for (const [type, path] of servedTypes()) {
    const rows = ROWS.get(type);
    const at = path === "" ? type : `${path} (${type})`;
    if (rows === undefined) {
      t.fail(`${at}: no paragraph in src/kube/fields`);
      continue;
    }
    const wanted = new Set([...(TYPES.get(type)?.keys() ?? []), ...(own.get(type) ?? [])]);
    for (const field of wanted) {
      count++;
      if (!rows.has(field)) t.fail(`${at}: field ${field} has no row in src/kube/fields`);
    }
    for (const field of rows.keys()) if (!wanted.has(field)) t.fail(`${at}: there is no field ${field}`);
  }
  t.ok(count > 300, `${count} fields`);
});

t.test("every field of lab.yaml is served", async (t) => {
  const rows = [...(LAB_FIELDS.get("Lab")?.keys() ?? [])];
  const fields = schemaFields("Lab");
  const covers = (row: string, field: string): boolean =>
    row.endsWith(".*") ? field.startsWith(row.slice(0, -2)) : row === field;
  for (const field of fields) t.equal(rows.filter((row) => covers(row, field)).length, 1, field);
  for (const row of rows)
    t.ok(
      fields.some((field) => covers(row, field)),
      `there is a field ${row}`,
    );
});

t.test("no type has rows that nobody reads, and no field two", async (t) => {
  const reached = servedTypes();
  for (const type of ROWS.keys()) t.ok(reached.has(type), `${type} is reached by a field that is served`);
  t.throws(() => parseFieldTable("A\n  x  served\n  y,x  lab  no\n"), /two rows for x/);
  t.throws(() => parseFieldTable("A\n  x  served\nA\n  y  served\n"), /two paragraphs for A/);
  t.throws(() => parseFieldTable("A\n  x  ignored\n"), /no row of a field/);
});

t.test("what is not done says why", async (t) => {
  for (const [type, rows] of ROWS) {
    for (const row of rows.values()) {
      if (row.class === "served" || row.class === "kept") continue;
      t.not(row.remark, "", `${type}.${row.field}`);
    }
  }
});

/** Everything but tables of fields, reading, checking and filling in: what would act on a field. */
function actingSource(folder: string): string {
  const passive = /^(?:fields|manifest|validate|testing|bench)$|^defaults\.ts$|\.test\.ts$/;
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !passive.test(name))
    .map((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return actingSource(path);
      return entry.name.endsWith(".ts") ? readFileSync(path, "utf8") : "";
    })
    .join("\n");
}

t.test("the program reads every field that is served", async (t) => {
  const words = new Set(actingSource("src").match(/\w+/g));
  for (const [type, rows] of ROWS) {
    for (const row of rows.values()) {
      if (row.class === "served") t.ok(words.has(row.field), `${type}.${row.field}`);
    }
  }
});

t.test("docs/fields.md says what the table says", async (t) => {
  t.equal(readFileSync("docs/fields.md", "utf8"), fieldsPage(), "scripts/fields-page writes it");
});

const yaml = (text: string): ManifestText[] => [{ file: "a.yaml", text }];
const lines = (text: string, audience: "lab" | "node" = "lab"): string[] =>
  warningLines(parseManifests(yaml(text), { configuration: checkConfiguration }), audience);
const pod = (name: string, spec: string): string =>
  `{ apiVersion: v1, kind: Pod, metadata: { name: ${name} }, spec: { ${spec} } }\n---\n`;
const run = "command: [sleep, '9']";

t.test("a field that is not done is said once a call, however many objects have it", async (t) => {
  const spec = `containers: [{ name: c, image: i, ${run} }], overhead: { cpu: 1 }`;
  const text = ["a", "b", "c", "d"].map((name) => pod(name, spec)).join("");
  t.same(lines(text), [
    'warning: Pod "a" and 3 more: spec.overhead: resources are neither reserved nor limited (docs/fields.md)',
  ]);
  t.same(lines(text, "node"), [], "it says nothing about packets");
});

t.test("each kind and field has its line, below lists and templates too", async (t) => {
  const text = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - { name: a, image: podwire/echo, volumeDevices: [{ name: x }] }
        - { name: b, image: podwire/echo, volumeDevices: [{ name: x }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1 }
addressType: IPv4
ports: []
endpoints: [{ addresses: [10.0.0.1], deprecatedTopology: { zone: a } }]
`;
  const template = 'warning: Deployment "web": spec.template.spec.containers[*]';
  const slice =
    'warning: EndpointSlice "web-1": endpoints[*].deprecatedTopology: proxies no longer read it: use nodeName, zone and hints (docs/fields.md)';
  t.same(lines(text), [`${template}.volumeDevices: block devices are not made (docs/fields.md)`, slice]);
  t.same(lines(text, "node"), [slice]);
});

t.test("every field that is not done is said when an object sets it", async (t) => {
  const samples: Record<string, unknown> = {
    s: "x",
    i: 77,
    b: true,
    q: "1",
    t: "2025-01-01T00:00:00Z",
    any: { x: 1 },
  };
  let count = 0;
  for (const [type, path] of servedTypes()) {
    for (const row of ROWS.get(type)?.values() ?? []) {
      if (row.class !== "lab" && row.class !== "node") continue;
      const words = (path === "" ? type : path).split(".");
      const value = sampleOf(TYPES.get(type)?.get(row.field) ?? "", samples);
      const truth = row.plain.includes("true") ? false : value;
      if (row.field === "clientConnection") continue; // every file of kubeadm has it
      if (type === "ServiceSpec" && row.field === "externalName") continue; // of one type of Service
      if (row.plain.includes(String(truth)) || row.plain.includes("true|false")) continue;
      const object = nested(words.slice(1), { [row.field]: truth });
      const notes: string[] = [];
      const { notDone } = await import("./fields.ts");
      notDone(object, words[0], (note) => notes.push(note.field));
      const field = [...words.slice(1), row.field].join(".");
      t.ok(notes.includes(field), `${words[0]}: ${field}`);
      count++;
    }
  }
  t.ok(count > 50, `${count} fields`);
});

function sampleOf(type: string, scalars: Record<string, unknown>): unknown {
  if (type.startsWith("[")) return [sampleOf(type.slice(1, -1), scalars)];
  if (type.startsWith("{")) return { x: sampleOf(type.slice(1, -1), scalars) };
  if (type === "NamespaceSpec") return { finalizers: ["mine"] };
  return scalars[type] ?? { name: "x", x: 1 };
}

/** The value at the end of a path like spec, containers[*], ports[*]. */
function nested(words: readonly string[], value: unknown): unknown {
  if (words.length === 0) return value;
  const [first, ...rest] = words;
  const inner = nested(rest, value);
  const name = first.replace("[*]", "");
  return { [name]: first.endsWith("[*]") ? [inner] : inner };
}

t.test("what one field makes of another is said as the API server says it", async (t) => {
  const service = (spec: string): string[] =>
    lines(
      `{ apiVersion: v1, kind: Service, metadata: { name: s }, spec: { ${spec}, ports: [{ port: 1 }] } }`,
    );
  t.same(service("clusterIP: None, externalIPs: [1.2.3.4], sessionAffinity: ClientIP"), [
    'warning: Service "s": spec.externalIPs: is ignored for headless services',
    'warning: Service "s": spec.sessionAffinity: is ignored for headless services',
  ]);
  t.same(service("type: ExternalName, externalName: a.b, externalIPs: [1.2.3.4]"), [
    'warning: Service "s": spec.externalIPs: is ignored when spec.type is "ExternalName"',
  ]);
  t.same(service("externalName: a.b"), [
    'warning: Service "s": spec.externalName: is ignored when spec.type is not "ExternalName"',
  ]);
  t.same(service("externalIPs: [1.2.3.4], sessionAffinity: ClientIP"), []);
});

t.test(
  "of kube-proxy's configuration what does nothing is said, and not what kubeadm writes out",
  async (t) => {
    const head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    const kubeadm = `
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection: { acceptContentTypes: "", burst: 0, contentType: "", kubeconfig: /var/lib/kube-proxy/k.conf, qps: 0 }
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack: { maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null, udpTimeout: 0s }
detectLocal: { bridgeInterface: "", interfaceNamePrefix: "" }
detectLocalMode: ""
enableProfiling: false
hostnameOverride: ""
iptables: { localhostNodePorts: null, masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s }
ipvs: { excludeCIDRs: null, minSyncPeriod: 0s, scheduler: "", strictARP: false, syncPeriod: 0s, tcpTimeout: 0s }
logging: { flushFrequency: 0, options: { json: { infoBufferSize: "0" }, text: { infoBufferSize: "0" } }, verbosity: 0 }
mode: ""
nftables: { masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s }
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel: { enableDSR: false, forwardHealthCheckVip: false, networkName: "", rootHnsEndpointName: "", sourceVip: "" }
`;
    t.same(lines(head + kubeadm), []);
    t.same(lines(`${head}featureGates: { X: true }\nconntrack: { min: 5 }\n`), [
      "warning: KubeProxyConfiguration: featureGates: no gate changes anything (docs/fields.md)",
      "warning: KubeProxyConfiguration: conntrack.min: the table's size is conntrack.max of the agent (docs/fields.md)",
    ]);
    const lab = "apiVersion: podwire.dev/v1alpha1\nkind: Lab\nmetadata: { name: a }\n";
    t.same(lines(`${lab}spec: { proxy: { conntrack: { min: 5 } } }`), [
      'warning: Lab "a": spec.proxy.conntrack.min: the table\'s size is conntrack.max of the agent (docs/fields.md)',
    ]);
  },
);

t.test("a dump of a cluster's ordinary objects says nothing", async (t) => {
  const file = "src/kube/fields/testdata/dump.yaml";
  const manifests = parseManifests([{ file, text: readFileSync(file, "utf8") }]);
  t.equal(manifests.length, 6);
  t.same(warningLines(manifests, "lab"), []);
  t.same(warningLines(manifests, "node"), []);
});
