// The command as a script uses it: exit statuses, JSON lines in order, objects as files, problems one a line.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { CommandLine } from "../../testing/command-line.ts";

const MAIN = fileURLToPath(new URL("../main.js", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "podwire-explain-"));
t.teardown(() => rmSync(directory, { recursive: true }));
const podwire = new CommandLine();
t.teardown(() => podwire.close());

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const NODE = `
apiVersion: v1
kind: Node
metadata: { name: node1 }
spec: { podCIDR: 10.244.1.0/24 }
status: { addresses: [ { type: InternalIP, address: 192.168.50.11 } ] }
`;
const POD = `
apiVersion: v1
kind: Pod
metadata: { name: web-1, namespace: shop }
spec: { nodeName: node1, containers: [ { name: c, image: x } ] }
status: { podIP: 10.244.1.2, podIPs: [ { ip: 10.244.1.2 } ] }
`;
const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: api, namespace: shop }
spec:
  clusterIP: 10.96.0.80
  ports: [ { name: http, port: 80 }, { name: dns, port: 53, protocol: UDP } ]
`;
const slice = (addresses: string[]): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: api-1, namespace: shop, labels: { kubernetes.io/service-name: api } }
addressType: IPv4
ports: [ { name: http, port: 8080 }, { name: dns, port: 5353, protocol: UDP } ]
endpoints: [ ${addresses.map((address) => `{ addresses: [ ${address} ] }`).join(", ")} ]
`;
const OBJECTS = file("objects.yaml", [NODE, POD, SERVICE, slice(["10.244.2.7", "10.244.2.11"])].join("---"));
const EMPTY = file("empty.yaml", [NODE, POD, SERVICE, slice([])].join("---"));

const explain = (...args: string[]) => podwire.run(["explain", ...args]);
const json = (...args: string[]) => {
  const { stdout, stderr, status } = explain(...args, "-o", "json");
  t.ok(status === 0 || status === 3, stderr);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
};

t.test("a packet that arrives: status 0, a story of one line a step, the verdict last", async (t) => {
  const { stdout, stderr, status } = explain(
    "-f",
    OBJECTS,
    "-n",
    "shop",
    "--from",
    "pod/web-1",
    "--to",
    "svc/api:http",
  );
  t.equal(status, 0, stderr);
  const lines = stdout.trimEnd().split("\n");
  t.equal(lines[0], "pod/web-1 (10.244.1.2) → svc/api:http (10.96.0.80) port 80 TCP, seen on node1");
  t.match(
    lines[1],
    /^ {2}PREROUTING nat KUBE-SERVICES +-m comment --comment "shop\/api:http cluster IP" -m tcp -p tcp -d 10\.96\.0\.80 --dport 80 -j KUBE-SVC-[A-Z2-7]{16} /,
  );
  t.match(
    lines.at(-1),
    /^DNAT to one of 2: 10\.244\.2\.11:8080, 10\.244\.2\.7:8080; source kept: ClusterIP of shop\/api:http$/,
  );
});

t.test("a packet that would not arrive: status 3", async (t) => {
  const { stdout, status } = explain(
    "-f",
    EMPTY,
    "--from",
    "10.244.1.2",
    "--to",
    "10.96.0.80",
    "--port",
    "80",
  );
  t.equal(status, 3);
  t.match(
    stdout,
    /--comment "shop\/api:http has no endpoints" -m tcp -p tcp -d 10\.96\.0\.80 --dport 80 -j REJECT /,
  );
  t.match(stdout.trimEnd().split("\n").at(-1), "REJECT: shop/api:http has no endpoints");
});

t.test("JSON has exactly the fields of the contract", async (t) => {
  const [answer] = json(
    "-f",
    OBJECTS,
    "--node",
    "node1",
    "--from",
    "203.0.113.7",
    "--to",
    "svc/shop/api:dns",
  );
  t.same(Object.keys(answer), [
    "from",
    "to",
    "port",
    "protocol",
    "verdict",
    "reason",
    "endpoints",
    "masquerade",
    "allowed",
    "policies",
    "steps",
  ]);
  t.match(answer, { from: "203.0.113.7", to: "10.96.0.80", port: 53, protocol: "UDP", verdict: "dnat" });
  t.same([answer.endpoints, answer.masquerade], [["10.244.2.11:5353", "10.244.2.7:5353"], true]);
  t.same([answer.allowed, answer.policies], [true, []]);
  const [step] = answer.steps as object[];
  t.same(Object.keys(step), ["hook", "table", "chain", "rule", "text"]);
});

