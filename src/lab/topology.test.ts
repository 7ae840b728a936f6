import t from "tap";
import {
  clientBatch,
  controlPlaneBatch,
  fabricBatch,
  kernelFdbBatch,
  kernelPodBatch,
  nodeBatch,
  podBatch,
  uplinkFilterBatch,
} from "./net/ip-batch.ts";
import { batchFailures } from "./net/namespace.ts";
import { DEFAULT_LAB, type LabObject, planTopology, tunnelAddress } from "./topology.ts";

const plan = (spec: LabObject["spec"]) => planTopology("demo", { spec: spec ?? {} });

t.test("the default lab has the documented names and addresses", async (t) => {
  const { nodes, clients, ...rest } = planTopology("demo", DEFAULT_LAB);
  t.match(rest, {
    clusterCidr: "10.244.0.0/16",
    serviceCidr: "10.96.0.0/12",
    dnsAddress: "10.96.0.10",
    podMtu: 1450,
  });
  t.match(rest.overlay, { type: "vxlan", vni: 1, port: 8472 });
  t.match(nodes[0], {
    name: "node1",
    agent: "podwire",
    netns: "pw-demo-n-node1",
    address: "192.168.50.11",
    podCidr: "10.244.1.0/24",
    gateway: "10.244.1.1",
    gatewayMac: "0a:58:0a:f4:01:01",
    uplinkMac: "0a:58:c0:a8:32:0b",
    vtepAddress: "10.244.1.0",
    vtepMac: "0e:01:c0:a8:32:0b",
  });
  t.match(nodes[1], { name: "node2", address: "192.168.50.12", podCidr: "10.244.2.0/24" });
  t.match(clients, [{ name: "outside", address: "192.168.50.100", netns: "pw-demo-c-outside" }]);
});

t.test("addresses and ranges that the file gives are kept, the others go around them", async (t) => {
  const { nodes, clients } = plan({
    nodes: [{ name: "a" }, { name: "b", address: "192.168.50.11", podCIDR: "10.244.1.0/24" }, { name: "c" }],
    clients: [{ name: "x" }],
  });
  t.same(
    nodes.map((n) => n.address),
    ["192.168.50.12", "192.168.50.11", "192.168.50.13"],
  );
  t.same(
    nodes.map((n) => n.podCidr),
    ["10.244.2.0/24", "10.244.1.0/24", "10.244.3.0/24"],
  );
  t.equal(clients[0].address, "192.168.50.100");
});

t.test("overlay none leaves the pods the whole MTU", async (t) => {
  t.equal(plan({ overlay: { type: "none" } }).podMtu, 1500);
});

t.test("what cannot be a lab is refused with the field it is about", async (t) => {
  const cases: [LabObject["spec"], RegExp][] = [
    [{ clusterCIDR: "10.244.0.0" }, /spec\.clusterCIDR: "10\.244\.0\.0" is not a CIDR/],
    [{ clusterCIDR: "10.96.0.0/16" }, /overlaps spec\.clusterCIDR/],
    [{ clusterCIDR: "10.244.0.0/16,10.245.0.0/16" }, /no more than one CIDR for each IP family/],
    [{ nodes: [{ name: "a" }, { name: "a" }] }, /node a: node a is already used/],
    [
      {
        nodes: [
          { name: "a", address: "10.0.0.1" },
          { name: "b", address: "10.0.0.1" },
        ],
      },
      /10\.0\.0\.1 is already/,
    ],
    [
      {
        nodes: [
          { name: "a", address: "10.0.0.1" },
          { name: "b", address: "10.0.1.1" },
        ],
      },
      /not in the node network/,
    ],
    [{ nodes: [{ name: "Node" }] }, /node "Node": use lower case/],
    [
      {
        nodes: [
          { name: "a", podCIDR: "10.244.0.0/23" },
          { name: "b", podCIDR: "10.244.1.0/24" },
        ],
      },
      /overlaps node/,
    ],
    [{ clusterCIDR: "10.244.0.0/23", nodes: ["a", "b", "c"].map((name) => ({ name })) }, /has no \/24 left/],
  ];
  for (const [spec, message] of cases) t.throws(() => plan(spec), { message }, String(message));
});

t.test("fabric: one veth pair a member, straight into its namespace", async (t) => {
  t.same(fabricBatch(planTopology("demo", DEFAULT_LAB)).slice(3), [
    "link add p0 type veth peer name eth0 netns pw-demo-n-node1",
    "link set p0 master br0 up",
    "link add p1 type veth peer name eth0 netns pw-demo-n-node2",
    "link set p1 master br0 up",
    "link add p2 type veth peer name eth0 netns pw-demo-c-outside",
    "link set p2 master br0 up",
  ]);
});

