import t from "tap";
import { formatIp, ip } from "../base/ip.ts";
import { type Mac, formatMac as macText } from "../base/mac.ts";
import { agentConfig } from "../config/agent.ts";
import { RouteKind, type RouteSpec } from "../dataplane/spec/routes.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { manifestOf } from "../kube/manifest/manifest.ts";
import { type Node, ObjectGraph } from "../watch/desired-state.ts";
import { flannelAnnotations } from "./flannel.ts";
import { compilePods } from "./local-pods.ts";
import { macFromText, macOf } from "./mac.ts";
import { cniAddresses, compileTopology, type NodeTopology, whyUnserved } from "./node.ts";

const formatMac = ({ hi, lo }: Mac): string => macText(hi, lo);

const BASE = {
  nodeName: "node1",
  clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
  serviceCIDR: "10.96.0.0/12",
  uplink: { interface: "eth0", gateway: "192.168.50.1" },
  host: { interface: "host0" },
  socket: "/a.sock",
  source: { files: ["a"] },
};

function node(name: string, n: number, annotations: object = {}): object {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, annotations },
    spec: { podCIDRs: [`10.244.${n}.0/24`, `fd00:10:244:${n}::/64`] },
    status: {
      addresses: [
        { type: "Hostname", address: name },
        { type: "InternalIP", address: `192.168.50.1${n}` },
        { type: "InternalIP", address: `fd00:50::1${n}` },
      ],
    },
  };
}

function topology(overlay: object, objects: object[]): NodeTopology | undefined {
  const problems = new FieldProblems();
  const config = agentConfig({ ...BASE, overlay }, problems);
  t.same(problems.list, []);
  const graph = new ObjectGraph();
  for (const value of objects) graph.onEvent({ type: "ADDED", object: manifestOf(value, "test").object });
  if (config === undefined) return undefined;
  return compileTopology(graph, { config, mtu: 1500, ports: { uplink: 1, host: 2 } });
}

const KIND_NAMES = Object.keys(RouteKind);
/** "10.244.2.0/24 VTEP 0 mtu 1450 src 10.244.1.0". */
function tell(r: RouteSpec): string {
  const gateway =
    (r.gw0 | r.gw1 | r.gw2 | r.gw3) === 0
      ? ""
      : ` via ${formatIp({ w0: r.gw0, w1: r.gw1, w2: r.gw2, w3: r.gw3 })}`;
  const source = formatIp({ w0: r.src0, w1: r.src1, w2: r.src2, w3: r.src3 });
  const to = r.family === 4 && r.prefixLen === 0 ? "0.0.0.0" : formatIp(r);
  const vtep = r.vtep >= 0 ? ` ${r.vtep}` : "";
  return `${to}/${r.prefixLen} ${KIND_NAMES[r.kind]}${vtep}${gateway} port ${r.port} mtu ${r.mtu} src ${source}`;
}

