// Runs httpGet and tcpSocket probes from a node's network namespace, as kubelet does: the answer has come through the
// node's data path. Requests and answers are lines of JSON on stdin and stdout; it ends when stdin does.
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { createInterface } from "node:readline";

export interface ProbeRequest {
  id: number;
  kind: "http" | "tcp";
  host: string;
  port: number;
  path?: string;
  https?: boolean;
  headers?: Record<string, string>;
  timeoutMs: number;
}

export interface ProbeAnswer {
  id: number;
  ok: boolean;
  message: string;
}

export function probe(request: ProbeRequest): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const done = (ok: boolean, message: string): void => resolve({ id: request.id, ok, message });
    if (request.kind === "tcp") probeTcp(request, done);
    else probeHttp(request, done);
  });
}

function probeTcp(request: ProbeRequest, done: (ok: boolean, message: string) => void): void {
  const socket = connect({ host: request.host, port: request.port });
  socket.setTimeout(request.timeoutMs, () => socket.destroy(new Error("i/o timeout")));
  socket.on("connect", () => {
    done(true, "");
    socket.destroy();
  });
  socket.on("error", (error) => done(false, error.message));
}

function probeHttp(request: ProbeRequest, done: (ok: boolean, message: string) => void): void {
  const options = {
    host: request.host,
    port: request.port,
    path: request.path ?? "/",
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
