// Objects from an API server, over real connections, with a stand-in that fails on demand.
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import t, { type Test } from "tap";
import { refuse, StandIn } from "../../testing/api-server/stand-in.ts";
import { type ObjectEvent, ObjectGraph } from "../desired-state.ts";
import { ApiSource } from "./api-source.ts";
import { type Access, readAccess } from "./kubeconfig.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-api-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const TESTDATA = "src/watch/api-server/testdata";
const pem = (name: string): string => readFileSync(join(TESTDATA, name), "utf8");

const base64 = (name: string): string => Buffer.from(pem(name)).toString("base64");

const service = (name: string, port = 80) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: {
    ...{ name, namespace: "default" },
    annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}", "example.org/owner": "me" },
    managedFields: [{ manager: "kubectl" }],
  },
  spec: {
    ...{ type: "ClusterIP", clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9"], ipFamilies: ["IPv4"] },
    ports: [{ name: "http", port, protocol: "TCP", targetPort: 8080 }],
  },
});
const namespace = (name: string) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } });

/** A source that was refused twice asks again after a second and a half. */
const PATIENCE_MS = 15_000;

class Heard {
  readonly graph = new ObjectGraph();
  readonly events: string[] = [];
  readonly problems: string[] = [];
  readonly notes: string[] = [];
  isSynced = false;
  readonly source: ApiSource;

  constructor(
    access: Parameters<typeof readAccess>[0],
    stateFile = "",
    patienceMs = 3000,
    readsAgain = false,
  ) {
    const readAgain = (): Access => readAccess(access, {});
    this.source = new ApiSource({
      ...{ access: readAgain(), nodeName: "node1", stateFile, patienceMs, saveMs: 5 },
      ...(readsAgain && { readAgain }),
    });
    this.source.start({
      events: (events, synced) => {
        for (const event of events) this.#take(event);
        this.isSynced ||= synced;
      },
      problem: (error) => void this.problems.push(error.message),
      note: (line) => void this.notes.push(line),
    });
  }

  #take(event: ObjectEvent): void {
    this.graph.onEvent(event);
    this.events.push(`${event.type} ${event.object.kind} ${event.object.metadata.name}`);
  }

  /** Waits, at most a while, until `what` holds. */
  async until(what: () => boolean): Promise<boolean> {
    const end = performance.now() + PATIENCE_MS;
    while (!what()) {
      if (performance.now() > end) return false;
      await sleep(5);
    }
    return true;
  }
}