t.test("VXLAN: own addresses, pods, tunnels to every other node, fabric, default", async (t) => {
  const made = topology({ type: "vxlan" }, [node("node2", 2), node("node1", 1)]);
  t.same(made?.routes.filter((r) => r.family === 4).map(tell), [
    "192.168.50.11/32 LOCAL port 2 mtu 1500 src 169.254.1.1",
    "10.244.1.1/32 LOCAL port 2 mtu 1500 src 169.254.1.1",
    "10.244.1.0/32 LOCAL port 2 mtu 1500 src 169.254.1.1",
    "10.244.1.0/24 PODS port -1 mtu 1450 src 10.244.1.1",
    "10.244.2.0/24 VTEP 0 port 1 mtu 1450 src 10.244.1.0",
    "192.168.50.0/24 ONLINK port 1 mtu 1500 src 192.168.50.11",
    "0.0.0.0/0 GATEWAY via 192.168.50.1 port 1 mtu 1500 src 192.168.50.11",
  ]);
  t.same(made?.routes.filter((r) => r.family === 6).map(tell), [
    "fd00:50::11/128 LOCAL port 2 mtu 1500 src fe80::1",
    "fd00:10:244:1::1/128 LOCAL port 2 mtu 1500 src fe80::1",
    "fd00:10:244:1::/128 LOCAL port 2 mtu 1500 src fe80::1",
    "fd00:10:244:1::/64 PODS port -1 mtu 1450 src fd00:10:244:1::1",
    "fd00:10:244:2::/64 VTEP 0 port 1 mtu 1450 src fd00:10:244:1::",
    "fd00:50::/64 ONLINK port 1 mtu 1500 src fd00:50::11",
  ]);
  t.same(
    made?.vteps.map((v) => [v.node, formatIp(v), formatMac(v.mac)]),
    [["node2", "192.168.50.12", "0e:01:c0:a8:32:0c"]],
  );
  t.equal(formatMac(made?.own.gatewayMac ?? { hi: 0, lo: 0 }), "0a:58:0a:f4:01:01");
  t.equal(formatMac(made?.own.vtepMac ?? { hi: 0, lo: 0 }), "0e:01:c0:a8:32:0b");
});

t.test("no overlay: plain routes to the other nodes, no VTEP address", async (t) => {
  const made = topology({ type: "none" }, [node("node1", 1), node("node2", 2)]);
  const lines = made?.routes.map(tell) ?? [];
  t.ok(lines.includes("10.244.2.0/24 GATEWAY via 192.168.50.12 port 1 mtu 1500 src 192.168.50.11"));
  t.ok(lines.includes("10.244.1.0/24 PODS port -1 mtu 1500 src 10.244.1.1"));
  t.notOk(lines.some((line) => line.startsWith("10.244.1.0/32")));
  t.same(made?.vteps, []);
});

t.test("flannel's annotations tell another node's VTEP; nonsense in them is ignored", async (t) => {
  const announced = node("node2", 2, {
    "flannel.alpha.coreos.com/backend-data": '{"VNI":1,"VtepMAC":"aa:bb:cc:dd:ee:ff"}',
    "flannel.alpha.coreos.com/public-ip": "172.16.0.2",
  });
  const odd = node("node3", 3, { "flannel.alpha.coreos.com/backend-data": "{oops" });
  const made = topology({ type: "vxlan" }, [node("node1", 1), announced, odd]);
  t.same(
    made?.vteps.map((v) => [formatIp(v), formatMac(v.mac)]),
    [
      ["172.16.0.2", "aa:bb:cc:dd:ee:ff"],
      ["192.168.50.13", "0e:01:c0:a8:32:0d"],
    ],
  );
});

const FLANNEL = "flannel.alpha.coreos.com/";
const told = (list: object): object =>
  Object.fromEntries(Object.entries(list).map(([key, value]) => [`${FLANNEL}${key}`, value]));
const data = (mac: string, vni = 1): string => `{"VNI":${vni},"VtepMAC":"${mac}"}`;
const others = (made: NodeTopology | undefined): string[] =>
  made?.routes
    .filter((r) => r.kind === RouteKind.VTEP || (r.kind === RouteKind.GATEWAY && r.prefixLen > 0))
    .map(tell) ?? [];

