// Applications of the shapes that people's have (shops of microservices, replicated databases, guest books), small and of
// images that no machine has: applied by kubectl, all of it comes up by its own probes, and every name is heard everywhere.
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { run, sleep } from "../../src/testing/lab/process.ts";
import { reachServices } from "../support/application/reach-services.ts";
import { awaitWorkloads } from "../support/application/workload-state.ts";

type Spec = Record<string, unknown>;

const of = (apiVersion: string, kind: string, name: string, rest: Spec = {}) => {
  const { labels, ...body } = rest;
  return { apiVersion, kind, metadata: { name, ...(labels === undefined ? {} : { labels }) }, ...body };
};
const pods = (name: string, spec: Spec) => ({
  metadata: { labels: { app: name }, annotations: { "prometheus.io/scrape": "false" } },
  spec: { nodeSelector: { "beta.kubernetes.io/os": "linux" }, serviceAccountName: "shop", ...spec },
});
const workload = (kind: string, name: string, pod: Spec, more: Spec = {}) =>
  of("apps/v1", kind, name, {
    labels: { app: name },
    spec: { selector: { matchLabels: { app: name } }, template: pods(name, pod), ...more },
  });
const service = (name: string, ports: Spec[], more: Spec = {}) =>
  of("v1", "Service", name, { spec: { selector: { app: name }, ports, ...more } });
const value = (name: string, text: string) => ({ name, value: text });
const limits = { resources: { requests: { cpu: "100m", memory: "64Mi" }, limits: { cpu: "200m" } } };
const hardened = {
  securityContext: {
    runAsNonRoot: true,
    runAsUser: 10_001,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["all"], add: ["NET_BIND_SERVICE"] },
  },
};
const both = (probe: Spec) => ({ readinessProbe: probe, livenessProbe: probe });

/** Probes by HTTP with a delay of minutes, headers and undeclared ports; a NodePort; a program of the image's as command. */
const front = [
  workload("Deployment", "front-end", {
    containers: [
      {
        ...{ name: "front-end", image: "shop/front-end:0.3.12", ports: [{ containerPort: 8079 }] },
        ...{ ...limits, ...hardened },
        env: [value("CATALOGUE", "http://catalogue"), value("CART_SERVICE_ADDR", "cart:7070")],
        ...both({
          httpGet: { path: "/", port: 8079, httpHeaders: [{ name: "Cookie", value: "probe=1" }] },
          initialDelaySeconds: 300,
          periodSeconds: 3,
        }),
      },
    ],
  }),
  service("front-end", [{ port: 80, targetPort: 8079, nodePort: 30_001 }], { type: "NodePort" }),
  workload("Deployment", "catalogue", {
    containers: [
      {
        ...{ name: "catalogue", image: "shop/catalogue:0.3.5", command: ["/app"], args: ["-port=80"] },
        ...{ ports: [{ containerPort: 80 }], volumeMounts: [{ mountPath: "/tmp", name: "tmp" }] },
        readinessProbe: { httpGet: { path: "/health", port: 80 }, initialDelaySeconds: 180 },
        livenessProbe: { httpGet: { path: "/livez", port: 8443, scheme: "HTTPS" } },
      },
    ],
    volumes: [{ name: "tmp", emptyDir: { medium: "Memory" } }],
  }),
  service("catalogue", [{ port: 80 }]),
];

/** gRPC's health service, ports by name, exec probes by programs of the image. */
const cart = [
  workload(
    "Deployment",
    "cart",
    {
      containers: [
        {
          ...{ name: "server", image: "registry.example/shop/cart:v1@sha256:0", ...limits },
          ports: [{ containerPort: 7070 }],
          ...both({ grpc: { port: 7070 }, initialDelaySeconds: 15, periodSeconds: 5 }),
        },
      ],
    },
    { replicas: 2, minReadySeconds: 1, strategy: { rollingUpdate: { maxUnavailable: 0 } } },
  ),
  service("cart", [{ port: 7070, name: "grpc" }]),
  workload("Deployment", "info", {
    containers: [
      {
        ...{ name: "info", image: "shop/info:6", command: ["./info", "--port=9898"] },
        ports: [
          { name: "http", containerPort: 9898 },
          { name: "grpc", containerPort: 9999 },
        ],
        ...both({ exec: { command: ["podcli", "check", "http", "localhost:9898/readyz"] } }),
        lifecycle: { postStart: { exec: { command: ["no-such-program-here"] } } },
      },
    ],
  }),
  service("info", [
    { name: "http", port: 80, targetPort: "http" },
    { name: "grpc", port: 9999, targetPort: "grpc" },
  ]),
];

