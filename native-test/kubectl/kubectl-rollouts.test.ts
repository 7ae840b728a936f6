// Rollouts by Debian's kubectl on a lab's API: status, history, undo, pause, restart and scale of what real pods follow;
// and a CronJob's Job, by the lab's own clock.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { run, until } from "../../src/testing/lab/process.ts";

const workload = (kind: string, color: string, spec: object): object => ({
  apiVersion: "apps/v1",
  kind,
  metadata: { name: "web" },
  spec: {
    selector: { matchLabels: { app: kind } },
    template: {
      metadata: { labels: { app: kind } },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: "main",
            image: "podwire/echo",
            ports: [{ containerPort: 8080 }],
            env: [{ name: "COLOR", value: color }],
            readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
          },
        ],
      },
    },
    ...spec,
  },
});
const cron = {
  apiVersion: "batch/v1",
  kind: "CronJob",
  metadata: { name: "tick" },
  spec: {
    schedule: "* * * * *",
    jobTemplate: {
      spec: {
        template: {
          spec: {
            restartPolicy: "Never",
            containers: [{ name: "main", image: "host", command: ["echo", "ticked"] }],
          },
        },
      },
    },
  },
};

t.test("rollouts", { skip: cannotRun("kubectl") }, async (t) => {
  const begun = Date.now();
  const lab = await TestLab.up("rollouts", {
    nodes: [{ name: "node1" }, { name: "node2" }],
    objects: [
      cron,
      workload("Deployment", "red", { replicas: 3 }),
      workload("StatefulSet", "red", { replicas: 2, serviceName: "web" }),
      workload("DaemonSet", "red", { updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }),
    ],
  });
  t.teardown(() => lab.down());
  const file = join(lab.folder, "kubeconfig");
  await writeFile(file, await lab.output(["kubeconfig"]));
  const kubectl = async (...args: string[]): Promise<string> => {
    const result = await run(["kubectl", "--kubeconfig", file, ...args], { env: { HOME: lab.folder } });
    if (result.status !== 0) throw new Error(`kubectl ${args.join(" ")}: ${result.stderr}`);
    return result.stdout;
  };
  const colors = async (kind: string): Promise<string> => {
    const path = "{range .items[*]}{.spec.containers[0].env[0].value} {end}";
    return (await kubectl("get", "pods", "-l", `app=${kind}`, "-o", `jsonpath=${path}`)).trim();
  };

  for (const [kind, count] of [
    ["Deployment", 3],
    ["StatefulSet", 2],
    ["DaemonSet", 2],
  ] as const) {
    await t.test(`${kind}: there and back`, async (t) => {
      const name = `${kind.toLowerCase()}/web`;
      const all = (color: string): string => Array(count).fill(color).join(" ");
      const done = (): Promise<string> => kubectl("rollout", "status", name, "--timeout=50s");
      await done();
      await kubectl("set", "env", name, "COLOR=blue");
      t.match(await done(), /successfully rolled out|roll out complete|update complete/);
      await until("old pods to be gone", async () => (await colors(kind)) === all("blue"));
      t.match(await kubectl("rollout", "history", name), /1 .*\n2 /);
      await kubectl("rollout", "undo", name);
      await done();
      await until("the first template again", async () => (await colors(kind)) === all("red"));
      t.match(await kubectl("rollout", "history", name), /2 .*\n3 /);
    });
  }

  await t.test("a Deployment's sets are scaled, paused and described", async (t) => {
    await kubectl("rollout", "pause", "deployment/web");
    await kubectl("set", "env", "deployment/web", "COLOR=green");
    await kubectl("scale", "deployment/web", "--replicas=4");
    await until("four pods", async () => (await colors("Deployment")).split(" ").length === 4);
    t.equal(await colors("Deployment"), "red red red red");
    await kubectl("rollout", "resume", "deployment/web");
    await kubectl("rollout", "status", "deployment/web", "--timeout=50s");
    await until("green pods alone", async () => (await colors("Deployment")) === "green green green green");
    const path = "{range .items[*]}{.status.availableReplicas} {end}";
    t.match(await kubectl("get", "rs", "-l", "app=Deployment", "-o", `jsonpath=${path}`), /\b4\b/);
    t.match(
      await kubectl("describe", "deployment", "web"),
      /NewReplicaSet: +web-\w+ \(4\/4 replicas created\)/,
    );
  });

  await t.test("a CronJob's Job has run by the next minute", async (t) => {
    const done = (): Promise<string> =>
      kubectl("get", "jobs", "-o", "jsonpath={range .items[*]}{.metadata.name}={.status.succeeded} {end}");
    while (Date.now() - begun < 90_000 && !/=1/.test(await done())) await sleep(500);
    t.match(await done(), /tick-\d+=1/);
    t.match(await kubectl("get", "cronjob", "tick", "-o", "jsonpath={.status.lastScheduleTime}"), /:00Z$/);
  });
});