t.test(
  "two tunnels where both nodes have two, as flannel makes them; else one for both families",
  async (t) => {
    const ends = (n: number): object =>
      told({
        ...{
          "backend-type": "vxlan",
          "backend-data": data(`02:00:00:00:00:0${n}`),
          "public-ip": `192.168.50.1${n}`,
        },
        ...{ "backend-v6-data": data(`02:00:00:00:06:0${n}`), "public-ipv6": `fd00:50::1${n}` },
      });
    const macs = (made: NodeTopology | undefined): unknown[] =>
      made?.vteps.map((v) => [formatIp(v), formatMac(v.mac), ...v.carries]) ?? [];
    const two = topology({ type: "vxlan" }, [node("node1", 1, ends(1)), node("node2", 2, ends(2))]);
    t.same(macs(two), [
      ["192.168.50.12", "02:00:00:00:00:02", 4],
      ["fd00:50::12", "02:00:00:00:06:02", 6],
    ]);
    t.same(others(two), [
      "10.244.2.0/24 VTEP 0 port 1 mtu 1450 src 10.244.1.0",
      "fd00:10:244:2::/64 VTEP 1 port 1 mtu 1430 src fd00:10:244:1::",
    ]);
    t.equal(
      formatMac(two?.own.vtepMac ?? { hi: 0, lo: 0 }),
      "02:00:00:00:00:01",
      "what the own Node says is kept",
    );
    const one = topology({ type: "vxlan" }, [node("node1", 1), node("node2", 2, ends(2))]);
    t.same(macs(one), [["192.168.50.12", "02:00:00:00:00:02", 4, 6]]);
    const six = told({ "backend-v6-data": data("02:00:00:00:06:02"), "public-ipv6": "fd00:50::77" });
    const alone = topology({ type: "vxlan" }, [node("node1", 1), node("node2", 2, six)]);
    t.same(macs(alone).slice(1), [["fd00:50::77", "02:00:00:00:06:02", 6]]);
  },
);

t.test(
  "a node that tells of another backend or network is not reached by guess, and is told of",
  async (t) => {
    const objects = [
      node("node1", 1),
      node("node2", 2, told({ "backend-type": "wireguard", "public-ip": "192.168.50.12" })),
      node("node3", 3, told({ "backend-type": "vxlan", "backend-data": data("02:00:00:00:00:03", 7) })),
      node("node4", 4, told({ "backend-type": "vxlan", "backend-data": "{oops" })),
      node(
        "node5",
        5,
        told({ "backend-type": "host-gw", "backend-data": "null", "public-ip": "192.168.50.75" }),
      ),
    ];
    const made = topology({ type: "vxlan" }, objects);
    t.same(
      made?.vteps.map((v) => v.node),
      ["node4"],
    );
    t.same(others(made).length, 2);
    t.same(made?.problems, [
      "node node2: flannel's backend there is wireguard, this node's is vxlan: give all nodes the same",
      "node node3: the VNI there is 7, this node's is 1: give all nodes the same",
      `node node4: the annotation ${FLANNEL}backend-data has no VtepMAC: {oops`,
      "node node5: flannel's backend there is host-gw, this node's is vxlan: give all nodes the same",
    ]);
    const plain = topology({ type: "none" }, objects);
    t.match(plain?.problems, [
      /^node node2: .*wireguard.* host-gw/,
      /^node node3: .*vxlan/,
      /^node node4: .*vxlan/,
    ]);
    t.same(
      others(plain),
      [
        "10.244.5.0/24 GATEWAY via 192.168.50.75 port 1 mtu 1500 src 192.168.50.11",
        "fd00:10:244:5::/64 GATEWAY via fd00:50::15 port 1 mtu 1500 src fd00:50::11",
      ],
      "a next hop is where the node says that it is",
    );
  },
);

