// Two nodes' proxies on this machine's loopback, whose addresses all are its own: pods have theirs in 127.1.NODE.0/24.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Test } from "tap";
import { formatIp, ip } from "../../base/ip.ts";
import type { AuthorizationPolicy } from "../../kube/mesh/authorization-policy.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { placeOf } from "../../mesh/hbone/connect-head.ts";
import type { IdentitySource, Svid } from "../../mesh/identity/identity-source.ts";
import { MESH_LIMITS, type MeshLimits } from "../../mesh/limits.ts";
import { MeshProxy } from "../../mesh/mesh-proxy.ts";
import type { ObjectEvent } from "../../watch/desired-state.ts";
import type { ObjectSource, SourceListener } from "../../watch/source.ts";
import { type Asked, Authority } from "../l7/authority.ts";

export const WEB = { ip: "127.1.1.2", id: "spiffe://cluster.local/ns/shop/sa/web" };
export const OTHER = { ip: "127.1.1.3", id: "spiffe://cluster.local/ns/shop/sa/other" };
export const API = { ip: "127.1.2.2", id: "spiffe://cluster.local/ns/shop/sa/api" };
export const NEAR = { ip: "127.1.1.9", id: "spiffe://cluster.local/ns/shop/sa/near" };
const NODES = [
  { name: "node1", ip: "127.0.1.1" },
  { name: "node2", ip: "127.0.1.2" },
] as const;

function pod(name: string, address: string, node: string, account: string, more: object = {}): KubeObject {
  return {
    ...{
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "shop", labels: { app: name }, ...more },
    },
    ...{ spec: { nodeName: node, serviceAccountName: account, containers: [] } },
    status: { phase: "Running", podIP: address, podIPs: [{ ip: address }] },
  } as KubeObject;
}

function proxyPod({ name, ip: address }: (typeof NODES)[number]): KubeObject {
  const labels = { "app.kubernetes.io/name": "podwire-mesh" };
  return pod(`proxy-${name}`, address, name, "podwire-mesh", { namespace: "podwire-system", labels });
}

export const OBJECTS: readonly KubeObject[] = [
  {
    ...{ apiVersion: "v1", kind: "Namespace" },
    metadata: { name: "shop", labels: { "podwire.dev/mesh": "enabled" } },
  },
  pod("web", WEB.ip, "node1", "web"),
  pod("other", OTHER.ip, "node1", "other"),
  pod("near", NEAR.ip, "node1", "near"),
  pod("api", API.ip, "node2", "api"),
  ...NODES.map(proxyPod),
];

/** Objects that are told one after the other. */
class ToldSource implements ObjectSource {
  #listener: SourceListener | undefined;

  start(listener: SourceListener): void {
    this.#listener = listener;
    this.tell(OBJECTS.map((object) => ({ type: "ADDED", object })));
  }

  tell(events: readonly ObjectEvent[]): void {
    this.#listener?.events(events, true);
  }

  close(): void {
    this.#listener = undefined;
  }
}

/** Certificates by an authority of the test's. */
class IssuedIdentities implements IdentitySource {
  bundle: string;
  readonly #known = new Map<string, Svid>();

  constructor(bundle: string) {
    this.bundle = bundle;
  }

  async issue(authority: Authority, id: string, asked: Asked = {}): Promise<Svid> {
    const { toMs = Date.now() + 3_600_000 } = asked;
    const { cert, key } = await authority.issue({ names: [id], ...asked, toMs });
    const svid = { id, key, cert, notAfterMs: toMs };
    this.#known.set(id, svid);
    return svid;
  }

  keep(): void {}

  get(id: string): Svid | undefined {
    return this.#known.get(id);
  }

  async wait(id: string): Promise<Svid> {
    throw new Error(`no certificate of ${id}`);
  }

  problemOf(): string {
    return "";
  }

  close(): void {}
}

export interface TwoNodes {
  readonly authority: Authority;
  readonly identities: IssuedIdentities;
  /** Of node1 and node2. */
  readonly proxies: readonly [MeshProxy, MeshProxy];
  readonly port: number;
  /** Tells both of a change. */
  tell(events: readonly ObjectEvent[]): void;
  policy(name: string, spec: AuthorizationPolicy["spec"]): void;
  /** A connection of a pod of node1, as the plane gives it to the proxy. */
  connect(from: string, to: string): Promise<Socket>;
  /** Lines of a node's access log, so many at least. */
  log(node: 0 | 1, least: number): Promise<Record<string, unknown>[]>;
}

export async function twoNodes(
  t: Test,
  more: { readonly plain?: "refuse" | "allow"; readonly limits?: Partial<MeshLimits> } = {},
): Promise<TwoNodes> {
  const authority = await Authority.make("mesh");
  const identities = new IssuedIdentities(authority.cert);
  for (const { id } of [WEB, OTHER, API, NEAR]) await identities.issue(authority, id);
  const directory = t.testdir();
  const sources = NODES.map(() => new ToldSource());
  const proxies: MeshProxy[] = [];
  let port = 0;
  for (const [i, { name, ip: address }] of [...NODES.entries()].reverse()) {
    const proxy = new MeshProxy({
      ...{ source: sources[i], nodeName: name, trustDomain: "cluster.local", identities },
      ...{ limits: { ...MESH_LIMITS, ...more.limits }, plain: more.plain ?? "refuse", hbonePort: port },
      ...{ accessLog: { file: join(directory, name) }, onNote: () => {}, serviceOf: async () => undefined },
      dialAs: (from, to) =>
        connect({ host: formatIp(to.ip), port: to.port, localAddress: formatIp(from), allowHalfOpen: true }),
    });
    port = await proxy.listen([address], port);
    proxies.unshift(proxy);
  }
  t.teardown(() => Promise.all(proxies.map((each) => each.close())));
  const [first, second] = proxies;
  const tell = (events: readonly ObjectEvent[]): void => {
    for (const each of sources) each.tell(events);
  };
  return {
    ...{ authority, identities, proxies: [first, second], port, tell },
    policy: (name, spec) => {
      const metadata = { name, namespace: "shop" };
      const object = { apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy", metadata, spec };
      tell([{ type: "ADDED", object: object as KubeObject }]);
    },
    connect: (from, to) => given(t, first, from, to),
    log: (node, least) => linesOf(join(directory, NODES[node].name), least),
  };
}

/** What takes the client's connection gives it to the proxy, with the addresses that it would have. */
async function given(t: Test, proxy: MeshProxy, from: string, to: string): Promise<Socket> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const socket = connect({
    port: portOf(server),
    host: "127.0.0.1",
    localAddress: from,
    allowHalfOpen: true,
  });
  t.teardown(() => socket.destroy());
  socket.on("error", () => {});
  const [[taken]] = await Promise.all([once(server, "connection"), once(socket, "connect")]);
  server.close();
  const place = placeOf(to);
  if (place !== undefined) proxy.take(taken, { ip: ip(from), port: taken.remotePort ?? 1 }, place);
  return socket;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** A pod's server; its port. */
export async function serve(t: Test, address: string, taken: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    taken(socket);
  });
  await once(server.listen(0, address), "listening");
  t.teardown(() => {
    for (const each of sockets) each.destroy();
    server.close();
  });
  return portOf(server);
}

async function linesOf(file: string, least: number): Promise<Record<string, unknown>[]> {
  for (let i = 0; ; i++) {
    const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
    if (lines.length >= least || i === 100)
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
