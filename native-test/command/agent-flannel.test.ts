// A cluster of a node of podwire's and one of flannel's, who know of each other what their Node objects say: the kernel's
// VXLAN devices of the second are told of the first in the way in which flannel tells them.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { formatIp, parseIp } from "../../src/base/ip.ts";
import { StandIn } from "../../src/testing/api-server/stand-in.ts";
import { cannotRun, PODWIRE, ROOT } from "../../src/testing/lab/lab.ts";
import { type Running, run, start, until } from "../../src/testing/lab/process.ts";
import { annotationsOf, FlannelNode, makeDualNode, NODES, nodeObject } from "../support/flannel-node.ts";
import { Namespaces } from "../support/namespaces.ts";
import { CONFIG, makeMachine, objects, PODS } from "../support/own-node.ts";

const namespaces = new Namespaces("pwt-flannel");
const skip = cannotRun("curl", "socat", "ping", "bridge", "tcpdump", "tshark");
const MACS = [
  ["f2:00:00:00:00:12", "f2:00:00:00:06:12"],
  ["f2:00:00:00:00:77", "f2:00:00:00:06:77"],
] as const;
const POD = { web: ["10.244.1.2", "fd00:10:244:1::2"], far: ["10.244.2.2", "fd00:10:244:2::2"] } as const;