t.test("what a hostile or mistaken Node says of its end is told in one line, and not followed", async (t) => {
  const says = (n: number, list: object): object => node(`node${n}`, n, told(list));
  const backend = "backend-type";
  const mac = "02:00:00:00:00:02";
  const made = topology({ type: "vxlan" }, [
    node("node1", 1),
    says(2, { "backend-data": data(mac), "public-ip": "192.168.50.11" }),
    says(3, { "public-ip": "127.0.0.1" }),
    says(4, { "public-ip": "224.0.0.1", "public-ipv6": "::" }),
    says(5, { "public-ip": "fd00:50::15" }),
    says(6, { "backend-data": data("01:00:5e:00:00:01") }),
    says(7, { "backend-data": `{"VtepMAC":"\n\u001b[2J${"x".repeat(9000)}"}` }),
    says(8, { "backend-data": `{"VNI":"1","VtepMAC":"${mac}"}` }),
    says(9, { [backend]: `vx\nlan${"[".repeat(9000)}` }),
  ]);
  const key = (name: string): string => `the annotation ${FLANNEL}${name}`;
  const taken = "the Node's InternalIP is taken: mend the annotation";
  const problems = made?.problems ?? [];
  t.same(problems.slice(0, 5), [
    `node node2: ${key("public-ip")} is this node's own address: 192.168.50.11; ${taken}`,
    `node node3: ${key("public-ip")} is no IPv4 address of a node: 127.0.0.1; ${taken}`,
    `node node4: ${key("public-ip")} is no IPv4 address of a node: 224.0.0.1; ${taken}`,
    `node node5: ${key("public-ip")} is no IPv4 address of a node: fd00:50::15; ${taken}`,
    `node node6: ${key("backend-data")} has no VtepMAC: ${data("01:00:5e:00:00:01")}`,
  ]);
  t.match(problems[6], 'node node8: the VNI there is "1", this node\'s is 1');
  t.match(problems[7], /^node node9: flannel's backend there is vx lan\[{94}…, this node's is vxlan/);
  t.equal(problems.length, 8);
  t.notOk(
    problems.some((line) => /\p{Cc}/u.test(line) || line.length > 300),
    "one line each, and short",
  );
  t.same(
    made?.vteps.map((v) => `${formatIp(v)} ${formatMac(v.mac)}`),
    [
      "12 02:00:00:00:00:02",
      ...[3, 4, 5, 6, 7].map((n) => `1${n} 0e:01:c0:a8:32:${(10 + n).toString(16).padStart(2, "0")}`),
    ].map((line) => `192.168.50.${line}`),
  );
});

t.test(
  "ranges and addresses that several Nodes claim: this node's are its own, and all are told",
  async (t) => {
    const has = (name: string, n: number, podCIDRs: string[]): object => ({
      ...node(name, n),
      spec: { podCIDRs },
    });
    const made = topology({ type: "vxlan" }, [
      node("node1", 1),
      node("former-name", 1),
      has("inside", 2, ["10.244.1.128/25", "fd00:10:244:2::/64"]),
      has("same", 3, ["10.244.1.0/24"]),
      has("around", 4, ["10.244.0.0/16"]),
      node("x5", 5),
      has("y5", 6, ["10.244.5.0/24"]),
      node("fine", 7),
    ]);
    const own = "is that of this node (node1), too: pods of one of them are not reached: give each its own";
    t.same(made?.problems, [
      `node around: its podCIDR 10.244.0.0/16 ${own}`,
      "node former-name: its address 192.168.50.11 is this node's own: " +
        "remove the Node if the machine has another name by now, or mend its address",
      `node inside: its podCIDR 10.244.1.128/25 ${own}`,
      `node same: its podCIDR 10.244.1.0/24 ${own}`,
      "node y5: its podCIDR 10.244.5.0/24 is that of x5, too: pods of one of them are not reached: give each its own",
    ]);
    t.same(
      others(made).map((line) => line.replace(/ port.*/, "")),
      ["fine", "inside", "x5", "y5"].flatMap((name) => {
        const vtep = made?.vteps.findIndex((each) => each.node === name);
        const ranges = {
          fine: ["10.244.7.0/24", "fd00:10:244:7::/64"],
          inside: ["fd00:10:244:2::/64"],
          x5: ["10.244.5.0/24", "fd00:10:244:5::/64"],
          y5: ["10.244.5.0/24"],
        }[name];
        return ranges?.map((range) => `${range} VTEP ${vtep}`) ?? [];
      }),
    );
    t.same(
      made?.vteps.map((each) => each.node),
      ["fine", "inside", "x5", "y5"],
      "nobody's end of the tunnel is at this node's own address",
    );
  },
);

