// The lab itself, with kernel nodes only: what is made, repaired, ended and taken away. Needs root, but no agent.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { identify, isAlive } from "../../src/lab/process/process-table.ts";
import { cannotRun, type TestLab as Lab, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { run, until } from "../../src/testing/lab/process.ts";

const skip = cannotRun("curl", "iptables-restore", "ping", "bash", "socat", "conntrack");
const NODES = [
  { name: "node1", agent: "kernel" as const },
  { name: "node2", agent: "kernel" as const },
];

const web = (name: string, node: string, more: object = {}): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: "web" } },
  spec: {
    nodeName: node,
    containers: [
      {
        name: "web",
        image: "podwire/echo",
        ports: [
          { name: "http", containerPort: 8080 },
          { name: "udp", containerPort: 8080, protocol: "UDP" },
        ],
        readinessProbe: { httpGet: { path: "/", port: "http" }, periodSeconds: 1 },
        ...more,
      },
    ],
  },
});

const shell = (name: string, node: string): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: { nodeName: node, containers: [{ name: "shell", image: "shell" }] },
});

const service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web" },
  spec: {
    type: "NodePort",
    selector: { app: "web" },
    ports: [
      { name: "http", port: 80, targetPort: "http", nodePort: 30080 },
      { name: "udp", port: 80, targetPort: "udp", protocol: "UDP" },
    ],
  },
};

const OBJECTS = [web("web-1", "node1"), web("web-2", "node2"), shell("shell-1", "node1"), service];

const statusOf = async (lab: Lab): Promise<LabStatus> =>
  JSON.parse((await lab.podwire(["lab", "status", "-o", "json"])).stdout);
const up = (lab: Lab, file = "lab.yaml") =>
  lab.podwire(["lab", "up", "-f", join(lab.folder, file)], { timeoutMs: 60_000 });

async function ask(
  lab: Lab,
  from: string,
  url: string,
  count = 10,
): Promise<{ pod: string; client: string }[]> {
  const result = await lab.exec(from, [
    "curl",
    "-sS",
    "-m",
    "5",
    "-H",
    "Connection: close",
    `${url}/?n=[1-${count}]`,
  ]);
  if (result.status !== 0) throw new Error(`curl: ${result.stderr}`);
  const lines = result.stdout.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line));
}

for (const [title, overlay] of [
  ["VXLAN", { type: "vxlan", vni: 1, port: 8472 }],
  ["plain routes", { type: "none" }],
] as const) {
  t.test(
    `kernel nodes, ${title}: pods, services, node ports and the outside reach each other`,
    { skip },
    async (t) => {
      const lab = await TestLab.up("objkernel", { nodes: NODES, overlay, objects: OBJECTS });
      t.teardown(() => lab.down());
      const url = `http://${await lab.clusterIP("web")}`;
      const own = await lab.podAddress("shell-1");

      const answers = await ask(lab, "shell-1", url, 40);
      t.equal(answers.length, 40);
      t.same([...new Set(answers.map((a) => a.pod))].sort(), ["web-1", "web-2"]);
      t.ok(
        answers.every((a) => a.client.startsWith(`${own}:`)),
        "the server saw the pod's own address",
      );
      t.equal((await ask(lab, "node/node1", url)).length, 10, "from the node's own shell");
      t.equal((await ask(lab, "web-1", url)).length, 10, "hairpin");
      for (const node of ["192.168.50.11", "192.168.50.12"]) {
        t.equal((await ask(lab, "client/outside", `http://${node}:30080`)).length, 10, `NodePort of ${node}`);
      }
      const big = await lab.exec("shell-1", [
        "ping",
        "-c",
        "1",
        "-W",
        "2",
        "-s",
        "8000",
        await lab.podAddress("web-2"),
      ]);
      t.equal(big.status, 0, "8,000 bytes across nodes");
      const outside = await lab.exec("shell-1", ["ping", "-c", "1", "-W", "2", "192.168.50.100"]);
      t.equal(outside.status, 0, "pod to the outside");
      const query = `exec 3<>/dev/udp/${url.slice(7)}/80; echo who >&3; timeout 2 head -n 1 <&3`;
      const udp = await lab.exec("shell-1", ["bash", "-c", query]);
      t.match(udp.stdout, /"protocol":"UDP"/);
    },
  );
}

