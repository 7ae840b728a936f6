// The server's side: connections to pods of this node, from other proxies, from pods of the same node, and from whoever
// is not in the mesh. Who asks is known by a certificate, by this node's word for its own pods' addresses, or not at all;
// policies judge; then the pod is connected to from the client's own address.
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { formatIp, type Ip } from "../../base/ip.ts";
import type { Asked, Identity } from "../../l7/mesh/asked.ts";
import { type Place, placeText, readConnectHead } from "../hbone/connect-head.ts";
import { REASON_HEADER } from "../hbone/peers.ts";
import type { PeerShown } from "../hbone/server.ts";
import { isHttpPort } from "../http/http-ports.ts";
import type { InboundHttp } from "../http/inbound-http.ts";
import { asSocket } from "../http/stream-socket.ts";
import type { MeshPod, MeshWorld } from "../world.ts";
import type { Carrier, Parties } from "./carrier.ts";
import { type Refusal, refusal, type Side } from "./record.ts";

export interface InboundOptions {
  readonly world: MeshWorld;
  readonly carrier: Carrier;
  readonly connectMs: number;
  readonly http: InboundHttp;
  /** A connection from this address, of no port of its own; it connects yet. */
  dialAs(source: Ip, to: Place): Socket;
}

const UNKNOWN_POD_MS = 2000; // word of a new pod may take so long from one node to the other
const STATUS: Readonly<Partial<Record<Refusal["code"], number>>> = {
  ...{ malformed: 400, forwarded: 403, policy: 403, expired: 403, no_destination: 404 },
  endpoint_unreachable: 503,
};
const OK = 200;
const FAILED = 502;

export class Inbound {
  readonly #options: InboundOptions;

  constructor(options: InboundOptions) {
    this.#options = options;
  }

