// A lab's mesh, as programs see it: pods of a labelled namespace reach each other by mutual TLS between the nodes, as
// whom they are, with their own addresses; policies decide by identity; certificates are renewed under way.
import { join } from "node:path";
import t from "tap";
import { fabricNetns } from "../../src/lab/net/names.ts";
import { Authority } from "../../src/testing/l7/authority.ts";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { HTTP_PORT } from "../../src/testing/lab/objects.ts";
import { run, start, until } from "../../src/testing/lab/process.ts";
import { testPolicy } from "../../src/testing/world/policy-world.ts";
import { startAsker, stopAsker } from "../support/asker.ts";

const WAIT_MS = 60_000;
const NETNS = "podwire.dev/netns";
const SHOP = "shop";

// biome-ignore lint/suspicious/noExplicitAny: the command's JSON
type Json = any;

const pod = (name: string, node: string, account: string, namespace = SHOP): object => ({
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace, labels: { app: name } } },
  spec: {
    ...{ nodeName: node, serviceAccountName: account },
    containers: [{ name: "main", image: "podwire/echo", ports: [{ containerPort: HTTP_PORT }] }],
  },
});
const account = (name: string): object => ({
  ...{ apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace: SHOP } },
});
const service = (name: string): object => ({
  ...{ apiVersion: "v1", kind: "Service", metadata: { name, namespace: SHOP } },
  spec: { selector: { app: name }, ports: [{ name: "http", port: 80, targetPort: HTTP_PORT }] },
});
const OBJECTS = [
  {
    ...{ apiVersion: "v1", kind: "Namespace" },
    metadata: { name: SHOP, labels: { "podwire.dev/mesh": "enabled" } },
  },
  ...["web", "other", "api"].map(account),
  ...[
    pod("web", "node1", "web"),
    pod("other", "node1", "other"),
    pod("plain", "node1", "default", "default"),
  ],
  ...[pod("api", "node2", "api"), pod("near", "node1", "api"), service("api"), service("near")],
];
const policy = (action: string, rules: object[]): object => ({
  ...{ apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy" },
  metadata: { name: action.toLowerCase(), namespace: SHOP },
  spec: { action, selector: { matchLabels: { app: "api" } }, rules },
});

/** A request after the other on one connection; at the end, how many connections there were. */
const LONG = `
const http = require("node:http");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const sockets = new Set(), failed = [];
let over = false;
const say = () => {
  console.log(JSON.stringify({ connections: sockets.size, failed }));
  process.exit(0);
};
const ask = () => {
  if (over) return say();
  const request = http.get({ host: process.argv[1], agent }, (answer) => {
    console.log("asking");
    answer.resume().on("end", () => setTimeout(ask, 50));
  });
  request.on("socket", (socket) => sockets.add(socket));
  request.on("error", ({ code }) => { failed.push(code); setTimeout(ask, 50); });
};
ask();
process.on("SIGTERM", () => { over = true; });
`;

t.test("a mesh", { skip: cannotRun("tcpdump", "openssl", "nsenter") }, async (t) => {
  const lab = await TestLab.up("mesh", { objects: OBJECTS, mesh: { certificateSec: 15 } });
  t.teardown(() => lab.down());
  const json = (...words: string[]): Promise<Json> => lab.json(...words);
  const proxies = async (): Promise<Json[]> => (await json("get", "pods", "-n", "podwire-system")).items;
  const areReady = async (): Promise<boolean> => {
    const all = await proxies();
    const isReady = (each: Json) =>
      each.status.conditions?.some((c: Json) => c.type === "Ready" && c.status === "True");
    return all.length === 2 && all.every(isReady);
  };
  await until("two proxies are ready", areReady, WAIT_MS);
  const addressOf = async (name: string): Promise<string> =>
    (await json("get", "pod", name, "-n", SHOP)).status.podIP;
  const clusterIp = async (name: string): Promise<string> =>
    (await json("get", "service", name, "-n", SHOP)).spec.clusterIP;
  const [web, api, near] = [await addressOf("web"), await clusterIp("api"), await clusterIp("near")];
  const curl = async (from: string, to: string, namespace = SHOP, ...more: string[]): Promise<string> => {
    const words = ["curl", "-s", "-m", "5", "-w", " %{http_code} %{exitcode}", ...more, `http://${to}/`];
    return (await lab.podwire(["exec", "-n", namespace, from, "--", ...words])).stdout;
  };
  /** Why proxies have refused what they did. */
  const refusals = async (): Promise<string> => {
    const logs = (await proxies()).map(({ metadata: { name } }) =>
      lab.podwire(["logs", name, "-n", "podwire-system"]),
    );
    const lines = (await Promise.all(logs)).flatMap(({ stdout }) => stdout.split("\n"));
    return lines.filter((line) => /"refused"|^mesh: /.test(line)).join("\n");
  };
  const isAnswered = (text: string): boolean => / 200 0$/.test(text);

  await t.test("between nodes there is TLS alone, and the pod sees its client", async (t) => {
    const fabric = ["ip", "netns", "exec", fabricNetns(lab.name), "tcpdump", "-ni", "any", "-A", "-l"];
    const dump = await start([...fabric, "udp port 8472"], /listening on/);
    const answer = await curl("web", api);
    t.ok(isAnswered(answer), answer);
    t.ok(answer.includes(web), `the client's address is ${web}: ${answer}`);
    await until("the fabric has carried it", async () => /\.15008\b/.test(dump.output()));
    await dump.stop();
    t.notMatch(dump.output(), /GET \/ HTTP/, "nobody on the way reads it");
  });

  await t.test("on one node, too", async (t) => {
    const answer = await curl("web", near);
    t.ok(isAnswered(answer) && answer.includes(web), answer);
  });

  await t.test("policies decide by identity", async (t) => {
    const principals = [`cluster.local/ns/${SHOP}/sa/web`];
    await lab.apply(policy("ALLOW", [{ from: [{ source: { principals } }] }]));
    await until("another is refused", async () => !isAnswered(await curl("other", api)), WAIT_MS);
    t.ok(isAnswered(await curl("web", api)), "who is named is let in");
    t.notOk(isAnswered(await curl("plain", api, "default")), "who has no identity is not");
    t.ok(isAnswered(await curl("other", near)), "another workload is not meant");
    await lab.podwire(["delete", "authorizationpolicy", "allow", "-n", SHOP]);
    await until("the policy is over", async () => isAnswered(await curl("other", api)), WAIT_MS);
  });

  await t.test("policies decide by method and path, request by request", async (t) => {
    await lab.apply(policy("DENY", [{ to: [{ operation: { methods: ["POST"], paths: ["/"] } }] }]));
    const isDenied = async (): Promise<boolean> => / 403 0$/.test(await curl("web", api, SHOP, "-d", "x"));
    await until("a POST is denied", isDenied, WAIT_MS);
    t.ok(isAnswered(await curl("web", api)), "a GET is not");
    await lab.podwire(["delete", "authorizationpolicy", "deny", "-n", SHOP]);
    await until("the policy is over", async () => !(await isDenied()), WAIT_MS);
  });

  await t.test("a NetworkPolicy is held to by the client's own address", async (t) => {
    const ingress = [{ from: [{ podSelector: { matchLabels: { app: "web" } } }] }];
    const spec = { podSelector: { matchLabels: { app: "api" } }, ingress };
    await lab.apply(testPolicy("web-alone", spec, { namespace: SHOP }));
    await until("another is cut off", async () => !isAnswered(await curl("other", api)), WAIT_MS);
    t.ok(isAnswered(await curl("web", api)), "whom it names is not");
    await lab.podwire(["delete", "networkpolicy", "web-alone", "-n", SHOP]);
    await until("the policy is over", async () => isAnswered(await curl("other", api)), WAIT_MS);
  });

  await t.test("who has no certificate of this mesh gets nothing from a proxy", async (t) => {
    const [theirs] = (await proxies()).filter(({ spec }) => spec.nodeName === "node2");
    const { cert, key } = await (await Authority.make("another")).issue({
      names: [`spiffe://cluster.local/ns/${SHOP}/sa/web`],
    });
    const folder = t.testdir({ cert, key });
    const inside = [
      "nsenter",
      `--net=${(await json("get", "pod", "web", "-n", SHOP)).metadata.annotations[NETNS]}`,
    ];
    const tls = ["openssl", "s_client", "-connect", `${theirs.status.podIP}:15008`, "-alpn", "h2"];
    const server = ["-servername", `api.${SHOP}.sa.cluster.local`];
    for (const [shown, code] of [
      [[], "no_certificate"],
      [["-cert", join(folder, "cert"), "-key", join(folder, "key")], "authority"],
    ] as const) {
      const { stdout } = await run([...inside, "timeout", "5", ...tls, ...server, ...shown, "-ign_eof"]);
      t.match(stdout, /TLSv1\.3/, "it speaks TLS");
      await until(`${code} is told`, async () => (await refusals()).includes(`"refused":"${code}"`));
    }
  });

  await t.test("certificates are renewed while requests run: none is lost", async (t) => {
    const long = await lab.startIn("web", ["node", "-e", LONG, api], /asking/, SHOP);
    const asker = await startAsker(lab, `web of ${SHOP}`, 50, `${api}:80`);
    const issued = async (): Promise<string[]> =>
      (await json("get", "certificatesigningrequests")).items
        .filter((each: Json) => (each.status?.certificate ?? "") !== "")
        .map((each: Json) => each.metadata.name);
    const before = await issued();
    const isAnother = (name: string): boolean => !before.includes(name);
    // Twice: the first time may be at once, before requests have run for long.
    await until(
      "certificates are renewed",
      async () => (await issued()).filter(isAnother).length >= 8,
      WAIT_MS,
    );
    const { sent, failed } = await stopAsker(asker);
    t.ok(sent > 100, `${sent} requests`);
    t.same(failed, [], failed.length === 0 ? "none is lost" : await refusals());
    await long.stop();
    t.match(long.output(), /"connections":1,"failed":\[\]/, "and a connection that was there goes on");
  });

  await t.test("a proxy that is away is said, and comes back", async () => {
    const [first] = (await proxies()).filter(({ spec }) => spec.nodeName === "node1");
    const { name, uid } = first.metadata;
    await lab.podwire(["delete", "pod", name, "-n", "podwire-system", "--wait=false"]);
    const isNew = async (): Promise<boolean> =>
      (await proxies()).every(({ metadata }) => metadata.uid !== uid);
    await until("another is there", isNew, WAIT_MS);
    await until("it is ready", areReady, WAIT_MS);
    await until("requests are answered again", async () => isAnswered(await curl("web", api)), WAIT_MS);
  });

  await t.test("the proxies go with the label", async (t) => {
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: SHOP, labels: {} } };
    await lab.apply(namespace);
    await until("no proxy is left", async () => (await proxies()).length === 0, WAIT_MS);
    t.ok(isAnswered(await curl("web", api)), "and pods reach each other as ever");
  });
});
