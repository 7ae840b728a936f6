// Ways round policies that a pod with a raw socket has: errors about connections of its own, messages that look like the
// link's, addresses of the link, fragments and frames for everybody. None of them may carry what policies deny.
import t from "tap";
import { type Ip, parseIp } from "../base/ip.ts";
import { fragmentsOf } from "../testing/frames/fragment-frames.ts";
import * as build from "../testing/frames/frame-builder.ts";
import { fragmentsOf6 } from "../testing/world/dual-stack.ts";
import {
  PolicyWorld,
  testClusterPolicy,
  testNamespace,
  testPod,
  testPolicy,
} from "../testing/world/policy-world.ts";

const [FRONT, BACK, DB, FAR] = ["10.244.1.2", "10.244.1.3", "10.244.1.4", "10.244.2.9"];
const same = (address: string): string => address;
const six = (address: string): string => `fd00:10:244:${address.split(".")[2]}::${address.split(".")[3]}`;
const ips = (address: string): string[] => [address, six(address)];

const PODS = [
  testNamespace("default"),
  testPod({ name: "frontend", ips: ips(FRONT) }),
  testPod({ name: "backend", ips: ips(BACK) }),
  testPod({ name: "db", ips: ips(DB) }),
  testPod({ name: "far", ips: ips(FAR), node: "node2" }),
];
const pods = (name: string): object => ({
  pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: name } } },
});
/** `more`: rules in one direction, of pods `name`. */
const guard = (name: string, more: object): object =>
  testClusterPolicy("guard", { tier: "Admin", priority: 1, subject: pods(name), ...more });
const CLOSED = testPolicy("closed", {
  podSelector: { matchLabels: { app: "db" } },
  policyTypes: ["Ingress"],
});
const SILENT = testPolicy("silent", {
  podSelector: { matchLabels: { app: "frontend" } },
  policyTypes: ["Egress"],
});
const EVERYBODY = "ff:ff:ff:ff:ff:ff";

/** MAC addresses of a frame that the pod `from` sends to `to`, and who is whom. */
function path(world: PolicyWorld, from: string, to: string) {
  const frame = world.frame(world.node.portOf(from), parseIp(from) as Ip, parseIp(to) as Ip, 1, "UDP");
  const mac = (at: number): string =>
    [...frame.subarray(at, at + 6)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  return { src: from, dst: to, srcMac: mac(6), dstMac: mac(0) };
}

const sendFrom = (world: PolicyWorld, from: string, frame: Uint8Array): string =>
  world.send(world.node.portOf(from), frame);

/** The link-local address that a MAC address makes. */
function onLink(mac: string): string {
  const [a, b, c, d, e, f] = mac.split(":");
  return `fe80::${(Number.parseInt(a, 16) ^ 2).toString(16)}${b}:${c}ff:fe${d}:${e}${f}`;
}

t.test("an ICMP error is RELATED to a connection only for who sent what it quotes", async (t) => {
  for (const of of [same, six]) {
    const world = new PolicyWorld([...PODS, CLOSED]);
    const [front, back] = [of(FRONT), of(BACK)];
    t.equal(world.knock(front, back, 53, "UDP"), "pod default/backend");
    const answer = { src: back, dst: front, srcPort: 53, dstPort: 40_000, payload: 9 };
    const about = build.udpFrame({ ...path(world, back, front), ...answer });
    const type = of === six ? 1 : 3;
    const error = (to: string): string =>
      sendFrom(world, front, build.icmpErrorFrame({ ...path(world, front, of(to)), type, code: 3, about }));
    t.equal(error(BACK), "pod default/backend");
    t.equal(error(DB), "CT_INVALID", "to a pod that is closed");
    t.equal(error(FAR), "CT_INVALID", "to another node");
  }
});

t.test("what looks like the link's own talk is asked about when it is for somebody", async (t) => {
  const world = new PolicyWorld([...PODS, CLOSED, SILENT]);
  const passing = (to: string, dstMac?: string): number[] => {
    const link = path(world, six(FRONT), six(to));
    const types = Array.from({ length: 128 }, (_, i) => 128 + i);
    return types.filter((type) => {
      const frame = build.icmpFrame({ ...link, dstMac: dstMac ?? link.dstMac }, type, 0, 0, 30);
      return /^(pod|uplink|host)/.test(sendFrom(world, six(FRONT), frame));
    });
  };
  t.same(passing(FAR), [], "by the router");
  t.same(passing(DB), [133, 134, 137], "over the bridge: discovery");
  t.same(passing(DB, EVERYBODY), [], "in a frame for everybody");
  const report = build.icmpFrame({ ...path(world, six(FRONT), six(DB)), dst: "ff02::16" }, 143, 0, 0, 30);
  t.equal(sendFrom(world, six(FRONT), report), "POLICY_DENY", "for a group, to one");
  report.set([0x33, 0x33, 0, 0, 0, 0x16]);
  t.equal(sendFrom(world, six(FRONT), report), "pod default/backend,pod default/db", "for the link");
});

t.test(
  "a node information query is a connection, as the kernel has it, and its answer belongs to it",
  async (t) => {
    const world = new PolicyWorld([...PODS, SILENT]);
    const ask = (from: string, to: string, type: number): string =>
      sendFrom(world, six(from), build.icmpFrame(path(world, six(from), six(to)), type, 0, 2 << 16, 8));
    t.equal(ask(FRONT, BACK, 139), "POLICY_DENY");
    t.equal(ask(FRONT, BACK, 140), "CT_INVALID", "an answer to nothing");
    t.equal(ask(BACK, FRONT, 139), "pod default/frontend");
    t.equal(ask(FRONT, BACK, 140), "pod default/backend");
  },
);

t.test("on the link a pod is the same peer by its link-local address", async (t) => {
  const denied = [
    guard("db", { ingress: [{ action: "Deny", from: [pods("frontend")] }] }),
    guard("frontend", { egress: [{ action: "Deny", to: [pods("db")] }] }),
  ];
  const open = testPolicy("open", {
    podSelector: { matchLabels: { app: "db" } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: "backend" } } }] }],
  });
  for (const ofPod of [ips, (address: string) => [address]]) {
    const there = [
      testNamespace("default"),
      testPod({ name: "frontend", ips: ofPod(FRONT) }),
      testPod({ name: "backend", ips: ofPod(BACK) }),
      testPod({ name: "db", ips: ofPod(DB) }),
    ];
    const world = new PolicyWorld(there);
    const ask = (from: string, dstPort: number): string => {
      const link = path(world, from, DB);
      const ends = { ...link, src: onLink(link.srcMac), dst: onLink(link.dstMac) };
      return sendFrom(world, from, build.udpFrame({ ...ends, dstPort, payload: 5 }));
    };
    t.equal(ask(FRONT, 53), "pod default/db");
    for (const policy of denied) {
      world.become([...there, policy]);
      t.equal(ask(FRONT, 54), "POLICY_DENY_RULE");
      t.equal(ask(BACK, 54), "pod default/db");
      t.equal(ask(FRONT, 53), "pod default/db", "kept");
      world.tables.config.guard.policyRecheck = 1;
      t.equal(ask(FRONT, 53), "POLICY_DENY_RULE", "cut");
      world.tables.config.guard.policyRecheck = 0;
    }
    world.become([...there, open]);
    t.equal(ask(FRONT, 55), "POLICY_DENY");
    t.equal(ask(BACK, 55), "pod default/db");
    t.equal(world.rules()[1], "default/open ingress[0].from[0]");
  }
});