t.test("directRouting: nodes on the fabric without the tunnel, others through it", async (t) => {
  const far = node(
    "node3",
    3,
    told({ "backend-type": "vxlan", "public-ip": "10.9.0.3", "public-ipv6": "fd99::3" }),
  );
  const made = topology({ type: "vxlan", directRouting: true }, [node("node1", 1), node("node2", 2), far]);
  t.same(others(made).slice(0, 3), [
    "10.244.2.0/24 GATEWAY via 192.168.50.12 port 1 mtu 1450 src 192.168.50.11",
    "fd00:10:244:2::/64 GATEWAY via fd00:50::12 port 1 mtu 1450 src fd00:50::11",
    "10.244.3.0/24 VTEP 1 port 1 mtu 1450 src 10.244.1.0",
  ]);
  t.equal(made?.vteps.length, 2, "what they send through the tunnel is taken all the same");
});

t.test("what the own Node has to say, as flannel writes it", async (t) => {
  const wanted = (overlay: object, annotations: object): object => {
    const config = agentConfig({ ...BASE, overlay }, new FieldProblems());
    const self = manifestOf(node("node1", 1, annotations), "test").object as Node;
    const own = topology(overlay, [self])?.own;
    if (config === undefined || own === undefined) throw new Error("no node");
    return flannelAnnotations(self, own, config);
  };
  const vxlan = told({
    ...{ "backend-type": "vxlan", "kube-subnet-manager": "true" },
    ...{ "backend-data": data("0e:01:c0:a8:32:0b"), "public-ip": "192.168.50.11" },
    ...{ "backend-v6-data": data("0e:01:c0:a8:32:0b"), "public-ipv6": "fd00:50::11" },
  });
  t.same(wanted({ type: "vxlan" }, {}), vxlan);
  const hostGw = { "backend-type": "host-gw", "backend-data": "null", "backend-v6-data": "null" };
  t.same(wanted({ type: "none" }, vxlan), { ...vxlan, ...told(hostGw) });
  const was = told({
    "backend-data": data("f2:00:00:00:00:01"),
    "backend-v6-data": data("f2:00:00:00:00:02"),
  });
  t.match(wanted({ type: "vxlan" }, was), told({ "backend-v6-data": data("f2:00:00:00:00:01") }));
  const overwrite = told({ "public-ip-overwrite": "203.0.113.7", "public-ipv6-overwrite": "192.0.2.1" });
  t.match(
    wanted({ type: "vxlan" }, { ...vxlan, ...overwrite }),
    told({ "public-ip": "203.0.113.7", "public-ipv6": "fd00:50::11" }),
    "an address of the other family is none",
  );
  const own = {
    addresses: [ip("192.168.50.11")],
    podCidrs: [{ family: 4 }],
    vtepMac: { hi: 0, lo: 0 },
  } as const;
  t.match(
    flannelAnnotations(undefined, own, { overlay: { type: "none" } }),
    told({ "backend-data": "null", "backend-v6-data": null, "public-ipv6": null }),
    "of a family that it has not, a node says nothing any more",
  );
});

t.test("there is no topology before the node's own object has an address and a range", async (t) => {
  t.equal(topology({ type: "vxlan" }, [node("node2", 2)]), undefined);
});

t.test(
  "a node attaches its own pods with an address, not the host's network, not what has ended",
  async (t) => {
    const graph = new ObjectGraph();
    const pod = (name: string, spec: object, status: object, annotations: object = {}) =>
      graph.onEvent({
        type: "ADDED",
        object: manifestOf(
          {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name, annotations },
            spec: { containers: [{ name: "a", image: "a" }], ...spec },
            status,
          },
          "test",
        ).object,
      });
    const here = { nodeName: "node1" };
    pod("b", here, { podIP: "10.244.1.3" });
    pod(
      "a",
      here,
      { podIP: "10.244.1.2" },
      { "podwire.dev/netns": "/run/netns/a", "podwire.dev/mac": "02:00:00:00:00:01" },
    );
    pod("other", { nodeName: "node2" }, { podIP: "10.244.2.2" });
    pod("host", { ...here, hostNetwork: true }, { podIP: "192.168.50.11" });
    pod("done", here, { podIP: "10.244.1.4", phase: "Succeeded" });
    pod("waiting", here, {});
    t.same(
      compilePods(graph, "node1").map((p) => [
        p.key,
        p.netns,
        formatMac(p.mac),
        p.addresses.map(formatIp).join(),
      ]),
      [
        ["default/a", "/run/netns/a", "02:00:00:00:00:01", "10.244.1.2"],
        ["default/b", "", "0a:58:0a:f4:01:03", "10.244.1.3"],
      ],
    );
  },
);

