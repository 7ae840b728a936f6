// How a lab's agents follow its objects: by the Kubernetes API, each as its node.
import { statSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t from "tap";
import { agentKubeconfig, agentSocket, labPaths } from "../../src/lab/state-dir.ts";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod } from "../../src/testing/lab/objects.ts";
import { run, sleep, until } from "../../src/testing/lab/process.ts";
import { monotonicMs } from "../support/live/knocker.ts";
import { LabApiClient } from "../support/live/lab-api-client.ts";
import { LiveLab } from "../support/live/live-lab.ts";
import type { Turned } from "../support/live/reaction.ts";
import { ask } from "../support/service-scenario.ts";

const REACTION = fileURLToPath(new URL("../support/live/reaction.js", import.meta.url));
const PORTS = [7001, 7002] as const;
const CHANGES = 200;
const PATIENCE_MS = 15_000;
/**
 * Beside the agent somebody else follows the same Services by the same API: what the API, the network and a machine's other
 * load take of the time, they take of both. The rest, the agent's own work, may take as long once more, and 10 ms.
 */
const LIMIT = { times: 2, plusMs: 10 };

const turning = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "turning", namespace: "default" },
  spec: {
    selector: { app: "turning" },
    ports: [{ name: "udp", protocol: "UDP", port: 7000, targetPort: PORTS[0] }],
  },
};
const web = {
  ...{ apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "default" } },
  spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
};
const OBJECTS = [
  client("client", "node1"),
  pod("web-1", "node2", { app: "web" }),
  pod("turning", "node2", { command: [process.execPath, REACTION, "serve", ...PORTS.map(String)] }),
  ...[turning, web],
];

interface LabReport {
  readonly state: string;
  readonly pid: number;
  readonly nodes: readonly { readonly name: string; readonly pid: number; readonly state: string }[];
}

interface NodeObject {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly status: { readonly conditions: readonly { readonly type: string; readonly status: string }[] };
}

