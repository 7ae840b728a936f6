// A node's own programs and services at the node's own addresses, which Linux would keep on lo: node1 is podwire's,
// node2 a kernel with kube-proxy's rules; what programs and servers see must be the same on both.
import t, { type Test } from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { NODE_PORT, pod, service, UDP_NODE_PORT } from "../../src/testing/lab/objects.ts";
import { dualStackObjects, NODES6 } from "../support/ipv6-scenario.ts";
import { ask } from "../support/service-scenario.ts";

const skip = cannotRun("curl", "socat", "iptables", "ip6tables", "nft");
const NODES4 = ["192.168.50.11", "192.168.50.12"];
const EXTERNAL_PORT = 8888;
const HOST_NODE_PORT = 30_070;
const UNUSED_PORT = 31_999; // of the node-port range, no service's
const REQUESTS = 40; // so that both of two endpoints answer
const nodes = [{ name: "node1" }, { name: "node2", agent: "kernel" as const }];
const clusterCIDR = "10.244.0.0/16,fd00:10:244::/56";

/** A pod of the node's own network. */
function hostPod(name: string, node: string): object {
  // biome-ignore lint/suspicious/noExplicitAny: an object of our own making
  const made = pod(name, node, { app: "host" }) as any;
  made.spec.hostNetwork = true;
  made.spec.containers[0].ports = [{ name: "http", containerPort: 8081, protocol: "TCP" }];
  return made;
}

const objects = [
  ...dualStackObjects(),
  hostPod("host-1", "node1"),
  hostPod("host-2", "node2"),
  service("host", { ports: [{ name: "http", port: 80, targetPort: 8081, nodePort: HOST_NODE_PORT }] }),
  service("bound", {
    type: "ClusterIP",
    selector: { app: "web" },
    externalIPs: NODES4,
    ports: [{ name: "http", port: EXTERNAL_PORT, targetPort: 8080 }],
  }),
];

/** "near from its gateway": who answered, and whom he saw, in words that hold for either node. */
async function seen(lab: TestLab, i: number, url: string): Promise<string[]> {
  const answers = await ask(lab, `node/node${i + 1}`, `http://${url}`, REQUESTS);
  const words = answers.map(({ pod, client }) => {
    const place = pod.endsWith(`-${i + 1}`) ? "near" : "far";
    return `${place} from ${nameOf(client.slice(0, client.lastIndexOf(":")), i + 1)}`;
  });
  return [...new Set(words)].sort();
}

function nameOf(address: string, n: number): string {
  const names: Record<string, string> = {
    [`10.244.${n}.1`]: "its gateway",
    [`[fd00:10:244:${n}::1]`]: "its gateway",
    [`10.244.${n}.0`]: "its VTEP",
    [`[fd00:10:244:${n}::]`]: "its VTEP",
    [NODES4[n - 1]]: "the node",
    "169.254.1.1": "the node", // podwire's name for it towards its own stack
  };
  return names[address] ?? address;
}

function sameOnBoth(t: Test, lab: () => TestLab, what: string, url: (i: number) => string): void {
  t.test(what, async (t) => {
    const [podwire, kernel] = await Promise.all([0, 1].map((i) => seen(lab(), i, url(i))));
    t.equal(kernel.length, 2, `both endpoints: ${kernel}`);
    t.same(podwire, kernel);
  });
}

/** curl's exit status: 7 for refused. */
async function status(lab: TestLab, i: number, url: string): Promise<number | null> {
  return (await lab.exec(`node/node${i + 1}`, ["curl", "-s", "--max-time", "2", `http://${url}`])).status;
}

function listenerStays(t: Test, lab: () => TestLab): void {
  t.test("a listener in the range that is no service's stays reachable", async (t) => {
    const text = "x".repeat(200_000);
    const program = `require("node:net").createServer((s) => s.end("x".repeat(${text.length})))
      .listen(${UNUSED_PORT}, "::", () => console.log("listening"))`;
    const server = await lab().startIn("node/node1", ["node", "-e", program], /listening/);
    for (const to of [`TCP4:${NODES4[0]}`, "TCP4:127.0.0.1", `TCP6:[${NODES6[0]}]`, "TCP6:[::1]"]) {
      const command = ["socat", "-T2", "-u", `${to}:${UNUSED_PORT}`, "-"];
      const { stdout } = await lab().exec("node/node1", command);
      t.ok(stdout === text, `${to}: ${stdout.length} bytes`);
    }
    await server.stop();
  });
}

t.test("services at a node's own addresses, iptables mode", { skip }, async (t) => {
  const lab = await TestLab.up("nodeport", { nodes, clusterCIDR, objects });
  t.teardown(() => lab.down());
  sameOnBoth(
    t,
    () => lab,
    "its IPv4 address",
    (i) => `${NODES4[i]}:${NODE_PORT}`,
  );
  sameOnBoth(
    t,
    () => lab,
    "its IPv6 address",
    (i) => `[${NODES6[i]}]:${NODE_PORT}`,
  );
  sameOnBoth(
    t,
    () => lab,
    "the gateway of its pods",
    (i) => `10.244.${i + 1}.1:${NODE_PORT}`,
  );
  sameOnBoth(
    t,
    () => lab,
    "127.0.0.1",
    () => `127.0.0.1:${NODE_PORT}`,
  );
  sameOnBoth(
    t,
    () => lab,
    "an external IP that is the node's",
    (i) => `${NODES4[i]}:${EXTERNAL_PORT}`,
  );

  t.test("an endpoint in the node's own network answers its own node", async (t) => {
    for (const to of [NODES4[0], "127.0.0.1"]) {
      const near = (await seen(lab, 0, `${to}:${HOST_NODE_PORT}`)).filter((text) => text.startsWith("near"));
      t.same(near, ["near from the node"]);
    }
    const near = await seen(lab, 0, await lab.clusterIP("host"));
    t.ok(near.includes("near from the node"), "by ClusterIP too");
  });

  t.test("::1 is refused, as is a port that nobody has", async (t) => {
    for (const i of [0, 1]) {
      t.equal(await status(lab, i, `[::1]:${NODE_PORT}`), 7);
      t.equal(await status(lab, i, `${NODES4[i]}:${UNUSED_PORT}`), 7);
    }
  });

  t.test("UDP", async (t) => {
    for (const to of [`UDP4:${NODES4[0]}`, "UDP4:127.0.0.1", `UDP6:[${NODES6[0]}]`]) {
      const command = ["socat", "-t0.4", "-", `${to}:${UDP_NODE_PORT}`];
      t.equal((await lab.exec("node/node1", command, { input: "echo hello" })).stdout, "echo hello", to);
    }
  });

  listenerStays(t, () => lab);
});

t.test("services at a node's own addresses, nftables mode", { skip }, async (t) => {
  const proxy = { mode: "nftables" };
  const lab = await TestLab.up("nodeport", { nodes, clusterCIDR, objects, proxy });
  t.teardown(() => lab.down());
  sameOnBoth(
    t,
    () => lab,
    "its IPv4 address",
    (i) => `${NODES4[i]}:${NODE_PORT}`,
  );
  sameOnBoth(
    t,
    () => lab,
    "its IPv6 address",
    (i) => `[${NODES6[i]}]:${NODE_PORT}`,
  );
  t.test("not the gateway, not 127.0.0.1", async (t) => {
    for (const i of [0, 1]) {
      for (const to of ["127.0.0.1", `10.244.${i + 1}.1`]) {
        t.equal(await status(lab, i, `${to}:${NODE_PORT}`), 7, `node${i + 1}: ${to}`);
      }
    }
  });
});
