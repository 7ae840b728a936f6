// Services of type LoadBalancer in a lab, as a client on the fabric sees them: one node answers for an address, who asks
// gets answers while what is behind it is replaced, and when that node dies another one goes on.
import t, { type Test } from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { HTTP_PORT } from "../../src/testing/lab/objects.ts";
import { run, sleep, until } from "../../src/testing/lab/process.ts";
import { type Asked, startAsker, stopAsker } from "../support/asker.ts";

const VIP = { web: "192.168.50.240", db: "192.168.50.241", local: "192.168.50.242", only: "192.168.50.243" };
const VIP6 = "fd00:192:168:50::f0";
const CLIENT = "192.168.50.100";
const REQUESTS_PER_SEC = 100;
const WAIT_MS = 60_000;
/** A second is usual: docs/lab.md. */
const SILENCE_MAX_MS = 5000;
/** A pod that goes serves for so long: until everybody has let go of it, on a machine that is busy too. */
const GRACE_SEC = 5;

const template = (app: string, graceSec: number) => ({
  metadata: { labels: { app } },
  spec: {
    terminationGracePeriodSeconds: graceSec + 5,
    containers: [
      {
        name: "main",
        image: "podwire/echo",
        ports: [{ containerPort: HTTP_PORT }],
        readinessProbe: { tcpSocket: { port: HTTP_PORT }, periodSeconds: 1 },
        lifecycle: { preStop: { exec: { command: ["sleep", String(graceSec)] } } },
      },
    ],
  },
});
const workload = (kind: string, name: string, replicas: number, more = {}): object => ({
  ...{ apiVersion: "apps/v1", kind, metadata: { name } },
  spec: { replicas, selector: { matchLabels: { app: name } }, template: template(name, GRACE_SEC), ...more },
});
const balanced = (name: string, app: string, more = {}): object => ({
  ...{ apiVersion: "v1", kind: "Service", metadata: { name } },
  spec: { type: "LoadBalancer", selector: { app }, ports: [{ port: 80, targetPort: HTTP_PORT }], ...more },
});

const objects = [
  workload("Deployment", "web", 3, { strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }),
  workload("StatefulSet", "db", 2, { serviceName: "db" }),
  workload("Deployment", "one", 1),
  balanced("web", "web", { ipFamilyPolicy: "RequireDualStack" }),
  balanced("db", "db", { allocateLoadBalancerNodePorts: false }),
  balanced("local", "one", { externalTrafficPolicy: "Local" }),
  balanced("only", "web", { loadBalancerSourceRanges: [`${CLIENT}/32`], loadBalancerIP: VIP.only }),
];

// biome-ignore lint/suspicious/noExplicitAny: the command's JSON
type Json = any;

const fromOf = async (lab: TestLab, name: string): Promise<string> =>
  (await lab.json("get", "services", name)).metadata.annotations?.["podwire.dev/announced-from"] ?? "";
const status = async (lab: TestLab): Promise<Json> =>
  JSON.parse((await lab.podwire(["lab", "status", "-o", "json"])).stdout);

function told({ sent, done, failed, gapMs, slowestMs }: Asked): string {
  const pods = Object.keys(done).length;
  return `${sent} requests, ${failed.length} lost, ${pods} pods, longest silence ${gapMs} ms, slowest ${slowestMs} ms`;
}

/** What the fabric says of an address while a client that knows nothing asks for it: who answers. */
async function whoAnswers(lab: TestLab, from: string, address: string, url: string): Promise<string[]> {
  const listen = ["tcpdump", "-lnei", "eth0", "arp or icmp6"];
  const running = await lab.startIn(from, listen, /listening on/);
  await lab.output(["exec", from, "--", "ip", "neigh", "flush", "all"]);
  const asked = await lab.exec(from, ["curl", "-sS", "-m", "5", "-o", "/dev/null", url]);
  if (asked.status !== 0) throw new Error(asked.stderr);
  await sleep(500);
  await running.stop();
  const answers = address.includes(":")
    ? new RegExp(`neighbor advertisement, tgt is ${address}`)
    : new RegExp(`Reply ${address} is-at`);
  return running
    .output()
    .split("\n")
    .filter((line) => answers.test(line) && !/> (?:ff:ff|Broadcast|33:33)/.test(line)); // nobody asked for those
}

