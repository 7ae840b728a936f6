// What tests of the gateway ask it, an Ingress that gives a host to one Service, and a backend of HTTP/2.
import { type IncomingMessage, request } from "node:http";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Test } from "tap";
import { ingress } from "../l7/objects.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** By HTTP/1.1, on loopback, host a.example unless the headers have another. */
export function ask(
  port: number,
  path: string,
  { method = "GET", headers = {}, body = "" }: Asked = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const all = { Host: "a.example", ...headers };
    const asked = request({ port, host: "127.0.0.1", method, path, headers: all }, (answer) => {
      let text = "";
      answer.on("data", (chunk) => (text += chunk));
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }),
      );
      answer.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** All of a.example is Service web's. */
export function webIngress(annotations: Readonly<Record<string, string>> = {}, more: object = {}): object {
  return ingress({ hosts: { "a.example": [{ path: "/", to: "web" }] }, annotations, ...more });
}

/** A server of HTTP/2 without TLS; answers its port. */
export async function http2Backend(
  t: Test,
  answer: (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void,
): Promise<number> {
  const server = createServer();
  server.on("stream", (stream, headers) => answer(stream, headers));
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    for (const each of sessions) each.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