const script = (text: string) => ({ command: ["bash", "-c", text] });
const DATA = { name: "data", mountPath: "/var/lib/shop-db", subPath: "db" };
const CONF = { name: "conf", mountPath: "/mnt/conf.d" };

/** A replicated database: init containers that call what the machine has, and what it has not; a sidecar; claims. */
const database = [
  of("v1", "ConfigMap", "db", { data: { "primary.cnf": "log-bin\n", "secondary.cnf": "read-only\n" } }),
  workload(
    "StatefulSet",
    "db",
    {
      initContainers: [
        {
          ...{ name: "init", image: "mysql:5.7" },
          ...script(`set -ex
            [[ $(hostname) =~ -([0-9]+)$ ]] || exit 1
            echo server-id=$((100 + \${BASH_REMATCH[1]})) > /mnt/conf.d/id.cnf
            cp /mnt/config-map/primary.cnf /mnt/conf.d/`),
          volumeMounts: [CONF, { name: "maps", mountPath: "/mnt/config-map" }],
        },
        {
          ...{ name: "clone", image: "shop/backup:1.0" },
          ...script("set -ex; no-such-backup --from db-0.db 3307 | no-such-stream -x"),
          volumeMounts: [DATA],
        },
        { name: "chown", image: "shop/chown:1" },
      ],
      containers: [
        {
          ...{ name: "db", image: "mysql:5.7", ports: [{ name: "mysql", containerPort: 3306 }] },
          env: [{ name: "PASSWORD", valueFrom: { secretKeyRef: { name: "pass", key: "password" } } }],
          livenessProbe: { exec: { command: ["mysqladmin", "ping"] }, initialDelaySeconds: 30 },
          readinessProbe: { exec: { command: ["mysql", "-h", "127.0.0.1", "-e", "SELECT 1"] } },
          volumeMounts: [DATA, CONF],
        },
        {
          ...{ name: "backup", image: "shop/backup:1.0", ports: [{ name: "backup", containerPort: 3307 }] },
          ...script("cd /var/lib/shop-db; exec no-such-server --listen 3307"),
          volumeMounts: [DATA],
        },
      ],
      volumes: [
        { name: "conf", emptyDir: {} },
        { name: "maps", configMap: { name: "db" } },
      ],
    },
    {
      ...{ serviceName: "db", replicas: 2 },
      volumeClaimTemplates: [
        {
          metadata: { name: "data", annotations: { "volume.beta.kubernetes.io/storage-class": "fast" } },
          spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
        },
      ],
    },
  ),
  service("db", [{ name: "mysql", port: 3306 }], { clusterIP: "None" }),
  of("v1", "Service", "db-read", { spec: { selector: { app: "db" }, ports: [{ port: 3306 }] } }),
  workload(
    "StatefulSet",
    "keeper",
    {
      containers: [
        {
          ...{
            name: "keeper",
            image: "shop/keeper:1.0",
            command: ["sh", "-c", "start-keeper \\\n --servers=2"],
          },
          ports: [{ containerPort: 2181, name: "client" }],
          ...both({ exec: { command: ["sh", "-c", "keeper-ready 2181"] }, initialDelaySeconds: 10 }),
        },
      ],
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            { labelSelector: { matchLabels: { app: "other" } }, topologyKey: "kubernetes.io/hostname" },
          ],
        },
      },
    },
    { serviceName: "keeper", replicas: 2, podManagementPolicy: "OrderedReady" },
  ),
  service("keeper", [{ port: 2181, name: "client" }], { clusterIP: "None" }),
];