t.test("the control plane is on the bridge: before the nodes, and where nobody is", async (t) => {
  const batch = (spec: LabObject["spec"]) => controlPlaneBatch(plan(spec));
  t.same(batch({}), ["addr replace 192.168.50.10/24 dev br0"]);
  t.match(fabricBatch(plan({}))[2], "link set br0 address 0a:58:c0:a8:32:0a up");
  const at = (place: number) => ({ name: `n${place}`, address: `10.0.0.${place}` });
  t.same(batch({ nodes: [at(10), at(9)] }), ["addr replace 10.0.0.8/24 dev br0"]);
  t.same(batch({ nodes: Array.from({ length: 10 }, (_, i) => at(i + 1)) }), [
    "addr replace 10.0.0.254/24 dev br0",
  ]);
  t.same(batch({ loadBalancer: { pool: "192.168.50.9-192.168.50.10" } }), [
    "addr replace 192.168.50.8/24 dev br0",
  ]);
  t.throws(() => batch({ nodes: Array.from({ length: 254 }, (_, i) => at(i + 1)) }), {
    message: "spec.nodes: no address left in 10.0.0.0/24 for the Kubernetes API",
  });
  t.same(batch({ clusterCIDR: "10.244.0.0/16,fd00:10:244::/56" }), [
    "addr replace 192.168.50.10/24 dev br0",
    "addr replace fd00:192:168:50::10/64 dev br0 nodad",
  ]);
});

t.test("podwire node: the kernel has no say on the uplink, everything leaves by host0", async (t) => {
  const topology = planTopology("demo", DEFAULT_LAB);
  t.same(nodeBatch(topology, topology.nodes[0]), [
    "link set lo up",
    "rule add pref 100 lookup local",
    "rule del pref 0 lookup local",
    "rule add pref 10 iif eth0 blackhole",
    "link set eth0 address 0a:58:c0:a8:32:0b arp off up",
    "tuntap add dev host0 mode tap vnet_hdr",
    "link set host0 address 0a:58:c0:a8:32:0b gso_max_size 61900 up",
    "addr replace 192.168.50.11/24 dev host0",
    "addr replace 10.244.1.1/32 dev host0",
    "addr replace 10.244.1.0/32 dev host0",
    "route replace 10.244.1.0/24 dev host0 scope link src 10.244.1.1 mtu 1450",
    "route replace 10.244.0.0/16 via 169.254.1.1 dev host0 onlink src 10.244.1.0 mtu 1450",
    "route replace default via 169.254.1.1 dev host0 onlink src 192.168.50.11",
  ]);
});

t.test("what ends at the uplink: once a socket has it, all of it", async (t) => {
  t.same(uplinkFilterBatch(), [
    "qdisc replace dev eth0 clsact",
    'filter replace dev eth0 ingress pref 1 handle 1 protocol all bpf da bytecode "1,6 0 0 2"',
  ]);
});

t.test(
  "outer source ports are for the kernel's nodes, too: its range ends before its second number",
  async (t) => {
    const nodes = [{ name: "a" }, { name: "b", agent: "kernel" as const }];
    const device = (overlay: object): string => {
      const topology = plan({ nodes, overlay: { type: "vxlan", ...overlay } });
      return nodeBatch(topology, topology.nodes[1]).find((line) => line.includes("type vxlan")) ?? "";
    };
    t.match(device({ sourcePortRange: "50000-50009" }), " dstport 8472 srcport 50000 50010 local ");
    t.match(device({ sourcePortRange: "50000-65535" }), " srcport 50000 65535 local ");
    t.notMatch(device({}), "srcport");
  },
);

t.test("kernel node: flannel's set-up, with an entry for each other node", async (t) => {
  const topology = plan({ nodes: [{ name: "a" }, { name: "b", agent: "kernel" }] });
  const lines = nodeBatch(topology, topology.nodes[1]);
  t.ok(
    lines.includes("link add flannel.1 type vxlan id 1 dstport 8472 local 192.168.50.12 dev eth0 nolearning"),
  );
  t.ok(lines.includes("neigh replace 10.244.1.0 lladdr 0e:01:c0:a8:32:0b dev flannel.1 nud permanent"));
  t.ok(lines.includes("route replace 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink"));
  t.same(kernelFdbBatch(topology, topology.nodes[1]), [
    "fdb replace 0e:01:c0:a8:32:0b dev flannel.1 dst 192.168.50.11 self permanent",
  ]);
});

t.test("kernel node without overlay: plain routes to the other nodes", async (t) => {
  const topology = plan({
    overlay: { type: "none" },
    nodes: [{ name: "a" }, { name: "b", agent: "kernel" }],
  });
  t.equal(nodeBatch(topology, topology.nodes[1]).at(-1), "route replace 10.244.1.0/24 via 192.168.50.11");
  t.same(kernelFdbBatch(topology, topology.nodes[1]), []);
});