t.test("flows: one line each, in their order, status 0 whatever the verdicts", async (t) => {
  const asked = [
    { from: "10.244.1.2", to: "10.96.0.80", port: 80, protocol: "TCP" },
    { from: "10.244.1.2", to: "10.96.0.80", port: 81, protocol: "TCP" },
    { from: "10.244.1.2", to: "10.96.0.80", port: 80, protocol: "TCP", via: "uplink" },
  ];
  const flows = file("flows.jsonl", asked.map((flow) => `${JSON.stringify(flow)}\n`).join("\n"));
  const answers = json("-f", OBJECTS, "--node", "node1", "--flows", flows);
  t.same(
    answers.map(({ port, verdict }) => [port, verdict]),
    [
      [80, "dnat"],
      [81, "accept"],
      [80, "dnat"],
    ],
  );
  const input = readFileSync(flows, "utf8");
  const args = [MAIN, "explain", "-f", EMPTY, "--node", "node1", "--flows", "-"];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: "utf8", input });
  t.equal(status, 0);
  t.equal(stdout.match(/^REJECT/gm)?.length, 2);
});

t.test("flows that cannot be asked: status 1, a line each, no answers", async (t) => {
  const lines = [
    '{"from":"10.244.1.2","to":"10.96.0.80","port":80}',
    "nonsense",
    '{"from":"x","to":"1.1.1.1","port":1}',
  ];
  const flows = file("bad.jsonl", lines.join("\n"));
  const { status, stdout, stderr } = explain("-f", OBJECTS, "--node", "node1", "--flows", flows);
  t.equal(status, 1);
  t.equal(stdout, "");
  t.match(stderr.trimEnd().split("\n"), [
    /bad\.jsonl:2: not a JSON object/,
    /bad\.jsonl:3: from: "x" is not an IP/,
  ]);
});

t.test("--previous: what was loaded first leaves nothing behind", async (t) => {
  const packet = ["--from", "10.244.1.2", "--to", "10.96.0.80", "--port", "80"];
  const [now] = json("-f", OBJECTS, "--previous", EMPTY, "--node", "node1", ...packet);
  t.same(now, json("-f", OBJECTS, "--node", "node1", ...packet)[0]);
  const [gone] = json("-f", EMPTY, "--previous", OBJECTS, "--node", "node1", ...packet);
  t.equal(gone.verdict, "reject");
});

t.test("--config, --local-ip and --via change the answer", async (t) => {
  const config = file(
    "config.yaml",
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\nclusterCIDR: 10.244.0.0/16\n",
  );
  const wrong = ["--node", "node1", "--from", "10.244.1.2", "--to", "10.96.0.80", "--port", "81"];
  t.equal(json("-f", OBJECTS, ...wrong)[0].verdict, "accept");
  t.equal(json("-f", OBJECTS, "--config", config, ...wrong)[0].verdict, "reject");
  const own = ["--node", "node1", "--from", "192.168.60.9", "--to", "10.96.0.80", "--port", "80"];
  const hook = (...args: string[]) =>
    (json("-f", OBJECTS, ...own, ...args)[0].steps as { hook: string }[])[0].hook;
  t.equal(hook(), "PREROUTING");
  t.equal(hook("--local-ip", "192.168.60.9"), "OUTPUT");
  t.equal(hook("--via", "host"), "OUTPUT");
});

t.test("nodes that no Node object tells of can be asked", async (t) => {
  const objects = file("bare.yaml", [SERVICE, slice(["10.244.2.7"])].join("---"));
  const [answer] = json(
    "-f",
    objects,
    "--node",
    "somewhere",
    "--from",
    "10.244.9.9",
    "--to",
    "svc/shop/api:http",
  );
  t.match(answer, { verdict: "dnat", masquerade: false });
});

t.test("--manifest-only: what would be loaded", async (t) => {
  const { stdout, status } = explain("-f", OBJECTS, "--manifest-only");
  t.equal(status, 0);
  t.match(stdout, /^KIND +COUNT\nEndpointSlice +1\nNode +1\nPod +1\nService +1\n$/);
  const answer = JSON.parse(explain("-f", OBJECTS, "--manifest-only", "-o", "json").stdout);
  t.same(answer, { valid: true, objects: { EndpointSlice: 1, Node: 1, Pod: 1, Service: 1 } });
});