t.test(
  "whose clients are kept: what the configuration or the own annotation says, of others what theirs says",
  async (t) => {
    const keeps = (own: object, other: object, overlay = "vxlan"): unknown[] => {
      const made = topology({ type: overlay }, [node("node1", 1, own), node("node2", 2, other)]);
      return [made?.keepsClients, ...(made?.vteps ?? []).map((vtep) => vtep.keepsClients === true)];
    };
    const on = { "podwire.dev/keep-client-address": "true" };
    t.same(keeps({}, {}), [false, false]);
    t.same(keeps(on, {}), [true, false]);
    t.same(keeps({}, on), [false, true]);
    t.same(keeps(on, on, "none"), [false], "there is no tunnel");
    t.same(topology({ type: "vxlan" }, [node("node2", 2), node("node1", 1)])?.nodeAddresses.map(formatIp), [
      ...["192.168.50.12", "fd00:50::12", "192.168.50.11", "fd00:50::11"],
    ]);
    t.throws(() => keeps({ "podwire.dev/keep-client-address": "yes" }, {}), {
      message: /annotations\[?.*keep-client-address.*Invalid value: "yes": must be "true" or "false"/,
    });
  },
);

t.test("MAC addresses: text and back; what is none is refused", async (t) => {
  t.equal(formatMac(macOf([ip("10.244.1.2")])), "0a:58:0a:f4:01:02");
  t.same(macFromText("0a:58:ff:f4:01:02"), { hi: 0x0a58, lo: 0xfff40102 | 0 });
  for (const text of ["", "0a:58:ff:f4:01", "0a:58:ff:f4:01:2", "zz:58:ff:f4:01:02"])
    t.equal(macFromText(text), undefined);
});

t.test("a range without room for a pod is refused; one of a single address has no gateway", async (t) => {
  const withRanges = (...podCIDRs: string[]): object => ({ ...node("node1", 1), spec: { podCIDRs } });
  const why = (own: object | undefined, isServed = false): string => {
    const graph = new ObjectGraph();
    if (own !== undefined) graph.onEvent({ type: "ADDED", object: manifestOf(own, "test").object });
    return whyUnserved("node1", graph, isServed);
  };
  for (const small of ["10.244.1.0/31", "10.244.1.0/32", "fd00:10:244:1::/127", "fd00:10:244:1::/128"]) {
    const pair = small.includes(":") ? ["10.244.1.0/24", small] : [small, "fd00:10:244:1::/64"];
    const what = `Node "node1": podCIDR ${small} is too small for a pod`;
    t.match(why(withRanges(...pair)), what);
    t.match(why(withRanges(...pair), true), what, "one that was served until now as well");
    t.equal(topology({ type: "vxlan" }, [withRanges(...pair)]), undefined);
  }
  t.equal(why(withRanges("10.244.1.0/30", "fd00:10:244:1::/126")), "");
  t.ok(topology({ type: "vxlan" }, [withRanges("10.244.1.0/30")]));
  t.equal(why(undefined, true), "", "what runs goes on while the object is away");
  t.match(why(undefined), 'no Node object "node1" with an address and a podCIDR yet');
  t.match(why(withRanges(), true), 'no Node object "node1" with an address and a podCIDR yet');
  const other = manifestOf({ ...node("node2", 2), spec: { podCIDRs: ["10.244.2.9/32"] } }, "test")
    .object as Node;
  t.same(cniAddresses(other, true).map(formatIp), ["10.244.2.9"], "10.244.2.10 is another's");
});
