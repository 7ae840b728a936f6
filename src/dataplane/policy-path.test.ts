// Policies on the packet's way: frames through the pipeline of a node that was told of pods and policies.
import { createHash } from "node:crypto";
import t from "tap";
import { type Ip, parseIp } from "../base/ip.ts";
import { setWord } from "../testing/frames/adjust-sum.ts";
import {
  PolicyWorld,
  testClusterPolicy,
  testNamespace,
  testPod,
  testPolicy,
} from "../testing/world/policy-world.ts";
import { Event } from "./counters.ts";
import * as conntrack from "./table/connection/conntrack.ts";
import * as fdb from "./table/fdb.ts";
import * as neighbor from "./table/neighbor.ts";

const SOURCE_PORT_AT = 34;
const UDP_SUM_AT = 40;
const FRONT = "10.244.1.2";
const BACK = "10.244.1.3";
const DB = "10.244.1.4";
const FAR = "10.244.2.9";
const OUTSIDE = "203.0.113.7";
const NODE1 = "192.168.50.11";
const NODE2 = "192.168.50.12";
const six = (address: string): string => `fd00:10:244:${address.split(".")[2]}::${address.split(".")[3]}`;

const PODS = [
  testNamespace("default"),
  testPod({ name: "frontend", ips: [FRONT, six(FRONT)] }),
  testPod({ name: "backend", ips: [BACK, six(BACK)] }),
  testPod({ name: "db", ips: [DB, six(DB)], ports: ["sql=5432/TCP", "gossip=7946/UDP"] }),
  testPod({ name: "far", ips: [FAR, six(FAR)], node: "node2", ports: ["web=8080/TCP"] }),
];
const app = (name: string): object => ({ podSelector: { matchLabels: { app: name } } });
const DENY_ALL = testPolicy("deny-all", { podSelector: {}, policyTypes: ["Ingress"] });
const ALLOW_DB = testPolicy("allow-db-access", {
  ...app("db"),
  ingress: [{ from: [app("nobody"), app("backend")], ports: [{ protocol: "TCP", port: "sql" }] }],
});
const DB_OUT = testPolicy("db-out", {
  ...app("db"),
  policyTypes: ["Egress"],
  egress: [
    { to: [{ ipBlock: { cidr: "203.0.113.0/24", except: ["203.0.113.128/25"] } }] },
    { to: [app("far")], ports: [{ port: "web" }] },
    { ports: [{ protocol: "SCTP", port: 9000, endPort: 9010 }] },
  ],
});

t.test("without policies everything passes, and nothing is asked", async (t) => {
  const world = new PolicyWorld(PODS);
  t.equal(world.knock(FRONT, DB, 5432), "pod default/db");
  t.equal(world.tables.policy.active, 0);
});

t.test("three tiers: the frontend cannot reach the database, the backend can", async (t) => {
  const world = new PolicyWorld([...PODS, DENY_ALL, ALLOW_DB]);
  for (const of of [(a: string) => a, six]) {
    t.equal(world.knock(of(FRONT), of(DB), 5432), "POLICY_DENY", "not in the list");
    t.same(world.rules()[1], "isolated by default/allow-db-access, default/deny-all; no rule matches");
    t.equal(world.knock(of(BACK), of(DB), 5432), "pod default/db");
    t.same(world.rules()[1], "default/allow-db-access ingress[0].from[1].ports[0]");
    t.equal(world.knock(of(BACK), of(DB), 5433), "POLICY_DENY", "another port");
    t.equal(world.knock(of(BACK), of(DB), 7946, "UDP"), "POLICY_DENY", "another protocol");
    t.equal(world.knock(of(BACK), of(DB), 0, "ICMP"), "POLICY_DENY", "a rule with ports never means ICMP");
    t.equal(world.knock(of(DB), of(FAR), 80), "uplink", "it may send what it likes");
  }
});

