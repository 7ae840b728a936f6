// What kubectl's users do without thinking.
import t from "tap";
import { externalIpWarnings } from "./external-ips.ts";
import { parseManifests } from "./manifest/manifest.ts";

const objects = (text: string, options = {}) => parseManifests([{ file: "a.yaml", text }], options);
const pod = (metadata: string) =>
  `{ apiVersion: v1, kind: Pod, metadata: { ${metadata} }, spec: { containers: [ { name: a, image: a } ] } }\n---\n`;

t.test("-n: an object that names another namespace is refused in kubectl's words", async (t) => {
  const only = { namespace: "b", onlyNamespace: "b" };
  t.throws(() => objects(pod("name: x, namespace: a"), only), {
    message:
      'a.yaml:1:62: document 1: Pod "x": the namespace from the provided object "a" does not match the namespace ' +
      `"b". You must pass '--namespace=a' to perform this operation.`,
  });
  t.equal(objects(pod("name: x"), only)[0].object.metadata.namespace, "b");
  t.equal(objects(pod("name: x, namespace: b"), only).length, 1);
  const cluster = "{ apiVersion: v1, kind: Namespace, metadata: { name: a } }";
  t.equal(objects(cluster, only).length, 1, "kinds without a namespace are none's");
  t.equal(objects(pod("name: x, namespace: a"), { namespace: "b" })[0].object.metadata.namespace, "a");
});

t.test("generateName makes a name: Kubernetes' letters, another for each, the same each time", async (t) => {
  const text = pod("generateName: web-") + pod("generateName: web-") + pod("name: own, generateName: web-");
  const names = () => objects(text).map(({ object }) => object.metadata.name);
  const [a, b, own] = names();
  t.match(a, /^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  t.match(b, /^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  t.not(a, b);
  t.equal(own, "own");
  t.same(names(), [a, b, own]);
  t.equal(objects(pod(`generateName: ${"x".repeat(100)}`))[0].object.metadata.name.length, 63);
  const [space] = objects("{ apiVersion: v1, kind: Namespace, metadata: { generateName: t- } }");
  t.equal(space.object.metadata.labels?.["kubernetes.io/metadata.name"], space.object.metadata.name);
  t.throws(() => objects(pod("generateName: Web-")), /metadata.generateName: Invalid value/);
  t.throws(
    () => objects(pod("labels: {}")),
    /metadata.name: Required value: name or generateName is required/,
  );
});

t.test("an externalIP that is a node's address is warned of", async (t) => {
  const parsed = parseManifests([
    {
      file: "a.yaml",
      text: `
{ apiVersion: v1, kind: Node, metadata: { name: node1 }, status: { addresses: [ { type: InternalIP, address: 192.168.50.11 } ] } }
---
{ apiVersion: v1, kind: Service, metadata: { name: s }, spec: { externalIPs: [ 1.2.3.4, 192.168.50.11 ], ports: [ { port: 22 } ] } }
`,
    },
  ]).map(({ object }) => object);
  t.same(externalIpWarnings(parsed, parsed.slice(0, 1)), [
    'warning: Service "s": spec.externalIPs[1]: 192.168.50.11 is an address of node node1: ' +
      "the Service takes 22/TCP there from the node itself",
  ]);
  t.same(externalIpWarnings(parsed, []), []);
});
