// HTTP/2 without TLS, as clients of gRPC speak it, for podwire/echo: gRPC's health service says SERVING of whatever it is
// asked about (grpc.health.v1), any other call of gRPC is not implemented, and a plain request gets the line of JSON.
// echo loads this file when the first such client comes: most pods never have one.
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";

export interface Http2Taker {
  /** A connection whose first bytes have been put back. */
  take(socket: Socket): void;
  /** No new calls; connections end with those that are under way. */
  close(): void;
}

const GRPC = "application/grpc";
/** A message of gRPC: not compressed, two bytes long; field 1 of HealthCheckResponse is 1, SERVING. */
const SERVING = Buffer.from([0, 0, 0, 0, 2, 0x08, 1]);
const OK = { "grpc-status": "0" };
const UNIMPLEMENTED = {
  "grpc-status": "12",
  "grpc-message": "podwire/echo has the service grpc.health.v1.Health alone",
};

/** `answer`: the line for whoever is at the other end of a connection. */
export function makeHttp2Taker(answer: (socket: Socket) => string): Http2Taker {
  const server = createServer();
  const watches = new Set<ServerHttp2Stream>();
  const endings = new Set<() => void>();
  server.on("session", (session) => {
    const end = (): void => session.close();
    endings.add(end);
    session.on("close", () => endings.delete(end)).on("error", () => session.destroy());
  });
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on("error", () => stream.destroy()).on("close", () => watches.delete(stream));
    stream.resume(); // a body is read and dropped
    if (headers["content-type"]?.startsWith(GRPC) === true) callGrpc(stream, headers[":path"], watches);
    else plain(stream, headers[":method"], answer);
  });
  return {
    take: (socket) => server.emit("connection", socket),
    close: () => {
      for (const stream of watches) stream.end();
      for (const end of endings) end();
    },
  };
}

function callGrpc(stream: ServerHttp2Stream, path = "", watches: Set<ServerHttp2Stream>): void {
  const head = { ":status": 200, "content-type": GRPC };
  const isWatch = path === "/grpc.health.v1.Health/Watch";
  if (!isWatch && path !== "/grpc.health.v1.Health/Check") {
    stream.respond({ ...head, ...UNIMPLEMENTED }, { endStream: true });
    return;
  }
  stream.on("wantTrailers", () => {
    stream.sendTrailers(OK);
    setImmediate(() => stream.close()); // also of a client that has not ended its own side
  });
  stream.respond(head, { waitForTrailers: true });
  stream.write(SERVING);
  if (isWatch) watches.add(stream);
  else stream.end();
}

function plain(
  stream: ServerHttp2Stream,
  method: string | undefined,
  answer: (socket: Socket) => string,
): void {
  const text = answer(stream.session!.socket as Socket);
  const head = {
    ":status": 200,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  };
  stream.respond(head, { endStream: method === "HEAD" });
  if (method !== "HEAD") stream.end(text);
}