t.test("who else comes: other nodes, outside, the node's own programs", async (t) => {
  const world = new PolicyWorld([...PODS, DENY_ALL, ALLOW_DB]);
  t.equal(world.knock(FAR, DB, 5432), "POLICY_DENY");
  t.equal(world.knock(OUTSIDE, DB, 5432), "POLICY_DENY");
  t.equal(world.knock(NODE2, DB, 5432), "POLICY_DENY", "another node is somebody like any");
  t.equal(world.knock(NODE1, DB, 5432), "pod default/db", "probes");
  t.equal(world.knock(six(FAR), six(DB), 5432), "POLICY_DENY");
  t.equal(
    world.knock("198.51.100.7", DB, 5432, "TCP", world.host),
    "POLICY_DENY",
    "what the node forwards for others is not its own",
  );
});

t.test(
  "egress: blocks with exceptions, a port that another node's pod gives a name, ranges of SCTP",
  async (t) => {
    const world = new PolicyWorld([...PODS, DB_OUT]);
    t.equal(world.knock(DB, "203.0.113.7", 443), "uplink");
    t.same(world.rules()[0], "default/db-out egress[0].to[0]");
    t.equal(world.knock(DB, "203.0.113.200", 443), "POLICY_DENY");
    t.equal(world.knock(DB, FAR, 8080), "uplink");
    t.same(world.rules()[0], "default/db-out egress[1].to[0].ports[0]");
    t.equal(world.knock(DB, FAR, 8081), "POLICY_DENY");
    t.equal(world.knock(DB, NODE2, 8080), "POLICY_DENY", "a node gives no port a name");
    t.equal(world.knock(DB, NODE1, 10250), "POLICY_DENY", "the node is out of reach as well");
    t.equal(world.knock(DB, FAR, 9000, "SCTP"), "uplink");
    t.equal(world.knock(DB, FAR, 9010, "SCTP"), "uplink");
    t.equal(world.knock(DB, FAR, 9011, "SCTP"), "POLICY_DENY");
    t.equal(world.knock(six(DB), six(FAR), 8080), "uplink");
    t.equal(world.knock(six(DB), "2001:db8::7", 443), "POLICY_DENY", "an IPv4 block means no IPv6");
    t.equal(world.knock(FRONT, "203.0.113.200", 443), "uplink", "others are free");
  },
);

t.test(
  "answers and what belongs to a connection pass, and known connections go on when they are forbidden",
  async (t) => {
    const world = new PolicyWorld(PODS);
    t.equal(world.knock(FRONT, DB, 53, "UDP"), "pod default/db");
    world.become([...PODS, DENY_ALL]);
    t.equal(world.knock(FRONT, DB, 53, "UDP"), "pod default/db", "kept");
    t.equal(world.knock(FRONT, DB, 54, "UDP"), "POLICY_DENY", "new");
    world.tables.config.guard.policyRecheck = 1;
    t.equal(world.knock(FRONT, DB, 53, "UDP"), "POLICY_DENY", "cut");
    t.equal(world.knock(BACK, FAR, 53, "UDP"), "uplink");
    t.equal(world.knock(BACK, FAR, 53, "UDP"), "uplink", "what is allowed still is goes on");
  },
);

t.test("an answer is given again only while the same policies are in force", async (t) => {
  const world = new PolicyWorld(PODS);
  const ct = world.tables.conntrack;
  const again = (): string[] => {
    while (conntrack.used(ct) > 0) conntrack.expireSlice(ct, 1 << 16, 1_000_000);
    return [BACK, FRONT].map((from) => world.knock(from, DB, 5432));
  };
  const letsIn = (name: string): object =>
    testPolicy("one", { ...app("db"), ingress: [{ from: [app(name)] }] });
  const isIn = (name: string): string[] =>
    ["backend", "frontend"].map((from) => (from === name ? "pod default/db" : "POLICY_DENY"));
  // Subjects' numbers are used again after some changes: a stale answer would be found by then.
  for (const name of ["backend", "frontend", "nobody", "backend", "far", "frontend"]) {
    world.become([...PODS, letsIn(name)]);
    t.same(again(), isIn(name), name);
    t.same(again(), isIn(name), name);
    t.match(world.rules()[1], name === "frontend" ? "default/one ingress[0].from[0]" : "no rule matches");
    world.become([...PODS, letsIn("neither")]);
  }
});