async function server(of: StandIn, port = 0): Promise<string> {
  return `http://127.0.0.1:${await of.listen(port)}`;
}
/** A kubeconfig of this server and user. */
function kubeconfig(url: string, user: object = {}, cluster: object = {}): string {
  const file = join(folder, `kubeconfig-${Math.random().toString(36).slice(2)}`);
  const config = {
    ...{ "current-context": "x", contexts: [{ name: "x", context: { cluster: "c", user: "u" } }] },
    ...{ clusters: [{ name: "c", cluster: { server: url, ...cluster } }], users: [{ name: "u", user }] },
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

t.test("what is there, what changes, and what it is cut to", async (t) => {
  const api = new StandIn();
  api.put(service("web"));
  api.put(namespace("default"));
  const heard = new Heard({ kubeconfig: kubeconfig(await server(api)) });
  t.ok(await heard.until(() => heard.isSynced), heard.problems.join());
  const kept = heard.graph.services.get("default/web");
  t.same(Object.keys(JSON.parse(JSON.stringify(kept?.metadata ?? {}))).sort(), [
    "name",
    "namespace",
    "resourceVersion",
    "uid",
  ]);
  t.equal(kept?.spec.sessionAffinity, "None", "with the defaults that the rest counts on");
  t.ok(await heard.until(() => api.watches === 8));
  api.put(service("web", 81));
  api.put(service("api"));
  api.delete(namespace("default"));
  t.ok(await heard.until(() => heard.events.length === 5));
  t.same(heard.events.slice(2).sort(), [
    "ADDED Service api",
    "DELETED Namespace default",
    "MODIFIED Service web",
  ]);
  const before = heard.events.length;
  api.delete(service("api"));
  api.put(service("api"));
  t.ok(await heard.until(() => heard.events.length === before + 2));
  t.same([heard.problems, heard.notes], [[], []]);
  t.ok(heard.source.health.silentSeconds >= 0);
  heard.source.close();
  await api.close();
});

t.test("a server at a socket of this machine, which is not there yet, and goes away", async (t) => {
  const path = join(folder, "a lab's.sock"); // one whose path a URL writes otherwise
  const access = { servers: [`unix:${path}`], kubeconfig: join(folder, "nobody reads it") };
  const heard = new Heard(access);
  t.teardown(() => heard.source.close());
  t.ok(await heard.until(() => heard.problems.length === 1));
  t.equal(heard.problems[0], `API server unix:${path}: nodes: unix:${path}: no such socket`);
  const api = new StandIn();
  api.put(service("web"));
  await api.listenAt(path);
  t.ok(await heard.until(() => heard.isSynced), heard.problems.join());
  t.same(heard.events, ["ADDED Service web"]);
  t.equal(heard.source.health.server, `unix:${path}`);
  api.put(service("api"));
  t.ok(await heard.until(() => heard.events.length === 2));
  await api.close();
  api.delete(service("api"));
  api.put(service("new"));
  t.teardown(() => api.close());
  await api.listenAt(path);
  const isAnew = (): boolean => heard.graph.services.has("default/new");
  t.ok((await heard.until(isAnew)) || (await heard.until(isAnew)), heard.problems.join());
  t.notOk(heard.graph.services.has("default/api"));
});

t.test("what many objects have alike is kept once, and what no node asks for not at all", async (t) => {
  const pod = (name: string, app: string): object => ({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default", labels: { app } } },
    spec: { nodeName: "a-node", containers: [{ name: "main", image: "x", ports: [{ containerPort: 80 }] }] },
  });
  const api = new StandIn();
  for (const [name, app] of ["ax", "bx", "cy"]) api.put(pod(name, app));
  const endpoints = ["10.0.0.1", "10.0.0.2"].map((address) => ({
    ...{ addresses: [address], conditions: { ready: true, serving: true }, nodeName: "a-node" },
    targetRef: { kind: "Pod", name: address },
  }));
  const metadata = { name: "web-1", namespace: "default", labels: { "kubernetes.io/service-name": "web" } };
  const [apiVersion, ports] = ["discovery.k8s.io/v1", [{ name: "", port: 80, protocol: "TCP" }]];
  api.put({ apiVersion, kind: "EndpointSlice", metadata, addressType: "IPv4", ports, endpoints });
  api.put({
    ...{
      apiVersion,
      kind: "EndpointSlice",
      metadata: { ...metadata, name: "web-2" },
      addressType: "IPv4",
      ports,
    },
    endpoints: ["10.0.0.3"],
  });
  const heard = new Heard({ kubeconfig: kubeconfig(await server(api)) });
  t.ok(await heard.until(() => heard.isSynced), heard.problems.join());
  const [a, b, c] = [..."abc"].map((name) => heard.graph.pods.get(`default/${name}`));
  t.equal(a?.spec.containers, b?.spec.containers);
  t.equal(a?.metadata.labels, b?.metadata.labels);
  t.same([a?.metadata.labels, c?.metadata.labels], [{ app: "x" }, { app: "y" }]);
  const [slice] = heard.graph.slices.get("default/web") ?? [];
  const [first, second] = slice?.endpoints ?? [];
  t.equal(first.conditions, second.conditions);
  t.same(second, { addresses: ["10.0.0.2"], conditions: { ready: true, serving: true }, nodeName: "a-node" });
  t.match(heard.notes, [/^EndpointSlice default\/web-2 cannot be used: .*endpoints\[0\]/]);
  heard.source.close();
  await api.close();
});

t.test("the server goes away for a while: nothing is emptied, what changed is heard", async (t) => {
  const api = new StandIn();
  api.put(service("web"));
  api.put(service("old"));
  const port = await api.listen();
  const heard = new Heard({ kubeconfig: kubeconfig(`http://127.0.0.1:${port}`) });
  t.ok(await heard.until(() => heard.isSynced));
  await api.close();
  t.ok(await heard.until(() => heard.problems.length > 0));
  t.match(heard.problems, [new RegExp(`^API server http://127.0.0.1:${port}: \\w+[\\w.]*: .*`)]);
  t.match(heard.source.health.problem, /connection refused|was cut/);
  t.equal(heard.graph.services.size, 2);
  api.delete(service("old"));
  api.put(service("new"));
  api.compact();
  await api.listen(port);
  t.ok(await heard.until(() => heard.graph.services.has("default/new")), heard.source.health.problem);
  t.same([...heard.graph.services.keys()].sort(), ["default/new", "default/web"]);
  t.same(heard.events.slice(2).sort(), ["ADDED Service new", "DELETED Service old"], "web was never gone");
  t.ok(await heard.until(() => heard.source.health.problem === ""));
  t.equal(heard.problems.length, 1, "said once");
  heard.source.close();
  await api.close();
});

t.test("an object made anew under its name while nobody listened", async (t) => {
  const api = new StandIn();
  api.put(service("web"));
  const heard = new Heard({ kubeconfig: kubeconfig(await server(api)) });
  t.ok(await heard.until(() => heard.isSynced && api.watches === 8));
  api.fault = (_, response) => {
    refuse(response, 503, "busy");
    return true;
  };
  api.compact();
  t.ok(await heard.until(() => api.watches === 0));
  api.delete(service("web"));
  api.put(service("web"));
  api.fault = () => false;
  t.ok(await heard.until(() => heard.events.length === 3), heard.events.join());
  t.same(heard.events, ["ADDED Service web", "DELETED Service web", "ADDED Service web"]);
  heard.source.close();
  await api.close();
});

t.test("an object that cannot be used is told, and harms no other", async (t) => {
  const api = new StandIn();
  api.put(service("web"));
  const wrong = service("wrong");
  api.put({ ...wrong, spec: { ...wrong.spec, ports: [{ port: "eighty" }] } });
  const port = await api.listen();
  const heard = new Heard({ kubeconfig: kubeconfig(`http://127.0.0.1:${port}`) });
  t.ok(await heard.until(() => heard.isSynced));
  t.same([...heard.graph.services.keys()], ["default/web"]);
  t.match(heard.notes, [/^Service default\/wrong cannot be used: .*port.*: it counts as not there$/]);
  t.match([...heard.source.health.refused.keys()], ["Service default/wrong"]);
  const isTold = (count: number) => () => [...api.events.values()].some((event) => event.count === count);
  t.ok(await heard.until(isTold(1)));
  t.match([...api.events][0], [
    /^\/api\/v1\/namespaces\/default\/events\/wrong\.[0-9a-f]{16}$/,
    {
      ...{ type: "Warning", reason: "Unusable", message: /^counts as not there: .*port/, count: 1 },
      involvedObject: {
        apiVersion: "v1",
        kind: "Service",
        name: "wrong",
        namespace: "default",
        uid: /^uid-/,
      },
      source: { component: "podwire", host: "node1" },
    },
  ]);
  t.ok(await heard.until(() => api.watches === 8));
  api.put(wrong);
  t.ok(await heard.until(() => heard.graph.services.has("default/wrong")));
  t.equal(heard.source.health.refused.size, 0);
  api.put({ ...wrong, spec: { ...wrong.spec, ports: [{ port: "eighty" }] } });
  t.ok(await heard.until(() => !heard.graph.services.has("default/wrong")), "and gone again");
  t.ok(await heard.until(isTold(2)), "counted up");
  api.compact();
  t.ok(await heard.until(() => api.watches === 8));
  t.equal(heard.source.health.refused.size, 1, "a list that has it still");
  api.delete(wrong);
  t.ok(await heard.until(() => heard.source.health.refused.size === 0), "of what is gone nothing is said");
  api.put({ ...wrong, spec: { ...wrong.spec, ports: [{ port: "eighty" }] } });
  t.ok(await heard.until(() => heard.source.health.refused.size === 1 && api.events.size === 2));
  await api.close();
  api.delete(wrong);
  api.compact();
  await api.listen(port);
  t.ok(await heard.until(() => heard.source.health.refused.size === 0), "nor of what a list has no more");
  t.equal(api.events.size, 2, "an Event for each object that had the name");
  heard.source.close();
  await api.close();
});

t.test("thousands in pages, from a server without streaming lists", async (t) => {
  const api = new StandIn();
  api.hasStreams = false;
  api.pageSize = 100;
  for (let i = 0; i < 350; i++) api.put(service(`s${i}`));
  const heard = new Heard({ kubeconfig: kubeconfig(await server(api)) });
  t.ok(await heard.until(() => heard.isSynced));
  t.equal(heard.graph.services.size, 350);
  const pages = api.requests.filter(({ path, query }) => path === "/api/v1/services" && query.has("limit"));
  t.equal(pages.length, 4);
  heard.source.close();
  await api.close();
});

t.test("a token that is renewed in its file, TLS, and who the server is", async (t) => {
  const tls = { key: pem("server.key"), cert: pem("server.crt"), ca: pem("ca.crt") };
  const api = new StandIn(tls);
  api.tokens = new Set(["one"]);
  api.put(service("web"));
  const port = await api.listen();
  const token = join(folder, "token");
  writeFileSync(token, "one\n");
  const ca = { "certificate-authority": join(process.cwd(), TESTDATA, "ca.crt") };
  const url = `https://127.0.0.1:${port}`;
  const heard = new Heard({ kubeconfig: kubeconfig(url, { tokenFile: "token" }, ca) });
  t.ok(await heard.until(() => heard.isSynced), heard.source.health.problem);
  api.tokens = new Set(["two"]);
  api.cut();
  t.ok(
    await heard.until(() => /Unauthorized/.test(heard.source.health.problem)),
    heard.source.health.problem,
  );
  writeFileSync(token, "two\n");
  api.put(service("new"));
  t.ok(await heard.until(() => heard.graph.services.has("default/new")), heard.source.health.problem);
  heard.source.close();
  const says = async (cluster: object, pattern: RegExp): Promise<void> => {
    const other = new Heard({ kubeconfig: kubeconfig(url, { tokenFile: "token" }, cluster) });
    t.ok(await other.until(() => other.problems.length > 0));
    t.match(other.problems[0], pattern);
    other.source.close();
  };
  await says({ "certificate-authority-data": base64("other-ca.crt") }, /signed by nobody/);
  await says({ ...ca, "tls-server-name": "elsewhere.test" }, /altnames/i);
  const named = new Heard({
    kubeconfig: kubeconfig(url, { token: "two" }, { ...ca, "tls-server-name": "kubernetes.test" }),
  });
  t.ok(await named.until(() => named.isSynced), named.source.health.problem);
  named.source.close();
  const seen: string[] = [];
  api.fault = ({ socket }) => {
    seen.push(String((socket as TLSSocket).getPeerCertificate().subject?.CN));
    return false;
  };
  const pair = { "client-certificate-data": base64("client.crt"), "client-key-data": base64("client.key") };
  const client = new Heard({ kubeconfig: kubeconfig(url, { ...pair, token: "two" }, ca) });
  t.ok(await client.until(() => client.isSynced), client.source.health.problem);
  t.same([...new Set(seen)], ["podwire"], "by its certificate");
  client.source.close();
  await api.close();
});

t.test("a server that goes elsewhere, by a kubeconfig that is written anew", async (t) => {
  const first = new StandIn();
  first.put(service("web"));
  const file = kubeconfig(await server(first));
  const other = new StandIn();
  other.tokens = new Set(["two"]);
  other.put(service("web"));
  other.put(service("new"));
  const url = await server(other);
  const heard = new Heard({ kubeconfig: file }, "", 3000, true);
  t.ok(await heard.until(() => heard.isSynced));
  writeFileSync(file, "{ half");
  await first.close();
  t.ok(await heard.until(() => heard.source.health.problem !== ""));
  t.match(heard.problems, [/refused|was cut/], "of the server, not of a file that is being written");
  writeFileSync(file, readFileSync(kubeconfig(url, { token: "one" })));
  t.ok(await heard.until(() => /Unauthorized/.test(heard.source.health.problem)), "asked as the file says");
  writeFileSync(file, readFileSync(kubeconfig(url, { token: "two" })));
  t.ok(await heard.until(() => heard.graph.services.has("default/new")), heard.source.health.problem);
  t.equal(heard.source.health.server, url);
  heard.source.close();
  await other.close();
});

t.test("a credential plug-in, asked again when its token is refused", async (t) => {
  const api = new StandIn();
  api.tokens = new Set(["t1"]);
  api.put(service("web"));
  const url = await server(api);
  const plugin = join(folder, "plugin");
  const answer = `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t'$n'"}}`;
  const count = join(folder, "runs");
  writeFileSync(plugin, `#!/bin/sh\nn=$(cat ${count}); n=$((n + 1)); echo $n >${count}\necho '${answer}'\n`);
  chmodSync(plugin, 0o755);
  writeFileSync(count, "0");
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: "./plugin",
    interactiveMode: "Never",
  };
  const heard = new Heard({ kubeconfig: kubeconfig(url, { exec }) });
  t.ok(await heard.until(() => heard.isSynced), heard.source.health.problem);
  t.equal(readFileSync(count, "utf8").trim(), "1", "one run for all requests");
  api.tokens = new Set(["t2"]);
  api.put(service("new"));
  api.cut();
  t.ok(await heard.until(() => heard.graph.services.has("default/new")), heard.source.health.problem);
  heard.source.close();
  await api.close();
});

t.test("an agent that starts while the server is away takes what the last one knew", async (t) => {
  const api = new StandIn();
  api.put(service("web"));
  const port = await api.listen();
  const config = kubeconfig(`http://127.0.0.1:${port}`);
  const state = join(folder, "state/objects.gz");
  const first = new Heard({ kubeconfig: config }, state);
  t.ok(await first.until(() => first.isSynced && statOf(state) !== undefined));
  t.equal((statOf(state)?.mode ?? 0) & 0o777, 0o600);
  first.source.close();
  await api.close();
  const second = new Heard({ kubeconfig: config }, state, 20);
  t.ok(await second.until(() => second.isSynced));
  t.same([...second.graph.services.keys()], ["default/web"]);
  t.match(second.notes, [/^the API server does not answer: 1 objects of \S+Z are taken from disk$/]);
  api.delete(service("web"));
  api.put(service("new"));
  await api.listen(port);
  t.ok(await second.until(() => second.graph.services.has("default/new")));
  t.same([...second.graph.services.keys()], ["default/new"]);
  second.source.close();
  await api.close();
  for (const [text, pattern] of [
    ["not gzip", /cannot be read/],
    ["", /cannot be read/],
  ] as const) {
    writeFileSync(state, text);
    const third = new Heard({ kubeconfig: config }, state, 20);
    t.ok(await third.until(() => third.notes.length > 0));
    t.match(third.notes[0], pattern);
    t.equal(third.isSynced, false);
    third.source.close();
  }
});

t.test("several addresses: the next one when one does not answer", async (t) => {
  const api = new StandIn();
  api.put(service("web"));
  const url = await server(api);
  const heard = new Heard({
    kubeconfig: kubeconfig("https://unused:1"),
    servers: ["http://127.0.0.1:1", url],
  });
  t.ok(await heard.until(() => heard.isSynced));
  t.ok(await heard.until(() => heard.source.health.problem === ""));
  heard.source.close();
  await api.close();
});

t.test("several addresses: requests that fail together lead on to the next one, too", async (t) => {
  const api = new StandIn();
  api.put(service("web"));
  const url = await server(api);
  // One that takes as many requests as there are resources, and then cuts them all, as a machine does that is off.
  const held = new Set<Socket>();
  const dead = createServer((socket) => {
    held.add(socket.on("error", () => {}));
    if (held.size < 8) return;
    for (const each of held) each.destroy();
    held.clear();
  });
  await new Promise<void>((resolve) => void dead.listen(0, "127.0.0.1", resolve));
  const { port } = dead.address() as AddressInfo;
  const heard = new Heard({
    kubeconfig: kubeconfig("https://unused:1"),
    servers: [`http://127.0.0.1:${port}`, url],
  });
  t.ok(await heard.until(() => heard.isSynced), heard.source.health.problem);
  t.equal(heard.source.health.server, url);
  heard.source.close();
  for (const each of held) each.destroy();
  dead.close();
  await api.close();
});

t.test("credentials that are written by halves, or do not belong together: told, and mended", async (t) => {
  const tls = { key: pem("server.key"), cert: pem("server.crt"), ca: pem("ca.crt") };
  const api = new StandIn(tls);
  api.put(service("web"));
  const url = `https://127.0.0.1:${await api.listen()}`;
  const [ca, cert, key] = ["half-ca", "half-cert", "half-key"].map((name) => join(folder, name));
  const token = join(folder, "half-token");
  const whole: [string, string][] = [
    [ca, pem("ca.crt")],
    [cert, pem("client.crt")],
    [key, pem("client.key")],
    [token, "one"],
  ];
  const broken: [string, string, RegExp][] = [
    [token, "one\ntwo", /: token \S+half-token is not one word of ASCII$/],
    [token, "öne", /: token \S+half-token is not one word of ASCII$/],
    [cert, "", /: certificate-authority, client-certificate or client-key: no PEM in it$/],
    [cert, pem("server.crt"), /client-key: the key is not the certificate's$/],
    [
      key,
      pem("client.key").slice(0, 200),
      /: certificate-authority, client-certificate or client-key: .*\S$/,
    ],
  ];
  const config = kubeconfig(
    url,
    { tokenFile: token, "client-certificate": cert, "client-key": key },
    { "certificate-authority": ca },
  );
  for (const [file, text, pattern] of broken) {
    for (const [each, its] of whole) writeFileSync(each, its);
    writeFileSync(file, text);
    const heard = new Heard({ kubeconfig: config });
    t.ok(await heard.until(() => heard.problems.length > 0));
    t.match(heard.problems[0], pattern);
    for (const [each, its] of whole) writeFileSync(each, its);
    t.ok(await heard.until(() => heard.isSynced), heard.source.health.problem);
    heard.source.close();
  }
  writeFileSync(ca, "");
  const named = kubeconfig(url, { token: "one" }, { "certificate-authority": join(folder, "gone") });
  const other = new Heard({ kubeconfig: named }, "", 3000, true);
  t.ok(await other.until(() => /CA \S+gone: no such file/.test(other.source.health.problem)));
  writeFileSync(ca, pem("ca.crt"));
  writeFileSync(named, readFileSync(config));
  t.ok(await other.until(() => other.isSynced), "by a kubeconfig that names another one by now");
  other.source.close();
  await api.close();
});

t.test(
  "a server that answers in other ways than a server does: told, nothing emptied, the agent lives",
  async (t) => {
    const page = "<html>".padEnd(3000, "x");
    const answers: [string, (response: ServerResponse) => void][] = [
      ["a redirect", (r) => r.writeHead(302, { location: "https://portal.example/" }).end(page)],
      ["a page", (r) => r.writeHead(200, { "content-type": "text/html" }).end(page)],
      ["null", (r) => r.writeHead(200).end("null\n")],
      ["an empty object", (r) => r.writeHead(200).end("{}\n")],
      ["nothing", (r) => r.writeHead(200).end()],
      ["no content", (r) => r.writeHead(204).end()],
      ["events about nothing", (r) => r.writeHead(200).end('{"type":"ADDED","object":null}\n')],
      ["half a body", (r) => r.writeHead(200, { "content-length": "900" }).write("{") && r.destroy()],
      ["no HTTP", (r) => r.socket?.end("SSH-2.0-OpenSSH_9.2\r\n")],
      ["large headers", (r) => r.writeHead(200, { "x-much": "x".repeat(100_000) }).end("{}")],
      [
        "a length twice",
        (r) => r.socket?.end("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
      ],
    ];
    // Each has a server of its own: how long is waited grows with each refusal.
    await Promise.all(answers.map(([what, answer]) => answersOtherwise(t, what, answer)));
  },
);

async function answersOtherwise(t: Test, what: string, answer: (response: ServerResponse) => void) {
  const api = new StandIn();
  api.put(service("web"));
  const port = await api.listen();
  const heard = new Heard({ kubeconfig: kubeconfig(`http://127.0.0.1:${port}`) });
  t.teardown(() => heard.source.close());
  t.ok(await heard.until(() => heard.isSynced), what);
  let count = 0;
  api.fault = (_, response) => {
    count++;
    answer(response);
    return true;
  };
  api.compact();
  t.ok(await heard.until(() => heard.problems.length > 0 && count > 8), `${what}: told`);
  t.equal(heard.graph.services.size, 1, what);
  t.match(heard.problems.at(-1), /^API server http:\/\/127\.0\.0\.1:\d+: [^\n]{9,250}$/, what);
  api.fault = () => false;
  t.ok(await heard.until(() => heard.source.health.problem === ""), `${what}: well again`);
  heard.source.close();
  await api.close();
}

function statOf(file: string) {
  try {
    return statSync(file);
  } catch {
    return undefined;
  }
}
