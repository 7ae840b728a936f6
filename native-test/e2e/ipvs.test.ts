// ipvs mode with real programs: turns by weight, one endpoint a client, pings that the node answers; and what podwire can
// do beyond kube-proxy: the endpoint with the fewest connections, and a reset for who waits for one that is gone.
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod, service } from "../../src/testing/lab/objects.ts";
import { until } from "../../src/testing/lab/process.ts";
import { ask } from "../support/service-scenario.ts";

const skip = cannotRun("curl", "socat", "ping");

interface PodObject {
  metadata: { name: string; labels: object };
}

/** An echo server behind the Service web, or beside it. */
function web(name: string, weight: number, app = "web"): object {
  const made = pod(name, "node1", { app }) as PodObject;
  return { ...made, metadata: { ...made.metadata, annotations: { "podwire.dev/weight": String(weight) } } };
}

/** How many of the answers came from each pod. */
async function shares(lab: TestLab, from: string, count: number): Promise<Record<string, number>> {
  const answers = await ask(lab, from, `http://${await lab.clusterIP("web")}`, count);
  const found: Record<string, number> = {};
  for (const answer of answers) found[answer.pod] = (found[answer.pod] ?? 0) + 1;
  return found;
}

const idle = (vip: string) => ["socat", "-d", "-d", "-u", `TCP4:${vip}:80`, "STDOUT"];
const CONNECTED = /starting data transfer loop/;

t.test("ipvs mode, wrr", { skip }, async (t) => {
  const objects = [client("client-1", "node1"), web("web-1", 3), web("web-2", 1), service("web")];
  const lab = await TestLab.up("ipvs-wrr", {
    nodes: [{ name: "node1" }],
    proxy: { mode: "ipvs", ipvs: { scheduler: "wrr" } },
    dataplane: { resetRemovedEndpoints: true },
    objects,
  });
  t.teardown(() => lab.down());
  const vip = await lab.clusterIP("web");

  t.test("each endpoint has turns as its weight says", async (t) => {
    t.same(await shares(lab, "client-1", 20), { "web-1": 15, "web-2": 5 });
    const rules = await lab.output(["rules", "--format", "ipvsadm", "--node", "node1"]);
    t.match(rules, new RegExp(`-A -t ${vip}:80 -s wrr\n-a .* -w [13]\n-a .* -w [13]\n`));
  });

  t.test("a ping to the ClusterIP is answered by the node, an unknown port is refused", async (t) => {
    const outside = "client/outside";
    const route = await lab.exec(outside, ["ip", "route", "replace", `${vip}/32`, "via", "192.168.50.11"]);
    t.equal(route.status, 0, route.stderr);
    for (const from of ["client-1", outside, "node/node1"]) {
      const ping = await lab.exec(from, ["ping", "-c", "1", "-W", "2", vip]);
      t.equal(ping.status, 0, `${from}: ${ping.stdout}${ping.stderr}`);
    }
    const refused = await lab.exec("client-1", ["curl", "-sS", "--max-time", "5", `http://${vip}:81`]);
    t.equal(refused.status, 7, refused.stderr);
  });

  t.test("who waits for an endpoint that is gone gets a reset", async (t) => {
    const waiting = await lab.startIn("client-1", idle(vip), CONNECTED);
    let isOver = false;
    waiting.child.once("close", () => {
      isOver = true;
    });
    await lab.apply(web("web-1", 3, "other"), web("web-2", 1, "other")); // they run on, as nobody's endpoints
    await until("the client's end", () => Promise.resolve(isOver), 5000);
    t.match(waiting.output(), /Connection reset by peer/);
    const { items } = await lab.json("show", "counters", "--node", "node1");
    t.ok(items.find((row: { counter?: string }) => row.counter === "tcp_resets").value >= 1);
  });
});

t.test("ipvs mode, sh: a client stays with its endpoint", { skip }, async (t) => {
  const clients = [1, 2, 3, 4, 5, 6].map((n) => client(`client-${n}`, "node1"));
  const lab = await TestLab.up("ipvs-sh", {
    nodes: [{ name: "node1" }],
    proxy: { mode: "ipvs", ipvs: { scheduler: "sh" } },
    objects: [...clients, web("web-1", 1), web("web-2", 1), service("web")],
  });
  t.teardown(() => lab.down());
  const chosen = await Promise.all(
    clients.map((_, i) => shares(lab, `client-${i + 1}`, 5).then((found) => Object.keys(found))),
  );
  for (const [i, pods] of chosen.entries()) t.equal(pods.length, 1, `client-${i + 1}: ${pods.join(" ")}`);
  t.equal(new Set(chosen.flat()).size, 2, "not all of them the same");
});

t.test("least connections, in iptables mode: the idle endpoint is preferred", { skip }, async (t) => {
  const lab = await TestLab.up("ipvs-lc", {
    nodes: [{ name: "node1" }],
    dataplane: { leastConnections: true },
    objects: [client("client-1", "node1"), web("web-1", 1), web("web-2", 1), service("web")],
  });
  t.teardown(() => lab.down());
  await lab.startIn("client-1", idle(await lab.clusterIP("web")), CONNECTED);
  const [held] = await lab
    .json("conntrack", "list", "--node", "node1", "-p", "tcp")
    .then((list) => list.items);
  const found = await shares(lab, "client-1", 12);
  t.same(Object.values(found), [12], JSON.stringify(found));
  const idleOne = await lab.podAddress(Object.keys(found)[0]);
  t.notMatch(JSON.stringify(held), idleOne);
});
