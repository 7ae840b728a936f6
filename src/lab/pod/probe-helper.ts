// Runs httpGet, tcpSocket and grpc probes, and httpGet hooks, from a node's network namespace, as kubelet does: the
// answer has come through the node's data path. Requests and answers are lines of JSON on stdin and stdout; it ends
// when stdin does.
import { request as httpRequest } from "node:http";
import { type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { Socket } from "node:net";
import { createInterface } from "node:readline";

export interface ProbeRequest {
  id: number;
  kind: "http" | "tcp" | "grpc";
  host: string;
  port: number;
  path?: string;
  https?: boolean;
  headers?: Record<string, string>;
  /** Of grpc: what of the server is asked about. */
  service?: string;
  timeoutMs: number;
}

export interface ProbeAnswer {
  id: number;
  ok: boolean;
  message: string;
}

type Done = (ok: boolean, message: string) => void;

const SERVING = 1;
const STATUS_NAMES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const GRPC_OK = "0";
const GRPC_UNIMPLEMENTED = "12";

/** What cannot be asked has failed, and is nobody else's affair: all pods of a node have one helper. */
export function probe(request: ProbeRequest): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const done = (ok: boolean, message: string): void => resolve({ id: request.id, ok, message });
    try {
      if (request.kind === "tcp") probeTcp(request, done);
      else if (request.kind === "grpc") probeGrpc(request, done);
      else probeHttp(request, done);
    } catch (error) {
      done(false, (error as Error).message); // a port, a header that there is not
    }
  });
}

function probeTcp(request: ProbeRequest, done: Done): void {
  const socket = new Socket();
  socket.setTimeout(request.timeoutMs, () => socket.destroy(new Error("i/o timeout")));
  socket.on("connect", () => {
    done(true, "");
    socket.destroy();
  });
  socket.on("error", (error) => done(false, error.message));
  try {
    socket.connect({ host: request.host, port: request.port });
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function probeHttp(request: ProbeRequest, done: Done): void {
  const options = {
    host: request.host,
    port: request.port,
    path: written(request.path ?? "/"),
    headers: { "user-agent": "kube-probe/podwire", accept: "*/*", ...request.headers },
    agent: false,
    rejectUnauthorized: false, // kubelet does not look at a probe's certificate either
  } as const;
  const call = (request.https === true ? httpsRequest : httpRequest)(options, (response) => {
    response.resume();
    const status = response.statusCode ?? 0;
    const ok = status >= 200 && status < 400;
    done(ok, ok ? "" : `HTTP probe failed with statuscode: ${status}`);
    response.on("end", () => clearTimeout(timer));
  });
  // One limit for the whole exchange: a server that dribbles would keep an idle timer alive for ever.
  const timer = setTimeout(() => call.destroy(new Error("context deadline exceeded")), request.timeoutMs);
  call.on("error", (error) => {
    clearTimeout(timer);
    done(false, error.message);
  });
  call.end();
}

/** As Go's net/url writes a path: what no request may hold is escaped. */
function written(path: string): string {
  return path.replace(/[^\x21-\x7e]+/gu, (part) => encodeURIComponent(Buffer.from(part).toString()));
}

/** grpc.health.v1.Health/Check, by HTTP/2 alone: a request of one text field, an answer of one number. */
function probeGrpc(request: ProbeRequest, done: Done): void {
  const host = request.host.includes(":") ? `[${request.host}]` : request.host;
  const session = connectHttp2(`http://${host}:${request.port}`);
  const end: Done = (ok, message) => {
    clearTimeout(timer);
    session.destroy();
    done(ok, message);
  };
  const timer = setTimeout(() => {
    const limit = `${request.timeoutMs / 1000}s`;
    end(
      false,
      `timeout: failed to connect service "${host}:${request.port}" within ${limit}: context deadline exceeded`,
    );
  }, request.timeoutMs);
  session.on("error", (error) => end(false, error.message));
  const stream = session.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    "user-agent": "kube-probe/podwire",
    te: "trailers",
  });
  stream.on("error", (error) => end(false, error.message));
  readGrpc(stream, end);
  stream.end(grpcMessage(request.service ?? ""));
}

function readGrpc(stream: ClientHttp2Stream, end: Done): void {
  const chunks: Buffer[] = [];
  let status: string | undefined;
  const seen = (headers: Record<string, unknown>): void => {
    const found = headers["grpc-status"];
    if (found !== undefined) status = String(found);
  };
  stream.on("response", seen);
  stream.on("trailers", seen);
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("end", () => {
    if (status === GRPC_UNIMPLEMENTED) {
      end(false, "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)");
    } else if (status !== undefined && status !== GRPC_OK) {
      end(false, `error: health rpc probe failed: rpc error: code = ${status}`);
    } else {
      const health = healthOf(Buffer.concat(chunks));
      const name = STATUS_NAMES[health] ?? `${health}`;
      end(health === SERVING, health === SERVING ? "" : `service unhealthy (responded with "${name}")`);
    }
  });
}

/** One frame: not compressed, its length, and the field 1 of HealthCheckRequest. */
function grpcMessage(service: string): Buffer {
  const text = Buffer.from(service);
  const { length } = text;
  const varint = length < 0x80 ? [length] : [(length & 0x7f) | 0x80, length >> 7]; // up to 16,383
  const field = length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, ...varint]), text]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(field.length, 1);
  return Buffer.concat([head, field]);
}

/** Field 1 of HealthCheckResponse, which is left out where it is 0. */
function healthOf(frame: Buffer): number {
  const message = frame.subarray(5);
  return message[0] === 0x08 ? (message[1] ?? 0) : 0;
}

if (process.argv[1]?.endsWith("/pod/probe-helper.js")) {
  process.on("SIGINT", () => {}); // ctrl-c in the terminal of `lab up` is not meant for us
  createInterface({ input: process.stdin })
    .on("line", (line) => {
      probe(JSON.parse(line) as ProbeRequest).then((answer) => {
        process.stdout.write(`${JSON.stringify(answer)}\n`);
      });
    })
    .on("close", () => process.exit(0));
}
