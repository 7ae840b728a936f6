import t from "tap";
import type { Pod, Service } from "../../../kube/objects.ts";
import { servicePorts } from "./service-ports.ts";

const pod = {
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "c", ports: [{ name: "http", containerPort: 80 }] }] },
} as unknown as Pod;
const service = (selector: object, ...ports: object[]): Service => ({ spec: { selector, ports } }) as never;

t.test("ports that Services ask a pod for, and no container names", (t) => {
  const web = { app: "web" };
  t.same(servicePorts(pod, [service(web, { port: 8080 })]), ["8080/TCP"], "the port is the pod's, too");
  t.same(servicePorts(pod, [service(web, { port: 1, targetPort: 9, protocol: "UDP" })]), ["9/UDP"]);
  t.same(servicePorts(pod, [service(web, { port: 1, targetPort: 80 }, { port: 2, targetPort: "http" })]), []);
  t.same(servicePorts(pod, [service({ app: "other" }, { port: 8080 }), service({}, { port: 8080 })]), []);
  t.same(servicePorts(pod, [service(web, { port: 3, protocol: "SCTP" })]), []);
  const twice = service(web, { port: 8080 });
  t.same(servicePorts(pod, [twice, twice]), ["8080/TCP"]);
  t.end();
});
