import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { type Test, t } from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { API, NEAR, type TwoNodes, twoNodes, WEB } from "../../testing/mesh/two-nodes.ts";

/** A pod's server of HTTP/1.1: says who has asked for what. */
async function backend(t: Test, address: string): Promise<number> {
  const server = createServer(async (asked, answer) => {
    let length = 0;
    for await (const chunk of asked) length += (chunk as Buffer).length;
    answer.setHeader("x-saw", `${asked.headers.host} ${asked.headers["x-forwarded-for"] ?? "-"}`);
    answer.end(`${asked.socket.remoteAddress} ${asked.method} ${asked.url} ${length}`);
  });
  server.on("upgrade", (_, socket: Socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
    socket.pipe(socket);
  });
  await once(server.listen(0, address), "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function slice(address: string, port: number, name: string): KubeObject {
  const labels = { "kubernetes.io/service-name": name };
  return {
    ...{
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, namespace: "shop", labels },
    },
    ...{ addressType: "IPv4", endpoints: [{ addresses: [address] }], ports: [{ name: "http-web", port }] },
  } as KubeObject;
}

/** An HTTP/1.1 client on one connection. */
async function client(nodes: TwoNodes, to: string) {
  const socket = await nodes.connect(WEB.ip, to);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = () => socket;
  return async (
    method: string,
    path: string,
    body = "",
    headers = {},
  ): Promise<[number, string, IncomingMessage]> => {
    const asked = request({ agent, method, path, headers: { host: "api.shop", ...headers } });
    asked.end(body);
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    let text = "";
    for await (const chunk of answer) text += chunk;
    return [answer.statusCode ?? 0, text, answer];
  };
}

const GET_ITEMS = {
  rules: [
    {
      from: [{ source: { principals: ["cluster.local/ns/shop/sa/web"] } }],
      to: [{ operation: { methods: ["GET", "PUT"], paths: ["/items/*"], hosts: ["api.shop"] } }],
    },
  ],
};

t.test(
  "each request of a connection is judged by its method, path and host, and comes from the client's address",
  async (t) => {
    const nodes = await twoNodes(t);
    const port = await backend(t, API.ip);
    nodes.tell([{ type: "ADDED", object: slice(API.ip, port, "api") }]);
    nodes.policy("items", GET_ITEMS);
    const ask = await client(nodes, `${API.ip}:${port}`);
    const [status, text, answer] = await ask("GET", "/items/1?x=2");
    t.same([status, text], [200, `${WEB.ip} GET /items/1?x=2 0`]);
    t.equal(answer.headers["x-saw"], "api.shop -", "nothing was added to it");
    t.equal((await ask("PUT", "/items/1", "x".repeat(300_000)))[1], `${WEB.ip} PUT /items/1 300000`);
    for (const [method, path, headers] of [
      ["POST", "/items/1", {}],
      ["GET", "/admin", {}],
      ["GET", "/items/../admin", {}],
      ["GET", "/items/%2e%2e/admin", {}],
      ["GET", "/items/1", { host: "other" }],
    ] as const)
      t.same(
        (await ask(method, path, "", headers)).slice(0, 2),
        [403, "403 Forbidden\n"],
        `${method} ${path}`,
      );
    t.equal((await ask("GET", "/items/2"))[0], 200, "the same connection goes on");
    nodes.policy("none", { action: "DENY", rules: [{}] });
    t.equal((await ask("GET", "/items/3"))[0], 403, "a policy that comes is held to");
    const lines = (await nodes.log(1, 9)).filter(({ method }) => method !== undefined);
    t.match(lines[0], {
      ...{ side: "inbound", protocol: "HTTP/1.1", method: "GET", path: "/items/1?x=2", status: 200 },
      ...{ source: WEB.id, destination: API.id, pod: "shop/api", service: "shop/api", reason: undefined },
    });
    t.match(lines[2], { status: 403, reason: "allowed by none of AuthorizationPolicy shop/items" });
    const names = 'side="inbound",source_namespace="shop",source_workload="web",destination_namespace="shop"';
    t.match(
      nodes.proxies[1].metricsText,
      `podwire_mesh_requests_total{${names},destination_workload="api",destination_service="shop/api",code="403"} 6\n`,
    );
  },
);