t.test("what is cut stays cut when the end that may open connections goes on with it", async (t) => {
  const FROM_PORT = 40_000; // probes come from this port: so an answer looks like a probe of the other end
  const silent = testPolicy("silent", { ...app("frontend"), policyTypes: ["Egress"] });
  for (const protocol of ["UDP", "TCP"] as const) {
    const world = new PolicyWorld(PODS);
    world.tables.config.guard.policyRecheck = 1;
    const ask = (): string => world.knock(FRONT, DB, FROM_PORT, protocol);
    const answer = (): string => world.knock(DB, FRONT, FROM_PORT, protocol);
    t.equal(ask(), "pod default/db");
    world.become([...PODS, silent]);
    t.equal(ask(), "POLICY_DENY");
    t.equal(world.rules()[0], "isolated by default/silent; no rule matches");
    t.equal(answer(), "POLICY_DENY", "of the same connection");
    t.equal(ask(), "POLICY_DENY", "it is no answer to that");
    world.become(PODS);
    t.equal(ask(), "pod default/db", "allowed again, it goes on");
  }
});

t.test("while a pod's policies are not known, its connections wait and are not cut", async (t) => {
  const world = new PolicyWorld([...PODS, DENY_ALL, ALLOW_DB]);
  world.tables.config.guard.policyRecheck = 1;
  t.equal(world.knock(BACK, DB, 5432), "pod default/db");
  world.become([...PODS, ALLOW_DB]);
  const { subject } = world.tables.ports;
  const { id } = world.port("default/db");
  const known = subject[id];
  subject[id] = -1;
  t.equal(world.knock(BACK, DB, 5432), "POLICY_NOT_READY");
  subject[id] = known;
  t.equal(world.knock(BACK, DB, 5432), "pod default/db");
});

/** The database behind Service db. */
const slice = {
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: "db-1", labels: { "kubernetes.io/service-name": "db" } },
  addressType: "IPv4",
  ports: [{ port: 5432 }],
  endpoints: [{ addresses: [DB], conditions: { ready: true }, nodeName: "node1" }],
};

t.test("a pod and itself: its own address always, its own service but for cluster policies", async (t) => {
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "db" },
    spec: { clusterIP: "10.96.0.10", ports: [{ port: 80, targetPort: 5432 }] },
  };
  const closed = testPolicy("closed", { podSelector: {}, policyTypes: ["Ingress", "Egress"] });
  const world = new PolicyWorld([...PODS, service, slice, closed]);
  t.equal(world.knock(DB, DB, 5432), "pod default/db");
  t.equal(world.knock(DB, "10.96.0.10", 80), "pod default/db");
  t.equal(world.knock(FRONT, "10.96.0.10", 80), "POLICY_DENY");
  const guard = testClusterPolicy("guard", {
    tier: "Admin",
    priority: 1,
    subject: { namespaces: {} },
    ingress: [{ action: "Deny", from: [{ namespaces: {} }] }],
  });
  const guarded = new PolicyWorld([...PODS, service, slice, closed, guard]);
  t.equal(guarded.knock(DB, DB, 5432), "pod default/db");
  t.equal(guarded.knock(DB, "10.96.0.10", 80), "POLICY_DENY_RULE");
  t.same(guarded.rules()[1], "guard ingress[0].from[0]");
});

t.test(
  "a policy sees the pod behind a service, on its port, and the client behind a node port",
  async (t) => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "db" },
      spec: {
        type: "NodePort",
        clusterIP: "10.96.0.10",
        ports: [{ port: 80, targetPort: 5432, nodePort: 30080 }],
      },
    };
    const clients = testPolicy("clients", {
      ...app("db"),
      ingress: [{ from: [{ ipBlock: { cidr: "203.0.113.0/25" } }, app("backend")], ports: [{ port: 5432 }] }],
    });
    const world = new PolicyWorld([...PODS, service, slice, clients]);
    t.equal(world.knock(BACK, "10.96.0.10", 80), "pod default/db");
    t.equal(world.knock(FRONT, "10.96.0.10", 80), "POLICY_DENY");
    t.equal(
      world.knock(OUTSIDE, NODE1, 30080),
      "pod default/db",
      "its own address, though it is masqueraded then",
    );
    t.equal(world.knock("203.0.113.200", NODE1, 30080), "POLICY_DENY");
  },
);

t.test("a pod's port is closed until its policies are known", async (t) => {
  const world = new PolicyWorld([...PODS, DENY_ALL]);
  world.tables.ports.subject[world.port("default/db").id] = -1;
  t.equal(world.knock(DB, FAR, 80), "POLICY_NOT_READY");
  t.equal(world.knock(NODE1, DB, 80), "POLICY_NOT_READY", "not even the node");
});