t.test("a fragment of a datagram for everybody is denied where its whole could be", async (t) => {
  const port = [{ udp: { destinationPort: { number: 7946 } } }];
  const world = new PolicyWorld([
    ...PODS,
    guard("db", { ingress: [{ action: "Deny", from: [{ namespaces: {} }], protocols: port }] }),
  ]);
  for (const of of [same, six]) {
    const [front, db] = [of(FRONT), of(DB)];
    const link = { ...path(world, front, db), dstMac: EVERYBODY, dontFragment: false };
    const whole = (dstPort: number): Uint8Array => build.udpFrame({ ...link, dstPort, payload: 1000 });
    const pieces = (dstPort: number): Uint8Array[] =>
      of === six ? fragmentsOf6(whole(dstPort), 600, 7) : fragmentsOf(whole(dstPort), 600);
    t.equal(sendFrom(world, front, whole(7946)), "pod default/backend");
    t.equal(sendFrom(world, front, whole(7947)), "pod default/backend,pod default/db");
    for (const piece of pieces(7946)) t.equal(sendFrom(world, front, piece), "pod default/backend");
    if (of === six) continue;
    const tcp = build.tcpFrame({ ...link, dstPort: 7946, payload: 1000 });
    for (const piece of fragmentsOf(tcp, 600))
      t.equal(sendFrom(world, front, piece), "pod default/backend,pod default/db", "another protocol");
  }
});

t.test("a rule that denies a pod denies its copy of a frame for everybody", async (t) => {
  const world = new PolicyWorld([
    ...PODS,
    guard("frontend", { egress: [{ action: "Deny", to: [pods("db")] }] }),
  ]);
  for (const dst of ["255.255.255.255", "224.0.0.251", DB]) {
    const link = { ...path(world, FRONT, DB), dst, dstMac: EVERYBODY };
    const expected = dst === DB ? "POLICY_DENY_RULE" : "pod default/backend";
    t.equal(sendFrom(world, FRONT, build.udpFrame({ ...link, dstPort: 53, payload: 9 })), expected, dst);
  }
  t.equal(world.rules()[0], "guard egress[0].to[0]");
});

t.test(
  "the node answers no ping to a service that policies deny, where the address is the node's own",
  async (t) => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web" },
      spec: { clusterIP: "10.96.0.10", ports: [{ port: 80 }] },
    };
    const world = new PolicyWorld([...PODS, service, SILENT], {}, { mode: "ipvs" });
    t.equal(world.knock(FRONT, "10.96.0.10", 0, "ICMP"), "POLICY_DENY");
    t.equal(world.rules()[0], "isolated by default/silent; no rule matches");
    t.equal(world.knock(BACK, "10.96.0.10", 0, "ICMP"), "pod default/backend", "the answer");
    const open = testPolicy("silent", {
      podSelector: { matchLabels: { app: "frontend" } },
      policyTypes: ["Egress"],
      egress: [{ to: [{ ipBlock: { cidr: "10.96.0.0/12" } }] }],
    });
    world.become([...PODS, service, open]);
    t.equal(world.knock(FRONT, "10.96.0.10", 0, "ICMP"), "pod default/frontend");
  },
);
