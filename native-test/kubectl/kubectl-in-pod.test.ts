// The Kubernetes API as a pod has it: by the Service kubernetes, through the data path, with what every pod is given.
import { existsSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod, service } from "../../src/testing/lab/objects.ts";
import { run, until } from "../../src/testing/lab/process.ts";

const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const PODS = "/api/v1/namespaces/default/pods";
const NO_EGRESS = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: "alone", namespace: "default" },
  spec: { podSelector: { matchLabels: { app: "alone" } }, policyTypes: ["Egress"], egress: [] },
};

const withSpec = (object: object, more: object): object => {
  const { spec, ...rest } = object as { spec: object };
  return { ...rest, spec: { ...spec, ...more } };
};

async function ask(lab: TestLab, from: string, url: string, seconds = 5): Promise<string> {
  const curl = ["curl", "-sS", "-m", `${seconds}`, "--cacert", `${ACCOUNT}/ca.crt`];
  const script = `exec "$@" -H "Authorization: Bearer $(cat ${ACCOUNT}/token)"`;
  const { stdout, stderr } = await lab.exec(from, ["sh", "-c", script, "sh", ...curl, url]);
  return stdout + stderr;
}

for (const [family, spec, addresses] of [
  [
    4,
    { nodes: [{ name: "node1" }, { name: "node2", agent: "kernel" as const }] },
    ["10.96.0.1", "192.168.50.10:6443"],
  ],
  [
    6,
    {
      nodes: [{ name: "node1" }, { name: "node2" }],
      clusterCIDR: "fd00:10:244::/56,10.244.0.0/16",
      clients: [],
    },
    ["[fd00:10:96::1]", "[fd00:192:168:50::10]:6443", "192.168.50.10:6443"],
  ],
] as const)
  t.test(`a pod and its API server, IPv${family}`, { skip: cannotRun("curl") }, async (t) => {
    const lab = await TestLab.up(`in-pod-${family}`, {
      ...(structuredClone(spec) as object),
      dns: { forward: "none" },
      objects: [
        client("shell-1", "node1"),
        client("shell-2", "node2"),
        pod("alone", "node1", { app: "alone" }),
        NO_EGRESS,
      ],
    });
    t.teardown(() => lab.down());
    const api = `https://${addresses[0]}`;

    await t.test("by name and by address, whoever runs its node", async (t) => {
      // `lab up` waits for the DNS pod, not for each node to have heard where it is.
      for (const shell of ["shell-1", "shell-2"])
        await until(
          "names",
          async () => /PodList/.test(await ask(lab, shell, `https://kubernetes${PODS}`)),
          30_000,
        );
      for (const host of ["kubernetes.default.svc", "kubernetes", ...addresses])
        for (const shell of ["shell-1", "shell-2"])
          t.match(
            await ask(lab, shell, `https://${host}${PODS}`),
            /"kind":"PodList".*"name":"shell-1"/s,
            host,
          );
    });

    await t.test("a policy that lets nothing out lets nothing out to it", async (t) => {
      t.match(await ask(lab, "alone", `${api}${PODS}`, 2), /timed out/i);
      await lab.output(["delete", "networkpolicy", "alone"]);
      await until("the way", async () => /PodList/.test(await ask(lab, "alone", `${api}${PODS}`)));
    });

    await t.test("a node's programs reach it, and it is there again with a new lab process", async (t) => {
      const health = ["curl", "-sSk", "-m", "5", `${api}/healthz`];
      t.equal((await lab.exec("node/node1", health)).stdout, "ok");
      const { pid } = await lab.json("lab", "status");
      process.kill(pid, "SIGKILL");
      t.equal((await lab.podwire(["lab", "up", "-f", join(lab.folder, "lab.yaml")])).status, 0);
      await until("it", async () => (await lab.exec("node/node1", health)).stdout === "ok");
      await until("the pod's way", async () => /PodList/.test(await ask(lab, "shell-1", `${api}${PODS}`)));
    });

    await t.test("its socket comes back with a fabric that was lost", async (t) => {
      await run(["ip", "netns", "del", `pw-${lab.name}-fabric`]);
      t.equal((await lab.podwire(["lab", "up", "-f", join(lab.folder, "lab.yaml")])).status, 0);
      await until("it", async () => /PodList/.test(await ask(lab, "shell-1", `${api}${PODS}`, 2)), 30_000);
    });
  });