/** Workers without ports, behind init containers that wait for others; what is to end. */
const workers = [
  workload("Deployment", "worker", {
    initContainers: [
      {
        ...{ name: "wait", image: "busybox:1.36", env: [value("FRONT", "front-end:80")] },
        command: ["/bin/sh", "-ec", 'until nc -z cart 7070; do sleep 1; done; cd /; wget "http://$FRONT"'],
      },
      { name: "migrate", image: "shop/migrate:1", args: ["up"] },
    ],
    containers: [
      { name: "worker", image: "shop/worker:1", env: [value("DB", "db-0.db.shop.svc.cluster.local:3306")] },
      { name: "tail", image: "shop/tail:1", command: ["sh", "-c", "exec no-such-tail -f"] },
    ],
  }),
  of("batch/v1", "Job", "seed", {
    spec: {
      backoffLimit: 1,
      template: {
        spec: { restartPolicy: "OnFailure", containers: [{ name: "seed", image: "shop/seed:1" }] },
      },
    },
  }),
  workload("DaemonSet", "exporter", {
    containers: [
      {
        ...{ name: "exporter", image: "shop/exporter:1", args: ["--path=/host"] },
        ports: [{ containerPort: 9100, hostPort: 9100 }],
        volumeMounts: [{ name: "host", mountPath: "/host/proc", readOnly: true }],
      },
    ],
    tolerations: [{ operator: "Exists" }],
    volumes: [{ name: "host", hostPath: { path: "/proc" } }],
  }),
];

/** Objects that a lab keeps, and does nothing with. */
const kept = [
  of("v1", "Namespace", "shop"),
  of("v1", "ServiceAccount", "shop"),
  of("v1", "Secret", "pass", { type: "Opaque", stringData: { password: "hunter2" } }),
  of("rbac.authorization.k8s.io/v1", "Role", "shop", {
    rules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }],
  }),
  of("rbac.authorization.k8s.io/v1", "RoleBinding", "shop", {
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "shop" },
    subjects: [{ kind: "ServiceAccount", name: "shop", namespace: "shop" }],
  }),
  of("autoscaling/v2", "HorizontalPodAutoscaler", "cart", {
    spec: {
      ...{ minReplicas: 2, maxReplicas: 4 },
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "cart" },
      metrics: [
        {
          type: "Resource",
          resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 99 } },
        },
      ],
    },
  }),
  of("policy/v1", "PodDisruptionBudget", "keeper", {
    spec: { maxUnavailable: 1, selector: { matchLabels: { app: "keeper" } } },
  }),
  of("networking.k8s.io/v1", "Ingress", "front-end", {
    spec: {
      rules: [
        {
          host: "shop.example",
          http: {
            paths: [
              {
                ...{ path: "/", pathType: "Prefix" },
                backend: { service: { name: "front-end", port: { number: 80 } } },
              },
            ],
          },
        },
      ],
    },
  }),
  of("networking.k8s.io/v1", "NetworkPolicy", "db", {
    spec: { podSelector: { matchLabels: { app: "db" } }, ingress: [{ from: [{ podSelector: {} }] }] },
  }),
  of("storage.k8s.io/v1", "StorageClass", "fast", { provisioner: "example.com/disk" }),
];

