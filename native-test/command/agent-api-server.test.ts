// An agent that follows an API server: what it hears reaches packets, and what becomes of a node whose server is away.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { refuse, StandIn } from "../../src/testing/api-server/stand-in.ts";
import { cannotRun, PODWIRE } from "../../src/testing/lab/lab.ts";
import { type Running, run, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { CONFIG, makeNode, objects, startWeb } from "../support/own-node.ts";

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
}

const namespaces = new Namespaces("pwt-api");
const skip = cannotRun("curl", "socat");

t.test("an agent and its API server", { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-api-"));
  const socket = join(folder, "agent.sock");
  const running: Running[] = [];
  const api = new StandIn();
  t.teardown(async () => {
    for (const each of running.reverse()) await each.stop();
    await api.close();
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  makeNode(namespaces);
  const given = objects(namespaces);
  for (const object of given) api.put(object);
  const port = await api.listen();
  const [kubeconfig, config] = [join(folder, "kubeconfig"), join(folder, "agent.yaml")];
  await writeFile(
    kubeconfig,
    JSON.stringify({
      "current-context": "x",
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      clusters: [{ name: "c", cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: "u", user: { token: "none" } }],
    }),
  );
  const source = { kubernetes: { kubeconfig, stateFile: join(folder, "objects.gz") } };
  const wanted = { ...CONFIG, netns: namespaces.path("node"), socket, source };
  await writeFile(config, JSON.stringify(wanted));
  const agent = () => start([PODWIRE, "agent", "--config", config], /data plane running/);
  const podwire = (...words: string[]) => run([PODWIRE, "--agent", socket, ...words]);
  const curl = async (): Promise<string> => {
    const words = "curl -sS --max-time 1 http://10.96.0.80/";
    return (await run(namespaces.command("shell", words))).stdout;
  };
  const answers = (): Promise<void> =>
    until("an answer of the service", async () => (await curl()).startsWith("pod web"));
  running.push(await startWeb(namespaces), await agent());
  await answers();

  await t.test("a change is heard and applied", async (t) => {
    const slice = given.find(({ kind }) => kind === "EndpointSlice");
    api.put({ ...slice, endpoints: [] });
    await until("the service to have nobody", async () => (await curl()) === "");
    api.put(slice!);
    await answers();
    t.match(await podwire("status"), {
      status: 0,
      stdout: /node1 +objects +yes +2 nodes, 3 pods, 1 service, 1 slice/,
    });
  });

  await t.test(
    "its Node says that there is a network, and when the agent ends that there is none",
    async (t) => {
      const told = (): string => {
        const stored = api.get("/api/v1/nodes", "/node1") as unknown as {
          status: { conditions?: Condition[] };
        };
        const found = stored.status.conditions?.find(({ type }) => type === "NetworkUnavailable");
        return `${found?.status} ${found?.reason}`;
      };
      await until("the condition", async () => told() === "False PodwireIsUp");
      t.match(api.get("/api/v1/nodes", "/node1")?.metadata.annotations, {
        ...{ "podwire.dev/version": /^\d/, "podwire.dev/pod-mtu": "1450" },
      });
      t.equal(api.get("/api/v1/nodes", "/node2")?.metadata.annotations, undefined);
      await running.pop()?.stop();
      t.equal(told(), "True PodwireIsDown");
      running.push(await agent());
      await until("the condition", async () => told() === "False PodwireIsUp");
      api.fault = (request, response) => {
        if (!request.url?.endsWith("/status")) return false;
        refuse(response, 403, "nodes is forbidden");
        return true;
      };
      await running.pop()?.stop();
      running.push(await agent());
      api.put({ ...given[0], metadata: { name: "node1", uid: "another" } });
      const line = /Node node1 is not told that its network is up: nodes is forbidden/;
      await until("status to tell", async () => line.test((await podwire("status")).stdout));
      t.equal((await podwire("status")).status, 3);
      await answers();
      api.fault = () => false;
    },
  );

  await t.test("the server is away: the node goes on and says so", async (t) => {
    await api.close();
    const told = /API server http:\/\/127\.0\.0\.1:\d+: .*connection refused/;
    await until("status to tell", async () => told.test((await podwire("status")).stdout));
    t.equal((await podwire("status")).status, 3);
    await answers();
    const metrics = await run(namespaces.command("node", "curl -s http://127.0.0.1:10249/metrics"));
    t.match(metrics.stdout, /^podwire_source_up 0$/m);
    t.match(metrics.stdout, /^podwire_source_silent_seconds \d/m);
  });

  await t.test(
    "an agent that starts meanwhile knows what the last one knew; then the server comes back",
    async (t) => {
      await until(
        "the state to be kept",
        async () => (await run(["test", "-s", source.kubernetes.stateFile])).status === 0,
      );
      await running.pop()?.stop("SIGKILL");
      running.push(await agent());
      await answers();
      t.match(
        running.at(-1)?.output(),
        /the API server does not answer: \d+ objects of \S+ are taken from disk/,
      );
      await api.listen(port);
      await until("status to be well", async () => (await podwire("status")).status === 0);
      await answers();
    },
  );

  await t.test("what cannot be used is one line", async (t) => {
    const none = join(folder, "none");
    const second = { ...wanted, socket: join(folder, "second.sock") };
    await writeFile(config, JSON.stringify({ ...second, source: { kubernetes: { kubeconfig: none } } }));
    const { status, stderr } = await run([PODWIRE, "agent", "--config", config]);
    t.same([status, stderr], [1, `error: kubeconfig ${none}: no such file\n`]);
  });
});
