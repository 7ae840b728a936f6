// One cluster of a node of podwire's and a node of flannel and kube-proxy, all of them real, on one segment with a real API
// server. The second node's pods are namespaces behind a bridge, as the bridge plug-in makes them.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { formatIp, parseIp } from "../../src/base/ip.ts";
import { ROOT } from "../../src/testing/lab/lab.ts";
import { type Result, type Running, run, start, until } from "../../src/testing/lab/process.ts";
import { makeDualNode, makeFarPod, NODES, nodeObject } from "../support/flannel-node.ts";
import { Namespaces } from "../support/namespaces.ts";
import { makeMachine, PODS } from "../support/own-node.ts";
import { ClusterNode } from "./support/cluster-node.ts";
import { ControlPlane, noCluster, PROGRAMS } from "./support/control-plane.ts";

const CONTROL = "192.168.77.1";
const CLIENT = "192.168.77.20";
const PREFIX = "flannel.alpha.coreos.com/";
const POD = {
  web: ["10.244.1.2", "fd00:10:244:1::2"],
  shell: ["10.244.1.3", "fd00:10:244:1::3"],
  far: ["10.244.2.2", "fd00:10:244:2::2"],
} as const;
/** Pod, ClusterIP, node port. */
const SERVICES = [
  ["web", "10.96.0.80", 30_080],
  ["far", "10.96.0.81", 30_081],
  ["peer", "10.96.0.82", 30_082],
] as const;
const namespaces = new Namespaces("pwt-real-flannel");
const skip = noCluster("curl", "socat", "ping", "iperf3", "tcpdump", "tshark", "nft", "bridge");