t.test("agents of a lab follow its API", { skip: cannotRun("curl") }, async (t) => {
  const lab = await TestLab.up("agents", { objects: OBJECTS });
  t.teardown(() => lab.down());
  const paths = labPaths(lab.name);
  const labStatus = async (): Promise<LabReport> =>
    JSON.parse((await lab.podwire(["lab", "status", "-o", "json"])).stdout);
  const agent = (...words: string[]) => run([PODWIRE, "--agent", agentSocket(lab.name, "node1"), ...words]);

  await t.test(
    "each with a kubeconfig that says which node it is, and that nobody else may read",
    async (t) => {
      for (const node of ["node1", "node2"]) {
        const file = agentKubeconfig(paths, node);
        t.equal(statSync(file).mode & 0o777, 0o600);
        const caller = new LabApiClient(file);
        const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        const review = await caller.call<{ status: { userInfo: object } }>("POST", path, {});
        caller.close();
        t.match(review.status.userInfo, { username: `system:node:${node}`, groups: ["system:nodes"] });
      }
    },
  );

  await t.test("its Node says that there is a network, whatever else becomes of it", async (t) => {
    const caller = new LabApiClient(paths.kubeconfig);
    const node = () => caller.call<NodeObject>("GET", "/api/v1/nodes/node1");
    const told = async (): Promise<string> => {
      const { conditions } = (await node()).status;
      const words = conditions.map(({ type, status }) => `${type}=${status}`);
      return words
        .filter((word) => /^(NetworkUnavailable|Ready)=/.test(word))
        .sort()
        .join();
    };
    await until("the condition", async () => (await told()) === "NetworkUnavailable=False,Ready=True");
    t.match((await node()).metadata.annotations, { "podwire.dev/pod-mtu": "1450" });
    await caller.call("PATCH", "/api/v1/nodes/node1", { spec: { unschedulable: true } });
    const [before] = (await labStatus()).nodes;
    process.kill(before.pid, "SIGKILL");
    await until("another agent", async () => {
      const [{ pid, state }] = (await labStatus()).nodes;
      return pid !== before.pid && state === "Ready";
    });
    t.match(await told(), /^NetworkUnavailable=False,/);
    await until("the Node to be ready", async () => (await told()) === "NetworkUnavailable=False,Ready=True");
    t.match(await node(), { spec: { unschedulable: true } }, "nor was it uncordoned");
    await caller.call("PATCH", "/api/v1/nodes/node1", { spec: { unschedulable: null } });
    caller.close();
  });

  await t.test("the lab process is away: the node goes on and says so; then it hears again", async (t) => {
    const before = await labStatus();
    const url = `http://${await lab.clusterIP("web")}`;
    const netns = `pw-${lab.name}-p-default-client`;
    const curl = async () =>
      (await run(["ip", "netns", "exec", netns, "curl", "-sS", "-m", "3", url])).status;
    await until("an answer by the new agent", async () => (await curl()) === 0);
    process.kill(before.pid, "SIGKILL");
    const told = /API server https:\/\/127\.0\.0\.1:\d+: .*connection refused/;
    await until("status to tell", async () => told.test((await agent("status")).stdout));
    const live = await lab.podwire(["exec", "client", "--", "true"]);
    t.not(live.status, 0, "there is no lab to ask");
    t.equal(await curl(), 0);
    await lab.output(["lab", "up", "-f", `${lab.folder}/lab.yaml`], { timeoutMs: 90_000 });
    t.same(
      (await labStatus()).nodes.map(({ pid }) => pid),
      before.nodes.map(({ pid }) => pid),
    );
    await lab.apply(pod("web-2", "node1", { app: "web" }));
    await until("both endpoints", async () => {
      const answers = await ask(lab, "client", url, 20).catch(() => []);
      return new Set(answers.map((each) => each.pod)).size === 2;
    });
    await until("status to be well", async () => (await agent("status")).status === 0);
  });

  await t.test(`from the API call to the packet, ${CHANGES} times`, async (t) => {
    const caller = new LabApiClient(paths.kubeconfig);
    const live = new LiveLab(lab);
    const address = await lab.clusterIP("turning");
    const child = live.spawn(await live.pod("client"), [process.execPath, REACTION, "ask", address, "7000"]);
    if (child.stdout === null) throw new Error("no pipe");
    const turns = new Moments<number>();
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { port, sentMs } = JSON.parse(line) as Turned;
      turns.add(port, sentMs);
    });
    const watcher = new LabApiClient(paths.kubeconfig);
    const told = new Moments<number>();
    await watcher.watch("/api/v1/namespaces/default/services", ({ object }) => {
      const { metadata, spec } = object as typeof turning;
      if (metadata.name === "turning") told.add(spec.ports[0].targetPort, monotonicMs());
    });
    await turns.after(PORTS[0], 0);
    const took: number[] = [];
    const heard: number[] = [];
    for (let n = 1; n <= CHANGES; n++) {
      const targetPort = PORTS[n % 2];
      const beganMs = monotonicMs();
      const body = { spec: { ports: [{ port: 7000, protocol: "UDP", targetPort }] } };
      await caller.call("PATCH", "/api/v1/namespaces/default/services/turning", body);
      took.push((await turns.after(targetPort, beganMs)) - beganMs);
      heard.push((await told.after(targetPort, beganMs)) - beganMs);
      await sleep(20);
    }
    watcher.close();
    child.kill();
    caller.close();
    const [own, others] = [took, heard].map((list) => list.sort((a, b) => a - b));
    const [median, late, longest] = [own[CHANGES / 2], own[Math.floor(CHANGES * 0.99)], own[CHANGES - 1]];
    const watched = others[CHANGES / 2];
    t.comment(`p50 ${median.toFixed(1)} ms, p99 ${late.toFixed(1)} ms, longest ${longest.toFixed(1)} ms`);
    t.comment(`another watcher is told after ${watched.toFixed(1)} ms (p50)`);
    const limit = LIMIT.times * watched + LIMIT.plusMs;
    t.ok(median < limit, `median ${median.toFixed(1)} ms, not ${limit.toFixed(1)}`);
  });
});

/** What came when, and who waits for it. */
class Moments<What> {
  readonly #come: { readonly what: What; readonly atMs: number }[] = [];
  #wake = (): void => {};

  add(what: What, atMs: number): void {
    this.#come.push({ what, atMs });
    this.#wake();
  }

  /** When it first came after `afterMs`. */
  async after(what: What, afterMs: number): Promise<number> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = this.#come.find((each) => each.what === what && each.atMs > afterMs);
      if (found !== undefined) return found.atMs;
      if (performance.now() > until) throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), sleep(1000)]);
    }
  }
}
