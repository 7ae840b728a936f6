// Lists, and a pod's lines of /etc/hosts: what is refused of them.
import t from "tap";
import type { Service } from "../objects.ts";
import { ManifestError, parseManifests } from "./manifest.ts";

const NESTED = (depth: number): string =>
  `${'{"apiVersion":"v1","kind":"List","items":['.repeat(depth)}${"]}".repeat(depth)}`;
const HOSTS = (alias: string): string =>
  `{ apiVersion: v1, kind: Pod, metadata: { name: a }, spec: { hostAliases: [ ${alias} ], ` +
  "containers: [ { name: c, image: i } ] } }";

const cases: [string, string, string?][] = [
  [
    "a list",
    "{ apiVersion: v1, kind: List, items: [ { apiVersion: v1, kind: Namespace, metadata: { name: a } } ] }",
  ],
  ["a list of one kind", "{ apiVersion: v1, kind: NamespaceList, items: [ { metadata: { name: a } } ] }"],
  ["some lists in one another", NESTED(100)],
  [
    "a list in another version",
    "{ apiVersion: v2, kind: List, items: [] }",
    'no matches for kind "List" in version "v2": use v1',
  ],
  ["a list without a version", "{ kind: List, items: [] }", "error validating data: apiVersion not set"],
  [
    "a version that is no text",
    "{ apiVersion: 1, kind: PodList, items: [] }",
    "error validating data: apiVersion not set",
  ],
  ["lists in lists without end", NESTED(4900), "more than 100 lists in one another"],
  ["a host alias", HOSTS("{ ip: 'fd00::1', hostnames: [ a, b.example.com ] }")],
  [
    "a host alias without an address",
    HOSTS("{ ip: web, hostnames: [ a ] }"),
    'spec.hostAliases[0].ip: Invalid value: "web": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
  ],
  [
    "a host alias of two lines",
    HOSTS('{ ip: 10.0.0.1, hostnames: [ a, "b\\n10.0.0.2 c" ] }'),
    'spec.hostAliases[0].hostnames[1]: Invalid value: "b\\n10.0.0.2 c": a lowercase RFC 1123 subdomain must consist of ' +
      "lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. " +
      "'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
  ],
];
for (const [what, text, wanted] of cases)
  t.test(`${wanted === undefined ? "taken" : "refused"}: ${what}`, async (t) => {
    const parse = () => parseManifests([{ file: "a.yaml", text }]);
    if (wanted === undefined) {
      t.doesNotThrow(parse);
      return;
    }
    const messages: string[] = [];
    try {
      parse();
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      messages.push(...error.problems.map((p) => p.message));
    }
    t.same(messages, [wanted]);
  });

t.test(
  "JSON: a problem is where it was written, whatever defaults made of the object, and nulls go",
  async (t) => {
    const written = (
      clusterIp: string,
    ): string => `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a",
    "labels":null},"spec":{"clusterIP":"${clusterIp}","ports":[{"port":1,"nodePort":null}]}}`;
    t.throws(() => parseManifests([{ file: "a.json", text: written("10.96.0.256") }]), {
      message: /^a\.json:2:40: document 1: Service "a": spec\.clusterIPs\[0\]: Invalid value/,
    });
    const [{ object }] = parseManifests([{ file: "a.json", text: written("10.96.0.25") }]);
    t.notOk("labels" in object.metadata);
    t.strictSame((object as Service).spec.ports, [{ port: 1, protocol: "TCP", targetPort: 1 }]);
  },
);
