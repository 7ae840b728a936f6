// What the plane does of a mesh, with real programs: connections of meshed pods go by the node's proxy, here a relay of
// 30 lines, to the other node's and on to the endpoint, which sees its client's address; policies, conntrack, trace and
// the agent's answers to the proxy go on to work.
import t, { type Test } from "tap";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { client, HTTP_PORT, NODE_PORT, pod, service } from "../../src/testing/lab/objects.ts";
import { type Running, run, sleep, start, until } from "../../src/testing/lab/process.ts";
import { testPolicy } from "../../src/testing/world/policy-world.ts";
import { acceptAnything, PEER_PORT, RELAY } from "./mesh-relay.ts";

const skip = cannotRun("curl", "ip", "nsenter", "sysctl", "tcpdump");
const DUAL = "10.244.0.0/16,fd00:10:244::/56";
const OUTSIDE = "192.168.50.100";
const MESH = "podwire.dev/mesh";
const SYSTEM = "podwire-system";

const namespace = (name: string, labels: Record<string, string> = {}): object => ({
  ...{ apiVersion: "v1", kind: "Namespace" },
  metadata: { name, labels },
});

/** A place for a relay. */
function proxy(n: number): object {
  const labels = { "app.kubernetes.io/name": "podwire-mesh" };
  const containers = [{ name: "main", image: "podwire/host", command: ["sleep", "infinity"] }];
  return {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: `relay-${n}`, namespace: SYSTEM, labels } },
    spec: { nodeName: `node${n}`, containers },
  };
}

interface PodObject {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
  readonly status: { readonly podIPs: readonly { readonly ip: string }[] };
}

class Mesh {
  readonly lab: TestLab;
  readonly relays: Running[] = [];

  constructor(lab: TestLab) {
    this.lab = lab;
  }

  pod(name: string, ns = "default"): Promise<PodObject> {
    return this.lab.json("get", "pods", name, "-n", ns) as Promise<PodObject>;
  }

  async addresses(name: string, ns?: string): Promise<[v4: string, v6: string]> {
    const [a, b] = (await this.pod(name, ns)).status.podIPs.map(({ ip }) => ip);
    return a.includes(":") ? [b, a] : [a, b];
  }

  async relay(n: number): Promise<string[]> {
    const { metadata } = await this.pod(`relay-${n}`, SYSTEM);
    const netns = metadata.annotations["podwire.dev/netns"];
    const failed = await acceptAnything(netns);
    const [peer] = await this.addresses(`relay-${3 - n}`, SYSTEM);
    const words = [`10.244.${n}.,fd00:10:244:${n}:`, peer, String(HTTP_PORT)];
    const command = ["nsenter", `--net=${netns}`, process.execPath, "-e", RELAY, ...words];
    this.relays[n] = await start(command, /relay is ready/);
    return failed;
  }

  /** Whom the pod saw; "": no answer. */
  async ask(from: string, to: string, port = 80): Promise<string> {
    const host = to.includes(":") ? `[${to}]` : to;
    const { stdout } = await this.lab.exec(from, ["curl", "-s", "-m", "3", `http://${host}:${port}/`]);
    return stdout === "" ? "" : (JSON.parse(stdout).client as string).replace(/^\[?(.*?)\]?:\d+$/, "$1");
  }

  said(n: number, what: RegExp): number {
    return this.relays[n]
      .output()
      .split("\n")
      .filter((line) => what.test(line)).length;
  }

  async drops(node: string, reason: string): Promise<number> {
    const shown = await this.lab.json("show", "drops", "--node", node);
    const rows = (Array.isArray(shown) ? shown : shown.items) as { name?: string; packets?: number }[];
    const row = rows.find((each) => JSON.stringify(each).includes(reason));
    return row?.packets ?? 0;
  }

  async down(): Promise<void> {
    for (const relay of this.relays) await relay?.stop();
    await this.lab.down();
  }
}

