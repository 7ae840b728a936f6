// A real application's manifests: what is not the network's business is passed over with one note, whoever reads them.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { PcapngWriter } from "../../capture/pcapng-writer.ts";
import { CommandLine } from "../../testing/command-line.ts";
import { tcpFrame } from "../../testing/frames/frame-builder.ts";

const directory = mkdtempSync(join(tmpdir(), "podwire-kinds-"));
t.teardown(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const APPLICATION = file(
  "application.yaml",
  `
apiVersion: v1
kind: ServiceAccount
metadata: { name: web }
---
apiVersion: v1
kind: List
items:
- { apiVersion: v1, kind: ServiceAccount, metadata: { name: job } }
- { apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: { name: web } }
---
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  nodeSelector: { beta.kubernetes.io/os: linux, kubernetes.io/hostname: node1 }
  containers: [ { name: c, image: podwire/echo } ]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { clusterIP: 10.96.0.80, selector: { app: web }, ports: [ { port: 80, targetPort: 8080 } ] }
`,
);
const NODE = file(
  "node.yaml",
  `
apiVersion: v1
kind: Node
metadata: { name: node1 }
spec: { podCIDR: 10.244.1.0/24 }
status: { addresses: [ { type: InternalIP, address: 192.168.50.11 } ] }
`,
);
const chunks: Uint8Array[] = [];
const writer = new PcapngWriter((bytes) => chunks.push(bytes));
writer.addInterface({ name: "eth0" });
writer.packet({
  interfaceId: 0,
  timestampNs: 0n,
  data: tcpFrame({ src: "192.168.50.99", dst: "10.96.0.80", srcPort: 41000, dstPort: 80, flags: "S" }),
});
const CAPTURE = file("in.pcapng", Buffer.concat(chunks));

const commands = new CommandLine();
t.teardown(() => commands.close());
const podwire = (...args: string[]) => commands.run(args);
const PACKET = "--from 192.168.50.99 --to 10.96.0.80 --port 80 --protocol TCP".split(" ");
const COMMANDS: Record<string, string[]> = {
  explain: ["explain", "--node", "node1", "-f", NODE, ...PACKET],
  rules: ["rules", "--node", "node1"],
  "rules with nodes": ["rules", "-f", NODE],
  replay: ["replay", CAPTURE, "--node", "node1"],
};

t.test("kinds that are not the network's business: one note, and the answer", async (t) => {
  for (const [name, args] of Object.entries(COMMANDS)) {
    const { stdout, stderr } = podwire(...args, "-f", APPLICATION);
    const notes = stderr.split("\n").filter((line) => line.includes("passed over"));
    t.same(notes, ["note: passed over, not the network's: 2 ServiceAccount, 1 Ingress"], name);
    t.notMatch(stderr, /error/, name);
    t.match(stdout, /10\.96\.0\.80/, name);
  }
});

t.test("policies of other kinds are said to be not enforced, whoever reads them", async (t) => {
  const texts = ["v3 kind: GlobalNetworkPolicy", "v3 kind: NetworkPolicy", "v3 kind: IPPool"].map(
    (word) => `apiVersion: projectcalico.org/${word.replace(" ", "\n")}\nmetadata: { name: x }\nspec: {}\n`,
  );
  const foreign = file("calico.yaml", texts.join("---\n"));
  for (const [name, args] of Object.entries(COMMANDS)) {
    const { stderr } = podwire(...args, "-f", APPLICATION, "-f", foreign);
    const said = stderr.split("\n").filter((line) => /passed over|not enforced/.test(line));
    t.same(
      said,
      [
        "note: passed over, not the network's: 2 ServiceAccount, 1 Ingress, 1 IPPool",
        "warning: not enforced: 1 GlobalNetworkPolicy, 1 NetworkPolicy.projectcalico.org: " +
          "write them as NetworkPolicy or ClusterNetworkPolicy (docs/policy.md)",
      ],
      name,
    );
  }
});

t.test("a node that is made up has the labels of its kubelet, so pods that ask for them run", async (t) => {
  const { stdout } = podwire("replay", CAPTURE, "-f", APPLICATION, "--node", "node1", "--at", "uplink");
  t.match(stdout, /10\.244\.1\.2:8080/, "its pod is an endpoint");
});

const REFUSED: [string, string][] = [
  ["apiVersion: v1\nkind: Servce\n", 'no matches for kind "Servce" in version "v1"; did you mean Service?'],
  [
    "apiVersion: extensions/v1beta1\nkind: Deployment\n",
    'no matches for kind "Deployment" in version "extensions/v1beta1": use apps/v1',
  ],
  [
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n",
    'no matches for kind "KubeProxyConfiguration" in version "kubeproxy.config.k8s.io/v1alpha1": ' +
      "it is configuration: give it with --config, or as lab.yaml's spec.proxy",
  ],
  [
    "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "kind not set: this is a Helm chart's Chart.yaml: give what `helm template` prints",
  ],
];

t.test("misspelt kinds, other versions and configuration are refused, with the way out", async (t) => {
  for (const [i, [text, message]] of REFUSED.entries()) {
    const wrong = file(`refused-${i}.yaml`, text);
    for (const [name, args] of Object.entries(COMMANDS)) {
      const { stderr, status } = podwire(...args, "-f", wrong);
      t.equal(status, 1, name);
      t.ok(stderr.startsWith(`error: ${wrong}:`) && stderr.includes(message), `${name}: ${stderr}`);
    }
  }
});

t.test("Endpoints of a Service without selector serve it, beside Services of pods", async (t) => {
  const text = `
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { clusterIP: 10.96.1.21, ports: [ { name: pg, port: 5432 } ] }
---
apiVersion: v1
kind: Endpoints
metadata: { name: db }
subsets: [ { addresses: [ { ip: 192.168.50.77 } ], ports: [ { name: pg, port: 5432 } ] } ]
`;
  const objects = file("endpoints.yaml", text);
  const rules = podwire("rules", "--node", "node1", "-f", objects, "-f", APPLICATION);
  t.match(rules.stdout, /--to-destination 192\.168\.50\.77:5432/);
  t.match(rules.stdout, /--to-destination 10\.244\.1\.2:8080/, "pods still get their slices");
  const packet = "--from 10.244.1.7 --to 10.96.1.21 --port 5432 --protocol TCP -o json".split(" ");
  const explained = podwire("explain", "--node", "node1", "-f", NODE, "-f", objects, ...packet);
  t.match(JSON.parse(explained.stdout), { verdict: "dnat", endpoints: ["192.168.50.77:5432"] });
  const frames: Uint8Array[] = [];
  const pcap = new PcapngWriter((bytes) => frames.push(bytes));
  pcap.addInterface({ name: "eth0" });
  const data = tcpFrame({ src: "192.168.50.99", dst: "10.96.1.21", srcPort: 4, dstPort: 5432, flags: "S" });
  pcap.packet({ interfaceId: 0, timestampNs: 0n, data });
  const capture = file("db.pcapng", Buffer.concat(frames));
  const replayed = podwire("replay", capture, "-f", objects, "--node", "node1", "--at", "uplink");
  t.match(replayed.stdout, /192\.168\.50\.77:5432/);
});

t.test("namespaces that nobody makes here are there, as charts and dumps take it", async (t) => {
  const text = `
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: shop, labels: { app: web } }
spec: { containers: [ { name: c, image: podwire/echo } ] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [ { port: 80, targetPort: 8080 } ] }
`;
  const { stdout, stderr, status } = podwire("rules", "--node", "node1", "-f", file("shop.yaml", text));
  t.equal(status, 0, stderr);
  t.match(stdout, /"shop\/web cluster IP"/);
});
