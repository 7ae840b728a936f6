import t from "tap";
import type { KubeObject } from "../kube/objects.ts";
import { objectNotes } from "./object-notes.ts";

const object = (containers: object[]): KubeObject =>
  ({
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "a" } },
    spec: { template: { spec: { containers } } },
  }) as unknown as KubeObject;

t.test("what podwire apply says of an object, once for each field, without its name", async (t) => {
  const one = {
    name: "c",
    image: "shop/one",
    ports: [{ containerPort: 80 }],
    resources: { limits: { cpu: "1" } },
  };
  t.same(objectNotes(object([one, { ...one, name: "d" }]), {}), [
    "spec.template.spec.containers[*].resources: resources are neither reserved nor limited (docs/fields.md)",
    "spec.template.spec.containers[*].image: this image is not run: podwire/echo stands in on its ports: " +
      "use command, or images of lab.yaml (docs/lab.md)",
  ]);
  const known = { name: "c", image: "shop/one", ports: one.ports, imagePullPolicy: "Always" };
  t.same(objectNotes(object([known]), { images: [{ match: "shop/*", run: ["shopd"] }] }), []);
});

t.test("a Service of type LoadBalancer that nobody gives an address is told so", async (t) => {
  const service = (spec: object, status = {}): KubeObject =>
    ({
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: "a" } },
      ...{ spec: { type: "LoadBalancer", ...spec }, status },
    }) as unknown as KubeObject;
  const line = "spec.type: no address is given: lab.yaml has no loadBalancer.pool (docs/lab.md)";
  t.same(objectNotes(service({}), {}), [line]);
  t.same(objectNotes(service({}), { loadBalancer: { pool: [] } }), []);
  t.same(objectNotes(service({ loadBalancerClass: "example.com/own" }), {}), []);
  t.same(objectNotes(service({ type: "ClusterIP" }), {}), []);
  t.same(objectNotes(service({}, { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } }), {}), []);
});