t.test("who knocks on the bridge before the pod is there does not get in with that afterwards", async (t) => {
  const world = new PolicyWorld([...PODS, DENY_ALL]);
  const at = world.port("default/frontend");
  const frame = world.frame(at, parseIp(FRONT) as Ip, parseIp(DB) as Ip, 53, "UDP");
  const others = PODS.filter((object) => (object as { metadata: { name: string } }).metadata.name !== "db");
  world.become([...others, DENY_ALL]);
  t.equal(world.send(at, frame.slice()), "POLICY_NOT_READY", "nobody has the address");
  world.become([...PODS, DENY_ALL]);
  t.equal(world.send(at, frame.slice()), "POLICY_DENY");
});

t.test("a port that is new and whose addresses are not known yet gets nothing from the bridge", async (t) => {
  const world = new PolicyWorld([...PODS, DENY_ALL]);
  const at = world.port("default/frontend");
  const frame = world.frame(at, parseIp(FRONT) as Ip, parseIp(DB) as Ip, 53, "UDP");
  const { ports, stations, fdb: table } = world.tables;
  const { id } = world.port("default/db");
  const { w0, w1, w2, w3 } = parseIp(DB) as Ip;
  fdb.removePort(table, id);
  neighbor.remove(stations, neighbor.find(stations, w0, w1, w2, w3));
  ports.subject[id] = -1;
  t.equal(world.send(at, frame), "POLICY_NOT_READY");
});

t.test("a new pod with the address of one that has ended is not taken for it", async (t) => {
  const world = new PolicyWorld([...PODS, DENY_ALL, ALLOW_DB]);
  const ended = {
    ...testPod({ name: "backend", ips: [BACK] }),
    status: { phase: "Succeeded", podIPs: [{ ip: BACK }] },
  };
  const heir = testPod({ name: "heir", ips: [BACK] });
  const others = PODS.filter(
    (object) => (object as { metadata: { name: string } }).metadata.name !== "backend",
  );
  world.become([...others, ended, heir, DENY_ALL, ALLOW_DB]);
  t.equal(world.knock(BACK, DB, 5432), "POLICY_DENY");
});

t.test("frames for everybody do not get past policies; what a link is made of does", async (t) => {
  const world = new PolicyWorld([...PODS, DENY_ALL]);
  const at = world.port("default/frontend");
  const broadcast = (to: string): string => {
    const frame = world.frame(at, parseIp(FRONT) as Ip, parseIp(to) as Ip, 53, "UDP");
    frame.fill(0xff, 0, 6);
    return world.send(at, frame);
  };
  t.equal(broadcast(DB), "POLICY_DENY");
  t.equal(broadcast("224.0.0.251"), "POLICY_DENY");
  world.become(PODS);
  t.equal(broadcast(DB), "pod default/backend,pod default/db");
});

t.test("a frame for a pod's MAC address with another destination is for that pod", async (t) => {
  const world = new PolicyWorld([...PODS, testPolicy("closed", { ...app("db"), policyTypes: ["Ingress"] })]);
  const at = world.port("default/frontend");
  const frame = world.frame(at, parseIp(FRONT) as Ip, parseIp(DB) as Ip, 53, "UDP");
  const other = world.frame(at, parseIp(FRONT) as Ip, parseIp(BACK) as Ip, 53, "UDP");
  other.set(frame.subarray(0, 6));
  t.equal(world.send(at, other), "POLICY_DENY");
});

t.test("on trial: counted and told, and it passes", async (t) => {
  const trial = testPolicy(
    "trial",
    { podSelector: {}, policyTypes: ["Ingress"] },
    {
      annotations: { "podwire.dev/enforcement": "audit" },
    },
  );
  const world = new PolicyWorld([...PODS, trial]);
  t.equal(world.knock(FRONT, DB, 5432), "pod default/db");
  t.same(world.rules()[1], "isolated by default/trial; no rule matches");
  t.equal(world.tables.scratch.outer.ingressVerdict & 3, 3, "AUDIT");
  world.become([...PODS, trial, ALLOW_DB]);
  t.equal(world.knock(FRONT, DB, 5433), "POLICY_DENY", "another policy denies it");
  t.same(world.rules()[1], "isolated by default/allow-db-access; no rule matches");
  t.equal(world.knock(BACK, DB, 5432), "pod default/db");
});

