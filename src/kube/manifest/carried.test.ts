// Kinds that are only stored: what is read of them, and what is refused.
import t from "tap";
import { CARRIED_KINDS } from "../carried-kinds.ts";
import { STORED_KINDS } from "../kinds.ts";
import { idleNotes, PassedOver } from "../passed-over.ts";
import { validateUpdate } from "../validate/update.ts";
import { FieldProblems } from "./field-problems.ts";
import { type Manifest, parseManifests } from "./manifest.ts";

const read = (text: string): Manifest[] => parseManifests([{ file: "a", text }], { carries: true });
const one = (kind: string, rest = "", version = "v1"): string =>
  `---\napiVersion: ${version}\nkind: ${kind}\nmetadata: { name: x }\n${rest}\n`;
const refusal = (text: string): string => {
  try {
    read(text);
  } catch (error) {
    return (error as Error).message.replace(/^a:\d+:\d+: document \d+: /, "");
  }
  return "taken";
};

const FILLED = ["CertificateSigningRequest", "CustomResourceDefinition", "Ingress", "IngressClass"];

t.test("each kind has words that no other one has", async (t) => {
  const words = STORED_KINDS.flatMap((info) => [info.plural, ...info.shortNames]);
  t.equal(new Set(words).size, words.length);
  t.equal(CARRIED_KINDS.length > 35, true, `${CARRIED_KINDS.length}`);
  for (const { kind, apiVersion, namespaced } of CARRIED_KINDS) {
    if (FILLED.includes(kind)) continue; // have fields that must be there
    const [{ object, info }] = read(one(kind, "", apiVersion));
    t.equal(info.kind, kind);
    t.equal(object.metadata.namespace, namespaced ? "default" : undefined, kind);
  }
});

t.test("who stores nothing passes them over, as before", async (t) => {
  const passed = new PassedOver();
  const text = one("ConfigMap") + one("Ingress", "", "networking.k8s.io/v1");
  t.same(parseManifests([{ file: "a", text }], { passed }), []);
  t.same(passed.notes(), ["note: passed over, not the network's: 1 ConfigMap, 1 Ingress"]);
});

t.test("every field is kept, but for nulls", async (t) => {
  const [{ object }] = read(
    one(
      "Lease",
      "spec: { rules: [ { host: a, http: null } ], new: { field: 1 } }\nstatus: null",
      "coordination.k8s.io/v1",
    ),
  );
  t.same(object, {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "x", namespace: "default" },
    spec: { rules: [{ host: "a" }], new: { field: 1 } },
  });
  const version = "{ name: v1, served: true, storage: true, schema: { default: null } }";
  const definition = `spec: { group: a.b, scope: Cluster, names: { plural: xs, kind: X }, versions: [ ${version} ] }`;
  const text = one("CustomResourceDefinition", definition, "apiextensions.k8s.io/v1");
  const [crd] = read(text.replace("{ name: x }", "{ name: xs.a.b }"));
  t.match(
    crd.object,
    { spec: { versions: [{ schema: { default: null } }] } },
    "a schema's nulls mean something",
  );
});

t.test("a Secret's text is stored as its data", async (t) => {
  const [{ object }] = read(one("Secret", "stringData: { a: ü }\ndata: { b: Yg== }"));
  t.match(object, { type: "Opaque", data: { a: "w7w=", b: "Yg==" } });
  t.notOk("stringData" in object);
});

const REFUSED: [string, string][] = [
  [
    one("ConfigMap", "data: { a: 1 }"),
    'ConfigMap "x": data.a: cannot unmarshal number 1 into a field of type string',
  ],
  [one("ConfigMap", "dta: { a: b }"), 'ConfigMap "x": unknown field "dta"'],
  [one("ConfigMap", "data: { a/b: c }"), 'Invalid value: "a/b": a valid config key must consist of'],
  [one("ConfigMap", "data: { a: b }\nbinaryData: { a: Yg== }"), "duplicate of key present in binaryData"],
  [one("Secret", "data: { a: not base64 }"), "illegal base64 data at input byte 3"],
  [one("Secret", "data: { a: YQ }"), "illegal base64 data at input byte 2"],
  [one("Secret", "type: kubernetes.io/tls\ndata: { tls.crt: YQ== }"), "data[tls.key]: Required value"],
  [one("ConfigMap").replace("name: x", "name: X"), 'metadata.name: Invalid value: "X"'],
  [one("Lease", "", "coordination.k8s.io/v1").replace("name: x", "nme: x"), 'unknown field "metadata.nme"'],
  [
    one("ClusterRole", "", "rbac.authorization.k8s.io/v1").replace("name: x", "name: a/b"),
    "may not contain '/'",
  ],
];

t.test("what an API server refuses is refused", async (t) => {
  for (const [text, why] of REFUSED) t.ok(refusal(text).includes(why), `${refusal(text)}: ${why}`);
  const role = one("ClusterRole", "", "rbac.authorization.k8s.io/v1").replace(
    "name: x",
    "name: 'system:node'",
  );
  t.equal(refusal(role), "taken", "names of roles are free");
});

t.test("what is immutable stays as it is", async (t) => {
  const said = (before: string, after: string): string[] => {
    const found = new FieldProblems();
    const [old] = read(before);
    validateUpdate(read(after)[0].object, old.object, found);
    return found.list.map(({ message }) => message.replace("Forbidden: field is ", ""));
  };
  const map = (text: string): string => one("ConfigMap", text);
  const fixed = map("immutable: true\ndata: { a: b, c: d }");
  t.same(said(fixed, map("immutable: true\ndata: { c: d, a: b }")), []);
  t.same(said(map("data: { a: b }"), map("data: { a: c }")), []);
  t.same(said(fixed, map("immutable: true\ndata: { a: c }")), ["data: immutable when `immutable` is set"]);
  t.same(said(fixed, map("data: { a: b, c: d }")), ["immutable: immutable when `immutable` is set"]);
  t.match(said(one("Secret"), one("Secret", "type: a/b")), [
    /^type: Invalid value: "a\/b": field is immutable/,
  ]);
});

t.test("what nobody acts on is told once a call", async (t) => {
  const roles = ["Role", "RoleBinding", "Role"].map((kind) => one(kind, "", "rbac.authorization.k8s.io/v1"));
  roles[2] = roles[2].replace("name: x", "name: z");
  t.same(idleNotes(read(roles.join("") + one("ConfigMap"))), [
    "note: stored, and nothing here acts on it: 2 Role, 1 RoleBinding",
  ]);
  t.same(idleNotes(read(one("ConfigMap"))), []);
});
