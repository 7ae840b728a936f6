// An agent and a real API server: what it is told reaches packets, and nothing that goes wrong with the server reaches them.
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { ROOT } from "../../src/testing/lab/lab.ts";
import { type Running, run, sleep, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { makeNode, objects, startWeb } from "../support/own-node.ts";
import { Client } from "./support/client.ts";
import { ClusterNode, roleOfDocs } from "./support/cluster-node.ts";
import { ControlPlane, noCluster, rightsOf } from "./support/control-plane.ts";

const AWAY_MS = Number(process.env.PODWIRE_TEST_AWAY_SECONDS ?? 20) * 1000;
const STRATEGIC = "application/strategic-merge-patch+json";
const namespaces = new Namespaces("pwt-cluster");
const CRD = "policy.networking.k8s.io";
const crd = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: {
    name: `clusternetworkpolicies.${CRD}`,
    annotations: { "api-approved.kubernetes.io": "unapproved, experimental-only" },
  },
  spec: {
    group: CRD,
    scope: "Cluster",
    names: {
      kind: "ClusterNetworkPolicy",
      plural: "clusternetworkpolicies",
      singular: "clusternetworkpolicy",
    },
    versions: [
      {
        ...{ name: "v1alpha2", served: true, storage: true },
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};
const closed = {
  apiVersion: `${CRD}/v1alpha2`,
  kind: "ClusterNetworkPolicy",
  metadata: { name: "closed" },
  spec: {
    ...{ tier: "Admin", priority: 1, subject: { namespaces: {} } },
    ingress: [{ action: "Deny", from: [{ namespaces: {} }] }],
  },
};
const service = (name: string, clusterIP: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default" },
  spec: { clusterIP, ports: [{ port: 80, targetPort: 8080 }] },
});

/** By which kubectl takes an agent's condition from a Node. */
function patchOfDocs(): object {
  const text = readFileSync(join(ROOT, "docs/install.md"), "utf8");
  const found = /kubectl patch \$node --subresource=status --type=strategic \\\n +-p '(.*)'\n/.exec(text);
  return JSON.parse(found?.[1] ?? "null");
}

t.test("an agent and a real API server", { skip: noCluster("curl", "socat") }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-cluster-"));
  const control = await ControlPlane.start(folder);
  const node = new ClusterNode(control, namespaces, folder);
  const running: Running[] = [];
  t.teardown(async () => {
    for (const each of running.reverse()) await each.stop("SIGKILL");
    await node.stop();
    await control.stop();
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  makeNode(namespaces);
  const given = objects(namespaces);
  for (const object of given) await control.admin.apply(object);
  running.push(await startWeb(namespaces));
  await node.begin();
  const curl = async (address = "10.96.0.80"): Promise<string> => {
    const words = `curl -sS --max-time 1 http://${address}/`;
    return (await run(namespaces.command("shell", words))).stdout;
  };
  const answers = (address?: string): Promise<void> =>
    until("an answer", async () => (await curl(address)).startsWith("pod web"));
  const isWell = (): Promise<void> =>
    until("status to be well", async () => (await node.status()).status === 0, 30_000);
  const tells = (pattern: RegExp): Promise<void> =>
    until(`status to tell ${pattern}`, async () => pattern.test((await node.status()).stdout), 30_000);
  const slice = given.find(({ kind }) => kind === "EndpointSlice") as object;
  await answers();

  await t.test("objects in, tables out, with the role of docs/cluster.md and nothing more", async (t) => {
    await isWell();
    // The API server has a service of its own beside ours.
    t.match((await node.status()).stdout, /node1 +objects +yes +2 nodes, 3 pods, 2 services, 1 slice/);
    t.match((await node.podwire("show", "services")).stdout, /10\.96\.0\.80:80[\s\S]*10\.244\.1\.2:8080/);
    await control.admin.apply({ ...slice, endpoints: [] });
    await until("the service to have nobody", async () => (await curl()) === "");
    await control.admin.apply(slice);
    await answers();
    const own = new Client(control.server, control.caFile, await node.token());
    const asked = await Promise.all(
      ["/api/v1/secrets", "/api/v1/services", "/apis/apps/v1/deployments"].map((path) =>
        own.ask("GET", path),
      ),
    );
    own.close();
    t.same(
      asked.map(({ status }) => status),
      [403, 200, 403],
    );
  });

  await t.test("the Node says that there is a network, beside what others say of it", async (t) => {
    const path = "/api/v1/nodes/node1";
    const ready = { type: "Ready", status: "True", reason: "Test", message: "" };
    await control.admin.done("PATCH", `${path}/status`, { status: { conditions: [ready] } }, STRATEGIC);
    const conditions = async (): Promise<string[]> => {
      const { status } = await control.admin.done("GET", path);
      return status.conditions.map((c: { type: string; status: string }) => `${c.type}=${c.status}`).sort();
    };
    const down = ["NetworkUnavailable=True", "Ready=True"];
    const up = ["NetworkUnavailable=False", "Ready=True"];
    await until("both", async () => (await conditions()).join() === up.join());
    t.match((await control.admin.done("GET", path)).metadata.annotations, { "podwire.dev/pod-mtu": "1450" });
    await node.stop();
    t.same(await conditions(), down);
    await control.admin.done("PATCH", `${path}/status`, patchOfDocs(), STRATEGIC);
    t.same(await conditions(), ["Ready=True"], "taken away as docs/install.md has it");
    await node.start();
    await until("the node to be back", async () => (await conditions()).join() === up.join());
    await answers();
  });

  await t.test("a ServiceCIDR that was added", async (t) => {
    await control.admin.apply({
      apiVersion: "networking.k8s.io/v1",
      kind: "ServiceCIDR",
      metadata: { name: "more" },
      spec: { cidrs: ["10.200.0.0/24"] },
    });
    await until("the server to take it", async () => {
      const made = await control.admin.apply(service("more", "10.200.0.80")).catch(() => undefined);
      return made !== undefined;
    });
    await control.admin.apply({
      ...slice,
      metadata: { name: "more-1", namespace: "default", labels: { "kubernetes.io/service-name": "more" } },
    });
    await answers("10.200.0.80");
    t.match((await node.podwire("get", "servicecidrs", "-o", "yaml")).stdout, /- 10\.200\.0\.0\/24/);
  });

  // The definition comes now and is looked for once a minute; what it brings is asked for at the end.
  t.same(
    await node.metric("podwire_source_up"),
    1,
    "without the definition of ClusterNetworkPolicies nothing is amiss",
  );
  await control.admin.apply(crd);

  await t.test("an object that cannot be used is told, and harms no other", async (t) => {
    // No API server takes it: it is as one of before that was checked less.
    const metadata = { name: "broken", namespace: "default", uid: "00000000-0000-4000-8000-000000000001" };
    const ports = [{ port: 70_000, protocol: "TCP", targetPort: 8080 }];
    const spec = { ...{ clusterIP: "10.96.0.81", clusterIPs: ["10.96.0.81"], type: "ClusterIP", ports } };
    const broken = { ...service("broken", ""), metadata, spec };
    await control.writeKey("/registry/services/specs/default/broken", broken);
    await tells(/Service default\/broken cannot be used: .*port.*70000/);
    t.equal((await node.status()).status, 3);
    t.equal(await node.metric("podwire_source_refused_objects"), 1);
    t.match(node.output(), /Service default\/broken cannot be used: .*: it counts as not there/);
    const path = "/api/v1/namespaces/default/events?fieldSelector=reason=Unusable";
    const events = async () => (await control.admin.done("GET", path)).items;
    await until("an Event", async () => (await events()).length === 1);
    t.match((await events())[0], {
      ...{ type: "Warning", count: 1, message: /^counts as not there: spec\.ports\[0\]\.port: .*70000/ },
      involvedObject: { kind: "Service", name: "broken", namespace: "default", uid: metadata.uid },
      source: { component: "podwire", host: "node1" },
    });
    await control.writeKey("/registry/services/specs/default/broken", {
      ...broken,
      metadata: { ...metadata, labels: { tried: "again" } },
    });
    await until("the Event to be counted up", async () => (await events())[0].count === 2);
    await answers();
    await control.deleteKey("/registry/services/specs/default/broken");
    await isWell();
  });

  await t.test(
    `the server is killed for ${AWAY_MS / 1000} s and its history is gone: no packet notices`,
    async (t) => {
      const gone = service("gone", "10.96.0.82");
      await control.admin.apply(gone);
      await until("it", async () => /10\.96\.0\.82/.test((await node.podwire("show", "services")).stdout));
      const list = await control.admin.done("GET", "/api/v1/services?limit=1");
      const traffic = await startAsking();
      running.push(traffic);
      await control.killServer();
      await tells(/API server https:\/\/127\.0\.0\.1:\d+: /);
      t.equal((await node.status()).status, 3);
      t.equal(await node.metric("podwire_source_up"), 0);
      await control.deleteKey("/registry/services/specs/default/gone");
      await control.compact();
      await sleep(AWAY_MS);
      await control.startServer();
      const before = list.metadata.resourceVersion;
      const event = await control.admin.firstEvent("/api/v1/services", before);
      t.match(
        event,
        { type: "ERROR", object: { code: 410 } },
        "the server has forgotten what the agent knew",
      );
      await isWell();
      await until("what went meanwhile", async () => {
        return !/10\.96\.0\.82/.test((await node.podwire("show", "services")).stdout);
      });
      await traffic.stop();
      const lines = traffic.output().trim().split("\n");
      t.ok(lines.length > AWAY_MS / 400, `${lines.length} answers`);
      t.same(
        lines.filter((line) => !line.startsWith("pod web")),
        [],
      );
      await control.admin.apply({ ...slice, endpoints: [] });
      await until("a change after it", async () => (await curl()) === "");
      await control.admin.apply(slice);
      await answers();
    },
  );

  await t.test("an agent that starts while the server is away knows what the last one knew", async (t) => {
    await control.killServer();
    await node.stop("SIGKILL");
    await node.start();
    await answers();
    t.match(node.output(), /the API server does not answer: \d+ objects of \S+ are taken from disk/);
  });

  await t.test("a token that is good no more, and the one that follows it", async (t) => {
    await control.startServer();
    await isWell();
    const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "one", namespace: "kube-system" } };
    await control.admin.remove(secret);
    await control.killServer();
    await control.startServer();
    await tells(/Unauthorized/);
    await answers();
    await node.renewToken("two");
    await isWell();
    await control.admin.apply({ ...slice, endpoints: [] });
    await until("a change after it", async () => (await curl()) === "");
    await control.admin.apply(slice);
    await answers();
    t.equal(await node.metric("podwire_source_up"), 1);
  });

  await t.test("ClusterNetworkPolicies, whose definition came after the agent", async () => {
    await until("the server to serve them", async () => {
      const made = await control.admin.apply(closed).catch(() => undefined);
      return made !== undefined;
    });
    await until("the policy to be enforced", async () => (await curl()) === "", 90_000);
    await control.admin.remove(closed);
    await answers();
  });

  await t.test(
    "of what the role allows nothing is left over, and nothing was asked that it does not",
    async (t) => {
      const allowed = rightsOf(roleOfDocs().rules);
      const tried = ["list /secrets", "list apps/deployments"]; // above, with the agent's token, to be refused
      const asked = control.asked("kube-system", "podwire").filter((each) => !tried.includes(each));
      t.same(
        asked.filter((each) => !allowed.includes(each)),
        [],
      );
      // A server that streams its lists is asked by watches alone.
      const used = (each: string): boolean =>
        asked.includes(each) || (each.startsWith("list ") && asked.includes(each.replace("list", "watch")));
      t.same(
        allowed.filter((each) => !used(each)),
        [],
      );
    },
  );

  /** Asks the service ten times a second, one line for each answer. */
  function startAsking(): Promise<Running> {
    const ask = "curl -sS --max-time 1 http://10.96.0.80/ || echo none; sleep 0.1";
    const shell = ["ip", "netns", "exec", namespaces.nameOf("shell"), "sh", "-c", `while :; do ${ask}; done`];
    return start(shell, /pod web/);
  }
});
