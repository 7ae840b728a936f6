// Which packets a connectivity test sends, and what is said of those that do not arrive.
import { Command } from "commander";
import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import type { TraceRecord, TraceTuple } from "../../observe/trace-record.ts";
import { register } from "./check.ts";
import { type CheckFilter, type CheckRow, type CheckWorld, checkPlan, SERVICES_MOST } from "./check-plan.ts";
import { dnsProblem, dnsQuestion } from "./dns-message.ts";
import { probeExpression, reasonOf } from "./failure-reason.ts";

const object = (kind: string, name: string, more: object, namespace = "default"): KubeObject =>
  ({
    apiVersion: "v1",
    kind,
    metadata: { name, namespace, ...(more as { metadata?: object }).metadata },
    ...more,
  }) as never;
const node = (name: string, ...addresses: string[]): KubeObject =>
  ({
    ...{ apiVersion: "v1", kind: "Node", metadata: { name }, spec: {} },
    status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) },
  }) as never;
const pod = (name: string, nodeName: string, ips: string[], port?: number, more: object = {}): KubeObject =>
  object("Pod", name, {
    spec: {
      ...{ nodeName, ...more },
      containers: [{ name: "main", ...(port !== undefined && { ports: [{ containerPort: port }] }) }],
    },
    status: { phase: "Running", podIPs: ips.map((ip) => ({ ip })) },
  });
const service = (name: string, spec: object, namespace?: string): KubeObject =>
  object("Service", name, { spec: { type: "ClusterIP", ...spec } }, namespace);
const slice = (name: string, addresses: string[], port: number): KubeObject =>
  ({
    ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4", ports: [{ port }] },
    metadata: { name: `${name}-1`, namespace: "default", labels: { "kubernetes.io/service-name": name } },
    endpoints: addresses.map((address) => ({ addresses: [address] })),
  }) as never;
const TCP = [{ port: 80 }];
const OBJECTS = [
  ...[node("node1", "192.168.0.1", "fd00::1"), node("node2", "192.168.0.2")],
  ...[pod("a", "node1", ["10.1.0.2", "fd01::2"], 8080), pod("b", "node1", ["10.1.0.3"])],
  ...[
    pod("c", "node2", ["10.2.0.2", "fd02::2"], 8080),
    pod("host", "node2", ["192.168.0.2"], 1, { hostNetwork: true }),
  ],
  service("web", { type: "NodePort", clusterIP: "10.96.0.1", ports: [{ port: 80, nodePort: 30080 }] }),
  ...[
    service("none", { clusterIP: "None", ports: TCP }),
    slice("none", ["10.2.0.2"], 8080),
    slice("web", [], 8081),
  ],
  service("udp", { clusterIP: "10.96.0.2", ports: [{ port: 5, protocol: "UDP" }] }),
  service("kube-dns", { clusterIP: "10.96.0.10", ports: [{ port: 53, protocol: "UDP" }] }, "kube-system"),
];
const WORLD: CheckWorld = {
  senders: [
    {
      name: "node1",
      pods: [
        { pod: "default/a", mtu: 1450 },
        { pod: "default/b", mtu: 1450 },
      ],
      ways: [
        { node: "node2", family: 4, mtu: 1450 },
        { node: "node2", family: 6, mtu: 1430 },
        { node: "node3", family: 6, mtu: 1280 },
      ],
    },
  ],
  objects: OBJECTS,
  world: [{ name: "client/outside", address: "192.168.0.100" }],
  dnsName: "kubernetes.default.svc.cluster.local",
};
const lines = (filter: Partial<CheckFilter> = {}, world = WORLD): string[] =>
  checkPlan(world, { from: undefined, to: undefined, ...filter }).rows.map(
    ({ check, from, to, address, protocol, port = "", bytes = "" }) =>
      `${check}: ${from} ${to} ${protocol} ${address} ${port}${bytes}`.trim(),
  );

