// The client's side: a connection of a pod of this node, as the plane has given it when the endpoint was chosen: carried
// to the proxy of the endpoint's node, with the client's certificate. What nobody can carry is refused, or goes on plain
// where the configuration says so: from the proxy's own address then.
import { connect, type Socket } from "node:net";
import { formatIp } from "../../base/ip.ts";
import { type Place, placeText } from "../hbone/connect-head.ts";
import { newTrace, type Peers } from "../hbone/peers.ts";
import type { MeshPod, MeshWorld } from "../world.ts";
import type { Carrier, Parties } from "./carrier.ts";
import { connected } from "./inbound.ts";
import { type Refusal, refusal } from "./record.ts";

export interface OutboundOptions {
  readonly world: MeshWorld;
  readonly carrier: Carrier;
  readonly peers: Peers;
  readonly connectMs: number;
  readonly plain: "refuse" | "allow";
  /** "namespace/name" of the Service that the client asked for; undefined: nobody knows. */
  serviceOf(client: Place, to: Place): Promise<string | undefined>;
}

export class Outbound {
  readonly #options: OutboundOptions;

  constructor(options: OutboundOptions) {
    this.#options = options;
  }

  async take(socket: Socket, client: Place, to: Place, source: MeshPod): Promise<void> {
    const { world, peers, carrier, serviceOf } = this.#options;
    const startMs = performance.now();
    const service = await serviceOf(client, to);
    const destination = world.podAt(formatIp(to.ip));
    const proxy = destination && world.isMeshed(destination) ? world.proxyOf(destination.node) : undefined;
    const parties: Parties = {
      ...{ side: "outbound", client, to, source, sourceId: source.id, destination, startMs },
      ...{ peer: proxy ?? "", trace: newTrace(), ...(service !== undefined && { service }) },
    };
    if (destination === undefined || proxy === undefined)
      return this.#plain(socket, parties, notCarried(destination));
    const { trace } = parties;
    const opened = await peers.open({
      clientId: source.id,
      serverId: destination.id,
      proxy,
      to,
      client,
      trace,
    });
    if ("code" in opened) {
      socket.resetAndDestroy();
      return carrier.refused(parties, opened);
    }
    carrier.carry(parties, socket, opened);
  }

  async #plain(socket: Socket, parties: Parties, why: string): Promise<void> {
    const { plain, carrier, connectMs } = this.#options;
    const { to } = parties;
    const refuse = (reason: Refusal): void => {
      socket.resetAndDestroy();
      carrier.refused(parties, reason);
    };
    if (plain === "refuse") return refuse(refusal("no_proxy", why));
    const host = formatIp(to.ip);
    const server = await connected(
      connect({ host, port: to.port, allowHalfOpen: true, noDelay: true }),
      connectMs,
    );
    if (typeof server === "string")
      return refuse(refusal("endpoint_unreachable", `${placeText(to)} ${server}`));
    carrier.carry(parties, socket, server);
  }
}

function notCarried(pod: MeshPod | undefined): string {
  if (pod === undefined) return "no pod that is known here has the address";
  return `pod ${pod.namespace}/${pod.name} is on ${pod.node}, which has no proxy of the mesh, or is not in it any more`;
}
