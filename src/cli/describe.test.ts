import t from "tap";
import type { KubeObject } from "../control/objects.ts";
import { describe } from "./describe.ts";

t.test("a Service, a field a line, with its endpoints", async (t) => {
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "web",
      namespace: "default",
      labels: { b: "2", a: "1" },
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    spec: {
      type: "ClusterIP",
      clusterIPs: ["10.96.0.1"],
      ports: [{ name: "http", port: 80 }],
      selector: { app: "web" },
    },
    status: {},
  } as KubeObject;
  t.equal(
    describe(service, ["10.244.0.2:8080"]),
    `Name:                web
Namespace:           default
Labels:              a=1
                     b=2
Annotations:         <none>
CreationTimestamp:   2026-01-01T00:00:00Z
Spec:
  Type:              ClusterIP
  Cluster IPs:       10.96.0.1
  Ports:
    http:
      Port:          80
  Selector:          app=web
Endpoints:           10.244.0.2:8080
Events:              <none>`,
  );
  t.match(describe(service), /^Endpoints: +<none>$/m);
});