t.test("a pod of the node and the node itself ask all that there is, in both families", async (t) => {
  t.same(lines(), [
    "pod: pod/default/a pod/default/b ICMP 10.1.0.3",
    "pod: pod/default/a pod/default/c ICMP 10.2.0.2",
    "pod: pod/default/a pod/default/c TCP 10.2.0.2 8080",
    "MTU: pod/default/a pod/default/c ICMP 10.2.0.2 1450",
    "pod: pod/default/a pod/default/c ICMP fd02::2",
    "pod: pod/default/a pod/default/c TCP fd02::2 8080",
    "MTU: pod/default/a pod/default/c ICMP fd02::2 1430",
    "endpoint: pod/default/a svc/default/none TCP 10.2.0.2 8080",
    "service: pod/default/a svc/default/web TCP 10.96.0.1 80",
    "node port: pod/default/a svc/default/web TCP 192.168.0.1 30080",
    "node port: pod/default/a svc/default/web TCP fd00::1 30080",
    "node port: pod/default/a svc/default/web TCP 192.168.0.2 30080",
    "node: pod/default/a node/node1 ICMP 192.168.0.1",
    "node: pod/default/a node/node1 ICMP fd00::1",
    "node: pod/default/a node/node2 ICMP 192.168.0.2",
    "world: pod/default/a client/outside ICMP 192.168.0.100",
    "DNS: pod/default/a svc/kube-system/kube-dns UDP 10.96.0.10 53",
    "pod: node/node1 pod/default/a ICMP 10.1.0.2",
    "pod: node/node1 pod/default/a TCP 10.1.0.2 8080",
    "pod: node/node1 pod/default/a ICMP fd01::2",
    "pod: node/node1 pod/default/a TCP fd01::2 8080",
    "pod: node/node1 pod/default/c ICMP 10.2.0.2",
    "pod: node/node1 pod/default/c TCP 10.2.0.2 8080",
    "pod: node/node1 pod/default/c ICMP fd02::2",
    "pod: node/node1 pod/default/c TCP fd02::2 8080",
    "endpoint: node/node1 svc/default/none TCP 10.2.0.2 8080",
    "service: node/node1 svc/default/web TCP 10.96.0.1 80",
    "DNS: node/node1 svc/kube-system/kube-dns UDP 10.96.0.10 53",
  ]);
});

t.test("one sender, one receiver, and of very many Services some", async (t) => {
  t.same(lines({ from: "pod/default/b", to: "svc/default/web" }), [
    "service: pod/default/b svc/default/web TCP 10.96.0.1 80",
    "node port: pod/default/b svc/default/web TCP 192.168.0.1 30080",
    "node port: pod/default/b svc/default/web TCP 192.168.0.2 30080",
  ]);
  t.same(lines({ from: "pod/default/c" }), [], "what is elsewhere sends nothing from here");
  const many = Array.from({ length: SERVICES_MOST + 7 }, (_, i) =>
    service(`s${i}`, { clusterIP: "10.96.1.1", ports: [...TCP, { port: 443, name: "s" }] }),
  );
  const world = { ...WORLD, objects: [...OBJECTS.slice(0, 4), ...many] };
  const plan = checkPlan(world, { from: "node/node1", to: undefined });
  t.equal(plan.left, 7);
  t.equal(plan.rows.filter(({ check }) => check === "service").length, 2 * SERVICES_MOST);
  t.equal(
    lines({ from: "node/node1", to: `svc/default/s${SERVICES_MOST + 6}` }, world).length,
    2,
    "but any by name",
  );
});

t.test("DNS", async (t) => {
  const question = dnsQuestion("a.bc.", 7, 6);
  t.equal(question.toString("hex"), "000701000001000000000000016102626300001c0001");
  t.equal(dnsProblem(question, 7), "the answer is a question");
  question.writeUInt16BE(0x8180, 2);
  t.equal(dnsProblem(question, 7), "");
  t.match(dnsProblem(question, 8), /no DNS message/);
  question.writeUInt16BE(0x8183, 2);
  t.equal(dnsProblem(question, 7), "the server answers NXDOMAIN");
});

