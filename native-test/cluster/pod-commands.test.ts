// podwire's commands for what runs in pods, on a real cluster: its API server leads to kubelet, and that to containerd.
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import t from "tap";
import { PODWIRE } from "../../src/testing/lab/lab.ts";
import { type Result, run, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { layImages, TOOLS } from "./support/agnhost.ts";
import { noCluster } from "./support/control-plane.ts";
import { clusterOfAgents } from "./support/real-agents.ts";

const IMAGE = "registry.test/agnhost:test";
const skip = noCluster("containerd", "runc", "ctr", "nft", "unshare", "nsenter", ...TOOLS);
const namespaces = new Namespaces("pwt-pod-commands");
const container = (name: string, command: string[], more: object = {}): object => ({
  ...{ name, image: IMAGE, imagePullPolicy: "Never", command, ...more },
});
const POD = {
  ...{
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "shop", namespace: "default", labels: { app: "shop" } },
  },
  spec: {
    ...{ nodeName: "node1", terminationGracePeriodSeconds: 1, automountServiceAccountToken: false },
    containers: [
      container(
        "main",
        ["sh", "-c", 'echo up; while read -r line; do echo "heard $line"; done; sleep 1000'],
        {
          stdin: true,
        },
      ),
      container("web", ["/agnhost", "netexec", "--http-port=8080"], {
        ports: [{ name: "http", containerPort: 8080 }],
      }),
    ],
  },
};
const SERVICE = {
  ...{ apiVersion: "v1", kind: "Service", metadata: { name: "shop", namespace: "default" } },
  spec: { selector: { app: "shop" }, ports: [{ port: 80, targetPort: "http" }] },
};

t.test("podwire's commands for what runs in pods of a real cluster", { skip }, async (t) => {
  const { folder, cluster, agents } = await clusterOfAgents(t, namespaces);
  const files = await mkdtemp(join(tmpdir(), "podwire-pod-commands-"));
  t.teardown(() => rm(files, { recursive: true, force: true }));
  await agents.start();
  const nodes = [...cluster.kubelets.values()].map(({ containerd }) => containerd);
  await layImages([IMAGE], { folder, nodes, certificate: cluster.control.caFile.replace(/\.crt$/, "") });
  await cluster.admin.apply(POD);
  await cluster.admin.apply(SERVICE);
  await cluster.ready("shop", 1);
  const kubeconfig = cluster.control.kubeconfig({ token: cluster.control.tokenOf("admin") });
  const words = (...given: string[]): string[] => [
    PODWIRE,
    given[0],
    "--kubeconfig",
    kubeconfig,
    ...given.slice(1),
  ];
  const podwire = (given: string[], input?: string | Buffer): Promise<Result> =>
    run(words(...given), input === undefined ? {} : { input });

  await t.test("exec", async (t) => {
    const said = await podwire(["exec", "shop", "--", "sh", "-c", "hostname; echo no >&2; exit 7"]);
    t.match(said, { status: 7, stdout: "shop\n", stderr: "no\n" });
    const bytes = Buffer.alloc(300_000, "some bytes ");
    const back = await podwire(["exec", "-i", "svc/shop", "-c", "web", "--", "cat"], bytes);
    t.same([back.status, back.stdout === bytes.toString()], [0, true]);
    t.match(await podwire(["exec", "shop", "--", "no-such-program"]), {
      status: 1,
      stderr: /^error: .*no-such-program.*\n$/,
    });
  });

  await t.test("attach and logs", async (t) => {
    const typed = ["sh", "-c", '{ sleep 1; echo a word; sleep 20; } | "$@"', "sh"];
    const attached = await start([...typed, ...words("attach", "-i", "shop", "-c", "main")], /heard a word/);
    await attached.stop();
    t.match(await podwire(["logs", "shop", "-c", "main"]), { status: 0, stdout: "up\nheard a word\n" });
    t.match(await podwire(["logs", "shop", "-c", "main", "--tail", "1"]), { stdout: "heard a word\n" });
    t.match(await podwire(["logs", "shop", "-c", "none"]), { status: 1, stderr: /^error: .*none.*\n$/ });
  });

  await t.test("port-forward, by the number of a pod's port and of a Service's", async (t) => {
    for (const [workload, port] of [
      ["shop", "8080"],
      ["shop", "http"],
      ["svc/shop", "80"],
    ]) {
      const forwarding = await start(words("port-forward", workload, `:${port}`), /Forwarding from 127/);
      const local = Number(/127\.0\.0\.1:(\d+)/.exec(forwarding.output())?.[1]);
      for (let i = 0; i < 3; i++) {
        const socket = connect({ host: "127.0.0.1", port: local, allowHalfOpen: true });
        socket.end("GET /hostname HTTP/1.0\r\n\r\n");
        t.match(await text(socket), /^HTTP\/1\.0 200 OK[\s\S]*\r\n\r\nshop$/, `${workload} ${port}`);
      }
      await forwarding.stop();
    }
    const nobody = await start(words("port-forward", "shop", ":81"), /Forwarding from 127/);
    const local = Number(/127\.0\.0\.1:(\d+)/.exec(nobody.output())?.[1]);
    const socket = connect(local, "127.0.0.1").resume();
    await once(socket, "close");
    await until("why", async () => /an error occurred forwarding \d+ -> 81: .*refused/.test(nobody.output()));
    await nobody.stop();
    t.match(await podwire(["port-forward", "none", "80"]), { status: 1, stderr: /^error: none: not found/ });
  });

  await t.test("cp, there and back", async (t) => {
    const [there, back] = [join(files, "there"), join(files, "back")];
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7) & 0xff));
    await writeFile(there, bytes);
    t.match(await podwire(["cp", there, "shop:/tmp/it"]), { status: 0, stderr: "" });
    t.match(await podwire(["cp", "default/shop:/tmp/it", back, "-c", "main"]), { status: 0, stderr: "" });
    t.ok((await readFile(back)).equals(bytes));
    t.match(await podwire(["cp", "shop:/tmp/none", back]), {
      status: 1,
      stderr: /no such file or directory in the container/,
    });
  });
});