t.test("connections of a mesh by a relay on each node", { skip }, async (t) => {
  const lab = await TestLab.up("meshsteer", {
    mesh: { enabled: false }, // its proxies are the test's own
    clusterCIDR: DUAL,
    serviceCIDR: "10.96.0.0/12,fd00:10:96::/112",
    objects: [
      namespace("default", { [MESH]: "enabled" }),
      namespace(SYSTEM),
      ...[1, 2].map(proxy),
      client("client-1", "node1"),
      client("client-2", "node2"),
      pod("web-2", "node2", { app: "web" }),
      service("web", { ipFamilyPolicy: "RequireDualStack" }),
    ],
  });
  const mesh = new Mesh(lab);
  t.teardown(() => mesh.down());
  for (const n of [1, 2]) t.same(await mesh.relay(n), [], `relay ${n}`);
  const [vip, vip6] = (await lab.json("get", "services", "web")).spec.clusterIPs as string[];
  const [one, one6] = await mesh.addresses("client-1");
  const [two] = await mesh.addresses("client-2");
  const [web, web6] = await mesh.addresses("web-2");

  t.test("over two nodes: by both relays, and the pod sees its client", async (t) => {
    const fabric = await onFabric(lab);
    t.equal(await mesh.ask("client-1", vip), one, "IPv4");
    t.equal(await mesh.ask("client-1", vip6), one6, "IPv6");
    t.equal(mesh.said(1, new RegExp(`^carry (${one} ${web}|${one6} ${web6}) `)), 2);
    t.equal(mesh.said(2, new RegExp(`^deliver (${one} ${web}|${one6} ${web6})$`)), 2);
    const seen = await fabric();
    t.match(seen, new RegExp(`\\.${PEER_PORT}`));
    t.notMatch(
      seen,
      new RegExp(`\\.${HTTP_PORT}[ :]`),
      "nothing but the relays' own connection crossed the fabric",
    );
  });

  t.test("on one node, and whom the mesh does not know", async (t) => {
    t.equal(await mesh.ask("client-2", vip), two);
    t.equal(mesh.said(2, new RegExp(`^deliver ${two} ${web}$`)), 1);
    t.equal(await mesh.ask("client/outside", "192.168.50.12", NODE_PORT), OUTSIDE, "by the pod's node");
    t.equal(mesh.said(2, new RegExp(`^deliver ${OUTSIDE} ${web}$`)), 1);
    const counters = await lab.output(["show", "counters", "--node", "node2"]);
    for (const name of ["mesh_inbound", "mesh_delivered", "mesh_outbound"]) t.match(counters, name);
  });

  t.test("a megabyte each way comes whole", async (t) => {
    const many =
      "head -c 1000000 /dev/zero | curl -s -m 20 --data-binary @- -o /dev/null -w '%{http_code} %{size_upload}'";
    const { stdout } = await lab.exec("client-1", ["sh", "-c", `${many} http://${vip}/`]);
    t.match(stdout, / 1000000$/);
  });

  t.test("conntrack, trace and the agent's answer tell of it", (t) => tellsOfIt(t, mesh, vip));

  t.test("a NetworkPolicy counts for the client behind the proxy", async (t) => {
    const ingress = [{ from: [{ podSelector: { matchLabels: { app: "client-1" } } }] }];
    await lab.apply(testPolicy("only-one", { podSelector: { matchLabels: { app: "web" } }, ingress }));
    await sleep(300);
    t.equal(await mesh.ask("client-1", vip), one);
    t.equal(await mesh.ask("client-2", vip), "", "whom it does not name");
    await lab.output(["delete", "netpol", "only-one"]);
    await sleep(300);
    t.equal(await mesh.ask("client-2", vip), two);
  });

  t.test("no proxy: refused at once; no label: without it", async (t) => {
    await lab.output(["delete", "pod", "relay-1", "-n", SYSTEM]);
    await until("a refused connection", async () => {
      const { status } = await lab.exec("client-1", ["curl", "-s", "-m", "3", `http://${vip}/`]);
      return status === 7;
    });
    t.ok((await mesh.drops("node1", "MESH_PROXY_AWAY")) > 0);
    await lab.apply(namespace("default"));
    await sleep(300);
    const before = mesh.said(2, /^deliver/);
    t.equal(await mesh.ask("client-1", vip), one);
    t.equal(mesh.said(2, /^deliver/), before);
  });
});

/** Listens at node 1's end of the fabric; what it heard, inside of the tunnel. */
async function onFabric(lab: TestLab): Promise<() => Promise<string>> {
  const filter = ["udp", "port", "8472"];
  const words = ["tcpdump", "-i", "eth0", "-n", "-l", "--immediate-mode", ...filter];
  const listener = await lab.startIn("node/node1", words, /listening on/);
  return async () => {
    await sleep(300);
    await listener.stop("SIGINT");
    return listener.output();
  };
}

async function tellsOfIt(t: Test, mesh: Mesh, vip: string): Promise<void> {
  const { lab } = mesh;
  const words = ["trace", "-c", "1000", "--node", "node1", "tcp", "and", "port", "80"];
  const tracing = await start([PODWIRE, "--lab", lab.name, ...words], /waiting for packets/);
  t.not(await mesh.ask("client-1", vip), "");
  await sleep(500);
  await tracing.stop();
  t.match(tracing.output(), /steer-to-mesh +mangle PREROUTING TPROXY: a pod of the mesh asks a service/);
  t.match(tracing.output(), /routing decision .*\(to the node's mesh proxy\)/);
  const list = async (node: string): Promise<string> =>
    lab.output(["conntrack", "list", "--node", node, "-p", "tcp", "-o", "extended"]);
  t.match(await list("node1"), /dport=80 .*mesh=to-proxy/);
  t.match(await list("node2"), /orig-zone=65535.*mesh=from-proxy/);
  const carried = mesh.relays[1]
    .output()
    .split("\n")
    .findLast((line) => line.startsWith("carry"));
  const [, src, dst, sport] = carried?.split(" ") ?? [];
  const query = `src=${src}&sport=${sport}&dst=${dst}&dport=${HTTP_PORT}`;
  const socket = `/run/podwire/labs/${lab.name}/agents/node1.sock`;
  const { stdout } = await run(["curl", "-s", "--unix-socket", socket, `http://agent/mesh/origin?${query}`]);
  t.same(JSON.parse(stdout), {
    original: { src, sport: Number(sport), dst: vip, dport: 80 },
    service: { namespace: "default", name: "web", port: "http" },
  });
}
