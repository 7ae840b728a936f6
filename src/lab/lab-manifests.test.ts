// Custom resources in a lab's manifests: read by the schema of their definition, wherever that stands.
import t from "tap";
import type { CustomDefinition } from "../kube/custom-definition.ts";
import type { ManifestText } from "../kube/manifest/manifest.ts";
import { makeCluster } from "../testing/world/make-cluster.ts";
import { type LabManifests, parseForLab } from "./lab-manifests.ts";

const DEFINITION = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: services.example.com }
spec:
  group: example.com
  scope: Namespaced
  names: { kind: Service, plural: services, singular: service }
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: { type: integer, minimum: 1 }
              color: { type: string, default: red }
              parts: { type: array, items: { type: object, properties: { name: { type: string } } } }
`;
const service = (spec: string): string => `
apiVersion: example.com/v1
kind: Service
metadata: { name: a }
spec: ${spec}
`;

function read(...texts: string[]): LabManifests {
  return readWith([], ...texts);
}

function readWith(stored: CustomDefinition[], ...texts: string[]): LabManifests {
  const files = texts.map((text, i): ManifestText => ({ file: `${i}.yaml`, text }));
  return parseForLab(files, { namespace: "shop" }, stored);
}

t.test("a definition behind its objects; its kind is called like one of the API's", async (t) => {
  const { manifests, passed } = read(service("{ size: 2 }"), DEFINITION);
  t.same(passed.notes(), []);
  t.match(manifests[0], {
    object: {
      ...{ apiVersion: "example.com/v1", kind: "Service.example.com" },
      ...{ metadata: { name: "a", namespace: "shop" }, spec: { size: 2, color: "red" } },
    },
    info: { plural: "services", namespaced: true },
  });
});

t.test("they are stored together, by a definition that is there, too", async (t) => {
  const cluster = makeCluster();
  cluster.applyManifests(read(DEFINITION).manifests);
  const definitions = cluster.list("CustomResourceDefinition") as CustomDefinition[];
  const stored = (): object | undefined => cluster.get("Service.example.com", "shop/a");
  t.throws(() => cluster.applyManifests(readWith(definitions, service("{ size: 2 }")).manifests), {
    message: /namespaces "shop" not found/,
  });
  cluster.apply([{ file: "ns", text: "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}" }]);
  const apply = (size: number): unknown =>
    cluster.applyManifests(readWith(definitions, service(`{ size: ${size} }`)).manifests);
  t.match(apply(2), [{ action: "created", resource: "service.example.com/a" }]);
  t.match(apply(2), [{ action: "unchanged" }]);
  t.match(apply(3), [{ action: "configured" }]);
  t.match(stored(), { spec: { size: 3 } });
});

t.test("what the schema refuses is told where it stands", async (t) => {
  for (const [spec, message] of [
    ["{ size: 0 }", /^0.yaml:5:15: document 1: Service "a": spec.size: Invalid value: 0: /],
    ["{ size: x }", /^0.yaml:5:15: .*spec.size: Invalid value: "string": .*integer/],
    ["{ parts: [ {}, { name: 3 } ] }", /^0.yaml:5:30: .*spec.parts\[1\].name: Invalid value: "integer"/],
    ["{ sise: 3 }", /^0.yaml:5:9: document 1: Service "a": unknown field "spec.sise"$/],
  ] as const)
    t.throws(() => read(service(spec), DEFINITION), { code: "MANIFEST_INVALID", message }, spec);
});

t.test("a definition that is none, and kinds that nobody defines", async (t) => {
  const broken = DEFINITION.replace("type: integer, minimum", "type: inteer, minimum");
  t.throws(() => read(broken), {
    message: /^0.yaml:\d+:\d+: document 1: CustomResourceDefinition "services.example.com": spec/,
  });
  const { manifests, passed } = read(service("{}"));
  t.same([manifests, passed.notes()], [[], ["note: passed over, not the network's: 1 Service.example.com"]]);
});
