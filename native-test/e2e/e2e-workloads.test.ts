// What makes pods, in a lab: their pods run, are made again, come in order, end; and Endpoints lead to an address outside.
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { HTTP_PORT } from "../../src/testing/lab/objects.ts";
import { until } from "../../src/testing/lab/process.ts";

const echo = { name: "main", image: "podwire/echo", ports: [{ containerPort: HTTP_PORT }] };
const workload = (kind: string, name: string, spec: object): object => ({
  apiVersion: "apps/v1",
  kind,
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [echo] } },
    ...spec,
  },
});
const job = {
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name: "once" },
  spec: {
    completions: 2,
    parallelism: 2,
    completionMode: "Indexed",
    template: {
      spec: {
        restartPolicy: "Never",
        containers: [{ name: "main", image: "host", command: ["sh", "-c", "echo $JOB_COMPLETION_INDEX"] }],
      },
    },
  },
};
const outside = [
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "out" },
    spec: { clusterIP: "10.96.1.21", ports: [{ port: 80 }] },
  },
  {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { name: "out" },
    subsets: [{ addresses: [{ ip: "192.168.50.100" }], ports: [{ port: 8000 }] }],
  },
];

t.test("workloads in a lab", { skip: cannotRun("curl", "python3") }, async (t) => {
  const lab = await TestLab.up("workloads", {
    objects: [
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "web" } },
      workload("StatefulSet", "db", { replicas: 2, serviceName: "db" }),
      workload("DaemonSet", "agent", {}),
      workload("ReplicaSet", "rep", { replicas: 1 }),
      job,
      ...outside,
    ],
  });
  t.teardown(() => lab.down());
  const phases = async (): Promise<Record<string, string>> => {
    const { items } = await lab.json("get", "pods");
    const entries = (items as { metadata: { name: string }; status: { phase: string } }[]).map((pod) => [
      pod.metadata.name.replace(/-[a-z0-9]{5}$/, ""),
      pod.status.phase,
    ]);
    return Object.fromEntries(entries) as Record<string, string>;
  };
  const wanted = {
    agent: "Running",
    "db-0": "Running",
    "db-1": "Running",
    "once-0": "Succeeded",
    "once-1": "Succeeded",
    rep: "Running",
  };
  await until(
    "every pod to run or be done",
    async () => JSON.stringify(await phases()) === JSON.stringify(wanted),
  );
  t.match(await lab.output(["get", "jobs"]), /^once +Complete +2\/2 /m);
  t.match(await lab.output(["get", "ds"]), /^agent +2 +2 +2 +2 +2 /m);
  t.match(await lab.output(["get", "sts"]), /^db +2\/2 /m);
  t.equal((await lab.exec("sts/db", ["sh", "-c", "echo $HOSTNAME"])).stdout, "db-0\n");

  await lab.output(["delete", "pod", "db-0"]);
  await until("db-0 to come again", async () => (await phases())["db-0"] === "Running");
  await lab.output(["delete", "rs", "rep"]);
  t.notOk("rep" in (await phases()), "pods are waited for");

  const server = ["python3", "-m", "http.server", "--bind", "192.168.50.100", "8000"];
  await lab.startIn("client/outside", ["env", "PYTHONUNBUFFERED=1", ...server], /Serving/);
  const asked = await lab.exec("ds/agent", [
    "curl",
    "-sS",
    "-m",
    "5",
    "-o",
    "/dev/null",
    "-w",
    "%{http_code}",
    "http://10.96.1.21/",
  ]);
  t.equal(asked.stdout, "200", asked.stderr);
});
