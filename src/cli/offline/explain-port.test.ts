// Which port of a Service is asked about when none is named.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { CommandLine } from "../../testing/command-line.ts";

const directory = mkdtempSync(join(tmpdir(), "podwire-explain-port-"));
t.teardown(() => rmSync(directory, { recursive: true }));
const podwire = new CommandLine();
t.teardown(() => podwire.close());

const OBJECTS = join(directory, "objects.yaml");
writeFileSync(
  OBJECTS,
  `
apiVersion: v1
kind: Node
metadata: { name: node1 }
spec: { podCIDR: 10.244.1.0/24 }
status: { addresses: [ { type: InternalIP, address: 192.168.50.11 } ] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { clusterIP: 10.96.0.80, ports: [ { name: http, port: 80 }, { name: udp, port: 81, protocol: UDP } ] }
---
apiVersion: v1
kind: Service
metadata: { name: two }
spec: { clusterIP: 10.96.0.81, ports: [ { name: http, port: 80 }, { name: https, port: 443 } ] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [ { name: http, port: 8080 }, { name: udp, port: 8081, protocol: UDP } ]
endpoints: [ { addresses: [ 10.244.2.7 ] } ]
`,
);

const explain = (...args: string[]) =>
  podwire.run(["explain", "-f", OBJECTS, "--node", "node1", "--from", "10.244.1.2", ...args]);

t.test("the only one of the protocol that is asked about, TCP where none is", async (t) => {
  const web = explain("--to", "svc/web");
  t.match(web, {
    status: 0,
    stdout: /^10\.244\.1\.2 → svc\/web \(10\.96\.0\.80\) port 80 TCP, seen on node1\n/,
  });
  t.match(web.stdout, "DNAT to 10.244.2.7:8080");
  t.match(explain("--to", "svc/web", "--protocol", "UDP").stdout, "DNAT to 10.244.2.7:8081");
});

t.test("whose decision it is: the receiver's, where the sender is nobody's", async (t) => {
  const nodes = ["node1 192.168.50.11", "node2 192.168.50.12"].map((text) => {
    const [name, address] = text.split(" ");
    const addresses = [{ type: "InternalIP", address }];
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Node",
      metadata: { name },
      spec: {},
      status: { addresses },
    });
  });
  const file = join(t.testdir({}), "nodes.yaml");
  writeFileSync(file, nodes.join("\n---\n"));
  const seen = (from: string, to: string): string =>
    podwire.run(["explain", "-f", file, "--from", from, "--to", to, "--port", "30080"]).stdout.split("\n")[0];
  t.match(seen("192.0.2.7", "192.168.50.12"), / port 30080 TCP, seen on node2$/);
  t.match(seen("192.168.50.11", "192.168.50.12"), / seen on node1$/);
  t.match(seen("192.0.2.7", "192.0.2.8"), / seen on node1$/);
});

t.test("where there are more, or none, they are named", async (t) => {
  const which = "which port? It has";
  t.match(explain("--to", "svc/two"), {
    status: 2,
    stderr: `error: --to svc/two: ${which} 80/TCP (http), 443/TCP (https): say one by --to svc/two:PORT\n`,
  });
  t.match(explain("--to", "svc/web", "--protocol", "SCTP"), {
    status: 2,
    stderr: `error: --to svc/web: ${which} 80/TCP (http), 81/UDP (udp): say one by --to svc/web:PORT\n`,
  });
  t.match(explain("--to", "10.96.0.80"), { status: 2, stderr: "error: --port is missing\n" });
});