t.test("objects and processes of a lab", { skip }, async (t) => {
  const lab = await TestLab.up("objects", { nodes: NODES, objects: OBJECTS });
  t.teardown(() => lab.down());
  const url = `http://${await lab.clusterIP("web")}`;

  t.test("exec: status, input, environment and resolver are the workload's", async (t) => {
    t.equal((await lab.exec("shell-1", ["sh", "-c", "exit 7"])).status, 7);
    t.equal((await lab.exec("shell-1", ["sh", "-c", "kill -9 $$"])).status, 137);
    t.match((await lab.exec("shell-1", ["cat", "/etc/resolv.conf"])).stdout, /^nameserver 10\.96\.0\.10$/m);
    t.equal((await lab.exec("shell-1", ["printenv", "HOSTNAME"])).stdout, "shell-1\n");
    t.equal((await lab.podwire(["exec", "nobody", "--", "true"])).status, 1);
    t.equal((await lab.podwire(["exec", "web-1", "-c", "other", "--", "true"])).status, 1);
  });

  t.test("status: the lab, and what is denied to others", async (t) => {
    const { status, stdout } = await lab.podwire(["status"]);
    t.equal(status, 0, stdout);
    t.match(stdout, /^lab +\S+ +running +yes +\d+ +\d+ +\d+ +-$/m);
    t.match(stdout, /^lab \S+ +lab +yes +\d+ nodes and \d+ pods are as they should be$/m);
    // One who may read the checkout, wherever it lies, but write nowhere.
    const reader = ["--inh-caps", "-all,+dac_read_search", "--ambient-caps", "+dac_read_search"];
    const unprivileged = ["--reuid", "65534", "--regid", "65534", "--clear-groups", ...reader];
    const denied = await run(["setpriv", ...unprivileged, PODWIRE, "status", "--lab", lab.name]);
    t.match(denied, {
      status: 1,
      stderr: /^error: lab \S+: \S+\/lab\.sock: permission denied: run as root\n$/,
    });
  });

  const webSlices = async () =>
    (await lab.json("get", "endpointslices", "-l", "kubernetes.io/service-name=web")).items;

  t.test("kubectl's words for kinds, and its columns", async (t) => {
    t.match(await lab.output(["get", "po", "-o", "wide"]), /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE/);
    t.match(
      await lab.output(["get", "svc", "web"]),
      /web +NodePort +\S+ +<none> +80:30080\/TCP,80\/UDP|80:30080/,
    );
    t.equal((await webSlices()).length, 1);
    t.equal((await lab.podwire(["get", "nonsense"])).status, 1);
    t.equal((await lab.podwire(["get", "pods", "nobody"])).status, 1);
  });

  t.test("a pod that fails its probe leaves the endpoints, and comes back", async (t) => {
    const flag = join(lab.folder, "ready");
    const probe = { exec: { command: ["test", "-e", flag] } };
    await lab.apply(
      web("web-3", "node1", { readinessProbe: { ...probe, periodSeconds: 1, failureThreshold: 1 } }),
    );
    const address = async () => lab.podAddress("web-3");
    const isReady = async (): Promise<boolean> => {
      const [slice] = await webSlices();
      const own = await address();
      return slice.endpoints.some(
        (e: { addresses: string[]; conditions: { ready: boolean } }) =>
          e.addresses[0] === own && e.conditions.ready,
      );
    };
    t.equal(await isReady(), false);
    await writeFile(flag, "");
    await until("the endpoint", isReady);
    await run(["rm", flag]);
    await until("the endpoint to leave", async () => !(await isReady()));
    t.equal((await lab.podwire(["delete", "pod", "web-3"])).status, 0);
    t.equal((await lab.podwire(["get", "pod", "web-3"])).status, 1);
  });

  t.test("a pod that ends gracefully is a terminating endpoint that still serves", async (t) => {
    await lab.apply(web("web-4", "node2", { lifecycle: { preStop: { exec: { command: ["sleep", "4"] } } } }));
    const find = async () => {
      const own = (await lab.json("get", "pods")).items.find(
        (p: { metadata: { name: string } }) => p.metadata.name === "web-4",
      );
      const [slice] = await webSlices();
      return slice.endpoints.find(
        (e: { addresses: string[] }) => e.addresses[0] === own?.status.podIPs[0].ip,
      );
    };
    await until("web-4 to be ready", async () => (await find())?.conditions.ready === true);
    t.equal((await lab.podwire(["delete", "pod/web-4", "--no-wait"])).status, 0);
    t.match((await find())?.conditions, { ready: false, serving: true, terminating: true });
    await until("web-4 to be gone", async () => (await lab.podwire(["get", "pod", "web-4"])).status === 1);
    await until("its namespace to be gone", async () => {
      return !(await run(["ip", "netns", "list"])).stdout.includes("-web-4");
    });
  });

  t.test("a UDP client that goes on sending gets to another endpoint when its own goes", async (t) => {
    const command = ["socat", "-t1", "-", `UDP4:${url.slice(7)}:80,sourceport=40404,reuseaddr`];
    const asks = async (): Promise<string> => {
      const { stdout } = await lab.exec("shell-1", command, { input: "who" });
      return /"pod":"([\w-]+)"/.exec(stdout)?.[1] ?? "";
    };
    const first = await asks();
    t.match(first, /^web-[12]$/);
    t.equal(await asks(), first, "one connection");
    await lab.output(["delete", "pod", first, "--grace-period", "0"]);
    const other = first === "web-1" ? "web-2" : "web-1";
    await until("the other endpoint", async () => (await asks()) === other);
    await lab.apply(web(first, first === "web-1" ? "node1" : "node2"));
    await until(
      "both endpoints",
      async () => new Set((await ask(lab, "shell-1", url, 20)).map((a) => a.pod)).size === 2,
    );
  });

  t.test("what crashes is started again, first at once, then later, and status tells", async (t) => {
    const crash = { name: "crash", image: "shell", command: ["sh", "-c", "echo out of luck >&2; exit 3"] };
    await lab.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "crash" },
      spec: { nodeName: "node1", containers: [crash] },
    });
    const report = async () => (await statusOf(lab)).pods.find((p) => p.name === "crash");
    await until("the second restart", async () => (await report())?.status === "CrashLoopBackOff");
    t.match(await report(), { ready: "0/1", reason: "crash: exit status 3: out of luck" });
    const status = await lab.podwire(["lab", "status"]);
    t.equal(status.status, 3, "something is not right");
    t.match(status.stdout, /pod default\/crash: CrashLoopBackOff: crash: exit status 3: out of luck/);
    t.match(await lab.output(["logs", "crash"]), /^(out of luck\n)+$/);
    await lab.output(["delete", "pod", "crash"]);
    t.equal((await lab.podwire(["lab", "status"])).status, 0);
  });

  t.test("the lab process is killed: everything runs on, and lab up takes it over", async (t) => {
    const before = await statusOf(lab);
    process.kill(before.pid ?? 0, "SIGKILL");
    await until("status to tell", async () => (await statusOf(lab)).state === "dead");
    t.equal((await lab.podwire(["get", "pods"])).status, 1);
    t.equal((await up(lab)).status, 0);
    const after = await statusOf(lab);
    t.equal(after.ready, true);
    t.same(pids(after), pids(before), "the pods' processes are the same");
    t.equal((await ask(lab, "shell-1", url)).length, 10);
  });

  t.test("a namespace that is gone is made again", async (t) => {
    await run(["ip", "netns", "del", `pw-${lab.name}-p-default-web-2`]);
    await run(["ip", "netns", "del", `pw-${lab.name}-n-node2`]);
    t.equal((await up(lab)).status, 0);
    // Until a probe has passed again the service has no endpoint, and refuses.
    await until("both endpoints", async () => {
      const answers = await ask(lab, "shell-1", url, 20).catch(() => []);
      return new Set(answers.map((a) => a.pod)).size === 2;
    });
  });

  t.test("another lab.yaml under the same name is refused", async (t) => {
    const other = {
      apiVersion: "podwire.dev/v1alpha1",
      kind: "Lab",
      spec: { nodes: [{ name: "other", agent: "kernel" }] },
    };
    await writeFile(join(lab.folder, "other.yaml"), JSON.stringify(other));
    const result = await up(lab, "other.yaml");
    t.equal(result.status, 1);
    t.match(
      result.stderr,
      /^error: .*is running with other nodes: podwire lab down --lab t-objects first[^\n]*\n$/,
    );
  });
});

