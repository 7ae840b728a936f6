import t from "tap";
import { formatCidr, formatIp } from "../base/ip.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { parseDuration } from "./duration.ts";
import { defaultProxyConfig, readProxyConfig } from "./proxy.ts";
import { readAgentFile, readProxyFile } from "./read-config.ts";
import { countWorkers } from "./workers.ts";

const AGENT = `
apiVersion: podwire.dev/v1alpha1
kind: AgentConfiguration
nodeName: node1
clusterCIDR: 10.244.0.0/16,fd00:10:244::/56
serviceCIDR: 10.96.0.0/12
fabricCIDR: 192.168.50.0/24
overlay: { type: vxlan, vni: 7 }
netns: /run/netns/pw-demo-n-node1
uplink: { interface: eth0, gateway: 192.168.50.1 }
host: { interface: host0 }
socket: /run/podwire/a.sock
source: { files: [ /etc/podwire/objects ] }
proxy: { mode: nftables, conntrack: { tcpEstablishedTimeout: 1h } }
dataplane: { spinMicroseconds: 20, leastConnections: true }
conntrack: { helpers: [ftp], nf_conntrack_tcp_be_liberal: 1, nf_conntrack_tcp_timeout_close: 20 }
`;

t.test("an AgentConfiguration is read with its defaults", async (t) => {
  const config = readAgentFile({ file: "agent.yaml", text: AGENT });
  t.same(config.clusterCidrs.map(formatCidr), ["10.244.0.0/16", "fd00:10:244::/56"]);
  t.same(config.overlay, { type: "vxlan", vni: 7, port: 8472 });
  t.same(config.uplink.gateways.map(formatIp), ["192.168.50.1"]);
  t.match(config, {
    conntrackMax: 262144,
    ftpHelper: true,
    spinMicroseconds: 20,
    pauseMicroseconds: 100,
    leastConnections: true,
    resetRemovedEndpoints: false,
    keepClientAddress: false,
    tunnelGso: true,
    datagramQueueKiB: 0,
    uplink: { driver: "packet" },
  });
  t.equal(config.proxy.mode, "nftables");
  t.equal(config.proxy.conntrack.tcpEstablishedSec, 3600);
  t.same(config.proxy.clusterCidrs.map(formatCidr), ["10.244.0.0/16", "fd00:10:244::/56"]);
});

t.test(
  "which node it is: what the agent is told, what its file says, what the machine is called",
  async (t) => {
    const lines = AGENT.replace("host0 }", "host0 }\ncni: {}");
    const unnamed = lines.replace("nodeName: node1\n", "");
    const read = (text: string, names = {}) => readAgentFile({ file: "a", text }, undefined, names);
    const told = { told: "told", machine: "machine" };
    t.equal(read(lines, told).nodeName, "told");
    t.equal(read(lines, { machine: "machine" }).nodeName, "node1");
    t.equal(read(unnamed, { machine: "machine" }).nodeName, "machine");
    t.same(read(unnamed, told).cni, { leaseFile: "/var/lib/podwire/told.leases.json" });
  },
);

t.test("workers are a number, or as many as suit the cores", async (t) => {
  const workers = (value: string, from = "mode: nftables", to = from) =>
    readAgentFile({
      file: "agent.yaml",
      text: AGENT.replace("spinMicroseconds: 20", `workers: ${value}`).replace(from, to),
    }).workers;
  t.equal(readAgentFile({ file: "agent.yaml", text: AGENT }).workers, 1);
  t.equal(workers("4"), 4);
  t.equal(workers("auto"), "auto");
  for (const wrong of ["0", "65", "1.5", "-1", "all", "true"]) {
    const message =
      /15:23: .*dataplane\.workers: Invalid value: .*: must be a whole number from 1 to 64, or "auto"$/;
    t.throws(() => workers(wrong), { message }, wrong);
  }
  for (const [from, to, why] of [
    ["mode: nftables", "mode: userspace", "the mode of `proxy` is 'userspace'"],
    ["interface: eth0", "interface: eth0, driver: pcap", "`uplink.driver` is 'pcap'"],
  ]) {
    const message = new RegExp(`dataplane\\.workers: Forbidden: may only be 1 when ${why}$`);
    t.throws(() => workers("2", from, to), { message });
    t.equal(workers("1", from, to), 1);
    t.equal(workers("auto", from, to), "auto");
  }
  const anywhere = { mode: "iptables", drivers: [undefined, "packet"] };
  const count = (cores: number) => countWorkers("auto", anywhere, cores);
  t.same([1, 2, 3, 4, 8, 400].map(count), [1, 1, 1, 2, 4, 64]);
  t.equal(countWorkers("auto", { ...anywhere, mode: "userspace" }, 8), 1);
  t.equal(countWorkers("auto", { ...anywhere, drivers: ["pcap"] }, 8), 1);
  t.equal(countWorkers(3, anywhere, 1), 3);
});

