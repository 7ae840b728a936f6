import { once } from "node:events";
import type { Socket } from "node:net";
import { type Test, t } from "tap";
import { API, NEAR, OBJECTS, OTHER, serve, twoNodes, WEB } from "../testing/mesh/two-nodes.ts";

/** All that is said until the end; "reset" where it is broken off. */
async function whole(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => (text += chunk));
  return new Promise((resolve) => {
    socket.on("end", () => resolve(text));
    socket.on("close", () => resolve(socket.readableEnded ? text : "reset"));
  });
}

async function asked(socket: Socket, text: string): Promise<string> {
  socket.end(text);
  return whole(socket);
}

/** Says who asks, and what it has heard when all of it is there. */
function api(t: Test, address: string): Promise<number> {
  return serve(t, address, async (socket) => {
    const text = await whole(socket);
    socket.end(`${socket.remoteAddress} said ${text}`);
  });
}

t.test(
  "a pod reaches one of another node, which sees its address, and both identities are told",
  async (t) => {
    const nodes = await twoNodes(t);
    const port = await api(t, API.ip);
    const text = await asked(await nodes.connect(WEB.ip, `${API.ip}:${port}`), "hello");
    t.equal(text, `${WEB.ip} said hello`);
    const [out] = await nodes.log(0, 1);
    const [into] = await nodes.log(1, 1);
    const common = {
      source: WEB.id,
      destination: API.id,
      sourcePod: "shop/web",
      pod: "shop/api",
      bytesIn: 5,
    };
    t.match(out, { side: "outbound", ...common, peer: "127.0.1.2", bytesOut: text.length });
    t.match(into, { side: "inbound", ...common, peer: "127.0.0.1", bytesOut: text.length });
    t.equal(into.trace, out.trace, "found together");
    t.equal(out.reason, undefined);
    const names =
      'source_namespace="shop",source_workload="web",destination_namespace="shop",destination_workload="api"';
    t.match(
      nodes.proxies[0].metricsText,
      `podwire_mesh_sent_bytes_total{side="outbound",${names},destination_service=""} 5\n`,
    );
  },
);

t.test("much goes both ways, and who says no more can still listen", async (t) => {
  const nodes = await twoNodes(t);
  const bytes = Buffer.alloc(8 * 1024 * 1024, "podwire.");
  const port = await serve(t, API.ip, (socket) => socket.pipe(socket));
  const socket = await nodes.connect(WEB.ip, `${API.ip}:${port}`);
  socket.end(bytes);
  let count = 0;
  for await (const chunk of socket) count += (chunk as Buffer).length;
  t.equal(count, bytes.length);
});

t.test("many connections at once are told apart", async (t) => {
  const nodes = await twoNodes(t, { limits: { streams: 16 } });
  const port = await api(t, API.ip);
  const all = Array.from({ length: 60 }, async (_, i) =>
    asked(await nodes.connect(WEB.ip, `${API.ip}:${port}`), `number ${i}`),
  );
  t.same(
    await Promise.all(all),
    all.map((_, i) => `${WEB.ip} said number ${i}`),
  );
});

t.test("a slow reader stops its writer: what is between is bounded", async (t) => {
  const nodes = await twoNodes(t);
  let taken: Socket | undefined;
  const port = await serve(t, API.ip, (socket) => {
    taken = socket.pause();
  });
  const socket = await nodes.connect(WEB.ip, `${API.ip}:${port}`);
  const chunk = Buffer.alloc(1024 * 1024);
  let written = 0;
  for (let i = 0; i < 64; i++) {
    if (socket.write(chunk)) continue;
    written = i + 1;
    const went = await Promise.race([once(socket, "drain").then(() => true), later(1000)]);
    if (went !== true) break;
  }
  t.ok(written < 40, `${written} MiB are on their way`);
  taken?.resume();
  socket.end();
  await once(taken as Socket, "end");
  t.equal(taken?.bytesRead, written * chunk.length);
});

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

t.test("pods of one node, and who is not in the mesh, are judged as well, without TLS between", async (t) => {
  const nodes = await twoNodes(t);
  const port = await api(t, NEAR.ip);
  const near = `${NEAR.ip}:${port}`;
  t.equal(await asked(await nodes.connect(WEB.ip, near), "a"), `${WEB.ip} said a`);
  t.equal(await asked(await nodes.connect("127.9.9.9", near), "b"), "127.9.9.9 said b");
  nodes.policy("known", { rules: [{ from: [{ source: { principals: ["*/sa/web"] } }] }] });
  t.equal(await asked(await nodes.connect(WEB.ip, near), "c"), `${WEB.ip} said c`);
  t.equal(await asked(await nodes.connect(OTHER.ip, near), "d"), "reset");
  t.equal(await asked(await nodes.connect("127.9.9.9", near), "e"), "reset");
  t.match(await nodes.log(0, 5), [
    { side: "local", source: WEB.id },
    { side: "plain", source: undefined, client: "127.9.9.9" },
    { side: "local", refused: undefined },
    { side: "local", refused: "policy", reason: "allowed by none of AuthorizationPolicy shop/known" },
    { side: "plain", refused: "policy" },
  ]);
});