const pids = (status: LabStatus): number[] => status.pods.flatMap((p) => p.processes.map((c) => c.pid ?? 0));

t.test(
  "lab down leaves nothing, also when everything was killed and the state is gone",
  { skip },
  async (t) => {
    const lab = await TestLab.up("gone", { nodes: NODES, objects: OBJECTS });
    t.teardown(() => lab.down());
    const status = await statusOf(lab);
    const running = pids(status)
      .map(identify)
      .filter((id) => id !== undefined);
    const stray = lab.exec("shell-1", ["sleep", "600"]);
    await until("the stray program", async () => {
      const { stdout } = await run(["ip", "netns", "pids", `pw-${lab.name}-p-default-shell-1`]);
      return stdout.trim() !== "";
    });
    process.kill(status.pid ?? 0, "SIGKILL");
    await run(["rm", "-rf", `/run/podwire/labs/${lab.name}`]);
    const again = await run([PODWIRE, "lab", "up", "-f", join(lab.folder, "lab.yaml")]);
    t.equal(again.status, 1);
    t.match(again.stderr, /lab name "t-gone" is in use/);
    t.match(await lab.output(["lab", "list"]), /t-gone +dead/);
    t.equal((await lab.down()).status, 0);
    t.same(await lab.traces(), []);
    t.not((await stray).status, 0, "what ran inside is ended");
    t.notOk(running.some(isAlive), "the pods' processes are gone");
    t.equal((await lab.podwire(["lab", "down"])).status, 0, "a second time is no error");
  },
);

