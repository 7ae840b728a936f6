import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, open, rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { cidr, type Ip, ip } from "../base/ip.ts";
import { bandwidthOf, withBandwidth } from "../kube/bandwidth.ts";
import type { PodHostPort } from "../kube/host-ports.ts";
import type { Pod } from "../kube/objects.ts";
import type { ObjectEvent } from "../watch/desired-state.ts";
import { answerCni } from "./answer.ts";
import { AttachedPods, podKey } from "./attached-pods.ts";
import { Cni } from "./cni.ts";
import { CniError } from "./cni-error.ts";
import {
  type ContainerNetwork,
  type InterfaceFacts,
  type InterfacePlan,
  IpContainerNetwork,
} from "./container-network.ts";
import type { CniHost, CniNode } from "./host.ts";
import type { FileSystem } from "./lease-file.ts";
import { Leases } from "./leases.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-cni-"));
t.teardown(() => rmSync(folder, { recursive: true }));
let files = 0;

const NODE: CniNode = {
  ranges: [cidr("10.244.1.0/24"), cidr("fd00:10:244:1::/64")],
  mtu: 1450,
  localIps: ["127.0.0.1", "192.168.50.11"].map(ip),
};

/** What the plug-in prints; what an answer has not is undefined. */
interface Answer {
  readonly ok: boolean;
  readonly cniVersion: string;
  readonly interfaces: Record<string, unknown>[];
  readonly ips: Record<string, string>[];
  readonly routes: Record<string, string>[];
}

/** A machine without a kernel: namespaces are names, interfaces are what was planned. */
class Machine implements ContainerNetwork, CniHost {
  node: CniNode | undefined = NODE;
  problem = "objects are not there yet";
  readonly interfaces = new Map<string, InterfacePlan>();
  readonly namespaces = new Set(["/run/netns/a", "/run/netns/b", "/run/netns/c", "/run/netns/own"]);
  /** Pods whose ports are open. */
  readonly ports = new Map<string, Pod>();
  readonly pods = new AttachedPods("node1", false);
  readonly notes: string[] = [];
  readonly file: string;
  leases: Leases;
  cni!: Cni;
  /** Fails when it is reached, or is waited for. */
  at: (step: string) => void | Promise<void> = () => {};
  others: Ip[] = [];
  otherPorts: [string, PodHostPort[]][] = [];
  knowsPods = true;

  constructor() {
    this.file = join(folder, `${++files}.json`);
    this.leases = new Leases(this.file, { mkdir, open, rename });
    this.restart();
  }

  restart(fs: FileSystem = { mkdir, open, rename }): void {
    this.leases = new Leases(this.file, fs);
    this.ports.clear();
    const pods = new AttachedPods("node1", false);
    this.cni = new Cni({ host: this, network: this, pods, leases: () => this.leases });
    Object.assign(this, { pods });
  }

  isNamespace = async (netns: string): Promise<boolean> => this.namespaces.has(netns);
  isOwn = async (netns: string): Promise<boolean> => netns === "/run/netns/own";
  async create(plan: InterfacePlan): Promise<void> {
    const key = `${plan.netns} ${plan.ifname}`;
    if (this.interfaces.has(key)) throw new CniError(102, "there is one");
    await this.at("create");
    this.interfaces.set(key, plan);
    await this.at("created");
  }
  async remove(netns: string, ifname: string, mac: string): Promise<void> {
    await this.at("remove");
    const key = `${netns} ${ifname}`;
    if (this.interfaces.get(key)?.mac === mac) this.interfaces.delete(key);
  }
  async read(netns: string, ifname: string): Promise<InterfaceFacts | undefined> {
    const plan = this.interfaces.get(`${netns} ${ifname}`);
    if (plan === undefined) return undefined;
    const routes = plan.addresses.map(({ gateway }) => ({ dst: "default", gw: gateway }));
    const addresses = [...plan.addresses.map(({ address }) => address), "fe80::1/64"];
    return { mac: plan.mac, mtu: plan.mtu, isUp: true, isTap: true, addresses, routes };
  }

  async follow({ type, object }: ObjectEvent): Promise<void> {
    await this.at("follow");
    const { namespace, name } = object.metadata;
    const key = `${namespace}/${name}`;
    if (type !== "DELETED" && (object as Pod).status.podIPs !== undefined) this.ports.set(key, object as Pod);
    else this.ports.delete(key);
  }
  knows = async (): Promise<boolean> => this.knowsPods;
  portProblem = (key: string): string => (this.ports.has(key) ? "" : "has no port in the data plane");
  otherAddresses = (): Ip[] => this.others;
  hostPorts = (): [string, PodHostPort[]][] => this.otherPorts;
  note = (text: string): void => void this.notes.push(text);

