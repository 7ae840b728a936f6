// `podwire gateway` and a real API server with the Gateway API's own definitions: it takes the manifests that people apply;
// two processes serve what is stored there, by the account of the manifests, and one of them writes the statuses.
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { parseAllDocuments } from "yaml";
import { PODWIRE, ROOT } from "../../src/testing/lab/lab.ts";
import { type Running, run, sleep, start, until } from "../../src/testing/lab/process.ts";
import { pathOf } from "./support/client.ts";
import { ControlPlane, noCluster, PROGRAMS, type Rule, rightsOf } from "./support/control-plane.ts";

const GROUP = "gateway.networking.k8s.io";
const [NAMESPACE, NAME] = ["podwire-gateway", "podwire-gateway"];
const BACKEND = "10.99.0.1"; // slices may not say loopback
const ADDRESS = "192.0.2.10";
const WAIT_MS = 30_000;
const APPLY = "application/apply-patch+yaml";

// biome-ignore lint/suspicious/noExplicitAny: tests check what they read of it
type Json = any;

const documents = (file: string): Json[] =>
  parseAllDocuments(readFileSync(file, "utf8"))
    .map((each) => each.toJS())
    .filter((each) => each !== null);
const object = (apiVersion: string, kind: string, name: string, spec: object): Json => ({
  ...{ apiVersion, kind, metadata: { name, namespace: "default" }, spec },
});
const backendRefs = [{ name: "web", port: 80 }];
const OBJECTS: Json[] = [
  object("v1", "Service", "web", { ports: [{ port: 80, targetPort: 8080 }] }),
  {
    ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
    metadata: { name: "web-1", namespace: "default", labels: { "kubernetes.io/service-name": "web" } },
    ports: [{ port: 8080 }],
    endpoints: [{ addresses: [BACKEND], conditions: { ready: true } }],
  },
  object("networking.k8s.io/v1", "Ingress", "web", {
    ingressClassName: "podwire",
    rules: [
      {
        host: "ingress.example",
        http: {
          paths: [
            { path: "/", pathType: "Prefix", backend: { service: { name: "web", port: { number: 80 } } } },
          ],
        },
      },
    ],
  }),
  object(`${GROUP}/v1`, "Gateway", "edge", {
    gatewayClassName: "podwire",
    listeners: [
      { name: "http", port: 8000, protocol: "HTTP" },
      { name: "tls", port: 8443, protocol: "TLS", tls: { mode: "Passthrough" } },
    ],
  }),
  object(`${GROUP}/v1`, "HTTPRoute", "web", {
    parentRefs: [{ name: "edge" }],
    hostnames: ["gateway.example"],
    rules: [{ backendRefs }],
  }),
  // This version of the definitions has it as v1alpha2 and v1alpha3, and not as v1.
  object(`${GROUP}/v1alpha3`, "TLSRoute", "web", {
    parentRefs: [{ name: "edge", sectionName: "tls" }],
    hostnames: ["tls.example"],
    rules: [{ backendRefs }],
  }),
  object(`${GROUP}/v1`, "BackendTLSPolicy", "later", {
    targetRefs: [{ group: "", kind: "Service", name: "other" }],
    validation: { hostname: "web.example", wellKnownCACertificates: "System" },
  }),
];

class Gateways {
  readonly control: ControlPlane;
  readonly folder: string;
  readonly #kubeconfig: string;

  constructor(control: ControlPlane, folder: string, kubeconfig: string) {
    this.control = control;
    this.folder = folder;
    this.#kubeconfig = kubeconfig;
  }