t.test("outer source ports are a range, and so many of it", async (t) => {
  const overlay = (text: string) =>
    readAgentFile({ file: "agent.yaml", text: AGENT.replace("{ type: vxlan, vni: 7 }", text) }).overlay;
  t.same(overlay("{ type: vxlan, sourcePortRange: 50000-50009, sourcePorts: 10 }"), {
    ...{ type: "vxlan", vni: 1, port: 8472 },
    ...{ sourcePortRange: { first: 50_000, last: 50_009 }, sourcePorts: 10 },
  });
  t.same(overlay("{ type: none }"), { type: "none" });
});

t.test(
  "node ports are the API server's range, another one, or none that the agent serves the node",
  async (t) => {
    const range = (line: string) => readAgentFile({ file: "agent.yaml", text: AGENT + line }).nodePortRange;
    t.same(range(""), { first: 30_000, last: 32_767 });
    t.same(range("nodePortRange: 20000-20010"), { first: 20_000, last: 20_010 });
    t.equal(range("nodePortRange: none"), null);
    for (const wrong of ["20000", "5-4", "0-9", "1-65536", "a-b"]) {
      t.throws(() => range(`nodePortRange: ${wrong}`), { message: /nodePortRange: Invalid value/ }, wrong);
    }
  },
);

t.test("a wrong AgentConfiguration is refused field by field, with positions", async (t) => {
  const refused = (from: string, to: string, message: string) =>
    t.throws(() => readAgentFile({ file: "agent.yaml", text: AGENT.replace(from, to) }), { message });
  const at = (position: string, message: string) =>
    `agent.yaml:${position}: document 1: AgentConfiguration: ${message}`;
  t.equal(
    readAgentFile({ file: "a", text: AGENT.replace(/^socket: .*\n/m, "") }).socket,
    "/run/podwire/agent.sock",
  );
  refused("serviceCIDR: 10.96.0.0/12\n", "", at("2:1", "serviceCIDR: Required value"));
  refused(
    "vni: 7",
    "vni: 7000000000",
    at("8:30", "overlay.vni: Invalid value: 7000000000: must be <= 16777215"),
  );
  refused(
    "type: vxlan",
    "type: geneve",
    at("8:18", 'overlay.type: Unsupported value: "geneve": supported values: "none", "vxlan"'),
  );
  refused(
    "{ spinMicroseconds: 20, leastConnections: true }",
    "{ keepClientAddress: 1 }",
    at("15:33", "dataplane.keepClientAddress: Invalid value: 1: must be boolean"),
  );
  const noTunnel = AGENT.replace("{ type: vxlan, vni: 7 }", "{ type: none }");
  t.throws(
    () =>
      readAgentFile({ file: "agent.yaml", text: noTunnel.replace("leastConnections", "keepClientAddress") }),
    {
      message: at(
        "15:55",
        "dataplane.keepClientAddress: Forbidden: may only be used when `overlay.type` is 'vxlan'",
      ),
    },
  );
  const overlay = (text: string, position: string, message: string) =>
    refused("{ type: vxlan, vni: 7 }", `{ ${text} }`, at(position, `overlay.${message}`));
  overlay(
    "type: vxlan, sourcePortRange: 9-8",
    "8:42",
    'sourcePortRange: Invalid value: "9-8": must be a range of ports, (e.g. 49152-65535)',
  );
  overlay("type: vxlan, sourcePorts: 0", "8:38", "sourcePorts: Invalid value: 0: must be >= 1");
  overlay(
    "type: vxlan, sourcePortRange: 50000-50009, sourcePorts: 11",
    "8:68",
    "sourcePorts: Invalid value: 11: must be at most 10, the ports of sourcePortRange",
  );
  overlay(
    "type: none, sourcePorts: 4",
    "8:37",
    "sourcePorts: Forbidden: may only be used when `type` is 'vxlan'",
  );
  const nowhere = (path: string, position: string, field: string, at1: string) =>
    refused(
      "source: { files: [ /etc/podwire/objects ] }",
      `source: { kubernetes: { stateFile: ${path} } }`,
      at(
        position,
        `${field}: Invalid value: "${path}": nobody can make a file in ${at1}: name a path elsewhere`,
      ),
    );
  const state = "source.kubernetes.stateFile";
  nowhere("/proc/x/objects.gz", "13:36", state, "/proc");
  nowhere("/var//../sys/./x", "13:36", state, "/sys");
  refused("netns:", "namespace:", at("9:1", 'unknown field "namespace"'));
  refused(
    "{ files: [ /etc/podwire/objects ] }",
    "{}",
    at("13:1", "source: Invalid value: {}: must have one of files and kubernetes"),
  );
  refused(
    "10.96.0.0/12",
    "10.96.0.0/012",
    at(
      "6:14",
      'serviceCIDR: Invalid value: "10.96.0.0/012": must not have leading 0s in IP or prefix length',
    ),
  );
  refused(
    "10.96.0.0/12",
    "10.244.128.0/24",
    at("6:14", 'serviceCIDR: Invalid value: "10.244.128.0/24": must not overlap clusterCIDR, 10.244.0.0/16'),
  );
  refused(
    "nf_conntrack_tcp_timeout_close: 20",
    "nf_conntrack_tcp_timeout_close: 0",
    at("16:94", "conntrack.nf_conntrack_tcp_timeout_close: Invalid value: 0: must be >= 1"),
  );
  refused(
    "nf_conntrack_tcp_be_liberal",
    "nf_conntrack_tcp_be_librel",
    at("16:30", 'unknown field "conntrack.nf_conntrack_tcp_be_librel"'),
  );
  refused("mode: nftables", "masq: yes", at("14:10", 'unknown field "proxy.masq"'));
  t.throws(() => readAgentFile({ file: "a", text: "" }), { code: "CONFIG_COUNT" });
});