t.test("applications", { skip: cannotRun("kubectl", "busybox", "bash", "curl") }, async (t) => {
  const lab = await TestLab.up("applications", {
    nodes: [{ name: "node1" }, { name: "node2" }],
    dns: { forward: "none" },
  });
  t.teardown(() => lab.down());
  const kubeconfig = join(lab.folder, "kubeconfig");
  await writeFile(kubeconfig, await lab.output(["kubeconfig"]), { mode: 0o600 });
  const file = join(lab.folder, "shop.json");
  const items = [...kept, ...front, ...cart, ...database, ...workers];
  await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  const kubectl = (...words: string[]) =>
    run(["kubectl", "--kubeconfig", kubeconfig, "-n", "shop", ...words], { env: { HOME: lab.folder } });
  const restarts = async (): Promise<string> => {
    const line = "{.metadata.name} {.status.containerStatuses[*].restartCount}";
    return (await kubectl("get", "pods", "-o", `jsonpath={range .items[*]}${line}\n{end}`)).stdout;
  };
  const isLittered = existsSync("/index.html");

  await t.test("all of it comes up by its own probes", async (t) => {
    const { status, stdout, stderr } = await kubectl("apply", "-f", file);
    t.equal(status, 0, stderr);
    t.equal(stdout.trim().split("\n").length, items.length);
    const { ready, waiting } = await awaitWorkloads(lab, 60_000);
    t.same(waiting, []);
    t.equal(ready.length, 11, ready.join(", "));
  });

  await t.test("every name is heard in every pod", async (t) => {
    // What is ready is told to the nodes, and known there a little later.
    let reached = await reachServices(lab, ["shop"]);
    for (let again = 0; reached.failed.length > 0 && again < 5; again++) {
      await sleep(1000);
      reached = await reachServices(lab, ["shop"]);
    }
    const { pods, names, failed } = reached;
    t.same(failed, []);
    t.equal(pods, 12);
    t.ok(names >= 12 * 7, `${names} names`);
    const outside = await lab.exec("client/outside", ["curl", "-s", "http://192.168.50.11:30001/"]);
    t.match(JSON.parse(outside.stdout).pod, /^front-end-/);
    const grpc = ["curl", "-s", "--http2-prior-knowledge", "http://cart:7070/"];
    const worker = (await kubectl("get", "pods", "-l", "app=worker", "-o", "name")).stdout.trim().slice(4);
    t.match((await lab.podwire(["exec", worker, "-n", "shop", "--", ...grpc])).stdout, /"pod":"cart-/);
  });

  await t.test("what is not run is said: when it is applied, and when it is found out", async (t) => {
    const { status, stderr } = await lab.podwire(["apply", "-n", "shop", "-f", file]);
    t.equal(status, 0, stderr);
    t.match(
      stderr,
      /Deployment "front-end" and 3 more: .*this image is not run: podwire\/echo stands in on its ports/,
    );
    t.match(stderr, /Job "seed": .*counts as done/);
    const events = (await kubectl("get", "events")).stdout;
    t.match(events, /StandIn +pod\/keeper-0 .*\(exit status 127\): podwire\/echo stands in on its ports/);
    t.match(events, /StandIn +pod\/db-1 .*it is left out/);
    const before = JSON.parse((await kubectl("get", "pod", "db-1", "-o", "json")).stdout);
    t.match(before.status.initContainerStatuses[1].state.terminated, { exitCode: 0 });
  });

  await t.test("what is exposed later answers, too", async (t) => {
    const image = "--image=shop/hello:1.0";
    t.equal((await kubectl("create", "deployment", "hello", image, "--replicas=2")).status, 0);
    t.match(await awaitWorkloads(lab, 30_000), { waiting: [] });
    t.equal((await kubectl("expose", "deployment", "hello", "--port=8080")).status, 0);
    const ask = [
      "curl",
      "-s",
      "--retry",
      "20",
      "--retry-connrefused",
      "--retry-delay",
      "1",
      "http://hello:8080/",
    ];
    const pod = (await kubectl("get", "pods", "-l", "app=worker", "-o", "name")).stdout.trim().slice(4);
    const { stdout } = await lab.podwire(["exec", pod, "-n", "shop", "--", ...ask]);
    t.match(stdout, /"pod":"hello-/);
    t.equal((await kubectl("expose", "deployment", "hello", "--port=81", "--name=second")).status, 0);
    t.match(
      (await lab.podwire(["exec", pod, "-n", "shop", "--", ...ask.slice(0, -1), "second:81"])).stdout,
      /hello-/,
    );
    t.match(await awaitWorkloads(lab, 30_000), { waiting: [] });
    t.notMatch(await restarts(), /hello-\S+ [1-9]/, "it was not started again");
    t.match(
      (await kubectl("get", "events")).stdout,
      /StandIn +pod\/hello-\S+ +A Service expects it to answer/,
    );
  });

  await t.test("containers of an image write to files of their own", async (t) => {
    t.equal(existsSync("/index.html"), isLittered, "wget's file is in the container's root");
  });

  await t.test("a new lab process goes on with them as they are", async (t) => {
    const before = await restarts();
    const { pid } = JSON.parse(readFileSync(`/run/podwire/labs/${lab.name}/lab.pid`, "utf8"));
    process.kill(pid, "SIGKILL");
    const again = await lab.podwire(["lab", "up", "-f", join(lab.folder, "lab.yaml")], { timeoutMs: 90_000 });
    t.equal(again.status, 0, again.stderr);
    t.same((await awaitWorkloads(lab, 30_000)).waiting, []);
    await sleep(12_000); // two periods of the probes that would end them, if they were asked as an image's program is
    t.same((await awaitWorkloads(lab, 5_000)).waiting, []);
    t.equal(await restarts(), before);
  });
});