  /** One run of the plug-in: its exit status as `ok`, what it prints as an object. */
  async run(
    command: string,
    id: string,
    config: object = {},
    more: Record<string, string> = {},
    gone = new AbortController().signal,
  ): Promise<Answer> {
    const env = {
      ...{ CNI_COMMAND: command, CNI_CONTAINERID: id, CNI_NETNS: `/run/netns/${id}`, CNI_IFNAME: "eth0" },
      ...more,
    };
    const input = JSON.stringify({ cniVersion: "1.1.0", name: "net", type: "podwire-cni", ...config });
    return this.bytes(env, input, gone);
  }

  async bytes(
    env: Record<string, string>,
    input: string,
    gone = new AbortController().signal,
  ): Promise<Answer> {
    const head = Object.entries(env).map(([key, value]) => `${key}=${value}\0`);
    const { ok, text } = await answerCni(this.cni, Buffer.from(`${head.join("")}\0${input}`), gone);
    return { ok, ...(text === "" ? {} : JSON.parse(text)) };
  }
}

t.test("ADD, CHECK and DEL", async (t) => {
  const m = new Machine();
  const added = await m.run("ADD", "a");
  t.same(added, {
    ok: true,
    cniVersion: "1.1.0",
    interfaces: [{ name: "eth0", mac: "0a:58:0a:f4:01:02", mtu: 1450, sandbox: "/run/netns/a" }],
    ips: [
      { address: "10.244.1.2/24", gateway: "10.244.1.1", interface: 0 },
      { address: "fd00:10:244:1::2/64", gateway: "fd00:10:244:1::1", interface: 0 },
    ],
    routes: [
      { dst: "0.0.0.0/0", gw: "10.244.1.1" },
      { dst: "::/0", gw: "fd00:10:244:1::1" },
    ],
    dns: {},
  });
  t.same([...m.ports.keys()], ["podwire-cni/a"], "a container that is nobody's pod");
  const { ok: _, ...prevResult } = added;
  t.same(await m.run("CHECK", "a", { prevResult }), { ok: true });
  t.same(await m.run("DEL", "a", { prevResult }), { ok: true });
  t.equal(m.interfaces.size + m.ports.size + m.leases.list().length, 0);
  for (const more of [{}, { CNI_NETNS: "" }, { CNI_NETNS: "/run/netns/gone" }, { CNI_CONTAINERID: "never" }])
    t.same(await m.run("DEL", "a", {}, more), { ok: true }, "again, and of what never was");
  t.match(await m.run("CHECK", "a", { prevResult }), { ok: false, code: 105, msg: /no addresses are kept/ });
});

t.test("an answer has the form of its version", async (t) => {
  const m = new Machine();
  const old = await m.run("ADD", "a", { cniVersion: "0.4.0" });
  t.same([old.cniVersion, old.ips[0].version, old.ips[1].version], ["0.4.0", "4", "6"]);
  t.notOk("mtu" in old.interfaces[0]);
  t.notOk("mtu" in (await m.run("ADD", "b", { cniVersion: "1.0.0" })).interfaces[0]);
  for (const [version, command] of [
    ["9.9.9", "ADD"],
    ["0.1.0", "ADD"],
    ["0.3.1", "CHECK"],
    ["1.0.0", "GC"],
    ["1.0.0", "STATUS"],
  ]) {
    t.match(await m.run(command, "c", { cniVersion: version }), { ok: false, code: 1, cniVersion: version });
  }
  t.match(await m.run("ADD", "c", { cniVersion: undefined }), { code: 1, cniVersion: "0.1.0" });
});

