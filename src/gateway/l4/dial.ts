// A connection to one of the backends that a decision has: which is drawn by weight, its endpoint by chance; one that
// does not answer is followed by another, for nothing has been said to it yet.
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { BackendTls, Choice } from "../../l7/decision.ts";
import { type End, writeProxyHeader } from "./proxy-protocol.ts";

/** A connection as it was opened: by whoever the PROXY header says, where there is one. */
export interface Client extends End {
  /** Where it was opened to. */
  readonly to: End;
}

const EMPTY = Buffer.alloc(0);

/** 0 ≤ x < 1. */
export type Draw = () => number;

export interface Dialing {
  readonly connectMs: number;
  /** Endpoints that are tried before it is given up. */
  readonly tries: number;
  readonly draw: Draw;
  /** Undefined: TLS as the policy asks for it cannot be spoken. */
  backendTls(tls: BackendTls): ConnectionOptions | undefined;
  /** The version of the PROXY header that the backend awaits; 0: it awaits none. `name`: "namespace/service:port". */
  proxyTo(name: string): 0 | 1 | 2;
}

export interface Dialed {
  readonly socket: Socket;
  /** "namespace/service:port" and "ip:port". */
  readonly backend: string;
  readonly endpoint: string;
}

/** A text: why there is none. */
export async function dial(
  choices: readonly Choice[],
  client: Client,
  dialing: Dialing,
): Promise<Dialed | string> {
  const { backend, why = "", tls } = drawChoice(choices, dialing.draw);
  if (backend === undefined) return why;
  const options = tls === undefined ? {} : dialing.backendTls(tls);
  if (options === undefined)
    return `${backend.name}: TLS as ${tls?.hostname} cannot be spoken: its authorities are gone`;
  const version = dialing.proxyTo(backend.name);
  const header = version === 0 ? EMPTY : writeProxyHeader(version, { from: client, to: client.to });
  const opening = { tls: tls === undefined ? undefined : options, header, ms: dialing.connectMs };
  const left = [...backend.endpoints];
  let last = `${backend.name} has no endpoint that is ready`;
  for (let i = 0; i < dialing.tries && left.length > 0; i++) {
    const [endpoint] = left.splice(Math.floor(dialing.draw() * left.length), 1);
    const socket = await open(endpoint, opening);
    if (typeof socket !== "string") return { socket, backend: backend.name, endpoint };
    last = `${endpoint} of ${backend.name}: ${socket}`;
  }
  return last;
}

/** Shares add up to 1. */
export function drawChoice(choices: readonly Choice[], draw: Draw): Choice {
  let rest = draw();
  for (const each of choices) {
    rest -= each.share;
    if (rest < 0) return each;
  }
  return choices[choices.length - 1];
}

/** "10.0.0.1:80", "[fd00::1]:80", "name:80". */
export function splitEndpoint(endpoint: string): { host: string; port: number } {
  const colon = endpoint.lastIndexOf(":");
  const host = endpoint.slice(0, colon);
  return { host: host.startsWith("[") ? host.slice(1, -1) : host, port: Number(endpoint.slice(colon + 1)) };
}

interface Opening {
  readonly tls: ConnectionOptions | undefined;
  /** What is said before all else; empty: nothing. */
  readonly header: Buffer;
  readonly ms: number;
}

/** A text: why there is none. */
function open(endpoint: string, { tls, header, ms }: Opening): Promise<Socket | string> {
  return new Promise((resolve) => {
    const plain = connect({ ...splitEndpoint(endpoint), allowHalfOpen: true, noDelay: true });
    let socket: Socket = plain;
    const finish = (result: Socket | string): void => {
      clearTimeout(timer);
      for (const each of new Set([plain, socket])) {
        each.off("error", onError);
        if (typeof result !== "string") continue;
        each.on("error", () => {}); // whatever else it has to say
        each.destroy();
      }
      resolve(result);
    };
    const onError = (error: Error): void => finish(error.message);
    const timer = setTimeout(() => finish(`no answer within ${ms} ms`), ms);
    plain.on("error", onError);
    plain.once("connect", () => {
      if (header.length > 0) plain.write(header);
      if (tls === undefined) return finish(plain);
      socket = connectTls({ ...tls, socket: plain });
      socket.on("error", onError);
      socket.once("secureConnect", () => finish(socket));
    });
  });
}