t.test("kube-proxy's defaults hold where a file says nothing", async (t) => {
  t.match(defaultProxyConfig("10.0.0.0/8"), {
    mode: "iptables",
    detectLocalMode: "ClusterCIDR",
    masqueradeAll: false,
    masqueradeBit: 14,
    localhostNodePorts: true,
    nodePortAddresses: [],
    syncPeriodSec: 30,
    minSyncPeriodSec: 1,
    healthzBindAddress: "0.0.0.0:10256",
    metricsBindAddress: "127.0.0.1:10249",
    conntrack: {
      maxPerCore: 32768,
      min: 131072,
      tcpEstablishedSec: 86400,
      tcpCloseWaitSec: 3600,
      udpSec: null,
    },
    ipvs: { scheduler: "rr" },
  });
  t.same(defaultProxyConfig().clusterCidrs, []);
});

t.test("a KubeProxyConfiguration is read whole", async (t) => {
  const text = `
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clusterCIDR: 10.244.0.0/16
mode: ""
featureGates: { NFTablesProxyMode: true }
clientConnection: { kubeconfig: /var/lib/kube-proxy/kubeconfig.conf, qps: 5 }
iptables: { masqueradeAll: true, masqueradeBit: 10, localhostNodePorts: no, syncPeriod: 1m30s }
nodePortAddresses: [192.168.0.0/16]
`;
  const config = readProxyFile({ file: "p", text });
  t.match(config, {
    mode: "iptables",
    masqueradeAll: true,
    masqueradeBit: 10,
    localhostNodePorts: false,
    syncPeriodSec: 90,
  });
});