t.test("a port is one of requests by a policy, too, and what is none gets no further", async (t) => {
  const nodes = await twoNodes(t);
  const port = await backend(t, NEAR.ip);
  nodes.policy("items", GET_ITEMS);
  const ask = await client(nodes, `${NEAR.ip}:${port}`);
  t.equal((await ask("GET", "/items/1"))[1], `${WEB.ip} GET /items/1 0`, "on one node");
  const socket = await nodes.connect(WEB.ip, `${NEAR.ip}:${port}`);
  socket.write("\x16\x03\x01 no request\r\n\r\n");
  t.match(String((await once(socket, "data"))[0]), /^HTTP\/1\.1 400 /);
  t.match((await nodes.log(0, 2)).at(-1), { refused: "no_request", source: WEB.id });
});

t.test("connections to a pod are their client's connection's own, and end with it", async (t) => {
  const nodes = await twoNodes(t);
  const ports: (number | undefined)[] = [];
  const open = new Set<unknown>();
  const server = createServer((asked, answer) => {
    ports.push(asked.socket.remotePort);
    answer.end();
  });
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  await once(server.listen(0, API.ip), "listening");
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  nodes.policy("items", GET_ITEMS);
  const sockets: Socket[] = [];
  for (let i = 0; i < 2; i++) {
    const socket = await nodes.connect(WEB.ip, `${API.ip}:${port}`);
    sockets.push(socket);
    for (let j = 0; j < 2; j++) {
      socket.write("GET /items/1 HTTP/1.1\r\nHost: api.shop\r\n\r\n");
      t.match(String((await once(socket, "data"))[0]), /^HTTP\/1\.1 200 /);
    }
  }
  t.equal(ports[0], ports[1], "one connection's requests share one");
  t.not(ports[0], ports[2], "another's do not");
  for (const each of sockets) each.end();
  for (let i = 0; i < 100 && open.size > 0; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(open.size, 0);
});

t.test("an upgrade is judged as its request, and its bytes go both ways", async (t) => {
  const nodes = await twoNodes(t);
  const port = await backend(t, API.ip);
  nodes.policy("items", GET_ITEMS);
  for (const [path, want] of [
    ["/items/ws", /^HTTP\/1\.1 101 /],
    ["/other", /^HTTP\/1\.1 403 /],
  ] as const) {
    const socket = await nodes.connect(WEB.ip, `${API.ip}:${port}`);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: api.shop\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`);
    t.match(String((await once(socket, "data"))[0]), want);
    if (path === "/other") continue;
    socket.write("hello");
    t.equal(String((await once(socket, "data"))[0]), "hello");
  }
});

t.test("HTTP/2 with prior knowledge is judged stream by stream", async (t) => {
  const nodes = await twoNodes(t);
  const server = createHttp2Server((asked, answer) =>
    answer.end(`${asked.socket.remoteAddress} ${asked.url}`),
  );
  await once(server.listen(0, API.ip), "listening");
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  nodes.policy("items", GET_ITEMS);
  const socket = await nodes.connect(WEB.ip, `${API.ip}:${port}`);
  const session = connectHttp2("http://api.shop", { createConnection: () => socket });
  t.teardown(() => session.destroy());
  const ask = async (path: string): Promise<string> => {
    const stream = session.request({ ":authority": "api.shop", ":path": path });
    const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
    let text = "";
    for await (const chunk of stream) text += chunk;
    return `${headers[":status"]} ${text}`;
  };
  t.same(await Promise.all(["/items/1", "/admin", "/items/2"].map(ask)), [
    `200 ${WEB.ip} /items/1`,
    "403 403 Forbidden\n",
    `200 ${WEB.ip} /items/2`,
  ]);
});