t.test("policies decide by identity on the server's node, and both sides name the reason", async (t) => {
  const nodes = await twoNodes(t);
  const port = await api(t, API.ip);
  const to = `${API.ip}:${port}`;
  nodes.policy("no-web", {
    action: "DENY",
    rules: [{ from: [{ source: { principals: [WEB.id.slice(9)] } }] }],
  });
  t.equal(await asked(await nodes.connect(WEB.ip, to), "a"), "reset");
  t.equal(await asked(await nodes.connect(OTHER.ip, to), "b"), `${OTHER.ip} said b`);
  const reason = "denied by AuthorizationPolicy shop/no-web rules[0]";
  t.match((await nodes.log(1, 2))[0], { side: "inbound", refused: "policy", reason });
  t.match((await nodes.log(0, 2))[0], {
    ...{ side: "outbound", refused: "peer_refused" },
    reason: `proxy 127.0.1.2 refuses it: ${reason}`,
  });
  t.match(nodes.proxies[1].metricsText, 'podwire_mesh_refused_total{side="inbound",reason="policy"} 1\n');
});

t.test("what cannot be reached is reset, and named", async (t) => {
  const nodes = await twoNodes(t);
  t.equal(await asked(await nodes.connect(WEB.ip, `${API.ip}:1`), "a"), "reset", "nobody listens");
  t.equal(await asked(await nodes.connect(WEB.ip, "127.1.7.7:80"), "b"), "reset", "nobody's address");
  const proxy = OBJECTS.filter(({ metadata }) => metadata.name === "proxy-node2");
  nodes.tell(proxy.map((object) => ({ type: "DELETED", object })));
  t.equal(await asked(await nodes.connect(WEB.ip, `${API.ip}:1`), "c"), "reset", "no proxy there");
  t.match(await nodes.log(0, 3), [
    { refused: "peer_refused", reason: `proxy 127.0.1.2 refuses it: ${API.ip}:1 refused the connection` },
    { refused: "no_proxy", reason: "no pod that is known here has the address" },
    { refused: "no_proxy", reason: /pod shop\/api is on node2, which has no proxy/ },
  ]);
});

t.test("where the configuration says so, what nobody can carry goes on plain", async (t) => {
  const nodes = await twoNodes(t, { plain: "allow" });
  const port = await api(t, API.ip);
  const proxy = OBJECTS.filter(({ metadata }) => metadata.name === "proxy-node2");
  nodes.tell(proxy.map((object) => ({ type: "DELETED", object })));
  t.match(await asked(await nodes.connect(WEB.ip, `${API.ip}:${port}`), "a"), / said a$/);
});

t.test("a certificate that is renewed is shown by new sessions, and old connections go on", async (t) => {
  const nodes = await twoNodes(t);
  const port = await serve(t, API.ip, (socket) => socket.pipe(socket));
  const to = `${API.ip}:${port}`;
  const old = await nodes.connect(WEB.ip, to);
  old.write("before");
  t.equal(String((await once(old, "data"))[0]), "before");
  for (const { id } of [WEB, API]) await nodes.identities.issue(nodes.authority, id);
  const fresh = await nodes.connect(WEB.ip, to);
  fresh.write("fresh");
  t.equal(String((await once(fresh, "data"))[0]), "fresh");
  t.match(nodes.proxies[0].metricsText, 'podwire_mesh_sessions{direction="out"} 2\n');
  old.write("after");
  t.equal(String((await once(old, "data"))[0]), "after");
});

t.test("a server that shows another identity, or one of nobody's, gets nothing", async (t) => {
  const nodes = await twoNodes(t);
  const port = await api(t, API.ip);
  await nodes.identities.issue(nodes.authority, API.id, { names: [OTHER.id] });
  t.equal(await asked(await nodes.connect(WEB.ip, `${API.ip}:${port}`), "a"), "reset");
  await nodes.identities.issue(nodes.authority, API.id, { toMs: Date.now() - 1000 });
  t.equal(await asked(await nodes.connect(WEB.ip, `${API.ip}:${port}`), "b"), "reset");
  t.match(await nodes.log(0, 2), [
    {
      refused: "peer_identity",
      reason: `proxy 127.0.1.2: its certificate is of ${OTHER.id} in place of ${API.id}`,
    },
    { refused: "peer_identity", reason: "proxy 127.0.1.2: its certificate has ended" },
  ]);
  t.equal((await nodes.log(1, 0)).filter(({ side }) => side === "inbound").length, 0);
});

t.test("a reset is a reset at the other end as well, both ways", async (t) => {
  const nodes = await twoNodes(t);
  let taken: Socket | undefined;
  const port = await serve(t, API.ip, (socket) => {
    taken = socket;
    socket.write("here");
  });
  for (const isClient of [true, false]) {
    const socket = await nodes.connect(WEB.ip, `${API.ip}:${port}`);
    await once(socket, "data");
    const other = isClient ? (taken as Socket) : socket;
    const heard = new Promise((resolve) => other.resume().on("close", resolve));
    (isClient ? socket : (taken as Socket)).resetAndDestroy();
    t.equal(await heard, true, "with an error");
  }
  t.match(await nodes.log(0, 2), [
    { reason: "the client broke it off" },
    { reason: "the server broke it off" },
  ]);
});

t.test("it ends when what is carried has ended", async (t) => {
  const nodes = await twoNodes(t);
  const port = await serve(t, API.ip, (socket) => socket.pipe(socket));
  const socket = await nodes.connect(WEB.ip, `${API.ip}:${port}`);
  socket.write("x");
  await once(socket, "data");
  const drained = nodes.proxies[0].drain(30);
  t.equal(nodes.proxies[0].isReady, false);
  t.equal(await asked(await nodes.connect(WEB.ip, `${API.ip}:${port}`), "late"), "reset");
  socket.end("y");
  t.equal(await whole(socket), "y");
  await drained;
});