t.test(
  "a node is all its addresses: of its object, its end of the tunnel, the gateway of its pods",
  async (t) => {
    const [VTEP2, GATEWAY2] = ["10.244.2.0", "10.244.2.1"];
    const objects = [
      testPolicy("closed", { ...app("frontend"), policyTypes: ["Egress"] }),
      testClusterPolicy("to-gateways", {
        tier: "Admin",
        priority: 1,
        subject: { namespaces: {} },
        egress: [{ action: "Accept", to: [{ nodes: { matchLabels: { role: "gateway" } } }] }],
      }),
    ];
    const overlay = { type: "vxlan", vni: 1, port: 8472 } as const;
    for (const of of [(a: string) => a, six]) {
      const tunnelled = new PolicyWorld([...PODS, ...objects], { overlay });
      t.equal(tunnelled.knock(of(FRONT), of(VTEP2), 80), "uplink");
      t.same(tunnelled.rules()[0], "to-gateways egress[0].to[0]");
      t.equal(tunnelled.knock(of(FRONT), of(GATEWAY2), 80), "uplink");
      t.equal(tunnelled.knock(of(FRONT), of("10.244.1.0"), 80), "POLICY_DENY", "a node of other labels");
      t.equal(tunnelled.knock(of(FRONT), of(FAR), 80), "POLICY_DENY", "no node");
      const plain = new PolicyWorld([...PODS, ...objects]);
      t.equal(plain.knock(of(FRONT), of(VTEP2), 80), "POLICY_DENY", "without overlay it is nobody's");
      t.equal(plain.knock(of(FRONT), of(GATEWAY2), 80), "uplink");
      const heir = testPod({ name: "heir", ips: [of(GATEWAY2)], node: "node2" });
      const taken = new PolicyWorld([...PODS, heir, ...objects], { overlay });
      t.equal(taken.knock(of(FRONT), of(GATEWAY2), 80), "POLICY_DENY", "a pod that has the address has it");
    }
  },
);

t.test("what opens a connection takes the fast path where policies answered the same lately", async (t) => {
  const rule = { ports: [{ protocol: "UDP", port: 53 }] };
  const objects = [
    testNamespace("default"),
    testPod({ name: "front", ips: [FRONT] }),
    testPod({ name: "back", ips: [BACK] }),
    testPod({ name: "far", ips: [FAR], node: "node2" }),
    testPolicy("dns", { podSelector: {}, ingress: [rule] }),
    testPolicy("out", { podSelector: {}, policyTypes: ["Egress"], egress: [rule] }),
  ];
  const worlds = [true, false].map((isOn) => {
    const world = new PolicyWorld(objects);
    world.tables.scratch.fast.isOn = isOn;
    return world;
  });
  const at = worlds[0].node.portOf(FRONT);
  let srcPort = 2000;
  for (const [to, port, isFast] of [
    [BACK, 53, false],
    [BACK, 53, true],
    [BACK, 54, false],
    [BACK, 54, false],
    [FAR, 53, false],
    [FAR, 53, true],
  ] as const) {
    const [src, dst] = [FRONT, to].map((text) => parseIp(text) as Ip);
    srcPort++;
    const [got, wanted] = worlds.map((world) => {
      const frame = world.frame(at, src, dst, port, "UDP");
      setWord(frame, SOURCE_PORT_AT, srcPort, UDP_SUM_AT);
      const before = world.tables.counters.events[Event.FAST_PATH];
      const out = world.send(world.node.portOf(FRONT), frame);
      const { conntrack: ct, connectionRules, policyHits } = world.tables;
      const columns = [ct.tuple.subarray(0, 256), connectionRules.words, policyHits.words].map((column) =>
        createHash("md5").update(column).digest("hex"),
      );
      return { out, columns, fast: world.tables.counters.events[Event.FAST_PATH] - before };
    });
    t.equal(got.fast, isFast ? 1 : 0, `${to}:${port}`);
    t.same({ ...got, fast: 0 }, wanted);
  }
});
