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
    "spec.template.spec.containers[*].resources: nothing is reserved, and only memory is limited, " +
      "but not that of podwire/echo (docs/fields.md)",
    "spec.template.spec.containers[*].image: this image is not run: podwire/echo stands in on its ports: " +
      "use command, or images of lab.yaml (docs/lab.md)",
  ]);
  const known = { name: "c", image: "shop/one", ports: one.ports, imagePullPolicy: "Always" };
  t.same(objectNotes(object([known]), { images: [{ match: "shop/*", run: ["shopd"] }] }), []);
});

t.test("a limit of memory is held, and told where it is podwire/echo's", async (t) => {
  const noted = (image: string, resources: object): number => {
    const notes = objectNotes(object([{ name: "c", image, command: ["sh"], resources }]), {});
    return notes.filter((each) => /resources/.test(each)).length;
  };
  t.equal(noted("x", { limits: { memory: "32Mi" } }), 0);
  t.equal(noted("x", { limits: { memory: "32Mi" }, requests: { memory: "32Mi" } }), 0);
  t.equal(noted("podwire/echo", { limits: { memory: "32Mi" } }), 1);
  t.equal(noted("x", { limits: { memory: "32Mi", cpu: "1" } }), 1);
  t.equal(noted("x", { requests: { memory: "32Mi" } }), 1);
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

t.test(
  "annotations of MetalLB's that do nothing here are told, where its addresses are the lab's to give",
  async (t) => {
    const service = (names: string[], spec: object = {}): KubeObject => {
      const annotations = Object.fromEntries(names.map((name) => [name, "a"]));
      const metadata = { name: "a", annotations };
      return {
        apiVersion: "v1",
        kind: "Service",
        metadata,
        spec: { type: "LoadBalancer", ...spec },
      } as KubeObject;
    };
    const lab = { loadBalancer: { pool: [] } };
    const asked = [
      "metallb.universe.tf/address-pool",
      "metallb.io/allow-shared-ip",
      "metallb.io/loadBalancerIPs",
    ];
    t.same(objectNotes(service(asked), lab), [
      "metadata.annotations[metallb.io/allow-shared-ip]: addresses are not shared (docs/lab.md)",
      "metadata.annotations[metallb.universe.tf/address-pool]: the lab has one pool, which has no name: " +
        "the address comes from it (docs/lab.md)",
    ]);
    t.equal(objectNotes(service(asked, { loadBalancerClass: "podwire.dev/lab" }), lab).length, 2);
    t.same(objectNotes(service(asked, { loadBalancerClass: "example.com/own" }), lab), []);
    t.same(objectNotes(service(asked, { type: "ClusterIP" }), lab), []);
  },
);
