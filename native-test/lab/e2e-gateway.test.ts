// Ingresses and Gateways of a lab, as a client on the fabric sees them: by name to a pod, through a gateway that the lab
// itself makes run and takes away, with certificates of Secrets, while pods and certificates are replaced.
import { writeFileSync } from "node:fs";
import t from "tap";
import { makeCredentials } from "../../src/apiserver/certificates.ts";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { HTTP_PORT } from "../../src/testing/lab/objects.ts";
import { sleep, until } from "../../src/testing/lab/process.ts";
import { startAsker, stopAsker } from "../support/asker.ts";

const REQUESTS_PER_SEC = 50;
const WAIT_MS = 60_000;
const GROUP = "gateway.networking.k8s.io";
const SHOP = "shop.example";

// biome-ignore lint/suspicious/noExplicitAny: the command's JSON
type Json = any;

const template = (app: string) => ({
  metadata: { labels: { app } },
  spec: {
    containers: [
      {
        name: "main",
        image: "podwire/echo",
        ports: [{ containerPort: HTTP_PORT }],
        readinessProbe: { tcpSocket: { port: HTTP_PORT }, periodSeconds: 1 },
        lifecycle: { preStop: { exec: { command: ["sleep", "3"] } } },
      },
    ],
  },
});
const served = (name: string, replicas: number): object[] => [
  {
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name } },
    spec: {
      ...{ replicas, selector: { matchLabels: { app: name } }, template: template(name) },
      strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    },
  },
  {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name } },
    spec: { selector: { app: name }, ports: [{ port: 80, targetPort: HTTP_PORT }] },
  },
];
const path = (value: string, name: string) => ({
  ...{ path: value, pathType: "Prefix" },
  backend: { service: { name, port: { number: 80 } } },
});
const ingress = (more: object = {}): object => ({
  ...{ apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: { name: "web" } },
  spec: {
    rules: [
      { host: SHOP, http: { paths: [path("/", "front"), path("/api", "back")] } },
      { http: { paths: [path("/", "front")] } },
    ],
    ...more,
  },
});
const gateway: object = {
  ...{ apiVersion: `${GROUP}/v1`, kind: "Gateway", metadata: { name: "edge" } },
  spec: {
    gatewayClassName: "podwire",
    listeners: [
      { name: "http", port: 8000, protocol: "HTTP" },
      {
        ...{ name: "https", port: 8443, protocol: "HTTPS", hostname: SHOP },
        tls: { certificateRefs: [{ name: "shop-tls" }] },
      },
    ],
  },
};
const route: object = {
  ...{ apiVersion: `${GROUP}/v1`, kind: "HTTPRoute", metadata: { name: "shop" } },
  spec: {
    parentRefs: [{ name: "edge" }],
    hostnames: [SHOP],
    rules: [
      {
        matches: [{ path: { value: "/back" } }],
        timeouts: { request: "3s" }, // for pods that a policy keeps it from
        backendRefs: [{ name: "back", port: 80 }],
      },
      { backendRefs: [{ name: "front", port: 80 }] },
    ],
  },
};
const secret = (crt: string, key: string): object => ({
  ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "shop-tls" }, type: "kubernetes.io/tls" },
  stringData: { "tls.crt": crt, "tls.key": key },
});
/** Nobody but who is labelled so reaches the pods of `back`. */
const policy: object = {
  ...{ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "back" } },
  spec: {
    podSelector: { matchLabels: { app: "back" } },
    ingress: [{ from: [{ podSelector: { matchLabels: { may: "back" } } }] }],
  },
};

/** HTTPS requests, each on a connection of its own; SIGTERM ends it with what failed and which certificates were shown. */
const TLS_ASKER = `
const https = require("node:https");
const fs = require("node:fs");
const [host, port, servername, ca, perSec] = process.argv.slice(1);
const failed = [], shown = {};
let sent = 0, open = 0, isOver = false;
const finish = () => {
  if (!isOver || open > 0) return;
  console.log(JSON.stringify({ sent, failed, shown: Object.keys(shown).length }));
  process.exit(0);
};
const options = { host, port, servername, ca: fs.readFileSync(ca), agent: false, timeout: 5000 };
const ask = () => {
  sent++;
  open++;
  const end = (problem) => {
    if (problem) failed.push(problem);
    open--;
    finish();
  };
  const request = https.get({ ...options, headers: { host: servername } }, (answer) => {
    shown[answer.socket.getPeerCertificate().fingerprint256] = true;
    answer.resume().on("end", () => end(answer.statusCode === 200 ? "" : String(answer.statusCode)));
  });
  request.on("error", ({ message }) => end(message)).on("timeout", () => request.destroy(new Error("timeout")));
};
const tick = setInterval(ask, 1000 / perSec);
console.log("asking");
process.on("SIGTERM", () => {
  clearInterval(tick);
  isOver = true;
  finish();
});
`;