t.test("pod: a TAP of its own on a podwire node, a bridged veth on a kernel node", async (t) => {
  const topology = plan({ nodes: [{ name: "a" }, { name: "b", agent: "kernel" }], clients: [{ name: "c" }] });
  const [podwire, kernel] = topology.nodes;
  const pod = {
    namespace: "default",
    name: "w",
    netns: "NS",
    addresses: ["10.244.1.2/24"],
    mac: "0a:58:0a:f4:01:02",
  };
  t.same(podBatch(topology, podwire, pod), [
    "link set lo up",
    "tuntap add dev eth0 mode tap vnet_hdr",
    "link set eth0 address 0a:58:0a:f4:01:02 mtu 1450 gso_max_size 61900 up",
    "addr replace 10.244.1.2/24 dev eth0",
    "route replace default via 10.244.1.1 dev eth0",
  ]);
  t.notOk(podBatch(topology, kernel, pod).some((line) => line.startsWith("tuntap")));
  t.match(kernelPodBatch(topology, pod)[0], /^link add veth[0-9a-f]{8} type veth peer name eth0 netns NS$/);
  t.same(clientBatch(topology, topology.clients[0]).at(-1), "addr replace 192.168.50.100/24 dev eth0");
});

t.test("of a batch's failures only those count that are not already done", async (t) => {
  const lines = [
    "link add br0 type bridge",
    "tuntap add dev eth0 mode tap",
    "rule del pref 0 lookup local",
    "addr add x",
  ];
  const stderr = [
    "RTNETLINK answers: File exists",
    "Command failed -:1",
    "ioctl(TUNSETIFF): Device or resource busy",
    "Command failed -:2",
    "RTNETLINK answers: No such file or directory",
    "Command failed -:3",
    'Error: any valid prefix is expected rather than "x".',
    "Command failed -:4",
  ].join("\n");
  const message = 'Error: any valid prefix is expected rather than "x".';
  t.same(batchFailures(lines, stderr), [{ line: "addr add x", message }]);
});

t.test("dual stack: a second address, range and gateway of everything", async (t) => {
  const both = plan({ clusterCIDR: "10.244.0.0/16,fd00:10:244::/56", clients: [{ name: "outside" }] });
  t.equal(both.serviceCidr, "10.96.0.0/12,fd00:10:96::/112");
  t.same(both.fabricCidrs, ["192.168.50.0/24", "fd00:192:168:50::/64"]);
  const [, second] = both.nodes;
  t.same(second.addresses, ["192.168.50.12", "fd00:192:168:50::12"]);
  t.same(second.podCidrs, ["10.244.2.0/24", "fd00:10:244:2::/64"]);
  t.same(second.gateways, ["10.244.2.1", "fd00:10:244:2::1"]);
  t.same(second.vtepAddresses, ["10.244.2.0", "fd00:10:244:2::"]);
  t.equal(tunnelAddress(second), "192.168.50.12");
  t.equal(both.podMtu, 1450);
  t.same(both.clients[0].addresses, ["192.168.50.100", "fd00:192:168:50::100"]);
  const batch = nodeBatch(both, second);
  for (const line of [
    "addr replace fd00:192:168:50::12/64 dev host0 nodad",
    "addr replace fd00:10:244:2::1/128 dev host0 nodad",
    "route replace fd00:10:244:2::/64 dev host0 src fd00:10:244:2::1 mtu 1450",
    "route replace fd00:10:244::/56 via fe80::1 dev host0 src fd00:10:244:2:: mtu 1450",
    "route replace default via fe80::1 dev host0 src fd00:192:168:50::12",
  ]) {
    t.ok(batch.includes(line), line);
  }
});

t.test(
  "IPv6 only: no IPv4 address anywhere, MAC addresses from the last bytes, tunnels over IPv6",
  async (t) => {
    const six = plan({ clusterCIDR: "fd00:10:244::/56", clients: [{ name: "outside" }] });
    t.equal(six.serviceCidr, "fd00:10:96::/112");
    t.equal(six.podMtu, 1430);
    t.equal(six.nodes[0].address, "fd00:192:168:50::11");
    t.equal(six.nodes[0].uplinkMac, "0a:58:00:00:00:11");
    t.equal(six.nodes[0].gatewayMac, "0a:58:00:00:00:01");
    t.equal(tunnelAddress(six.nodes[0]), "fd00:192:168:50::11");
    t.notOk(nodeBatch(six, six.nodes[0]).some((line) => /\d\.\d/.test(line)));
  },
);

t.test(
  "addresses of load balancers are nobody else's, whether the file says them or the lab takes them",
  async (t) => {
    const pool = (text: string, more: LabObject["spec"] = {}) =>
      plan({ nodes: [{ name: "a" }], clients: [{ name: "x" }], loadBalancer: { pool: text }, ...more });
    t.same(pool("192.168.50.240/28").loadBalancer, { pool: ["192.168.50.240-192.168.50.254"] });
    t.equal(plan({}).loadBalancer, undefined);
    const taken = (span: string, who: string) =>
      new RegExp(
        `^spec.loadBalancer.pool: ${span} has 192[.]168[.]50[.]\\d+ in it, the address of ${who}: take`,
      );
    t.throws(() => pool("192.168.50.0/28"), { message: taken("192.168.50.1-192.168.50.15", "node a") });
    t.throws(() => pool("192.168.50.96/28"), { message: taken("192.168.50.96-192.168.50.111", "client x") });
    const client = { clients: [{ name: "x", address: "192.168.50.245" }] };
    t.throws(() => pool("192.168.50.240/28", client), {
      message: taken("192.168.50.240-192.168.50.254", "client x"),
    });
  },
);