t.test("load balancers", { skip: cannotRun("curl", "tcpdump") }, async (t) => {
  const lab = await TestLab.up("balanced", {
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
    nodes: [{ name: "node1" }, { name: "node2" }, { name: "node3" }],
    clients: [
      { name: "outside", address: CLIENT },
      { name: "other", address: "192.168.50.101" },
    ],
    loadBalancer: { pool: [`${VIP.web}/30`, `${VIP6}/128`] },
    objects,
  });
  t.teardown(() => lab.down());

  t.test("addresses, and an Event where there is none left", async (t) => {
    for (const [name, address] of Object.entries(VIP)) {
      const { status } = await lab.json("get", "services", name);
      t.match(status.loadBalancer.ingress[0], { ip: address, ipMode: "VIP" }, name);
    }
    t.match(await lab.output(["get", "services", "web"]), new RegExp(` ${VIP.web},${VIP6} `));
    const { spec } = await lab.json("get", "services", "db");
    t.equal(spec.ports[0].nodePort, undefined, "no node port");
    await lab.apply(
      balanced("late", "web"),
      balanced("theirs", "web", { loadBalancerClass: "example.com/lb" }),
    );
    t.match(await lab.output(["get", "services", "late"]), /<pending>/);
    t.match(
      await lab.output(["describe", "service", "late"]),
      /Warning +AllocationFailed .* no IPv4 address is left/,
    );
    t.same((await lab.json("get", "services", "theirs")).status.loadBalancer ?? {}, {});
    await lab.output(["delete", "service", "late", "theirs"]);
    const node = await fromOf(lab, "web");
    t.match(await lab.output(["describe", "service", "web"]), new RegExp(`nodeAssigned .* node "${node}"`));
  });

  t.test("one node answers for an address, by ARP and by neighbour discovery", async (t) => {
    for (const [address, url] of [
      [VIP.web, `http://${VIP.web}/`],
      [VIP6, `http://[${VIP6}]/`],
    ]) {
      const answers = await whoAnswers(lab, "client/outside", address, url);
      t.equal(answers.length, 1, answers.join("\n"));
      t.comment(answers[0]);
    }
  });

  t.test("loadBalancerSourceRanges let nobody else in", async (t) => {
    const ask = (from: string) => lab.exec(from, ["curl", "-sS", "-m", "2", `http://${VIP.only}/`]);
    t.equal((await ask("client/outside")).status, 0);
    t.equal((await ask("client/other")).status, 28, "no answer");
  });

  t.test(
    "with externalTrafficPolicy Local a node with the pod announces, and the pod sees the client",
    async (t) => {
      const asked = await lab.exec("client/outside", ["curl", "-sS", "-m", "5", `http://${VIP.local}/`]);
      const { client, node } = JSON.parse(asked.stdout);
      t.match(client, new RegExp(`^${CLIENT}:`));
      t.equal(await fromOf(lab, "local"), node);
    },
  );

  const asking = async (
    t: Test,
    name: string,
    address: string,
    change: () => Promise<void>,
  ): Promise<Asked> => {
    const asker = await startAsker(lab, "client/outside", REQUESTS_PER_SEC, `${address}:80`);
    await sleep(500);
    await change();
    await sleep(500);
    const asked = await stopAsker(asker);
    t.comment(`${name}: ${told(asked)}`);
    for (const line of asked.failed.slice(0, 20)) t.comment(line);
    t.ok(asked.sent > REQUESTS_PER_SEC / 2, `${asked.sent} requests`);
    return asked;
  };

  t.test("no request is lost while a Deployment rolls", async (t) => {
    const asked = await asking(t, "rolling update", VIP.web, async () => {
      await lab.output(["rollout", "restart", "deployment", "web"]);
      await lab.output(["rollout", "status", "deployment", "web", "--timeout", "120s"], {
        timeoutMs: 130_000,
      });
      await until(
        "the last pods to be gone",
        async () => {
          const { items } = await lab.json("get", "pods", "-l", "app=web");
          return items.length === 3;
        },
        WAIT_MS,
      );
    });
    t.same(asked.failed, []);
    t.ok(Object.keys(asked.done).length > 3, "by old pods and by new ones");
  });

  t.test("no request is lost while a StatefulSet is scaled up and down", async (t) => {
    const ready = (n: number) =>
      until(
        `${n} pods of db`,
        async () => {
          const { items } = await lab.json("get", "pods", "-l", "app=db");
          const isReady = (pod: Json) =>
            pod.status.conditions?.some((c: Json) => c.type === "Ready" && c.status === "True");
          return items.length === n && items.every(isReady);
        },
        WAIT_MS,
      );
    const asked = await asking(t, "StatefulSet 2, 4, 1", VIP.db, async () => {
      await lab.output(["scale", "sts/db", "--replicas", "4"]);
      await ready(4);
      await sleep(300);
      await lab.output(["scale", "sts/db", "--replicas", "1"]);
      await ready(1);
    });
    t.same(asked.failed, []);
    t.same(Object.keys(asked.done).sort(), ["db-0", "db-1", "db-2", "db-3"]);
  });

  t.test("an agent that ends comes back to its addresses", async (t) => {
    const node = await fromOf(lab, "web");
    const { pid, restarts } = (await status(lab)).nodes.find((each: Json) => each.name === node);
    const asked = await asking(t, "agent killed", VIP.web, async () => {
      process.kill(pid, "SIGKILL");
      await sleep(9000); // those that ask meanwhile are answered, or have given up
    });
    t.ok(asked.failed.length < REQUESTS_PER_SEC / 5, "those that come while it begins anew");
    const now = (await status(lab)).nodes.find((each: Json) => each.name === node);
    t.match(now, { state: "Ready", restarts: restarts + 1 });
    t.equal(await fromOf(lab, "web"), node);
    const after = await asking(t, "after it", VIP.web, () => sleep(1000));
    t.same(after.failed, []);
  });

  t.test("a node whose cable is pulled announces nothing until it is back", async (t) => {
    const node = await fromOf(lab, "web");
    const link = (state: string) =>
      lab.output(["exec", `node/${node}`, "--", "ip", "link", "set", "eth0", state]);
    const asked = await asking(t, "cable pulled", VIP.web, async () => {
      await link("down");
      await until("another node to announce", async () => (await fromOf(lab, "web")) !== node, WAIT_MS);
      await sleep(9000);
      await link("up");
      await until("it to announce again", async () => (await fromOf(lab, "web")) === node, WAIT_MS);
      await sleep(2000);
    });
    t.ok(asked.gapMs < SILENCE_MAX_MS, `silence of ${asked.gapMs} ms`);
    const after = await asking(t, "back again", VIP.web, () => sleep(1000));
    t.same(after.failed, []);
  });

  t.test("when the announcing node dies another one goes on", async (t) => {
    const node = await fromOf(lab, "web");
    const dead = (await status(lab)).nodes.find((each: Json) => each.name === node);
    const asked = await asking(t, "node dead", VIP.web, async () => {
      await run(["ip", "-n", `pw-${lab.name}-n-${node}`, "link", "del", "eth0"]); // it cannot come back
      process.kill(dead.pid, "SIGKILL");
      await until("another node to announce", async () => (await fromOf(lab, "web")) !== node, WAIT_MS);
      await sleep(9000);
    });
    t.ok(asked.gapMs < SILENCE_MAX_MS, `silence of ${asked.gapMs} ms`);
    const after = await asking(t, "after it", VIP.web, () => sleep(1000));
    t.same(after.failed, [], "its pods are no endpoints any more");
    const answers = await whoAnswers(lab, "client/outside", VIP.web, `http://${VIP.web}/`);
    t.equal(answers.length, 1, answers.join("\n"));
  });
});