t.test("what is wrong with a call is told by the specification's numbers", async (t) => {
  const m = new Machine();
  const config = '{"cniVersion":"1.0.0","name":"net"}';
  const env = { CNI_COMMAND: "ADD", CNI_CONTAINERID: "a", CNI_NETNS: "/run/netns/a", CNI_IFNAME: "eth0" };
  const cases: [Record<string, string>, string, number, RegExp][] = [
    [{ CNI_COMMAND: "add" }, config, 4, /CNI_COMMAND "add" is none of ADD, CHECK, DEL, GC, STATUS, VERSION/],
    [{ CNI_NETNS: "", CNI_IFNAME: "" }, config, 4, /required env variables \[CNI_NETNS,CNI_IFNAME\] missing/],
    ...["-abc", "a/b", ".."].map((id) => [{ CNI_CONTAINERID: id }, config, 4, /CNI_CONTAINERID/] as never),
    ...["a234567890123456", ".", "..", "a/b", "a b", "a:b", 'a"b', "a#b"].map(
      (name) => [{ CNI_IFNAME: name }, config, 4, /CNI_IFNAME/] as never,
    ),
    [{ CNI_NETNS: "/run/netns/gone" }, config, 4, /is no network namespace/],
    [{ CNI_NETNS: "/run/netns/own" }, config, 4, /is the node's own network/],
    [{ CNI_NETNS: "relative" }, config, 4, /no absolute path/],
    [{ CNI_ARGS: "A=B" }, config, 4, /A: not known here, and no IgnoreUnknown=1/],
    [{ CNI_ARGS: "A" }, config, 4, /"A" is no NAME=VALUE/],
    [{}, "{", 6, /JSON/],
    [{}, "", 6, /JSON/],
    [{}, "[]", 6, /no JSON object/],
    [{}, '{"cniVersion":"1.0.0"}', 7, /name/],
    [{}, '{"cniVersion":"1.0.0","name":"a b"}', 7, /name: "a b"/],
  ];
  for (const [more, input, code, msg] of cases) {
    t.match(
      await m.bytes({ ...env, ...more }, input),
      { ok: false, code, msg },
      JSON.stringify([more, input]),
    );
  }
  t.equal(m.interfaces.size + m.leases.list().length, 0, "nothing was given");
  const more = { CNI_ARGS: "IgnoreUnknown=1;A=B" };
  const unknown = { capabilities: { ips: true }, "cni.dev/x": 1, else: {}, ipMasq: true, ipam: {} };
  t.match(await m.run("ADD", "a", unknown, more), { ok: true }, "unknown keys are nobody's matter");
});

t.test("what is not done here is refused by its name", async (t) => {
  const m = new Machine();
  const cases: [object, number, RegExp][] = [
    [{ ipam: { type: "host-local" } }, 2, /^ipam\.type: "host-local" is not supported: .*leave ipam out$/],
    [{ ipMasq: false }, 2, /^ipMasq: false/],
    [{ bridge: "cni0" }, 2, /^bridge: "cni0"/],
    [{ vlan: 5 }, 2, /^vlan: 5/],
    [
      { runtimeConfig: { bandwidth: { ingressRate: 999 } } },
      7,
      /^runtimeConfig\.bandwidth\.ingressRate: 999 /,
    ],
    [{ runtimeConfig: { bandwidth: { egressBurst: 5 } } }, 7, /egressBurst: 5: and no egressRate/],
    [{ egressRate: -1 }, 7, /^egressRate: -1 is no whole number/],
    [{ runtimeConfig: { ipRanges: [] } }, 2, /^runtimeConfig\.ipRanges/],
    [{ mtu: 9000 }, 7, /^mtu: 9000: at most 1450 bytes/],
    [{ mtu: 1000 }, 7, /^mtu: 1000: IPv6 needs 1280/],
    [{ mtu: "1" }, 7, /^mtu: "1" is no whole number/],
    [{ sysctl: { "kernel.pid_max": "1" } }, 7, /^sysctl\.kernel\.pid_max: is none of a network/],
    [{ sysctl: { "net/../kernel/x": "1" } }, 7, /^sysctl\.net/],
    [{ runtimeConfig: { mac: "01:00:5e:00:00:01" } }, 7, /^runtimeConfig\.mac: .*group/],
    [{ runtimeConfig: { ips: ["10.244.1.9/16"] } }, 7, /^ips: a prefix length of 16/],
    [{ runtimeConfig: { ips: ["10.244.1.009"] } }, 7, /"10\.244\.1\.009" is no IP address/],
    [{ runtimeConfig: { portMappings: [{ hostPort: 80 }] } }, 7, /containerPort: is missing/],
    [
      { runtimeConfig: { portMappings: [{ hostPort: 80, containerPort: 1, protocol: "icmp" }] } },
      2,
      /protocol/,
    ],
    [
      { runtimeConfig: { portMappings: [{ hostPort: 80, containerPort: 1, hostIP: "10.9.9.9" }] } },
      7,
      /^hostPort 80\/TCP: hostIP 10\.9\.9\.9 is no address of the node$/,
    ],
  ];
  for (const [config, code, msg] of cases) {
    t.match(await m.run("ADD", "a", config), { ok: false, code, msg }, JSON.stringify(config));
  }
  t.equal(m.interfaces.size + m.leases.list().length, 0, "nothing was given, nothing is left");
});

t.test(
  "bandwidth: as runtimes write it, before what the pod is annotated with; a start later as well",
  async (t) => {
    const m = new Machine();
    const seen = (name: string): unknown =>
      bandwidthOf(m.ports.get(`podwire-cni/${name}`)?.metadata.annotations ?? {});
    const none = { ingress: undefined, egress: undefined };
    t.match(await m.run("ADD", "a", { runtimeConfig: { bandwidth: { ingressRate: 0 } } }), { ok: true });
    t.same(seen("a"), none, "no rate is no limit");
    const bandwidth = {
      IngressRate: 10_000_000,
      IngressBurst: 2 ** 31 - 1,
      EgressRate: 5_000_000,
      EgressBurst: 80_000,
    };
    t.match(await m.run("ADD", "b", { runtimeConfig: { bandwidth } }), { ok: true });
    const asked = {
      ingress: { bitsPerSec: 10_000_000, burstBits: undefined },
      egress: { bitsPerSec: 5_000_000, burstBits: 80_000 },
    };
    t.same(seen("b"), asked, "containerd's burst where nobody asked for one");
    t.match(await m.run("ADD", "c", { ingressRate: 2000, ingressBurst: 0 }), { ok: true });
    t.same(seen("c"), { ...none, ingress: { bitsPerSec: 2000, burstBits: undefined } }, "the network's own");
    m.restart();
    await m.cni.resume();
    t.same(seen("b"), asked);
    const annotations = {
      "kubernetes.io/ingress-bandwidth": "1G",
      "kubernetes.io/egress-bandwidth": "1M",
      x: "y",
    };
    t.match(withBandwidth(annotations, { ...none, ingress: asked.ingress }), { x: "y" });
    t.same(bandwidthOf(withBandwidth(annotations, { ...none, ingress: asked.ingress })), {
      ...none,
      ingress: asked.ingress,
    });
  },
);

t.test("what was asked for: address, MAC, MTU, names, sysctls, ports", async (t) => {
  const m = new Machine();
  const added = await m.run("ADD", "a", {
    mtu: 1400,
    dns: { nameservers: ["10.96.0.10"], domain: "x", search: ["x"] },
    sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" },
    args: { cni: { ips: ["10.244.1.77"], mac: "02:00:00:00:00:07" } },
    runtimeConfig: {
      ips: ["10.244.1.50/24"],
      mac: "02:00:00:00:00:AA",
      dns: { servers: ["10.96.0.11"], searches: ["a", "b"], options: ["ndots:5"] },
      portMappings: [
        { HostPort: 8080, ContainerPort: 80, Protocol: "tcp", HostIP: "" },
        { hostPort: 0, containerPort: 81 },
      ],
    },
  });
  t.match(added, {
    ok: true,
    interfaces: [{ mac: "02:00:00:00:00:aa", mtu: 1400 }],
    ips: [{ address: "10.244.1.50/24" }, { address: "fd00:10:244:1::2/64" }],
    dns: { nameservers: ["10.96.0.11"], domain: "x", search: ["a", "b"], options: ["ndots:5"] },
  });
  t.same(m.interfaces.get("/run/netns/a eth0")?.sysctls, [["net/ipv4/conf/eth0/arp_filter", "1"]]);
  const [container] = m.ports.get("podwire-cni/a")?.spec.containers ?? [];
  t.same(container.ports, [{ hostIP: "", protocol: "TCP", hostPort: 8080, containerPort: 80 }]);
  const taken = { portMappings: [{ hostPort: 8080, containerPort: 1, hostIP: "192.168.50.11" }] };
  t.match(await m.run("ADD", "b", { runtimeConfig: taken }), {
    code: 103,
    msg: "hostPort 8080/TCP: podwire-cni/a has it",
  });
  m.otherPorts = [["default/web", [{ hostIP: "", protocol: "UDP", hostPort: 53, containerPort: 53 }]]];
  const other = { portMappings: [{ hostPort: 53, containerPort: 53, protocol: "udp" }] };
  t.match(await m.run("ADD", "b", { runtimeConfig: other }), { code: 103, msg: /default\/web has it/ });
  const named = { CNI_ARGS: "IgnoreUnknown=1;IP=10.244.1.60/24;MAC=02:00:00:00:00:bb" };
  const b = await m.run("ADD", "b", {}, named);
  t.match(b, { interfaces: [{ mac: "02:00:00:00:00:bb" }], ips: [{ address: "10.244.1.60/24" }, {}] });
});

t.test("a pod is who Kubernetes says it is, with the addresses that CNI gave", async (t) => {
  const m = new Machine();
  const pod = {
    ...{ apiVersion: "v1", kind: "Pod" },
    metadata: {
      ...{ name: "web", namespace: "shop", uid: "u1", labels: { app: "web" } },
      annotations: { "podwire.dev/ips": "10.244.1.40", "podwire.dev/mac": "02:00:00:00:00:40" },
    },
    spec: {
      nodeName: "node1",
      containers: [{ name: "main", ports: [{ containerPort: 80, hostPort: 8080 }] }],
    },
    status: { podIPs: [{ ip: "10.244.1.9" }] },
  } as unknown as Pod;
  const before = m.pods.merged({ type: "ADDED", object: pod }).object as Pod;
  t.equal(before.status.podIPs, undefined, "what an earlier sandbox had is not what it has");
  const args = { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=u1" };
  const portMappings = [{ hostPort: 8080, containerPort: 80 }];
  t.match(await m.run("ADD", "a", { runtimeConfig: { portMappings } }, args), {
    ...{ ok: true, interfaces: [{ mac: "02:00:00:00:00:40" }] },
    ips: [{ address: "10.244.1.40/24" }, { address: "fd00:10:244:1::2/64" }],
  });
  const seen = m.ports.get("shop/web") as Pod;
  t.match(seen, {
    metadata: { labels: { app: "web" }, annotations: { "podwire.dev/netns": "/run/netns/a" } },
    status: { podIPs: [{ ip: "10.244.1.40" }, { ip: "fd00:10:244:1::2" }] },
  });
  t.equal(seen.spec.containers?.length, 1, "a port that the pod's object has is not there twice");
  const late = m.pods.merged({ type: "MODIFIED", object: pod }).object as Pod;
  t.match(late.status.podIPs, [{ ip: "10.244.1.40" }, {}]);
  t.equal(m.pods.merged({ type: "DELETED", object: pod }).type, "MODIFIED", "its sandbox is there until DEL");
  t.match(await m.run("DEL", "a", {}, args), { ok: true });
  t.same([...m.ports.keys()], []);
  m.knowsPods = false;
  t.match(await m.run("ADD", "b", {}, args), { code: 11, msg: /pod shop\/web \(u1\) has not come/ });
});

t.test(
  "of two sandboxes of a pod the later one counts, and the end of the earlier harms nobody",
  async (t) => {
    const m = new Machine();
    const args = { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=db-0" };
    await m.run("ADD", "a", {}, args);
    await m.run("ADD", "b", {}, args);
    t.match(m.ports.get("shop/db-0")?.status.podIPs, [{ ip: "10.244.1.3" }, {}]);
    t.match(await m.run("DEL", "a", {}, args), { ok: true });
    t.match(m.ports.get("shop/db-0")?.status.podIPs, [{ ip: "10.244.1.3" }, {}]);
    await m.run("DEL", "b", {}, args);
    t.equal(m.ports.size, 0);
  },
);

const podOn = (nodeName: string, uid: string): Pod =>
  ({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "db-0", namespace: "shop", uid } },
    ...{ spec: { nodeName, containers: [] }, status: { podIPs: [{ ip: "10.244.2.9" }] } },
  }) as unknown as Pod;
const DB = { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=db-0" };

t.test("a pod that went on elsewhere is not harmed by the end of its sandbox here", async (t) => {
  const m = new Machine();
  m.pods.merged({ type: "ADDED", object: podOn("node1", "u1") });
  await m.run("ADD", "a", {}, DB);
  m.pods.merged({ type: "DELETED", object: podOn("node1", "u1") });
  const elsewhere = podOn("node2", "u2");
  t.same(m.pods.merged({ type: "ADDED", object: elsewhere }), { type: "ADDED", object: elsewhere });
  m.ports.set("shop/db-0", elsewhere);
  t.match(await m.run("DEL", "a", {}, DB), { ok: true });
  t.same(m.ports.get("shop/db-0"), elsewhere, "policies of this node go on knowing its address");
  t.equal(m.pods.merged({ type: "DELETED", object: elsewhere }).type, "DELETED");
});

t.test(
  "what a pod's annotations say of its network is believed where not everybody writes them",
  async (t) => {
    const pod = podOn("node1", "u1");
    const annotations = { "podwire.dev/netns": "/proc/1/ns/net" };
    const object = { ...pod, metadata: { ...pod.metadata, annotations } };
    for (const isAnybodys of [false, true]) {
      const { object: seen } = new AttachedPods("node1", isAnybodys).merged({ type: "ADDED", object });
      t.equal((seen as Pod).status.podIPs === undefined, isAnybodys);
    }
  },
);

t.test("a pod whose object went first is forgotten with its sandbox", async (t) => {
  const m = new Machine();
  const pod = podOn("node1", "u1");
  m.pods.merged({ type: "ADDED", object: pod });
  await m.run("ADD", "a", {}, DB);
  m.pods.merged({ type: "DELETED", object: pod });
  const told: string[] = [];
  const follow = m.follow.bind(m);
  m.follow = async (event) => {
    told.push(event.type);
    return follow(event);
  };
  t.match(await m.run("DEL", "a", {}, DB), { ok: true });
  t.same(told, ["DELETED"]);
  t.equal(m.pods.object("shop/db-0"), undefined);
  m.pods.merged({ type: "ADDED", object: podOn("node1", "u2") });
  await m.run("ADD", "b", {}, DB);
  await m.run("DEL", "b", {}, DB);
  t.same(told.at(-1), "MODIFIED", "one that came anew is there");
});

t.test("a second ADD is an error and leaves the first alone", async (t) => {
  const m = new Machine();
  await m.run("ADD", "a");
  t.match(await m.run("ADD", "a"), { code: 102, msg: "container a has eth0 already: DEL it first" });
  t.match(await m.run("ADD", "a", {}, { CNI_IFNAME: "net1" }), { code: 102, msg: /one interface/ });
  t.equal(m.interfaces.size, 1);
  m.interfaces.set("/run/netns/b eth0", m.interfaces.get("/run/netns/a eth0") as InterfacePlan);
  t.match(await m.run("ADD", "b"), { code: 102 }, "somebody else's");
  t.equal(m.interfaces.size, 2, "is left alone");
  t.equal(m.leases.list().length, 1);
});

t.test("whatever fails or is given up in ADD is taken back", async (t) => {
  for (const step of ["create", "created", "follow"]) {
    const m = new Machine();
    let failed = false;
    m.at = (reached) => {
      if (reached !== step || failed) return;
      failed = true;
      throw new CniError(104, "broken");
    };
    t.match(await m.run("ADD", "a"), { ok: false, code: 104, msg: "broken" }, step);
    t.equal(m.interfaces.size + m.ports.size + m.leases.list().length, 0, `${step}: nothing is left`);
    t.match(await m.run("ADD", "a"), { ok: true }, `${step}: and again`);
  }
  const m = new Machine();
  const runtime = new AbortController();
  m.at = (step) => {
    if (step === "created") runtime.abort();
  };
  t.match(await m.run("ADD", "a", {}, {}, runtime.signal), { code: 11 }, "the plug-in was killed");
  t.equal(m.interfaces.size + m.ports.size + m.leases.list().length, 0);
});

t.test("an agent that is killed at any point of ADD or DEL leaves what the next one mends", async (t) => {
  const dead = new Promise<never>(() => {});
  for (const command of ["ADD", "DEL"]) {
    for (const step of ["create", "created", "follow", "remove"]) {
      const m = new Machine();
      if (command === "DEL") await m.run("ADD", "a");
      await m.run("ADD", "b");
      let reached = (): void => {};
      const died = new Promise<void>((resolve) => (reached = resolve));
      m.at = (each) => {
        if (each !== step) return;
        reached();
        return dead;
      };
      const ended = m.run(command, "a");
      await Promise.race([died, ended]);
      m.at = () => {};
      m.restart();
      await m.cni.resume();
      t.ok(m.ports.has("podwire-cni/b"), `${command} ${step}: others go on`);
      t.match(await m.run("DEL", "a"), { ok: true });
      t.same([...m.interfaces.keys()], ["/run/netns/b eth0"], `${command} ${step}`);
      t.same(
        m.leases.list().map(({ containerId }) => containerId),
        ["b"],
      );
      t.match(await m.run("ADD", "a"), { ok: true });
    }
  }
});

t.test("after a start, containers that are gone give their addresses back", async (t) => {
  const m = new Machine();
  for (const id of ["a", "b", "c"]) await m.run("ADD", id);
  m.namespaces.delete("/run/netns/b");
  m.restart();
  await m.cni.resume();
  t.same([...m.ports.keys()], ["podwire-cni/a", "podwire-cni/c"]);
  t.equal(m.leases.list().length, 2);
});

t.test("what cannot be mended after a start is said, and keeps nobody from starting", async (t) => {
  const m = new Machine();
  for (const id of ["a", "b", "c"]) await m.run("ADD", id);
  m.namespaces.delete("/run/netns/a");
  m.namespaces.delete("/run/netns/b");
  const full = async (): Promise<never> => {
    throw new Error("ENOSPC: no space left on device");
  };
  m.restart({ mkdir, open: full, rename });
  await m.cni.resume();
  t.same([...m.ports.keys()], ["podwire-cni/c"], "whoever is there goes on");
  t.match(m.notes, [/^a: .*leases cannot be kept: ENOSPC/, /^b: .*leases cannot be kept: ENOSPC/]);
  t.equal(m.leases.list().length, 3, "addresses that could not be given back are nobody else's");
  t.equal(
    await new IpContainerNetwork("", "/dev/null/x/lock").outlived(),
    false,
    "a folder that cannot be made",
  );
});

t.test("many at once: each its own address", async (t) => {
  const m = new Machine();
  const ids = Array.from({ length: 30 }, (_, i) => `p${i}`);
  for (const id of ids) m.namespaces.add(`/run/netns/${id}`);
  const added = await Promise.all(ids.map((id) => m.run("ADD", id)));
  t.equal(new Set(added.map(({ ips }) => ips[0].address)).size, ids.length);
  const first = m.run("DEL", "p0");
  const second = m.run("ADD", "p0");
  t.match(
    await Promise.all([first, second]),
    [{ ok: true }, { ok: true }],
    "one after the other for one container",
  );
});

t.test("GC keeps what is valid and takes the rest, of its own network", async (t) => {
  const m = new Machine();
  for (const id of ["a", "b"]) await m.run("ADD", id);
  await m.run("ADD", "c", { name: "other" });
  t.match(await m.run("GC", "", {}), { code: 7, msg: /cni\.dev\/valid-attachments: is missing/ });
  for (const [other, key] of [
    [{}, "containerID"],
    [{ container: "a", ifname: "eth0" }, "containerID"],
    [{ containerID: "", ifname: "eth0" }, "containerID"],
    [{ containerID: "a" }, "ifname"],
  ] as const) {
    const answer = await m.run("GC", "", { "cni.dev/valid-attachments": [other] });
    t.match(answer, { code: 7, msg: `cni.dev/valid-attachments[0].${key}: is missing` });
  }
  const spelt = [
    { ContainerID: "a", IfName: "eth0" },
    { containerId: "b", ifname: "eth0" },
  ];
  t.same(await m.run("GC", "", { "cni.dev/valid-attachments": spelt }), { ok: true });
  t.equal(m.leases.list().length, 3, "as Go reads keys");
  const valid = { "cni.dev/valid-attachments": [{ containerID: "a", ifname: "eth0" }] };
  t.same(await m.run("GC", "", valid, { CNI_NETNS: "", CNI_IFNAME: "" }), { ok: true });
  const left = () => m.leases.list().map((lease) => podKey(lease));
  t.same(left(), ["podwire-cni/a", "podwire-cni/c"]);
  t.same(await m.run("GC", "", { "cni.dev/valid-attachments": null }), { ok: true });
  t.same(left(), ["podwire-cni/c"]);
});

t.test("DEL finds what was added before its network got another name", async (t) => {
  const m = new Machine();
  await m.run("ADD", "a");
  t.same(await m.run("DEL", "a", { name: "renamed" }, { CNI_IFNAME: "net1" }), { ok: true });
  t.equal(m.leases.list().length, 1, "not what is another interface's");
  t.same(await m.run("DEL", "a", { name: "renamed" }), { ok: true });
  t.equal(m.interfaces.size + m.ports.size + m.leases.list().length, 0);
});

t.test("STATUS says whether ADD would be served", async (t) => {
  const m = new Machine();
  t.same(await m.run("STATUS", ""), { ok: true });
  m.node = undefined;
  t.match(await m.run("STATUS", ""), {
    code: 50,
    msg: "the agent is not ready yet: objects are not there yet",
  });
  t.match(await m.run("ADD", "a"), { code: 11, msg: /not ready yet/ });
  t.match(await m.run("DEL", "a"), { ok: true });
  m.node = { ...NODE, ranges: [cidr("10.244.1.0/30")] };
  m.others = [ip("10.244.1.2")];
  t.match(await m.run("STATUS", ""), { code: 50, msg: "all addresses of 10.244.1.0/30 are taken" });
  t.match(await m.run("ADD", "a"), { code: 101 });
});

t.test("leases that cannot be read: containers that run are without a network, too", async (t) => {
  const m = new Machine();
  const leases = (): Leases => {
    throw new CniError(5, "leases.json: holds no leases of podwire");
  };
  m.cni = new Cni({ host: m, network: m, pods: m.pods, leases });
  t.match(await m.run("STATUS", ""), { code: 51, msg: /holds no leases/ });
  t.match(await m.run("ADD", "a"), { code: 5, msg: /holds no leases/ });
});

t.test("CHECK tells what is not as it was", async (t) => {
  const m = new Machine();
  const { ok: _, ...prevResult } = await m.run("ADD", "a");
  const plan = m.interfaces.get("/run/netns/a eth0") as InterfacePlan;
  const check = async (
    change: Partial<InterfacePlan>,
    msg: string | undefined,
    result: object = prevResult,
  ) => {
    m.interfaces.set("/run/netns/a eth0", { ...plan, ...change });
    const answer = await m.run("CHECK", "a", { prevResult: result });
    t.match(answer, msg === undefined ? { ok: true } : { ok: false, code: 105, msg: `container a: ${msg}` });
  };
  await check({}, undefined);
  await check({ addresses: [plan.addresses[0]] }, "eth0: it has no address fd00:10:244:1::2/64");
  await check({ mtu: 1300 }, "eth0: its MTU is 1300, not 1450");
  await check({ mac: "02:00:00:00:00:01" }, "eth0: its MAC is 02:00:00:00:00:01, not 0a:58:0a:f4:01:02");
  const more = { ...prevResult, routes: [...prevResult.routes, { dst: "10.0.0.0/8", gw: "10.244.1.1" }] };
  await check({}, "eth0: there is no route to 10.0.0.0/8 via 10.244.1.1", more);
  const behind = {
    ...prevResult,
    ips: [...prevResult.ips, { address: "10.9.9.9/24", interface: 1 }],
    routes: [...prevResult.routes, { dst: "10.9.0.0/16", gw: "10.9.9.1" }],
  };
  await check({}, undefined, behind);
  m.interfaces.clear();
  t.match(await m.run("CHECK", "a", { prevResult }), { code: 105, msg: /eth0 is gone from/ });
  t.match(await m.run("CHECK", "a"), { code: 7, msg: /prevResult/ });
  m.ports.clear();
  t.match(await m.run("CHECK", "a", { prevResult }), { code: 105, msg: /has no port in the data plane/ });
});

t.test("a result that is there already is added to", async (t) => {
  const m = new Machine();
  const prevResult = {
    cniVersion: "1.1.0",
    interfaces: [{ name: "x" }],
    ips: [{ address: "10.9.9.9/24" }],
    y: 1,
  };
  const added = await m.run("ADD", "a", { prevResult });
  t.match(added, { y: 1, interfaces: [{ name: "x" }, { name: "eth0" }] });
  t.match(added.ips, [
    { address: "10.9.9.9/24" },
    { address: "10.244.1.2/24", interface: 1 },
    { interface: 1 },
  ]);
});

t.test("of an interface whose namespace is gone nothing has to be removed", async (t) => {
  const network = new IpContainerNetwork("", join(folder, "lock"));
  await network.remove("/run/netns/none-of-these", "eth0", "0a:58:0a:f4:01:02");
  writeFileSync(join(folder, "file"), "");
  t.equal(await network.isNamespace(join(folder, "file")), false);
  await network.remove(join(folder, "file"), "eth0", "0a:58:0a:f4:01:02");
});
