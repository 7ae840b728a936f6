// The API over HTTPS: who may call, and podwire's own client of API servers as a judge.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import type { KubeObject } from "../kube/objects.ts";
import { TestPrograms } from "../testing/pod-programs.ts";
import { deleteNamed } from "../testing/world/delete-named.ts";
import { makeCluster } from "../testing/world/make-cluster.ts";
import { ApiSource } from "../watch/api-server/api-source.ts";
import { readAccess } from "../watch/api-server/kubeconfig.ts";
import { makeCredentials } from "./certificates.ts";
import { kubeconfigText } from "./kubeconfig.ts";
import { serveApi } from "./server.ts";
import { type TokenSpec, Tokens } from "./tokens.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-served-"));
t.teardown(() => rmSync(folder, { recursive: true }));

interface Reply {
  readonly status: number;
  readonly text: string;
  readonly warning: string;
}

interface Sent {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly cert?: string;
  readonly key?: string;
  readonly body?: string;
}

t.test("certificates, tokens, bodies; a client that follows everything", async (t) => {
  const credentials = await makeCredentials("test", ["localhost", "kubernetes.default.svc"], ["127.0.0.1"]);
  const cluster = makeCluster();
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  const server = await serveApi({ cluster, credentials, programs: new TestPrograms(), port: 0, log });
  t.teardown(() => server.close());
  const send = ({ body, ...more }: Sent, path = "/api/v1/namespaces"): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const options = {
        host: "127.0.0.1",
        port: server.port,
        path,
        ca: credentials.ca,
        agent: false,
        ...more,
      };
      const asked = request(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            text,
            warning: String(response.headers.warning ?? ""),
          }),
        );
      });
      asked.on("error", reject).end(body);
    });
  const { adminCert: cert, adminKey: key, adminToken } = credentials;
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

  t.equal((await send({})).status, 401, "nobody");
  t.equal((await send({ headers: bearer("guess") })).status, 401);
  t.equal((await send({ headers: bearer(adminToken) })).status, 200);
  t.equal((await send({ cert, key })).status, 200);
  t.equal((await send({}, "/healthz")).text, "ok", "whoever asks");
  for (const path of ["/version/../api/v1/pods", "/livez/%2e%2e/api/v1/secrets", "//healthz/../api"])
    t.equal((await send({}, path)).status, 401, path);
  const other = await makeCredentials("other", [], []);
  t.equal((await send({ cert: other.adminCert, key: other.adminKey })).status, 401, "another lab's");

  const who = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  const review = await send({ cert, key, method: "POST", body: "{}" }, who);
  t.match(JSON.parse(review.text).status.userInfo, {
    username: "kubernetes-admin",
    groups: ["system:masters"],
  });
  const token = new Tokens(credentials.accountKey, adminToken).ofNode("node-1.lab");
  const ofNode = await send({ headers: bearer(token), method: "POST", body: "{}" }, who);
  const userInfo = { username: "system:node:node-1.lab", groups: ["system:nodes", "system:authenticated"] };
  t.same(JSON.parse(ofNode.text).status.userInfo, userInfo);
  const others = token.replace("node-1.lab", "node-2.lab");
  for (const guess of [
    others,
    new Tokens(other.accountKey, adminToken).ofNode("node-1.lab"),
    token.slice(0, -1),
  ])
    t.equal((await send({ headers: bearer(guess) })).status, 401, guess);

  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "a", namespace: "default" } };
  const tokens = new Tokens(credentials.accountKey, adminToken);
  const statusWith = async (spec: TokenSpec): Promise<number> =>
    (await send({ headers: bearer(tokens.issue(account, spec).token) })).status;
  t.equal(await statusWith({}), 200);
  t.equal(await statusWith({ audiences: ["vault"] }), 401, "for somebody else, who could call with it");

  const maps = "/api/v1/namespaces/default/configmaps";
  const made = await send({ cert, key, method: "POST", body: '{"metadata":{"name":"a"},"ä\\"":1}' }, maps);
  t.equal(made.status, 201);
  t.equal(made.warning, '299 - "unknown field \\"?\\\\\\"\\""');
  const unknown = Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`${i}`.padEnd(300, "n"), 1]));
  const warned = JSON.stringify({ metadata: { name: "c" }, ...unknown });
  t.ok((await send({ cert, key, method: "POST", body: warned }, maps)).warning.length < 6000);
  const large = JSON.stringify({ metadata: { name: "b" }, data: { k: "x".repeat(4 << 20) } });
  const refused = await send({ cert, key, method: "POST", body: large }, maps).catch(() => ({ status: 413 }));
  t.equal(refused.status, 413);

  const file = join(folder, "kubeconfig");
  writeFileSync(file, kubeconfigText("test", `https://127.0.0.1:${server.port}`, credentials));
  const known = new Map<string, KubeObject>();
  let isSynced = false;
  const problems: string[] = [];
  const source = new ApiSource({
    access: readAccess({ kubeconfig: file }, {}),
    nodeName: "node1",
    stateFile: "",
  });
  t.teardown(() => source.close());
  source.start({
    events: (events, synced) => {
      isSynced ||= synced;
      for (const { type, object } of events) {
        const id = `${object.kind}/${object.metadata.name}`;
        if (type === "DELETED") known.delete(id);
        else known.set(id, object);
      }
    },
    problem: (error) => void problems.push(error.message),
    note: () => {},
  });
  const until = async (what: () => boolean): Promise<boolean> => {
    for (let i = 0; i < 400 && !what(); i++) await sleep(5);
    return what();
  };
  t.ok(await until(() => isSynced), `synced: ${problems.join()}`);
  t.ok(known.has("Node/node2"));
  const text = "apiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec: { ports: [ { port: 80 } ] }\n";
  cluster.apply([{ file: "a", text }]);
  t.ok(await until(() => known.has("Service/s")), "what is new is told");
  deleteNamed(cluster, "svc", "default", ["s"]);
  t.ok(await until(() => !known.has("Service/s")), "what is gone too");
  t.same(problems, []);
  t.same(lines, []);
});