const refusals: [object, string][] = [
  [
    { mode: "fast" },
    'mode: Invalid value: "fast": must be iptables, ipvs, nftables, userspace or blank, blank means the best-available proxy [currently iptables]',
  ],
  [{ moed: "iptables" }, 'unknown field "moed"'],
  [
    { ipvs: { scheduler: "lblc" } },
    'ipvs.scheduler: Unsupported value: "lblc": supported values: "dh", "lc", "mh", "nq", "rr", "sed", "sh", "wlc", "wrr"',
  ],
  [
    { iptables: { masqueradeBit: 40 } },
    "iptables.masqueradeBit: Invalid value: 40: must be within the range [0, 31]",
  ],
  [
    { iptables: { syncPeriod: "soon" } },
    'iptables.syncPeriod: Invalid value: "soon": must be a duration such as 30s or 1h0m0s',
  ],
  [
    { iptables: { syncPeriod: "1s", minSyncPeriod: "10s" } },
    'iptables.syncPeriod: Invalid value: "1s": must be greater than or equal to iptables.minSyncPeriod',
  ],
  [
    { clusterCIDR: "10.0.0.0" },
    'clusterCIDR: Invalid value: "10.0.0.0": must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)',
  ],
  [
    { nodePortAddresses: ["10.0.0.0/8", "x"] },
    'nodePortAddresses[1]: Invalid value: "x": must be a valid CIDR',
  ],
  [
    { detectLocalMode: "Guess" },
    'detectLocalMode: Unsupported value: "Guess": supported values: "BridgeInterface", "ClusterCIDR", "InterfaceNamePrefix", "NodeCIDR"',
  ],
  [
    { detectLocalMode: "BridgeInterface" },
    "detectLocal.bridgeInterface: Required value: detectLocalMode is BridgeInterface",
  ],
  [
    { conntrack: { tcpEstablishedTimeout: "-1s" } },
    'conntrack.tcpEstablishedTimeout: Invalid value: "-1s": must be greater than or equal to 0',
  ],
  [{ metricsBindAddress: "localhost" }, 'metricsBindAddress: Invalid value: "localhost": must be IP:port'],
  [{ healthzBindAddress: ":10256" }, 'healthzBindAddress: Invalid value: ":10256": must be IP:port'],
  [{ oomScoreAdj: 2000 }, "oomScoreAdj: Invalid value: 2000: must be within the range [-1000, 1000]"],
];
for (const [value, want] of refusals) {
  t.test(`proxy configuration refused: ${JSON.stringify(value)}`, async (t) => {
    const problems = new FieldProblems();
    readProxyConfig(value, problems);
    t.same(
      problems.list.map((p) => p.message),
      [want],
    );
  });
}

t.test("durations are Go's", async (t) => {
  const cases: [string, number | null][] = [
    ["1h0m0s", 3600],
    ["1.5s", 1.5],
    ["250ms", 0.25],
    ["0", 0],
    ["-5s", -5],
    ["5", null],
    ["", null],
    ["1h x", null],
  ];
  for (const [text, want] of cases) t.equal(parseDuration(text), want, text);
});

t.test("a KubeProxyConfiguration's addresses are read as kube-proxy reads them", async (t) => {
  const problems = new FieldProblems();
  const raw = { bindAddress: "010.0.0.1", nodePortAddresses: ["10.0.0.5/8"], clusterCIDR: "10.244.0.5/16" };
  const config = readProxyConfig({ ...raw, ipvs: { excludeCIDRs: ["192.168.01.0/024"] } }, problems);
  t.same(problems.list, []);
  t.match(config, { bindAddress: "10.0.0.1", nodePortAddresses: ["10.0.0.0/8"] });
  t.same(config.clusterCidrs.map(formatCidr), ["10.244.0.0/16"]);
  t.same(config.ipvs.excludeCidrs.map(formatCidr), ["192.168.1.0/24"]);
});