t.test("where a packet's way, or its answer's, ended", async (t) => {
  const row: CheckRow = {
    ...{
      check: "service",
      from: "pod/default/a",
      node: "node1",
      to: "svc/default/web",
      address: "10.96.0.1",
    },
    ...{ family: 4, protocol: "TCP", port: 80 },
  };
  const tuple = (src: string, sport: number, dst: string, dport: number): TraceTuple => ({
    src,
    sport,
    dst,
    dport,
  });
  const asked = tuple("10.1.0.2", 61_000, "10.96.0.1", 80);
  const led = tuple("10.1.0.2", 61_000, "10.2.0.2", 8080);
  const back = tuple("10.2.0.2", 8080, "10.1.0.2", 61_000);
  const outer = tuple("192.168.0.1", 50_000, "192.168.0.2", 8472);
  const step = (
    nodeName: string,
    from: TraceTuple,
    to: TraceTuple,
    more: Partial<TraceRecord> = {},
  ): TraceRecord =>
    ({
      node: nodeName,
      stage: "output",
      hook: "",
      verdict: "forward",
      from,
      to,
      out: "eth0 default/x",
      ...more,
    }) as never;
  const drop = { verdict: "drop", dropText: "Policy denied" };
  const near = [step("node1", asked, led, { out: "uplink eth0" })];
  const far = (more: Partial<TraceRecord> = {}) => [
    step("node2", outer, outer),
    step("node2", led, led, more),
  ];
  const reason = (...stories: TraceRecord[][]): string => reasonOf(row, 61_000, stories, ["node1", "node2"]);
  t.match(reason(), /^node1 has not seen it/);
  t.match(
    reason([step("node1", { ...asked, sport: 5 }, led, drop)]),
    /has not seen it/,
    "somebody else's packet",
  );
  t.match(reason([step("node1", asked, asked, drop)]), /^node1: .*DROP Policy denied/);
  t.match(reason(near), /^it left node1 .*, node2 did not see it: is the other node's agent running/);
  t.match(reason(far(drop), near), /^node2: .*DROP Policy denied/, "two nodes are in no order");
  t.match(reason(near, far()), /^it reached node2 .*, and nothing came back/);
  t.match(reason(near, far(), [step("node2", back, back, drop)]), /^its answer: node2: .*DROP/);
  const home = [step("node1", outer, outer), step("node1", back, turned(asked), { dropText: "Lost" })];
  t.match(reason(near, far(), [step("node2", back, back)], home), /^its answer: went as far as node1/);
  t.equal(probeExpression(row, 61_000, [8080]), "tcp port 61000 or tcp port 80 or tcp port 8080");
  t.equal(probeExpression({ ...row, protocol: "ICMP", family: 6 }, 1, []), "icmp6 and host 10.96.0.1");
});

const turned = ({ src, dst, sport = 0, dport = 0 }: TraceTuple): TraceTuple => ({
  src: dst,
  dst: src,
  sport: dport,
  dport: sport,
});

t.test("an address of the world that nobody would be asked to reach is refused", async (t) => {
  const check = (...words: string[]) => {
    const program = new Command().exitOverride();
    register(program);
    return program.parseAsync(["check", "--world", ...words], { from: "user" });
  };
  const refused = (message: RegExp) => ({ message, exitCode: 2 });
  await t.rejects(check("192.0.2.1", "--to", "pod/b"), refused(/^--world beside --to: /));
  await t.rejects(
    check("192.0.2.1", "--from", "node/a"),
    refused(/only pods ask the world: use --from pod\/NAME$/),
  );
  await t.rejects(check("nowhere"), refused(/^--world nowhere: use an IP address/));
});