t.test("a podwire node and a flannel node", { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-flannel-"));
  const socket = join(folder, "agent.sock");
  const running: Running[] = [];
  const api = new StandIn();
  t.teardown(async () => {
    for (const each of running.reverse()) await each.stop();
    await api.close();
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  namespaces.add("peer", "far");
  makeMachine(namespaces, PODS, `eth0 netns ${namespaces.nameOf("peer")}`);
  makeDualNode(namespaces, ["web", "shell"]);
  const peer = new FlannelNode(namespaces, MACS[0]);
  for (const object of objects(namespaces)) {
    const { kind, metadata } = object as { kind: string; metadata: { name: keyof typeof POD } };
    const ips = POD[metadata.name];
    if (kind === "Node") continue;
    if (kind !== "Pod" || ips === undefined) api.put(object);
    else
      api.put({ ...object, status: { phase: "Running", podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) } });
  }
  api.put(nodeObject("node1"));
  api.put(nodeObject("node2", annotationsOf("vxlan", ...MACS[0])));
  const kubeconfig = join(folder, "kubeconfig");
  const cluster = { server: `http://127.0.0.1:${await api.listen()}` };
  await writeFile(
    kubeconfig,
    JSON.stringify({
      ...{ "current-context": "x", contexts: [{ name: "x", context: { cluster: "c", user: "u" } }] },
      ...{ clusters: [{ name: "c", cluster }], users: [{ name: "u", user: { token: "none" } }] },
    }),
  );
  const agent = async (overlay: object): Promise<Running> => {
    const source = { kubernetes: { kubeconfig, stateFile: "" } };
    const wide = { clusterCIDR: "10.244.0.0/16,fd00:10:244::/56", netns: namespaces.path("node") };
    const config = join(folder, "agent.yaml");
    await writeFile(config, JSON.stringify({ ...CONFIG, ...wide, overlay, socket, source }));
    return start([PODWIRE, "agent", "--config", config], /data plane running/);
  };
  const podwire = (...words: string[]) => run([PODWIRE, "--agent", socket, ...words]);
  const own = (): Record<string, string> => {
    const all = api.get("/api/v1/nodes", "/node1")?.metadata.annotations ?? {};
    return Object.fromEntries(Object.entries(all).filter(([key]) => key.startsWith("flannel")));
  };
  const curl = async (from: string, to: string): Promise<string> => {
    const url = `http://${to.includes(":") ? `[${to}]` : to}:8080/`;
    return (await run(namespaces.command(from, `curl -gsS --max-time 1 ${url}`))).stdout;
  };
  const serve = (where: string): Promise<Running> => {
    const listen = ["4", "6,ipv6only"].map((family) => {
      const [number, ...more] = family.split(",");
      const options = ["fork", "reuseaddr", ...more].join();
      return `socat TCP${number}-LISTEN:8080,${options} "EXEC:${ROOT}/vagrant/pod-http ${where} answer"`;
    });
    return start([...namespaces.command(where, "sh -c"), `echo on; ${listen[0]} & exec ${listen[1]}`], /on/);
  };
  /** Who answers, and as whom it sees who asks. */
  const answerOf = async (from: string, to: string): Promise<string> => {
    const [, pod = "nobody", address = ""] = /^pod (\S+) saw (\S+):\d+$/m.exec(await curl(from, to)) ?? [];
    const client = parseIp(address.replace(/[[\]]/g, ""));
    return `${pod} ${client === null ? "" : formatIp(client)}`;
  };
  /** Everybody reaches everybody, and is seen as who he is. */
  const allReach = async (
    nodes: readonly [string, string],
    nodes6: readonly [string, string],
  ): Promise<void> => {
    for (const [family, seen] of [nodes, nodes6].entries())
      for (const [from, to, source] of [
        ["web", "far", POD.web[family]],
        ["far", "web", POD.far[family]],
        ["node", "far", seen[0]],
        ["peer", "web", seen[1]],
        ["node", "web", family === 0 ? "10.244.1.1" : "fd00:10:244:1::1"],
      ] as const) {
        const target = POD[to][family];
        let answer = "";
        const isRight = async () => (answer = await answerOf(from, target)) === `${to} ${source}`;
        await until(`${from} to reach ${target}, seen as ${source}`, isRight).catch((error: Error) => {
          throw new Error(`${error.message}: ${answer}`);
        });
      }
  };
  const vteps: readonly [string, string] = ["10.244.1.0", "10.244.2.0"];
  const vteps6: readonly [string, string] = ["fd00:10:244:1::", "fd00:10:244:2::"];
  running.push(await serve("web"), await serve("far"), await serve("peer"));
  running.push(await agent({ type: "vxlan" }));

  await t.test("the own Node says what flannel has to know, and all reach each other", async (t) => {
    await until("the annotations", async () => "flannel.alpha.coreos.com/public-ip" in own());
    const data = '{"VNI":1,"VtepMAC":"0e:01:c0:a8:4d:0b"}';
    t.same(own(), {
      "flannel.alpha.coreos.com/backend-data": data,
      "flannel.alpha.coreos.com/backend-type": "vxlan",
      "flannel.alpha.coreos.com/backend-v6-data": data,
      "flannel.alpha.coreos.com/kube-subnet-manager": "true",
      "flannel.alpha.coreos.com/public-ip": "192.168.77.11",
      "flannel.alpha.coreos.com/public-ipv6": "fd00:77::11",
    });
    peer.hears(own());
    await allReach(vteps, vteps6);
    for (const address of NODES.node2.addresses)
      await until(`a program of the node's at ${address}`, async () =>
        /^pod peer/.test(await curl("web", address)),
      );
    t.match(
      (await podwire("show", "vteps")).stdout,
      /192\.168\.77\.12 +f2:00:00:00:00:12[\s\S]*fd00:77::12 +f2:00:00:00:06:12/,
    );
    t.equal((await podwire("status")).status, 0);
  });

  await t.test("what is on the wire is what flannel's devices send", async (t) => {
    const file = join(folder, "wire.pcap");
    const filter = "udp port 8472";
    const capture = await start(
      namespaces.command("peer", `tcpdump -Z root -U --immediate-mode -i eth0 -w ${file} ${filter}`),
      /listening on/,
    );
    for (const [target, size] of [
      [POD.far[0], 1450 - 28],
      [POD.far[1], 1430 - 48],
    ] as const) {
      const ping = (bytes: number) =>
        run(namespaces.command("web", `ping -n -c 1 -W 2 -M do -s ${bytes} ${target}`));
      t.equal((await ping(size)).status, 0, `${size} bytes to ${target} fit`);
      t.not((await ping(size + 1)).status, 0, "one more does not");
    }
    await capture.stop("SIGINT");
    const fields = [
      "ip.len",
      "ip.flags.df",
      "ip.ttl",
      "ipv6.plen",
      "ipv6.hlim",
      "udp.dstport",
      "vxlan.vni",
      "eth.dst",
    ];
    const words = [
      "-d",
      "udp.port==8472,vxlan",
      "-T",
      "fields",
      "-E",
      "separator=/t",
      "-Y",
      "icmp or icmpv6",
    ];
    const { stdout } = await run(["tshark", "-n", "-r", file, ...words, ...fields.flatMap((f) => ["-e", f])]);
    const [there, back, there6, back6] = stdout.split("\n").map((line) => line.split("\t"));
    const outside = (cells: string[]): unknown[] =>
      cells.slice(0, 7).map((cell, i) => (i === 1 || i === 2 || i === 4 ? cell.split(",")[0] : cell));
    t.same(outside(there), ["1500,1450", "0", "64", "", "", "8472", "1"]);
    t.same(outside(there), outside(back), "as the kernel does it");
    t.same(outside(there6), ["", "", "", "1460,1390", "64", "8472", "1"]);
    t.same(outside(there6), outside(back6));
    t.match([there[7], there6[7]], [/,f2:00:00:00:00:12$/, /,f2:00:00:00:06:12$/]);
  });

  await t.test("a VTEP's MAC that changes is followed, theirs and ours", async (t) => {
    peer.changeMacs(MACS[1]);
    peer.hears(own()); // the kernel forgot neighbours with the address
    api.put(nodeObject("node2", annotationsOf("vxlan", ...MACS[1])));
    await allReach(vteps, vteps6);
    t.match((await podwire("show", "vteps")).stdout, /f2:00:00:00:00:77/);
    const data = '{"VNI":1,"VtepMAC":"02:aa:00:00:00:01"}';
    const changed = { ...own(), "flannel.alpha.coreos.com/backend-data": data };
    api.put(nodeObject("node1", changed));
    const key = "flannel.alpha.coreos.com/backend-v6-data";
    await until("the second one to follow the first", async () => own()[key] === data);
    peer.hears(own());
    await allReach(vteps, vteps6);
  });

  await t.test("so are its pods' range and its address", async (t) => {
    namespaces.ip("peer", "addr add 192.168.77.13/24 dev eth0");
    namespaces.ip("peer", "addr add 10.244.3.1/24 dev cni0");
    namespaces.ip("far", "addr add 10.244.3.2/24 dev eth0");
    const moved = {
      ...annotationsOf("vxlan", ...MACS[1]),
      "flannel.alpha.coreos.com/public-ip": "192.168.77.13",
    };
    api.put(nodeObject("node2", moved, "10.244.3"));
    namespaces.ip("peer", "link del flannel.1");
    namespaces.ip(
      "peer",
      "link add flannel.1 type vxlan id 1 dev eth0 local 192.168.77.13 dstport 8472 nolearning",
    );
    namespaces.ip("peer", `link set flannel.1 address ${MACS[1][0]} mtu 1450 up`);
    peer.hears(own());
    await until("the new range", async () => /^pod far/.test(await curl("web", "10.244.3.2")));
    t.match((await podwire("show", "vteps")).stdout, /192\.168\.77\.13 +f2:00:00:00:00:77/);
    api.put(nodeObject("node2", { "flannel.alpha.coreos.com/backend-type": "wireguard" }));
    await until("status to tell", async () =>
      /node2: flannel's backend there is wireguard/.test((await podwire("status")).stdout),
    );
    t.equal(await curl("web", POD.far[0]), "", "not reached by guess");
  });

  await t.test("host-gw: nodes are next hops of each other", async () => {
    await running.pop()?.stop();
    namespaces.ip("peer", "link del flannel.1");
    namespaces.ip("peer", "link del flannel-v6.1");
    api.put(nodeObject("node2", annotationsOf("host-gw", "", "")));
    running.push(await agent({ type: "none" }));
    await until("the annotations", async () => own()["flannel.alpha.coreos.com/backend-type"] === "host-gw");
    peer.hears(own());
    const ends = ([one, two]: readonly string[]) => [one, two] as const;
    const [v4, v6] = [0, 1].map((family) =>
      ends([NODES.node1.addresses[family], NODES.node2.addresses[family]]),
    );
    namespaces.ip("node", `route replace 10.244.0.0/16 via 169.254.1.1 dev host0 onlink src ${v4[0]}`);
    namespaces.ip("node", `route replace fd00:10:244::/56 via fe80::1 dev host0 onlink src ${v6[0]}`);
    await allReach(v4, v6);
  });
});