  /** At an address of loopback of its own; as the manifests configure it but for that, and for the ports. */
  async start(t: Test, address: string): Promise<Running> {
    const { data } = documents(join(ROOT, "deploy/gateway.yaml")).find(({ kind }) => kind === "ConfigMap");
    const [document] = parseAllDocuments(data["gateway.yaml"]);
    const config = {
      ...(document.toJS() as object),
      ...{ source: { kubernetes: { kubeconfig: this.#kubeconfig } }, ingress: { http: 8080 } },
      ...{ address, metrics: { address, port: 9153 }, accessLog: "off", drainSec: 1 },
    };
    const file = join(this.folder, `${address}.yaml`);
    writeFileSync(file, JSON.stringify(config));
    const running = await start([PODWIRE, "gateway", "--config", file], /gateway: http 8080/, WAIT_MS);
    t.teardown(() => running.stop("SIGKILL"));
    return running;
  }

  async status(kind: string, name: string, namespace = "default", version = "v1"): Promise<Json> {
    const apiVersion = kind === "Ingress" ? "networking.k8s.io/v1" : `${GROUP}/${version}`;
    return (
      await this.control.admin.done(
        "GET",
        pathOf({ apiVersion, kind, metadata: { name, namespace } } as Json),
      )
    ).status;
  }
}

const leads = ({ output }: Running): boolean => output().includes("this process writes the statuses");
const accepted = (status: Json): string => status?.parents?.[0]?.conditions?.[0]?.status ?? "";

t.test(
  "gateways, and a real API server with the Gateway API",
  { skip: noCluster("curl", "ip") },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "podwire-test-gateway-"));
    const control = await ControlPlane.start(folder);
    await run(["ip", "address", "add", `${BACKEND}/32`, "dev", "lo"]);
    const web = createServer((request, response) => response.end(`${request.headers.host} ${request.url}\n`));
    await new Promise<void>((resolve) => web.listen(8080, BACKEND, resolve));
    t.teardown(async () => {
      web.close();
      web.closeAllConnections();
      await control.stop();
      await rm(folder, { recursive: true, force: true });
    });
    const { admin } = control;
    const deploy = documents(join(ROOT, "deploy/gateway.yaml"));
    const one = (kind: string): Json => deploy.find((each) => each.kind === kind);

    await t.test("its definitions are there", async () => {
      for (const each of documents(join(PROGRAMS, "gateway-api.yaml"))) await admin.apply(each);
      const isThere = async (): Promise<boolean> =>
        (await admin.ask("GET", `/apis/${GROUP}/v1/gateways`)).status === 200 &&
        (await admin.ask("GET", `/apis/${GROUP}/v1alpha3/tlsroutes`)).status === 200;
      await until("the Gateway API", isThere, WAIT_MS);
    });

    await t.test(
      "a server-side dry run takes every object of the manifests, and the pod of the Deployment",
      async (t) => {
        await admin.apply(one("Namespace"));
        const strict = "dryRun=All&fieldValidation=Strict&fieldManager=test";
        for (const each of deploy) {
          const { status, body } = await admin.ask("PATCH", `${pathOf(each)}?${strict}`, each, APPLY);
          t.ok(status === 200 || status === 201, `${each.kind} ${each.metadata.name}`, body);
        }
        const { metadata, spec } = one("Deployment").spec.template;
        const pod = {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { ...metadata, name: "one", namespace: NAMESPACE },
          spec,
        };
        const posted = `/api/v1/namespaces/${NAMESPACE}/pods?${strict}`;
        const { status, body } = await admin.ask("POST", posted, pod);
        t.equal(status, 201, body.message);
        pod.spec = { ...spec, hostPID: true };
        t.match(
          await admin.ask("POST", posted, pod),
          { status: 403, body: { message: /restricted/ } },
          "it is held to it",
        );
      },
    );

    for (const each of deploy.filter(({ kind }) => /Account|Role|Service$|Class/.test(kind)))
      await admin.apply(each);
    const service = `/api/v1/namespaces/${NAMESPACE}/services/${NAME}/status`;
    await admin.done(
      "PATCH",
      service,
      { status: { loadBalancer: { ingress: [{ ip: ADDRESS }] } } },
      "application/merge-patch+json",
    );
    const token = await control.serviceAccountToken(NAMESPACE, NAME, "of-gateway");
    const gateways = new Gateways(control, folder, control.kubeconfig({ token }));
    const first = await gateways.start(t, "127.0.0.2");
    for (const each of OBJECTS) await admin.apply(each);
    const second = await gateways.start(t, "127.0.0.3");

    await t.test("statuses appear", async (t) => {
      await until(
        "the route",
        async () => accepted(await gateways.status("HTTPRoute", "web")) === "True",
        WAIT_MS,
      );
      const edge = async (): Promise<Json> => gateways.status("Gateway", "edge");
      await until("the Gateway", async () => (await edge()).conditions?.[1]?.status === "True", WAIT_MS);
      const { addresses, listeners } = await edge();
      t.same(addresses, [{ type: "IPAddress", value: ADDRESS }]);
      t.same(
        listeners.map((each: Json) => `${each.name} ${each.attachedRoutes}`),
        ["http 1", "tls 1"],
      );
      const tls = await gateways.status("TLSRoute", "web", "default", "v1alpha3");
      t.equal(accepted(tls), "True", "in whatever version the server has it");
      t.match(await gateways.status("Ingress", "web"), { loadBalancer: { ingress: [{ ip: ADDRESS }] } });
      const { conditions, supportedFeatures } = await gateways.status("GatewayClass", "podwire");
      t.match(conditions[0], { type: "Accepted", status: "True" });
      t.ok(supportedFeatures.some(({ name }: Json) => name === "HTTPRoute"));
      t.match(await gateways.status("BackendTLSPolicy", "later"), undefined, "nobody leads there yet");
    });

    await t.test("curl goes through, by an Ingress and by a Gateway, at both processes", async (t) => {
      for (const address of ["127.0.0.2", "127.0.0.3"])
        for (const [name, port] of [
          ["ingress.example", 8080],
          ["gateway.example", 8000],
        ]) {
          const words = [
            "-sS",
            "-m",
            "5",
            "--resolve",
            `${name}:${port}:${address}`,
            `http://${name}:${port}/a?b`,
          ];
          const asked = async (): Promise<string> => (await run(["curl", ...words])).stdout;
          await until(`an answer at ${address}`, async () => (await asked()).includes("/a?b"), WAIT_MS).catch(
            () => {},
          );
          t.equal(await asked(), `${name}:${port} /a?b\n`, `${name} at ${address}`);
        }
    });

    const versions = async (): Promise<string[]> => {
      const all = ["gateways", "httproutes", "gatewayclasses"].map((plural) => `/apis/${GROUP}/v1/${plural}`);
      const lists = await Promise.all(all.map((path) => admin.done("GET", path)));
      return lists.flatMap(({ items }) => items.map(({ metadata }: Json) => metadata.resourceVersion));
    };

    await t.test("then it rests; and one writes, though both may", async (t) => {
      await sleep(1000);
      const before = await versions();
      await sleep(3000);
      t.same(await versions(), before);
      t.same([leads(first), leads(second)], [true, false]);
    });

    await t.test(
      "whoever else writes meanwhile loses nothing, and what is written is about the last version",
      async (t) => {
        const path = pathOf({
          apiVersion: `${GROUP}/v1`,
          kind: "HTTPRoute",
          metadata: { name: "web", namespace: "default" },
        } as Json);
        const merge = "application/merge-patch+json";
        for (let i = 1; i <= 30; i++) {
          const spec = { hostnames: ["gateway.example", `h${i}.example`] };
          await admin.done("PATCH", path, { metadata: { annotations: { count: `${i}` } }, spec }, merge);
        }
        const isNow = async (): Promise<boolean> => {
          const { metadata, status } = await admin.done("GET", path);
          return status.parents[0].conditions.every(
            (each: Json) => each.observedGeneration === metadata.generation,
          );
        };
        await until("its generation", isNow, WAIT_MS);
        const { metadata, spec } = await admin.done("GET", path);
        t.same([metadata.annotations.count, spec.hostnames[1]], ["30", "h30.example"]);
      },
    );

    await t.test("a policy says where it is heeded, once a route leads to its Service", async (t) => {
      await admin.apply(object("v1", "Service", "other", { ports: [{ port: 80 }] }));
      const rules = [{ backendRefs: [{ name: "other", port: 80 }] }];
      const route = { parentRefs: [{ name: "edge" }], hostnames: ["other.example"], rules };
      await admin.apply(object(`${GROUP}/v1`, "HTTPRoute", "other", route));
      const heeded = async (): Promise<Json> =>
        (await gateways.status("BackendTLSPolicy", "later"))?.ancestors?.[0];
      await until("an ancestor", async () => (await heeded()) !== undefined, WAIT_MS);
      t.match(await heeded(), {
        ...{ ancestorRef: { kind: "Gateway", name: "edge" }, controllerName: "podwire.dev/gateway" },
        conditions: [{ type: "Accepted", status: "True" }],
      });
    });

    await t.test("who writes is killed: the other goes on, and lets go at its end", async (t) => {
      await first.stop("SIGKILL");
      await admin.remove(object(`${GROUP}/v1`, "HTTPRoute", "other", {}));
      const attached = async (): Promise<number> =>
        (await gateways.status("Gateway", "edge")).listeners[0].attachedRoutes;
      const began = Date.now();
      await until("the other to write", async () => (await attached()) === 1, WAIT_MS);
      t.comment(`written ${((Date.now() - began) / 1000).toFixed(1)} s after it was killed`);
      t.ok(leads(second));
      await second.stop();
      const lease = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/${NAME}`;
      t.notOk((await admin.done("GET", lease)).spec.holderIdentity);
    });

    await t.test(
      "it has asked for what its roles allow, and all that they allow was asked for",
      async (t) => {
        const rules: Rule[] = [one("ClusterRole"), one("Role")].flatMap((each) => each.rules);
        const rights = rightsOf(rules);
        const asked = control.asked(NAMESPACE, NAME);
        for (const each of asked) t.comment(`> ${each}`);
        t.same(
          asked.filter((each) => !rights.includes(each)),
          [],
        );
        const reads = rights.filter((each) => /^(list|watch) /.test(each) && each.startsWith("watch"));
        t.same(
          reads.filter((each) => !asked.includes(each)),
          [],
        );
      },
    );
  },
);