t.test("two labs with the same addresses stand side by side", { skip }, async (t) => {
  const labs: TestLab[] = [];
  for (const name of ["twin-a", "twin-b"])
    labs.push(await TestLab.up(name, { nodes: NODES, objects: OBJECTS }));
  t.teardown(async () => {
    for (const lab of labs) await lab.down();
  });
  const [a, b] = labs;
  for (const lab of labs)
    t.equal((await ask(lab, "shell-1", `http://${await lab.clusterIP("web")}`)).length, 10);
  await a.down();
  t.same(await a.traces(), []);
  t.equal(
    (await ask(b, "shell-1", `http://${await b.clusterIP("web")}`)).length,
    10,
    "the other does not notice",
  );
});

t.test(
  "lab up does not wait for pods that cannot run: it names them, with the reason",
  { skip },
  async (t) => {
    const ports = [{ containerPort: 8080, hostPort: 8088 }];
    const on = (name: string, spec: object): object => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name },
      spec: { containers: [{ name: "c", image: "podwire/echo", ports }], ...spec },
    });
    const dies = [{ name: "c", image: "shell", command: ["sh", "-c", "exit 3"] }];
    const began = Date.now();
    const lab = await TestLab.up("stuck", {
      nodes: NODES,
      objects: [
        on("first", { nodeName: "node1" }),
        on("late", { nodeName: "node1" }),
        on("second", { nodeName: "node2" }),
        on("third", {}),
        on("lost", { nodeName: "elsewhere" }),
        on("dies", { nodeName: "node1", containers: dies, restartPolicy: "Never" }),
      ],
    });
    t.teardown(() => lab.down());
    const again = await up(lab);
    t.ok(Date.now() - began < 30_000, `${Date.now() - began} ms, not the time-out of 60 s`);
    t.equal(again.status, 0, "as kubectl apply succeeds");
    t.same(
      again.stderr.split("\n").filter((line) => line !== ""),
      [
        "warning: pod default/dies: Error: c: exit status 3",
        "warning: pod default/late: NodePorts: Pod was rejected: Predicate NodePorts failed",
        'warning: pod default/lost: Pending: there is no node "elsewhere" in this lab',
        "warning: pod default/third: Pending: 0/2 nodes are available: 2 node(s) didn't have free ports for the " +
          "requested pod ports.",
        "lab t-stuck is complete: 2 nodes, 6 pods (4 of them cannot get ready), 1 client",
        "its Kubernetes API: export KUBECONFIG=/run/podwire/labs/t-stuck/kubeconfig",
      ],
    );
    t.equal((await lab.podwire(["lab", "status"])).status, 3);
    await lab.output(["delete", "pod", "second"]);
    await until("the port's next owner", async () => {
      return (await statusOf(lab)).pods.some(({ name, status }) => name === "third" && status === "Running");
    });
  },
);
