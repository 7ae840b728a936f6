import t from "tap";
import type { Pod, Service } from "../../kube/objects.ts";
import { forwardedPort, remotePort } from "./forwarded-ports.ts";

t.test("ports are numbers or names, on one side or both", (t) => {
  t.same(forwardedPort("8080:80"), { local: 8080, remote: "80" });
  t.same(forwardedPort("80"), { local: 80, remote: "80" });
  t.same(forwardedPort(":80"), { local: 0, remote: "80" });
  t.same(forwardedPort("0:80"), { local: 0, remote: "80" });
  t.same(forwardedPort("8080:http"), { local: 8080, remote: "http" });
  t.same(forwardedPort("http"), { local: 0, remote: "http" });
  for (const word of ["", ":", "a:b:c", "8080:", "70000", "80:70000", "x:80", "1:2:3", "8080:-1", "80:0"])
    t.throws(() => forwardedPort(word), { exitCode: 2, message: /^port [^\n]*LOCAL:REMOTE/ }, word);
  t.end();
});

const POD = {
  metadata: { name: "web-1", namespace: "default" },
  spec: { containers: [{ name: "c", image: "x", ports: [{ name: "http", containerPort: 8080 }] }] },
} as unknown as Pod;
const service = (spec: object): Service =>
  ({ metadata: { name: "web", namespace: "default" }, spec }) as unknown as Service;

t.test("a pod's port by its name, a service's by its target", (t) => {
  t.equal(remotePort("80", POD, undefined), 80);
  t.equal(remotePort("http", POD, undefined), 8080);
  t.throws(() => remotePort("grpc", POD, undefined), /Pod 'web-1' does not have a named port 'grpc'/);
  const web = service({
    ports: [{ name: "web", port: 80, targetPort: "http" }, { port: 81, targetPort: 9090 }, { port: 82 }],
  });
  t.equal(remotePort("80", POD, web), 8080);
  t.equal(remotePort("web", POD, web), 8080);
  t.equal(remotePort("81", POD, web), 9090);
  t.equal(remotePort("82", POD, web), 82);
  t.throws(() => remotePort("8080", POD, web), /Service web does not have a service port 8080/);
  t.throws(() => remotePort("http", POD, web), /Service web does not have a port named http/);
  t.equal(remotePort("7000", POD, service({ clusterIP: "None" })), 7000);
  t.end();
});
