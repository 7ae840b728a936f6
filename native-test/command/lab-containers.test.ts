// Containers as kubelet runs them, by real programs: a shop of the shape that people's shops have. Its front end reads a
// ConfigMap's file and waits in an init container for a cache that has a program of this machine; what is missing is waited
// for, what hangs is started again, hooks run, files follow their ConfigMap, and nothing of it is left on the machine.
import { existsSync, readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { memoryHierarchy } from "../../src/lab/process/memory-group.ts";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { until } from "../../src/testing/lab/process.ts";

const sh = (script: string): string[] => ["sh", "-c", script];
const pod = (name: string, spec: object, more: object = {}): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, ...more },
  spec: { terminationGracePeriodSeconds: 3, ...spec },
});
const env = (name: string, valueFrom: object): object => ({ name, valueFrom });
const b64 = (text: string): string => Buffer.from(text).toString("base64");

const settings = (color: string): object => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "settings" },
  data: { COLOR: color, "site.conf": `color ${color}\n` },
});
const secret = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "keys" },
  data: { PASSWORD: b64("hunter2") },
};

/** An image that no machine has, with a program for it in lab.yaml. */
const cache = pod(
  "cache",
  {
    containers: [
      {
        name: "cache",
        image: "registry.example/shop/cache:7",
        ports: [{ containerPort: 6379 }],
        startupProbe: { tcpSocket: { port: 6379 }, periodSeconds: 1 },
      },
    ],
  },
  { labels: { app: "cache" } },
);
const cacheService = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "cache" },
  spec: { clusterIP: "10.96.1.30", selector: { app: "cache" }, ports: [{ port: 6379 }] },
};
const front = pod("front", {
  initContainers: [
    {
      name: "wait",
      image: "host",
      command: sh("until nc -z 10.96.1.30 6379; do sleep 0.2; done; echo waited > /shop-work/waited"),
    },
    {
      name: "mesh",
      image: "host",
      restartPolicy: "Always",
      command: sh("while :; do date > /shop-work/mesh; sleep 0.2; done"),
      startupProbe: { exec: { command: ["test", "-s", "/shop-work/mesh"] }, periodSeconds: 1 },
    },
  ].map((each) => ({ ...each, volumeMounts: [{ name: "work", mountPath: "/shop-work" }] })),
  containers: [
    {
      name: "web",
      image: "host",
      command: sh("cat /etc/site/site.conf /shop-work/waited; exec python3 -m http.server 8080 -d /etc/site"),
      env: [
        env("PASS", { secretKeyRef: { name: "keys", key: "PASSWORD" } }),
        env("CPUS", { resourceFieldRef: { resource: "limits.cpu", divisor: "1m" } }),
      ],
      envFrom: [{ prefix: "CFG_", configMapRef: { name: "settings" } }],
      resources: { limits: { cpu: "250m" } },
      ports: [{ containerPort: 8080 }],
      readinessProbe: { httpGet: { path: "/site.conf", port: 8080 }, periodSeconds: 1 },
      lifecycle: { postStart: { exec: { command: sh("echo $CFG_COLOR > /shop-work/hook") } } },
      volumeMounts: [
        { name: "site", mountPath: "/etc/site", readOnly: true },
        { name: "work", mountPath: "/shop-work" },
        { name: "ram", mountPath: "/ram" },
        { name: "all", mountPath: "/pod/info" },
        { name: "site", mountPath: "/opt/one.conf", subPath: "site.conf" },
      ],
    },
  ],
  hostAliases: [{ ip: "10.9.9.9", hostnames: ["old-shop"] }],
  volumes: [
    {
      name: "site",
      configMap: { name: "settings", items: [{ key: "site.conf", path: "site.conf" }], defaultMode: 0o440 },
    },
    { name: "work", emptyDir: {} },
    { name: "ram", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
    {
      name: "all",
      projected: {
        sources: [
          { secret: { name: "keys" } },
          { serviceAccountToken: { path: "token" } },
          { downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } },
        ],
      },
    },
  ],
});
/** Its view is made when the lab has opened its input: a hook that came at its start would find the machine's files. */
const stocked = pod("stocked", {
  containers: [
    {
      ...{ name: "main", image: "host", command: ["sleep", "infinity"], stdin: true, stdinOnce: true },
      lifecycle: { postStart: { exec: { command: sh("echo in > /stock/hook") } } },
      volumeMounts: [{ name: "stock", mountPath: "/stock" }],
    },
  ],
  volumes: [{ name: "stock", emptyDir: {} }],
});
const hanging = pod("hanging", {
  containers: [
    {
      name: "main",
      image: "host",
      command: sh("echo started; trap '' TERM; while :; do sleep 1; done"),
      livenessProbe: {
        exec: { command: ["false"] },
        periodSeconds: 1,
        failureThreshold: 2,
        terminationGracePeriodSeconds: 1,
      },
    },
  ],
});
const lacking = pod("lacking", {
  containers: [
    { name: "main", image: "host", command: ["sleep", "600"], envFrom: [{ configMapRef: { name: "late" } }] },
  ],
});
const unmounted = pod("unmounted", {
  containers: [
    {
      name: "main",
      image: "host",
      command: ["sleep", "600"],
      volumeMounts: [{ name: "v", mountPath: "/v" }],
    },
  ],
  volumes: [{ name: "v", configMap: { name: "late" } }],
});
const once = pod("once", {
  restartPolicy: "Never",
  containers: [
    {
      name: "main",
      image: "host",
      command: sh("echo short of stock > /dev/termination-log; echo noise; exit 3"),
    },
  ],
});
const stood = pod("stood", {
  containers: [{ name: "main", image: "registry.example/shop/cart:1", ports: [{ containerPort: 80 }] }],
});