t.test(
  "--manifest-only: pods that their namespace does not admit are refused, templates warned of",
  async (t) => {
    const ns = `apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { pod-security.kubernetes.io/enforce: baseline } }
`;
    const spec = "{ hostPID: true, containers: [ { name: c, image: a } ] }";
    const pod = (meta = "") => `---
apiVersion: v1
kind: Pod
metadata: { name: x, namespace: shop ${meta} }
spec: ${spec}
`;
    const deployment = `---
apiVersion: apps/v1
kind: Deployment
metadata: { name: d, namespace: shop }
spec: { selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: ${spec} } }
`;
    const found = 'PodSecurity "baseline:latest": host namespaces (hostPID=true)';
    const path = file("shop.yaml", ns + pod());
    const refused = explain("-f", path, "--manifest-only");
    t.equal(refused.status, 1);
    t.equal(
      refused.stderr,
      `error: ${path}:8:1: document 2: Pod "x": pods "x" is forbidden: violates ${found}\n`,
    );
    const admitted = explain("-f", file("dump.yaml", ns + pod(", uid: u1") + deployment), "--manifest-only");
    t.same([admitted.status, admitted.stderr], [0, `Warning: would violate ${found}\n`]);
  },
);

t.test(
  "a dump of a cluster: kinds that say nothing about packets are passed over, unknown versions are not",
  async (t) => {
    const foreign =
      "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }\n---\napiVersion: a.example/v1\nkind: Odd\n";
    const dump = explain("-f", OBJECTS, "-f", file("foreign.yaml", foreign), "--manifest-only", "-o", "json");
    t.equal(dump.status, 0, dump.stderr);
    t.equal(dump.stderr, "note: passed over, not the network's: 1 ConfigMap, 1 Odd\n");
    t.same(JSON.parse(dump.stdout).objects, { EndpointSlice: 1, Node: 1, Pod: 1, Service: 1 });
    for (const text of [
      "apiVersion: v1\nkind: Servce\n",
      "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\n",
    ]) {
      const refused = explain("-f", file("unknown.yaml", text), "--manifest-only");
      t.equal(refused.status, 1);
      t.match(refused.stderr, /no matches for kind/);
    }
  },
);

t.test("bad objects: status 1, every problem on a line of its own", async (t) => {
  const bad = file(
    "bad.yaml",
    `${NODE.replace("podCIDR", "podCDR")}---${SERVICE.replace("port: 80 }", "port: 80000 }")}`,
  );
  for (const args of [
    ["--manifest-only"],
    ["--node", "node1", "--from", "1.1.1.1", "--to", "2.2.2.2", "--port", "1"],
  ]) {
    const { status, stdout, stderr } = explain("-f", bad, ...args);
    t.equal(status, 1);
    t.equal(stdout, "");
    const lines = stderr.trimEnd().split("\n");
    t.equal(lines.length, 2, stderr);
    t.match(lines[0], /bad\.yaml:5:\d+: document 1: Node "node1": unknown field "spec\.podCDR"/);
    t.match(lines[1], /document 2: Service "api": spec\.ports\[0\]\.port: Invalid value: 80000/);
  }
});

t.test("wrong usage: status 2", async (t) => {
  const cases = [
    [],
    ["--from", "1.1.1.1"],
    ["--from", "1.1.1.1", "--to", "2.2.2.2"],
    ["--from", "1.1.1.1", "--to", "2.2.2.2", "--port", "99999"],
    ["--from", "1.1.1.1", "--to", "fd00::1", "--port", "1"],
    ["--from", "1.1.1.1", "--to", "web", "--port", "1"],
    ["--from", "1.1.1.1", "--to", "2.2.2.2", "--port", "1", "--protocol", "GRE"],
    ["--from", "1.1.1.1", "--to", "2.2.2.2", "--port", "1", "--via", "door"],
    ["--from", "1.1.1.1", "--to", "2.2.2.2", "--port", "1", "--local-ip", "x"],
    ["--from", "1.1.1.1", "--to", "2.2.2.2", "--port", "1", "--manifest-only"],
  ];
  for (const args of cases) {
    const { status, stdout, stderr } = explain("-f", OBJECTS, ...args);
    t.equal(status, 2, `${args.join(" ")}: ${stderr}`);
    t.equal(stdout, "");
    t.equal(stderr.trimEnd().split("\n").length, 1);
  }
});

