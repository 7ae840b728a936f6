// What is killed comes back or is told; what is taken down is gone.
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { standardObjects } from "../../src/testing/lab/objects.ts";
import { until } from "../../src/testing/lab/process.ts";
import { ask } from "../support/service-scenario.ts";

// biome-ignore lint/suspicious/noExplicitAny: the command's JSON
const status = async (lab: TestLab): Promise<any> =>
  JSON.parse((await lab.podwire(["lab", "status", "-o", "json"])).stdout);

const skip = cannotRun("curl");

t.test("processes killed by signal 9", { skip }, async (t) => {
  const lab = await TestLab.up("killed", { objects: standardObjects() });
  t.teardown(() => lab.down());
  const url = `http://${await lab.clusterIP("web")}`;

  t.test("an agent comes back, status tells, and traffic flows again", async (t) => {
    const before = (await status(lab)).nodes[0];
    process.kill(before.pid, "SIGKILL");
    await until("the restart of the agent in lab status", async () => {
      const { nodes } = await status(lab);
      return nodes[0].restarts > before.restarts && nodes[0].state === "Ready";
    });
    t.not((await status(lab)).nodes[0].pid, before.pid);
    t.equal((await ask(lab, "client-1", url, 20)).length, 20);
  });

  t.test("an uplink whose link went down works again when it is back", async (t) => {
    const link = async (state: string): Promise<void> => {
      await lab.output(["exec", "node/node1", "--", "ip", "link", "set", "eth0", state]);
    };
    await link("down");
    await new Promise((resolve) => setTimeout(resolve, 300));
    await link("up");
    await until("an answer from both endpoints", async () => {
      const answers = await ask(lab, "client-1", url, 20).catch(() => []);
      return new Set(answers.map((a) => a.pod)).size === 2;
    });
    t.pass("traffic crosses the fabric again");
  });

  t.test("a pod's process comes back, and status tells", async (t) => {
    // biome-ignore lint/suspicious/noExplicitAny: the command's JSON
    const web = async () => (await status(lab)).pods.find((p: any) => p.name === "web-1");
    const before = await web();
    process.kill(before.processes[0].pid, "SIGKILL");
    await until("the restart of the pod in lab status", async () => {
      const pod = await web();
      return pod.restarts > before.restarts && pod.ready === "1/1";
    });
    t.match((await web()).reason, /signal 9/);
    t.equal((await ask(lab, "client-1", url, 20)).length, 20);
  });

  t.test("without the lab process status tells, packets go on, and lab up repairs", async (t) => {
    process.kill((await status(lab)).pid, "SIGKILL");
    await until(
      "the death of the lab process in lab status",
      async () => (await status(lab)).state === "dead",
    );
    const up = await lab.podwire(["lab", "up", "-f", `${lab.folder}/lab.yaml`], { timeoutMs: 90_000 });
    t.equal(up.status, 0, up.stderr);
    t.equal((await status(lab)).state, "running");
    t.equal(`http://${await lab.clusterIP("web")}`, url, "the ClusterIP is still the same");
    t.equal((await ask(lab, "client-1", url, 20)).length, 20);
  });

  t.test("lab down cleans up after a lab process and agents that were killed", async (t) => {
    const { pid, nodes } = await status(lab);
    for (const victim of [pid, ...nodes.map((n: { pid: number }) => n.pid)]) process.kill(victim, "SIGKILL");
    t.equal((await lab.down()).status, 0);
    t.same(await lab.traces(), []);
  });
});

t.test("two labs stand side by side", { skip }, async (t) => {
  const labs: TestLab[] = [];
  t.teardown(async () => {
    for (const lab of labs) await lab.down();
  });
  for (const name of ["side-a", "side-b"]) labs.push(await TestLab.up(name, { objects: standardObjects() }));
  for (const lab of labs)
    t.equal((await ask(lab, "client-1", `http://${await lab.clusterIP("web")}`, 20)).length, 20);
  await labs[0].down();
  t.same(await labs[0].traces(), []);
  const url = `http://${await labs[1].clusterIP("web")}`;
  t.equal((await ask(labs[1], "client-1", url, 20)).length, 20, "the other one does not notice");
});
