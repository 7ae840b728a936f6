// pods/NAME/exec, attach and portforward: requests that turn their connection into something else. Newer clients ask for
// a WebSocket (v5.channel.k8s.io, v4.channel.k8s.io; SPDY/3.1+portforward.k8s.io, which carries SPDY), older ones for
// SPDY/3.1.
// Missing on purpose: base64 channels, for browsers of before 2012.
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { createWebSocketStream, type WebSocket, WebSocketServer } from "ws";
import type { Pod } from "../../kube/objects.ts";
import { badRequest, StatusError } from "../status.ts";
import { V4, V5 } from "./channels.ts";
import { COMMAND_PROTOCOLS, SpdyCommand, webSocketStreams } from "./command-streams.ts";
import { chooseContainer, needNode } from "./container-choice.ts";
import { ForwardPairs, webSocketForwards } from "./forward-streams.ts";
import type { PodPrograms, Program, ProgramIo } from "./pod-programs.ts";
import { type ForwardStreams, forward, portOf } from "./port-forward.ts";
import { type CommandStreams, runCommand } from "./remote-command.ts";
import { SpdySession } from "./spdy/session.ts";

export type StreamSubresource = "exec" | "attach" | "portforward";

export interface StreamRequest {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What came after the request's head. */
  readonly head: Buffer;
  readonly subresource: StreamSubresource;
  readonly pod: Pod;
  readonly query: URLSearchParams;
}

const FORWARD = "portforward.k8s.io";
const TUNNEL = "SPDY/3.1+portforward.k8s.io";
const PORTS_MAX = 127; // two channels each, and their numbers are bytes
const MESSAGE_MAX = 4 << 20; // bytes of a WebSocket message
const PROTOCOL_HEADER = "x-stream-protocol-version";

/** Throws a StatusError where nothing was upgraded, and nothing was answered yet. */
export function serveUpgrade(asked: StreamRequest, programs: PodPrograms): void {
  needNode(asked.pod);
  const kind = (asked.request.headers.upgrade ?? "").toLowerCase();
  if (kind !== "websocket" && kind !== "spdy/3.1")
    throw badRequest("you must specify an upgrade to a WebSocket or to SPDY/3.1");
  const serve = asked.subresource === "portforward" ? serveForward : serveCommand;
  serve(asked, programs, kind === "websocket");
}

function serveCommand(asked: StreamRequest, programs: PodPrograms, isWebSocket: boolean): void {
  const { pod, query, subresource } = asked;
  const container = chooseContainer(pod, query.get("container"));
  const io = ioOf(query);
  const command = query.getAll("command");
  if (subresource === "exec" && command.length === 0) throw badRequest("you must specify a command");
  const start = (): Promise<Program> =>
    subresource === "exec" ? programs.exec(pod, container, command, io) : programs.attach(pod, container, io);
  const run = (streams: CommandStreams): void => void runCommand(streams, start());
  if (isWebSocket) {
    openWebSocket(asked, [V5, V4], (socket, protocol) => run(webSocketStreams(socket, io, protocol)));
    return;
  }
  const protocol = spdyProtocol(asked, COMMAND_PROTOCOLS);
  const taker = new SpdyCommand(io, protocol, run);
  taker.begin(openSpdy(asked, protocol, (stream) => taker.take(stream)));
}

function serveForward(asked: StreamRequest, programs: PodPrograms, isWebSocket: boolean): void {
  const { pod, query } = asked;
  const connect = (port: number): Promise<Duplex> => programs.connect(pod, port);
  const take = (port: number, streams: ForwardStreams): Promise<void> =>
    forward({ pod: pod.metadata.name, port, connect }, streams);
  const pairs = new ForwardPairs(take);
  if (!isWebSocket) {
    const protocol = spdyProtocol(asked, [FORWARD]);
    openSpdy(asked, protocol, (stream) => pairs.take(stream));
    return;
  }
  const isTunnel = offered(asked.request).includes(TUNNEL);
  const ports = isTunnel ? [] : portsOf(query);
  openWebSocket(asked, [isTunnel ? TUNNEL : V4], (socket) => {
    if (isTunnel) new SpdySession(createWebSocketStream(socket), (stream) => pairs.take(stream));
    else webSocketForwards(socket, ports, (port, streams) => void closeAfter(take(port, streams)));
    let left = ports.length;
    async function closeAfter(over: Promise<void>): Promise<void> {
      await over;
      if (--left === 0) socket.close(1000);
    }
  });
}

/** Throws a StatusError for what cannot be. */
function ioOf(query: URLSearchParams): ProgramIo {
  const is = (name: string): boolean => ["1", "t", "true"].includes((query.get(name) ?? "").toLowerCase());
  const tty = is("tty");
  const io = { stdin: is("stdin"), stdout: is("stdout"), stderr: is("stderr") && !tty, tty };
  if (!io.stdin && !io.stdout && !io.stderr)
    throw badRequest("you must specify at least 1 of stdin, stdout, stderr");
  return io;
}

function portsOf(query: URLSearchParams): number[] {
  const words = query.getAll("ports").flatMap((text) => text.split(","));
  if (words.length === 0) throw badRequest('query parameter "ports" is required');
  if (words.length > PORTS_MAX) throw badRequest(`query parameter "ports": at most ${PORTS_MAX}`);
  return words.map((word) => {
    const port = portOf(word);
    if (port === undefined) throw badRequest(`unable to parse "${word}" as a port`);
    return port;
  });
}

/** Of what the client offers the first that we know; one that offers nothing speaks the oldest. */
function spdyProtocol({ request }: StreamRequest, known: readonly string[]): string {
  const header = request.headers[PROTOCOL_HEADER];
  const wanted = (Array.isArray(header) ? header.join() : (header ?? ""))
    .split(",")
    .map((word) => word.trim());
  if (wanted.length === 1 && wanted[0] === "") return known[known.length - 1];
  const protocol = wanted.find((each) => known.includes(each));
  if (protocol !== undefined) return protocol;
  const both = `client supports ${wanted.join(", ")}, server accepts ${known.join(", ")}`;
  throw new StatusError(403, "Forbidden", `unable to upgrade: unable to negotiate protocol: ${both}`);
}

function openSpdy(
  { socket, head }: StreamRequest,
  protocol: string,
  onStream: ConstructorParameters<typeof SpdySession>[1],
): SpdySession {
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n" +
      `X-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  return new SpdySession(socket, onStream);
}

function offered({ headers }: IncomingMessage): string[] {
  return (headers["sec-websocket-protocol"] ?? "").split(",").map((word) => word.trim());
}

function openWebSocket(
  { request, socket, head }: StreamRequest,
  known: readonly string[],
  opened: (socket: WebSocket, protocol: string) => void,
): void {
  const wanted = offered(request);
  const protocol = known.find((each) => wanted.includes(each));
  if (protocol === undefined)
    throw badRequest(`unable to negotiate a subprotocol: the server accepts ${known.join(", ")}`);
  // "SPDY/3.1+…" is no name by RFC 6455, and ws takes none such: it hears nothing of subprotocols.
  delete request.headers["sec-websocket-protocol"];
  const server = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_MAX });
  server.on("headers", (headers) => headers.push(`Sec-WebSocket-Protocol: ${protocol}`));
  // What is wrong with the handshake itself it answers by itself.
  server.handleUpgrade(request, socket, head, (made) => opened(made, protocol));
}