function podObject(name: string, nodeName: string, ips: readonly string[], hostNetwork = false): object {
  const annotations = nodeName === "node1" ? { "podwire.dev/netns": namespaces.path(name) } : {};
  return {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default", annotations } },
    spec: { nodeName, hostNetwork, containers: [{ name: "main", image: "none" }] },
    status: { phase: "Running", podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
  };
}

function serviceObjects([name, clusterIP, nodePort]: (typeof SERVICES)[number]): object[] {
  const [nodeName, address] =
    name === "web"
      ? ["node1", POD.web[0]]
      : ["node2", name === "far" ? POD.far[0] : NODES.node2.addresses[0]];
  const labels = { "kubernetes.io/service-name": name };
  return [
    {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" } },
      spec: {
        type: "NodePort",
        clusterIP,
        ports: [{ port: 80, targetPort: 8080, nodePort, protocol: "TCP" }],
      },
    },
    {
      ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
      metadata: { name: `${name}-1`, namespace: "default", labels },
      ports: [{ name: "", port: 8080, protocol: "TCP" }],
      endpoints: [{ addresses: [address], conditions: { ready: true }, nodeName }],
    },
  ];
}

/** A segment with the API server, both nodes and somebody from outside. */
async function makeFabric(): Promise<void> {
  makeMachine(namespaces, PODS, `peer0 netns ${process.pid}`);
  makeDualNode(namespaces, ["web", "shell"]);
  namespaces.add("peer", "far", "client");
  const here = async (words: string): Promise<void> => {
    const { status, stderr } = await run(["ip", ...words.split(" ")]);
    if (status !== 0) throw new Error(`ip ${words}: ${stderr}`);
  };
  await here("link add br0 type bridge");
  await here("link set br0 up");
  await here(`addr add ${CONTROL}/24 dev br0`);
  namespaces.ip(
    "node",
    `route add ${CLIENT} via 169.254.1.1 dev host0 onlink src ${NODES.node1.addresses[0]}`,
  );
  await here("link set peer0 master br0 up");
  for (const [name, address] of [
    ["peer", NODES.node2.addresses[0]],
    ["client", CLIENT],
  ]) {
    await here(`link add up-${name} type veth peer name eth0 netns ${namespaces.nameOf(name)}`);
    await here(`link set up-${name} master br0 up`);
    namespaces.ip(name, "link set eth0 up");
    namespaces.ip(name, `addr add ${address}/24 dev eth0`);
    namespaces.ip(name, `route add default via ${CONTROL}`);
  }
  namespaces.ip("peer", `addr add ${NODES.node2.addresses[1]}/64 dev eth0 nodad`);
  for (const setting of ["ipv4.ip_forward", "ipv6.conf.all.forwarding"])
    await run(namespaces.command("peer", `sysctl -qw net.${setting}=1`));
}

t.test("a podwire node beside a node of flannel and kube-proxy", { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-real-flannel-"));
  await makeFabric();
  const control = await ControlPlane.start(folder, { address: CONTROL });
  const clusterCIDR = "10.244.0.0/16,fd00:10:244::/56";
  const node = new ClusterNode(control, namespaces, folder, { clusterCIDR });
  const running: Running[] = [];
  let flannel: Running | undefined;
  t.teardown(async () => {
    await run(["ip", "link", "del", "br0"]);
    for (const each of running.reverse()) await each.stop("SIGKILL");
    await flannel?.stop("SIGKILL");
    await node.stop();
    await control.stop();
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  const { admin } = control;
  for (const name of ["node1", "node2"] as const) {
    // kubelet's: flannel counts on there being some.
    const annotations = { "volumes.kubernetes.io/controller-managed-attach-detach": "true" };
    const { status, ...rest } = nodeObject(name, annotations) as { status: object };
    await admin.apply(rest);
    // Two addresses of one type cannot be applied.
    await admin.done("PATCH", `/api/v1/nodes/${name}/status`, { status }, "application/merge-patch+json");
  }
  for (const object of [
    podObject("web", "node1", POD.web),
    podObject("shell", "node1", POD.shell),
    podObject("far", "node2", POD.far),
    podObject("peer", "node2", [NODES.node2.addresses[0]], true),
    ...SERVICES.flatMap(serviceObjects),
  ])
    await admin.apply(object);
  const inside = (where: string, words: string): Promise<Result> => run(namespaces.command(where, words));
  const serve = (where: string): Promise<Running> => {
    const program = `${ROOT}/vagrant/pod-http ${where} answer`;
    const [v4, v6] = ["TCP4-LISTEN:8080", "TCP6-LISTEN:8080,ipv6only"].map(
      (listen) => `socat ${listen},fork,reuseaddr "EXEC:${program}"`,
    );
    return start([...namespaces.command(where, "sh -c"), `echo on; ${v4} & exec ${v6}`], /on/);
  };
  const startFlannel = async (type: "vxlan" | "host-gw"): Promise<void> => {
    const networks = {
      Network: "10.244.0.0/16",
      IPv6Network: "fd00:10:244::/56",
      EnableIPv4: true,
      EnableIPv6: true,
    };
    const netConf = join(folder, "net-conf.json");
    await writeFile(netConf, JSON.stringify({ ...networks, Backend: { Type: type } }));
    const words = [
      "NODE_NAME=node2",
      join(PROGRAMS, "flannel"),
      control.kubeconfig({ token: "admin-token" }),
    ];
    const command = ["env", ...words, netConf, "eth0", join(folder, "subnet.env")];
    flannel = await start(
      [...namespaces.command("peer", ""), ...command].filter(Boolean),
      /flannel: running/,
    );
  };
  const startKubeProxy = async (): Promise<void> => {
    const config = {
      ...{ apiVersion: "kubeproxy.config.k8s.io/v1alpha1", kind: "KubeProxyConfiguration", mode: "nftables" },
      ...{ hostnameOverride: "node2", clusterCIDR: "10.244.0.0/16" },
      clientConnection: { kubeconfig: control.kubeconfig({ token: "proxy-token" }) },
      conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    };
    const file = join(folder, "kube-proxy.yaml");
    await writeFile(file, JSON.stringify(config));
    running.push(
      await start(
        namespaces.command("peer", `${PROGRAMS}/kube-proxy --config ${file} -v 2`),
        /Caches are synced/,
      ),
    );
  };
  /** Who answers, and as whom it sees who asks. */
  const answerOf = async (from: string, target: string): Promise<string> => {
    const { stdout } = await inside(from, `curl -gsS --max-time 1 http://${target}/`);
    const [, pod = "nobody", address = ""] = /^pod (\S+) saw (\S+):\d+$/m.exec(stdout) ?? [];
    const client = parseIp(address.replace(/[[\]]/g, ""));
    return `${pod} ${client === null ? "" : formatIp(client)}`;
  };
  /** Every line: from where, to what, who answers, and as whom it sees who asks. */
  const reaches = async (
    t: Test,
    table: readonly (readonly [string, string, string, string])[],
  ): Promise<void> => {
    for (const [from, target, pod, client] of table) {
      let answer = "";
      const isRight = async () => (answer = await answerOf(from, target)) === `${pod} ${client}`;
      await until(`${from} > ${target}`, isRight).catch(() => {});
      t.equal(answer, `${pod} ${client}`, `${from} > ${target}`);
    }
  };
  const [node1, node2] = [NODES.node1.addresses[0], NODES.node2.addresses[0]];
  const pods = (from1: readonly string[], from2: readonly string[]): [string, string, string, string][] => [
    ["web", `${POD.far[0]}:8080`, "far", POD.web[0]],
    ["far", `${POD.web[0]}:8080`, "web", POD.far[0]],
    ["web", `[${POD.far[1]}]:8080`, "far", POD.web[1]],
    ["far", `[${POD.web[1]}]:8080`, "web", POD.far[1]],
    ["node", `${POD.far[0]}:8080`, "far", from1[0]],
    ["peer", `${POD.web[0]}:8080`, "web", from2[0]],
    ["node", `[${POD.far[1]}]:8080`, "far", from1[1]],
    ["peer", `[${POD.web[1]}]:8080`, "web", from2[1]],
    ["node", `${POD.web[0]}:8080`, "web", "10.244.1.1"], // as kubelet's probes
    ["web", `${node1}:8080`, "node", POD.web[0]], // and a hostNetwork pod
  ];
  const annotationsOf = async (name: string): Promise<Record<string, string>> =>
    (await admin.done("GET", `/api/v1/nodes/${name}`)).metadata.annotations ?? {};
  const [[, web, webPort], [, far, farPort], [, peer, peerPort]] = SERVICES;
  const vteps = [
    ["10.244.1.0", "fd00:10:244:1::"],
    ["10.244.2.0", "fd00:10:244:2::"],
  ] as const;
  makeFarPod(namespaces);
  for (const where of ["web", "far", "peer", "node"]) running.push(await serve(where));
  await Promise.all([node.begin(), startFlannel("vxlan"), startKubeProxy()]);

  await t.test("both say who they are, and have heard of each other", async (t) => {
    t.equal(
      await readFile(join(folder, "subnet.env"), "utf8").then((text) => /MTU=(\d+)/.exec(text)?.[1]),
      "1450",
    );
    await until("the annotations", async () => `${PREFIX}public-ip` in (await annotationsOf("node1")));
    const [one, two] = [await annotationsOf("node1"), await annotationsOf("node2")];
    const keys = (all: object): string[] =>
      Object.keys(all)
        .filter((key) => key.startsWith(PREFIX))
        .sort();
    t.same(keys(one), keys(two), "the same keys");
    const mac = JSON.parse(two[`${PREFIX}backend-data`]).VtepMAC;
    await until("its VTEP", async () => (await node.podwire("show", "vteps")).stdout.includes(mac));
    t.match(
      (await inside("peer", "ip neigh show dev flannel.1")).stdout,
      /^10\.244\.1\.0 lladdr 0e:01:c0:a8:4d:0b PERMANENT/m,
    );
  });

  await t.test("pods and programs of the nodes, both directions and families", (t) =>
    reaches(t, pods(...vteps)),
  );

  await t.test("services: podwire's choice and kube-proxy's", (t) =>
    reaches(t, [
      ["shell", far, "far", POD.shell[0]],
      ["far", web, "web", POD.far[0]],
      ["shell", peer, "peer", node1], // a hostNetwork pod: whoever leaves the cluster's network is masqueraded
      ["node", far, "far", vteps[0][0]],
      ["peer", web, "web", vteps[1][0]],
    ]),
  );

  await t.test("node ports of both nodes, from outside and from pods", (t) =>
    reaches(t, [
      ["client", `${node1}:${webPort}`, "web", "10.244.1.1"],
      ["client", `${node1}:${farPort}`, "far", vteps[0][0]],
      ["client", `${node1}:${peerPort}`, "peer", node1],
      ["client", `${node2}:${webPort}`, "web", vteps[1][0]],
      ["client", `${node2}:${farPort}`, "far", "10.244.2.1"],
      ["far", `${node1}:${farPort}`, "far", vteps[0][0]],
      ["web", `${node2}:${webPort}`, "web", vteps[1][0]],
    ]),
  );

  await t.test("iperf3, both directions", async (t) => {
    for (const [server, target, client] of [
      ["far", POD.far[0], "web"],
      ["web", POD.web[0], "far"],
    ] as const) {
      const listening = await start(
        namespaces.command(server, "iperf3 -s -1 --forceflush"),
        /Server listening/,
      );
      const { stdout } = await inside(client, `iperf3 -c ${target} -t 2 -J`);
      const { end, error } = JSON.parse(stdout);
      t.equal(error, undefined);
      const gigabits = end.sum_received.bits_per_second / 1e9;
      t.ok(gigabits > 0.05, `${client} > ${server}: ${gigabits.toFixed(2)} Gbit/s`);
      await listening.stop();
    }
  });

  await t.test("path MTU, and what is on the wire", async (t) => {
    const file = join(folder, "wire.pcap");
    const words = `tcpdump -Z root -U --immediate-mode -i eth0 -w ${file} udp port 8472`;
    const capture = await start(namespaces.command("peer", words), /listening on/);
    for (const [name, device] of [
      ["web", "eth0"],
      ["far", "eth0"],
    ])
      namespaces.ip(name, `link set ${device} mtu 1500`);
    namespaces.ip("peer", "link set cni0 mtu 1500");
    namespaces.ip("peer", "link set veth0 mtu 1500");
    const ping = async (from: string, to: string, size: number): Promise<string> =>
      (await inside(from, `ping -n -c 1 -W 2 -M do -s ${size} ${to}`)).stdout;
    t.match(await ping("web", POD.far[0], 1422), /1 received/);
    t.match(await ping("far", POD.web[0], 1422), /1 received/);
    t.match(
      await ping("web", POD.far[0], 1423),
      /From 10\.244\.1\.1 .*Frag needed and DF set \(mtu = 1450\)/,
    );
    t.match(
      await ping("far", POD.web[0], 1423),
      /From 10\.244\.2\.1 .*Frag needed and DF set \(mtu = 1450\)/,
    );
    t.match(await ping("web", POD.far[1], 1382), /1 received/);
    t.match(await ping("web", POD.far[1], 1383), /Packet too big: mtu=1430/);
    await capture.stop("SIGINT");
    const fields = [
      "ip.src",
      "ip.len",
      "ip.flags.df",
      "ip.ttl",
      "udp.dstport",
      "vxlan.vni",
      "eth.src",
      "eth.dst",
    ];
    const format = [
      "-d",
      "udp.port==8472,vxlan",
      "-T",
      "fields",
      "-E",
      "separator= ",
      "-Y",
      "icmp.type == 8",
    ];
    const shown = await run(["tshark", "-n", "-r", file, ...format, ...fields.flatMap((f) => ["-e", f])]);
    const rows = shown.stdout
      .trim()
      .split("\n")
      .map((line) => line.split(" ").map((cell) => cell.split(",")));
    t.comment(shown.stdout);
    t.equal(rows.length, 2, "what does not fit never leaves");
    const macs = [await macOf("node1"), await macOf("node2")];
    for (const [i, from] of [node1, node2].entries()) {
      const [source, length, df, ttl, port, vni, sender, receiver] = rows[i];
      t.same(
        [source[0], length, df[0], ttl[0], port[0], vni[0]],
        [from, ["1500", "1450"], df[0], "64", "8472", "1"],
      );
      t.match(df[0], /^(0|False)$/, "no DF outside, as flannel's devices have it");
      t.same([sender[1], receiver[1]], i === 0 ? macs : macs.toReversed(), "from VTEP MAC to VTEP MAC");
    }
  });
  async function macOf(name: string): Promise<string> {
    return JSON.parse((await annotationsOf(name))[`${PREFIX}backend-data`]).VtepMAC;
  }

  await t.test(
    "flannel starts anew with another MAC, and is followed; so is another one of ours",
    async (t) => {
      const before = await macOf("node2");
      await flannel?.stop();
      const none = Object.fromEntries(["backend-data", "backend-v6-data"].map((key) => [PREFIX + key, null]));
      const patch = (name: string, annotations: object) =>
        admin.done(
          "PATCH",
          `/api/v1/nodes/${name}`,
          { metadata: { annotations } },
          "application/merge-patch+json",
        );
      await patch("node2", none);
      namespaces.ip("peer", "link del flannel.1");
      namespaces.ip("peer", "link del flannel-v6.1");
      await startFlannel("vxlan");
      t.not(await macOf("node2"), before);
      await reaches(t, pods(...vteps));
      // Both: of a node with two ends flannel looks at neither when only one has changed.
      const data = '{"VNI":1,"VtepMAC":"02:aa:00:00:00:01"}';
      await patch("node1", { [`${PREFIX}backend-data`]: data, [`${PREFIX}backend-v6-data`]: data });
      const follows = until("flannel to follow", async () =>
        /10\.244\.1\.0 lladdr 02:aa:00:00:00:01/.test(
          (await inside("peer", "ip neigh show dev flannel.1")).stdout,
        ),
      );
      await follows.catch(async (error) => {
        t.comment(
          `the Node says ${JSON.stringify(await annotationsOf("node1"))}; flannel: ${flannel?.output()}`,
        );
        throw error;
      });
      await reaches(t, pods(...vteps));
    },
  );

  await t.test("host-gw: routes without a tunnel, and services as before", async (t) => {
    await flannel?.stop();
    await node.stop();
    for (const device of ["flannel.1", "flannel-v6.1"]) namespaces.ip("peer", `link del ${device}`);
    await node.configure({ overlay: { type: "none" } });
    await Promise.all([node.start(), startFlannel("host-gw")]);
    await until(
      "our annotations",
      async () => (await annotationsOf("node1"))[`${PREFIX}backend-type`] === "host-gw",
    );
    t.equal(
      (await annotationsOf("node1"))[`${PREFIX}backend-data`],
      (await annotationsOf("node2"))[`${PREFIX}backend-data`],
    );
    for (const [range, hop, source] of [
      ["10.244.0.0/16", "169.254.1.1", node1],
      ["fd00:10:244::/56", "fe80::1", NODES.node1.addresses[1]],
    ])
      namespaces.ip("node", `route replace ${range} via ${hop} dev host0 onlink src ${source}`);
    await reaches(t, pods(NODES.node1.addresses, NODES.node2.addresses));
    await reaches(t, [
      ["shell", far, "far", POD.shell[0]],
      ["far", web, "web", POD.far[0]],
      ["client", `${node1}:${farPort}`, "far", node1],
      ["client", `${node2}:${webPort}`, "web", node2],
    ]);
    t.match((await inside("peer", "ip route show 10.244.1.0/24")).stdout, /via 192\.168\.77\.11 dev eth0/);
  });

  await t.test(
    "one NIC, which is the kernel's; an address of the node's own, as NodeLocal DNS has it",
    async (t) => {
      await flannel?.stop();
      await node.stop();
      for (const words of [
        "link del host0",
        "-4 rule del pref 10",
        "-6 rule del pref 10",
        "link set eth1 arp on",
        `addr add ${node1}/24 dev eth1`,
        `addr add ${NODES.node1.addresses[1]}/64 dev eth1 nodad`,
        `route add default via ${CONTROL}`,
        "link add nodelocaldns type bridge", // a dummy where the kernel has these
        "link set nodelocaldns up",
        "addr add 169.254.20.10/32 dev nodelocaldns",
      ])
        namespaces.ip("node", words);
      // flannel leaves host-gw's routes; over IPv6 the tunnel's stand beside them, not in their place.
      for (const range of ["10.244.1.0/24", "fd00:10:244:1::/64"])
        namespaces.ip("peer", `route del ${range} via ${NODES.node1.addresses[range.includes(":") ? 1 : 0]}`);
      await node.configure({ uplink: { interface: "eth1", mode: "shared" } });
      await Promise.all([node.start(), startFlannel("vxlan")]);
      await until(
        "our annotations",
        async () => (await annotationsOf("node1"))[`${PREFIX}backend-type`] === "vxlan",
      );
      await reaches(t, pods(...vteps));
      await reaches(t, [
        ["web", "169.254.20.10:8080", "node", POD.web[0]],
        ["shell", far, "far", POD.shell[0]],
        ["far", web, "web", POD.far[0]],
        ["client", `${node1}:${farPort}`, "far", vteps[0][0]],
        ["client", `${node2}:${webPort}`, "web", vteps[1][0]],
      ]);
      namespaces.ip("node", "addr del 169.254.20.10/32 dev nodelocaldns");
      namespaces.ip("node", "addr add 169.254.20.11/32 dev nodelocaldns");
      await reaches(t, [["web", "169.254.20.11:8080", "node", POD.web[0]]]);
      t.equal((await node.status()).status, 0, (await node.status()).stdout);
    },
  );
});