/** Controllers of a cluster have been at these objects. */
const SLICE = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: other-1, labels: { kubernetes.io/service-name: other } }
addressType: IPv4
endpoints: []
`;

t.test("what the other end lacks is said as it is", async (t) => {
  const service = (name: string, spec: string): string =>
    `apiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { ${spec} ports: [ { port: 80 } ] }\n`;
  const objects = file(
    "ends.yaml",
    [NODE, service("new", ""), service("none", "clusterIP: None,"), SLICE].join("---\n"),
  );
  const cases: [to: string, status: number, message: string][] = [
    ["svc/new", 1, "--to svc default/new: has no clusterIP yet: say one in its manifest"],
    ["svc/none", 1, "--to svc default/none: has no address (headless or ExternalName): name a pod"],
    [
      "10.244.1.2:80",
      2,
      "--to 10.244.1.2:80: the port of what is no service goes behind --port: --to 10.244.1.2 --port 80",
    ],
    [
      "node/node1:80",
      2,
      "--to node/node1:80: the port of what is no service goes behind --port: --to node/node1 --port 80",
    ],
  ];
  for (const [to, status, message] of cases) {
    const said = explain("-f", objects, "--node", "node1", "--from", "10.244.1.9", "--to", to);
    t.same([said.status, said.stderr.trimEnd().split("\n").at(-1)], [status, `error: ${message}`], to);
  }
});

t.test("manifests get the addresses and ports that rules shows", async (t) => {
  const objects = file(
    "chart.yaml",
    `apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec: { containers: [ { name: c, image: x } ] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { type: NodePort, selector: { app: web }, ports: [ { port: 80, targetPort: 8080 } ] }
`,
  );
  const { stdout: rules } = podwire.run(["rules", "-f", objects, "--node", "node2"]);
  const [, address] = /"default\/web cluster IP" .* -d (\S+) --dport 80 -j/.exec(rules) ?? [];
  const [, nodePort] = /-A KUBE-NODEPORTS .* --dport (\d+) /.exec(rules) ?? [];
  const ask = (to: string, port = "80") =>
    explain("-f", objects, "--node", "node2", "--from", "192.0.2.9", "--to", to, "--port", port);
  for (const said of [ask(address), ask("svc/web"), ask("node/node2", nodePort)]) {
    t.equal(said.stderr, "");
    t.match(said.stdout, /^DNAT to 10\.244\.\d\.2:8080; source rewritten: .* of default\/web$/m);
    for (const [, chain, rule] of said.stdout.matchAll(
      /^ {2}\S+ nat (KUBE-S\S+|KUBE-N\S+) +(-m .*?)(?: {3}#|$)/gm,
    ))
      t.match(rules, `-A ${chain} ${rule}`, `${chain} is among the rules`);
  }
});

t.test("a pod without an address has no host port, and that is said", async (t) => {
  const pod = (status: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: hp }
spec: { nodeName: node1, containers: [ { name: c, image: x, ports: [ { containerPort: 80, hostPort: 8088 } ] } ] }
${status}`;
  const args = ["--node", "node1", "--from", "192.0.2.9", "--to", "192.168.50.11"];
  const ask = (path: string) => explain("-f", path, ...args, "--port", "8088", "--protocol", "TCP");
  const without = ask(file("host-port.yaml", [NODE, pod("")].join("---")));
  const why = "has no address yet (status.podIPs), so no host port 8088/TCP: nothing is allocated here";
  t.equal(without.stderr, `note: Pod default/hp: ${why}\n`);
  t.match(without.stdout, /^ACCEPT: no service claims/m);
  const addressed = ask(
    file("host-port-2.yaml", [NODE, pod("status: { podIPs: [ { ip: 10.244.1.3 } ] }")].join("---")),
  );
  t.equal(addressed.stderr, "");
  t.match(addressed.stdout, /^DNAT to 10\.244\.1\.3:80; source kept: hostPort 8088\/TCP of default\/hp$/m);
});