t.test("gateways of a lab", { skip: cannotRun("curl") }, async (t) => {
  const one = await makeCredentials("one", [SHOP], []);
  const two = await makeCredentials("two", [SHOP], []);
  const lab = await TestLab.up("gateway", {
    loadBalancer: { pool: "192.168.50.240/29" },
    policy: { established: "recheck" }, // the gateway keeps its connections to pods
    objects: [
      ...[...served("front", 2), ...served("back", 1), secret(one.serverCert, one.serverKey)],
      ...[ingress({ tls: [{ hosts: [SHOP], secretName: "shop-tls" }] }), gateway, route],
    ],
  });
  t.teardown(() => lab.down());
  const authorities = `${lab.folder}/ca.pem`;
  writeFileSync(authorities, `${one.ca}\n${two.ca}`);

  const addressOf = async (kind: string, name: string): Promise<string> => {
    const { status } = await lab.json("get", kind, name);
    return status?.loadBalancer?.ingress?.[0]?.ip ?? status?.addresses?.[0]?.value ?? "";
  };
  const address = { ingress: "", edge: "" };

  /** Status and body; the client knows no names, so that curl is told them. */
  async function ask(at: string, url: string, ...more: string[]): Promise<{ code: number; body: Json }> {
    const { protocol, port } = new URL(url);
    const names = ["--resolve", `${SHOP}:${port || (protocol === "http:" ? 80 : 443)}:${at}`];
    const format = ["-w", "\n%{http_code}", "-sS", "-m", "10", "--cacert", authorities];
    const { stdout, stderr } = await lab.exec("client/outside", ["curl", ...format, ...names, ...more, url]);
    const lines = stdout.split("\n");
    const text = lines.slice(0, -1).join("\n");
    const body = text.startsWith("{") ? JSON.parse(text) : { text, stderr };
    return { code: Number(lines.at(-1)), body };
  }
  const answers = (at: string, url: string, code: number, ...more: string[]) =>
    until(`${code} of ${url}`, async () => (await ask(at, url, ...more)).code === code, WAIT_MS);

  t.test("what is made has an address, and says so", async (t) => {
    address.ingress = await addressOf("ingress", "web");
    address.edge = await addressOf("gateway", "edge");
    t.match(address.ingress, /^192\.168\.50\.24\d$/);
    t.match(address.edge, /^192\.168\.50\.24\d$/);
    t.not(address.ingress, address.edge);
    t.match(await lab.output(["get", "ingress", "web"]), new RegExp(` ${address.ingress} +80, 443 `));
    await until(
      "the Gateway to be programmed",
      async () => / True /.test(await lab.output(["get", "gateway", "edge"])),
      WAIT_MS,
    );
    t.match(await lab.output(["get", "gateway", "edge"]), new RegExp(`podwire +${address.edge} +True`));
    const { status } = await lab.json("get", "httproute", "shop");
    t.match(status.parents[0], { controllerName: "podwire.dev/gateway", conditions: [{ status: "True" }] });
    const { status: gw } = await lab.json("get", "gateway", "edge");
    t.same(
      gw.listeners.map((each: Json) => each.attachedRoutes),
      [1, 1],
    );
  });

  t.test("from a name to a pod, by an Ingress", async (t) => {
    const told = await ask(address.ingress, `http://${SHOP}/`, "-k");
    t.equal(told.code, 308, "its host has TLS");
    const { code, body } = await ask(address.ingress, `https://${SHOP}/`);
    t.equal(code, 200, JSON.stringify(body));
    t.match(body.pod, /^front-/);
    t.match((await ask(address.ingress, `https://${SHOP}/api`)).body.pod, /^back-/);
    t.match((await ask(address.ingress, `http://${address.ingress}/`)).body.pod, /^front-/);
  });

  t.test("from a name to a pod, by a Gateway and its route", async (t) => {
    for (const url of [`http://${SHOP}:8000`, `https://${SHOP}:8443`]) {
      t.match((await ask(address.edge, `${url}/`)).body.pod, /^front-/, url);
      t.match((await ask(address.edge, `${url}/back/1`)).body.pod, /^back-/, url);
    }
    t.equal((await ask(address.edge, `http://${address.edge}:8000/`)).code, 404, "a host of nobody's");
  });

  t.test("explain says of the lab what happens", async (t) => {
    const words = ["explain", "--http", "GET", `http://${SHOP}:8000/back/1`, "--gateway", "default/edge"];
    const { backend, rule, endpoints } = JSON.parse(await lab.output([...words, "-o", "json"]));
    t.match({ backend, rule }, { backend: "default/back:80", rule: "HTTPRoute default/shop rules[0]" });
    const { body } = await ask(address.edge, `http://${SHOP}:8000/back/1`);
    t.ok((endpoints as string[]).includes(body.server), `${body.server} of ${endpoints}`);
    const statuses = await lab.output(["explain", "--gateway-status"]);
    t.match(statuses, /HTTPRoute default\/shop +at edge +Accepted +True/);
  });

  t.test("a policy that keeps the gateway out, and lets it in again", async (t) => {
    const url = `http://${SHOP}:8000/back`;
    await lab.apply(policy);
    await until(
      "the gateway to be kept out",
      async () => (await ask(address.edge, url)).code === 504,
      WAIT_MS,
    );
    t.equal((await ask(address.edge, `http://${SHOP}:8000/`)).code, 200, "others are answered");
    await lab.output(["delete", "networkpolicy", "back"]);
    await answers(address.edge, url, 200);
  });

  t.test("no request is lost while the pods behind it are replaced", async (t) => {
    const asker = await startAsker(lab, "client/outside", REQUESTS_PER_SEC, `${address.ingress}:80`);
    await sleep(500);
    await lab.output(["rollout", "restart", "deployment", "front"]);
    await lab.output(["rollout", "status", "deployment", "front", "--timeout", "120s"], {
      timeoutMs: 130_000,
    });
    await until(
      "the last pods to be gone",
      async () => (await lab.json("get", "pods", "-l", "app=front")).items.length === 2,
      WAIT_MS,
    );
    await sleep(500);
    const asked = await stopAsker(asker);
    t.comment(`${asked.sent} requests, ${asked.failed.length} lost, ${Object.keys(asked.done).length} pods`);
    for (const line of asked.failed.slice(0, 10)) t.comment(line);
    t.same(asked.failed, []);
    t.ok(Object.keys(asked.done).length > 2, "by old pods and by new ones");
  });

  t.test("a certificate is renewed, and no request is lost", async (t) => {
    const words = [
      "node",
      "-e",
      TLS_ASKER,
      address.edge,
      "8443",
      SHOP,
      authorities,
      String(REQUESTS_PER_SEC),
    ];
    const asker = await lab.startIn("client/outside", words, /asking/);
    await sleep(1000);
    await lab.apply(secret(two.serverCert, two.serverKey));
    await sleep(2000);
    await asker.stop();
    const { sent, failed, shown } = JSON.parse(asker.output().trim().split("\n").at(-1) ?? "");
    t.comment(`${sent} requests, ${failed.length} lost, ${shown} certificates`);
    t.same(failed, []);
    t.equal(shown, 2);
    t.ok(sent > REQUESTS_PER_SEC / 5, `${sent} requests`);
  });

  t.test("what nobody wants any more is gone", async (t) => {
    const names = async (namespace: string): Promise<string[]> => {
      const { items } = await lab.json("get", "deployments,services", "-n", namespace);
      return items.map((each: Json) => each.metadata.name);
    };
    t.ok((await names("default")).includes("edge-podwire"));
    await lab.output(["delete", "gateway", "edge"]);
    await lab.output(["delete", "ingress", "web"]);
    await until(
      "the gateways to be gone",
      async () =>
        !(await names("default")).includes("edge-podwire") && (await names("podwire-system")).length === 0,
      WAIT_MS,
    );
    const { status } = await lab.json("get", "httproute", "shop");
    t.same(status.parents, [], "the route is at no Gateway");
    t.not((await ask(address.ingress, `http://${address.ingress}/`)).code, 200);
  });

  t.test("nothing is left of it", async (t) => {
    t.equal((await lab.down()).status, 0);
    t.same(await lab.traces(), []);
  });
});