/** Its sidecar is up when its init container fails, for good. */
const broken = pod("broken", {
  restartPolicy: "Never",
  initContainers: [
    { name: "mesh", image: "host", restartPolicy: "Always", command: ["sleep", "infinity"] },
    { name: "migrate", image: "host", command: sh("exit 4") },
  ],
  containers: [{ name: "main", image: "host", command: ["sleep", "infinity"] }],
});
const onNode = pod("on-node", {
  hostNetwork: true,
  dnsPolicy: "ClusterFirstWithHostNet",
  containers: [{ name: "main", image: "host", command: ["sleep", "infinity"] }],
});

const hungry = (name: string, script: string): object =>
  pod(name, {
    restartPolicy: "Never",
    containers: [
      {
        ...{ name: "main", image: "host", command: sh(script) },
        resources: { limits: { memory: "32Mi" } },
      },
    ],
  });

interface ContainerStatus {
  restartCount: number;
  ready: boolean;
  state: Record<string, { reason: string; message: string }>;
}
interface Status {
  phase: string;
  initContainerStatuses: ContainerStatus[];
  containerStatuses: ContainerStatus[];
}

t.test("containers in a lab", { skip: cannotRun("python3", "nc", "curl") }, async (t) => {
  const serve = "import socketserver as s; s.TCPServer(('', 6379), s.BaseRequestHandler).serve_forever()";
  const lab = await TestLab.up("containers", {
    nodes: [{ name: "node1" }],
    images: [
      { match: "shop/cache", run: ["python3", "-c", serve] },
      { match: "*/shop/cache", run: ["python3", "-c", serve] },
    ],
    objects: [settings("red"), secret, cacheService, front, cache, stood],
  });
  t.teardown(() => lab.down());
  const status = async (name: string): Promise<Status> => (await lab.json("get", "pod", name)).status;
  const inFront = async (script: string): Promise<string> => (await lab.exec("front", sh(script))).stdout;

  await t.test("the front end came up after its init container, beside its sidecar", async (t) => {
    const lines = await lab.output(["get", "pods", "front", "--no-headers"]);
    t.match(lines, /front\s+2\/2\s+Running/);
    t.match(await lab.output(["logs", "front", "-c", "web"]), /color red\nwaited/);
  });

  await t.test("variables, hooks and volumes are there, for a program beside it too", async (t) => {
    t.equal(await inFront("echo $PASS $CPUS $CFG_COLOR; cat /shop-work/hook"), "hunter2 250 red\nred\n");
    t.match(
      await inFront("cat /pod/info/name /pod/info/PASSWORD /pod/info/token"),
      /^fronthunter2ey[\w-]+\.[\w-]+\.[\w-]+$/,
    );
    t.equal(await inFront("cat /opt/one.conf; stat -Lc %a /etc/site/site.conf"), "color red\n440\n");
    t.match(await inFront("df -k /ram | tail -n 1"), /^tmpfs\s+1024 /);
    t.match(await inFront("echo x > /etc/site/y || echo refused"), /refused/);
    t.match(await inFront("hostname; getent hosts old-shop"), /^front\n10\.9\.9\.9/);
    t.equal((await lab.exec("front", ["test", "-e", "/shop-work/mesh"])).status, 0);
  });

  await t.test("a hook comes when all is mounted, and what runs has it behind it", async (t) => {
    await lab.apply(stocked);
    await until("it to run", async () => (await status("stocked")).phase === "Running");
    t.equal((await lab.exec("stocked", ["cat", "/stock/hook"])).stdout, "in\n");
    t.equal((await status("stocked")).containerStatuses[0].restartCount, 0);
  });

  await t.test("a ConfigMap's file follows it, and a subPath stays as it was", async (t) => {
    await lab.apply(settings("blue"));
    await until(
      "the file to follow",
      async () => (await inFront("cat /etc/site/site.conf")) === "color blue\n",
    );
    t.equal(await inFront("cat /opt/one.conf"), "color red\n");
    t.match(await inFront("readlink /etc/site/site.conf"), /^\.\.data\/site\.conf$/m);
  });

  await t.test("a stand-in answers for an image that nobody knows", async (t) => {
    const { podIPs } = (await lab.json("get", "pod", "stood")).status;
    t.match(await inFront(`curl -s http://${podIPs[0].ip}/`), /"pod":"stood"/);
  });

  await t.test("what hangs is ended by its liveness probe and comes again", async (t) => {
    await lab.apply(hanging);
    await until(
      "a restart",
      async () => ((await status("hanging")).containerStatuses?.[0]?.restartCount ?? 0) > 0,
    );
    const events = await lab
      .output(["get", "events", "--field-selector", "involvedObject.name=hanging"])
      .catch(() => lab.output(["get", "events"]));
    t.match(events, /Liveness probe failed/);
    t.match(events, /Container main failed liveness probe, will be restarted/);
  });

  await t.test("what is missing is waited for, and said", async (t) => {
    await lab.apply(lacking, unmounted);
    const waiting = async (name: string) => (await status(name)).containerStatuses?.[0]?.state.waiting;
    await until(
      "the pods to say so",
      async () => (await waiting("lacking")) !== undefined && (await status("unmounted")).phase !== undefined,
    );
    await until(
      "the reason",
      async () => (await waiting("lacking"))?.reason === "CreateContainerConfigError",
    );
    t.equal((await waiting("lacking"))?.message, 'configmap "late" not found');
    await until("the mount to fail", async () => /FailedMount/.test(await lab.output(["get", "events"])));
    t.match(
      await lab.output(["get", "events"]),
      /MountVolume\.SetUp failed for volume "v" : configmap "late" not found/,
    );
    t.equal((await waiting("unmounted"))?.reason, "ContainerCreating");
    const early = lab.exec("unmounted", ["cat", "/v/A"]);
    await lab.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "late" }, data: { A: "1" } });
    await until(
      "both to run",
      async () =>
        (await status("lacking")).phase === "Running" && (await status("unmounted")).phase === "Running",
    );
    t.equal((await early).stdout, "1", "exec waits for what is mounted");
  });

  await t.test("what a program leaves in its termination file is its message", async (t) => {
    await lab.apply(once);
    await until("it to end", async () => (await status("once")).phase === "Failed");
    t.match((await status("once")).containerStatuses[0].state.terminated, {
      exitCode: 3,
      message: "short of stock\n",
    });
  });

  await t.test("a sidecar ends with a pod that an init container has failed", async (t) => {
    await lab.apply(broken);
    await until("the pod to fail", async () => (await status("broken")).phase === "Failed");
    const mesh = async () => (await status("broken")).initContainerStatuses?.[0]?.state;
    await until("its sidecar to end", async () => (await mesh())?.terminated !== undefined);
    t.same((await status("broken")).containerStatuses[0].state, { waiting: { reason: "PodInitializing" } });
  });

  await t.test(
    "who takes more memory than it may have is ended for that, and another with its limit is not",
    async (t) => {
      await lab.apply(
        hungry("hungry", "echo begun; tail /dev/zero"),
        hungry("modest", "echo enough; exit 3"),
      );
      await until("both to end", async () => (await status("modest")).phase === "Failed");
      t.match((await status("modest")).containerStatuses[0].state.terminated, {
        exitCode: 3,
        reason: "Error",
      });
      if (memoryHierarchy() === undefined) {
        const events = await lab.output(["get", "events", "--field-selector", "reason=MemoryLimitIgnored"]);
        return void t.match(events, /hungry/);
      }
      await until("the hungry one to end", async () => (await status("hungry")).phase === "Failed");
      const { terminated } = (await status("hungry")).containerStatuses[0].state;
      t.match(terminated, { reason: "OOMKilled" });
      t.ok(
        [137, 143].includes((terminated as unknown as { exitCode: number }).exitCode),
        JSON.stringify(terminated),
      );
      t.match(await lab.output(["get", "pod", "hungry", "--no-headers"]), /^hungry +0\/1 +OOMKilled /);
    },
  );

  await t.test("what is printed is not for everybody on the machine", async (t) => {
    const pods = `/run/podwire/labs/${lab.name}/pods`;
    t.equal(statSync(pods).mode & 0o777, 0o750);
    t.equal(statSync(`${pods}/default_front/web.log`).mode & 0o777, 0o640);
  });

  await t.test("its node says what a kubelet says", async (t) => {
    const node = await lab.json("get", "node", "node1");
    t.match(node.status.nodeInfo, { operatingSystem: "linux", containerRuntimeVersion: /^podwire:/ });
    const conditions = node.status.conditions.map(({ type }: { type: string }) => type);
    for (const type of ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"])
      t.ok(conditions.includes(type), type);
    const lease = await lab.json("get", "lease", "node1", "-n", "kube-node-lease");
    t.match(lease, {
      spec: { holderIdentity: "node1" },
      metadata: { ownerReferences: [{ kind: "Node", name: "node1" }] },
    });
    t.ok(Date.now() - Date.parse(lease.spec.renewTime) < 15_000, lease.spec.renewTime);
    t.match(await lab.output(["describe", "node", "node1"]), /Container Runtime Version: +podwire:/);
  });

  await t.test("a pod in the node's network has the cluster's DNS where it asks for it", async (t) => {
    await lab.apply(onNode);
    await until("it to run", async () => (await status("on-node")).phase === "Running");
    const resolver = (await lab.exec("on-node", ["cat", "/etc/resolv.conf"])).stdout;
    t.match(
      resolver,
      /^search default\.svc\.cluster\.local .*\nnameserver 10\.96\.0\.10\noptions ndots:5\n$/,
    );
    t.notMatch(readFileSync("/etc/resolv.conf", "utf8"), /default\.svc\.cluster\.local/);
  });

  await t.test("nothing of it is on the machine", async (t) => {
    for (const path of ["/shop-work", "/ram", "/etc/site", "/opt/one.conf", "/dev/termination-log"])
      t.notOk(existsSync(path), path);
    await lab.podwire(["delete", "pod", "front"]);
    await sleep(500);
    await lab.down();
    t.notMatch(readFileSync("/proc/self/mountinfo", "utf8"), new RegExp(lab.name));
    t.notOk(existsSync(`${memoryHierarchy()?.root}/podwire/${lab.name}`), "control groups");
  });
});