  /** A stream of another proxy. */
  async takeStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: PeerShown): Promise<void> {
    const startMs = performance.now();
    const head = readConnectHead(headers);
    if (typeof head === "string") {
      refuseStream(stream, refusal("malformed", head));
      this.#options.carrier.refusedPeer(peer.address, refusal("malformed", head));
      return;
    }
    const { to, client, trace } = head;
    const { world } = this.#options;
    const sourceId = idOf(peer.identity);
    const parties = {
      ...({ side: "inbound", client, to, sourceId, peer: peer.address, trace, startMs } as const),
      destination: world.podAt(formatIp(to.ip)),
      source: await world.whenPodAt(formatIp(client.ip), UNKNOWN_POD_MS),
    };
    const why = this.#notTheirs(parties, peer) ?? this.#notHere(parties.destination, peer.askedId);
    if (why !== undefined) {
      refuseStream(stream, why);
      this.#options.carrier.refused(parties, why);
      return;
    }
    await this.#carry(parties, peer.identity, {
      duplex: stream,
      socket: () => asSocket(stream),
      accept: () => stream.respond({ ":status": OK }),
      refuse: (reason) => refuseStream(stream, reason),
    });
  }

  /** A connection of a pod of this node, or of somebody who is not in the mesh, as the plane has given it. */
  async takeSocket(socket: Socket, client: Place, to: Place, identity: Identity | undefined): Promise<void> {
    const { world } = this.#options;
    const side: Side = identity === undefined ? "plain" : "local";
    const parties = {
      ...{ side, client, to, peer: "", trace: "", startMs: performance.now() },
      sourceId: identity === undefined ? "" : idOf(identity),
      destination: world.podAt(formatIp(to.ip)),
      source: world.podAt(formatIp(client.ip)),
    };
    await this.#carry(parties, identity, {
      duplex: socket,
      socket: () => socket,
      accept: () => {},
      refuse: () => socket.resetAndDestroy(),
    });
  }

  /** Does the other proxy speak for whom it says? */
  #notTheirs({ source, client, sourceId }: Parties, peer: PeerShown): Refusal | undefined {
    const { world } = this.#options;
    if (peer.notAfterMs <= Date.now()) return refusal("expired", "its certificate has ended meanwhile");
    const who = placeText(client);
    if (source === undefined) return refusal("forwarded", `${who} is no pod's address that is known here`);
    if (world.isLocal(source))
      return refusal("forwarded", `${who} is a pod of this node, which no other proxy speaks for`);
    if (source.id === sourceId) return undefined;
    return refusal("forwarded", `${who} is of ${source.id}, and the certificate is of ${sourceId}`);
  }

  #notHere(pod: MeshPod | undefined, askedId: string): Refusal | undefined {
    const { world } = this.#options;
    if (pod === undefined || !world.isLocal(pod))
      return refusal("no_destination", "no pod of this node has the address");
    if (pod.id === askedId) return undefined;
    return refusal("no_destination", `the pod is of ${pod.id}, and TLS was asked for ${askedId}`);
  }

  async #carry(parties: Parties, identity: Identity | undefined, client: ClientEnd): Promise<void> {
    const { carrier, world, dialAs, connectMs } = this.#options;
    const { destination, to } = parties;
    const refuse = (why: Refusal, audited: readonly string[] = []): void => {
      client.refuse(why);
      carrier.refused(parties, why, audited);
    };
    if (destination === undefined || !world.isLocal(destination))
      return refuse(refusal("no_destination", "no pod of this node has the address"));
    const asked: Asked = {
      source: { ip: parties.client.ip, identity },
      destination: { namespace: destination.namespace, labels: destination.labels, ip: to.ip, port: to.port },
      request: undefined,
    };
    const policies = world.policiesOf(destination);
    if (isHttpPort(world.services.at(placeText(to)), policies, to.port)) {
      client.accept();
      const judge = (request: Asked["request"]) => world.policiesOf(destination).judge({ ...asked, request });
      this.#options.http.take(client.socket(), { parties, judge });
      return;
    }
    const { isAllowed, reason, audited } = policies.judge(asked);
    if (!isAllowed) return refuse(refusal("policy", reason), audited);
    const server = await connected(dialAs(parties.client.ip, to), connectMs);
    if (typeof server === "string")
      return refuse(refusal("endpoint_unreachable", `${placeText(to)} ${server}`), audited);
    if (client.duplex.destroyed) {
      server.resetAndDestroy();
      return carrier.refused(parties, refusal("endpoint_unreachable", "the client left"), audited);
    }
    client.accept();
    carrier.carry({ ...parties, audited }, client.duplex, server);
  }
}

interface ClientEnd {
  readonly duplex: Socket | ServerHttp2Stream;
  /** As what reads requests takes it. */
  socket(): Socket;
  accept(): void;
  refuse(why: Refusal): void;
}

function refuseStream(stream: ServerHttp2Stream, { code, why }: Refusal): void {
  if (stream.destroyed || stream.headersSent) return;
  const reason = why.replace(/[^\x20-\x7e]+/g, "?");
  stream.respond({ ":status": STATUS[code] ?? FAILED, [REASON_HEADER]: reason }, { endStream: true });
  stream.resume(); // what it has sent already is read, and forgotten
}

/** A text: why it is not. */
export function connected(socket: Socket, ms: number): Promise<Socket | string> {
  return new Promise((resolve) => {
    const finish = (result: Socket | string): void => {
      clearTimeout(timer);
      socket.off("error", failed);
      if (typeof result === "string") {
        socket.on("error", () => {});
        socket.destroy();
      }
      resolve(result);
    };
    const failed = ({ code = "", message }: NodeJS.ErrnoException): void =>
      finish(code === "ECONNREFUSED" ? "refused the connection" : `cannot be reached: ${code || message}`);
    const timer = setTimeout(() => finish(`did not answer within ${ms / 1000} s`), ms);
    socket.on("error", failed);
    socket.once("connect", () => finish(socket));
  });
}

function idOf({ trustDomain, namespace, serviceAccount }: Identity): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}