t.test("what a pod is given", { skip: cannotRun("curl", "kubectl") }, async (t) => {
  const mine = { name: "mine", mountPath: ACCOUNT };
  const containers = [
    { name: "main", image: "podwire/host", command: ["sleep", "infinity"], volumeMounts: [mine] },
  ];
  const lab = await TestLab.up("in-pod", {
    nodes: [{ name: "node1" }],
    dns: { forward: "none" },
    objects: [
      service("web"),
      pod("web-1", "node1", { app: "web" }),
      client("shell-1", "node1"),
      withSpec(client("no-token", "node1"), {
        automountServiceAccountToken: false,
        enableServiceLinks: false,
      }),
      withSpec(client("own-mount", "node1"), { containers, volumes: [{ name: "mine", emptyDir: {} }] }),
    ],
  });
  t.teardown(() => lab.down());
  const shell = async (from: string, script: string): Promise<string> => {
    const { stdout, stderr } = await lab.exec(from, ["sh", "-c", script]);
    return (stdout + stderr).trim();
  };
  const IN_CLUSTER = "unset KUBECONFIG; export HOME=/nonexistent;";

  await t.test("kubectl needs no configuration", async (t) => {
    t.match(await shell("shell-1", `${IN_CLUSTER} kubectl get pods`), /shell-1 .*Running/);
    const made = await shell("shell-1", `${IN_CLUSTER} kubectl create configmap made --from-literal=a=1`);
    t.equal(made, "configmap/made created");
    const [token] = [await shell("shell-1", `cat ${ACCOUNT}/token`)];
    const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
    t.match(claims, {
      sub: "system:serviceaccount:default:default",
      "kubernetes.io": {
        pod: { name: "shell-1", uid: (await lab.json("get", "pod", "shell-1")).metadata.uid },
      },
    });
    t.equal(await shell("shell-1", `cat ${ACCOUNT}/namespace`), "default");
  });

  await t.test("the machine's files are still seen as they are", async (t) => {
    await shell("shell-1", `touch ${lab.folder}/from-pod`);
    t.ok(existsSync(join(lab.folder, "from-pod")));
    t.equal(await shell("shell-1", `touch ${ACCOUNT}/x 2>&1 | grep -o Read-only`), "Read-only");
  });

  await t.test("variables of Services", async (t) => {
    const web = await lab.clusterIP("web");
    const words = '"$KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT $WEB_SERVICE_HOST $WEB_PORT_9000_UDP"';
    t.equal(await shell("shell-1", `echo ${words}`), `10.96.0.1 443 ${web} udp://${web}:9000`);
    t.equal(await shell("no-token", `echo ${words}`), "10.96.0.1 443");
  });

  await t.test("who wants no token, or something else in its place, has that", async (t) => {
    t.match(await shell("no-token", `ls ${ACCOUNT}/token`), /No such file/);
    t.equal((await lab.json("get", "pod", "no-token")).spec.serviceAccountName, "default");
    t.equal(await shell("own-mount", `echo 1 > ${ACCOUNT}/x; ls ${ACCOUNT}`), "x");
  });

  await t.test("a token ends with its pod", async (t) => {
    const token = await shell("shell-1", `cat ${ACCOUNT}/token`);
    const code = (): Promise<string> =>
      shell(
        "own-mount",
        `curl -sk -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer ${token}' https://10.96.0.1${PODS}`,
      );
    t.equal(await code(), "200");
    await lab.output(["delete", "pod", "shell-1", "--grace-period", "0"]);
    t.equal(await code(), "401");
  });

  await t.test("Endpoints, as older clients read them", async (t) => {
    const env = { KUBECONFIG: `/run/podwire/labs/${lab.name}/kubeconfig`, HOME: lab.folder };
    const kubectl = async (...words: string[]): Promise<string> =>
      (await run(["kubectl", ...words], { env })).stdout;
    const address = await lab.podAddress("web-1");
    t.match(
      await kubectl("get", "endpoints"),
      new RegExp(`kubernetes +192\\.168\\.50\\.10:6443 .*\\nweb +${address}:`),
    );
    t.match(await kubectl("describe", "service", "web"), new RegExp(`Endpoints: +${address}:8080`));
    await kubectl("delete", "service", "kubernetes");
    const shown = /ClusterIP +10\.96\.0\.1 +<none> +443\/TCP/;
    await until("kubernetes to be there again", async () =>
      shown.test(await kubectl("get", "service", "kubernetes")),
    );
  });
});
