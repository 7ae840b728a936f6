// A gateway on loopback, in this process, with objects of a test's; servers behind it, and clients that write bytes.
import { randomInt } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcp } from "node:net";
import type { Test } from "tap";
import type { GatewayConfig } from "../../gateway/config.ts";
import { Gateway, type GatewayOptions } from "../../gateway/gateway.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { ObjectEvent } from "../../watch/desired-state.ts";
import type { ObjectSource, SourceListener } from "../../watch/source.ts";
import { objectsOf } from "../l7/objects.ts";

/** Objects that a test changes. */
class ChangingSource implements ObjectSource {
  #listener: SourceListener | undefined;
  readonly #objects: readonly KubeObject[];

  constructor(objects: readonly KubeObject[]) {
    this.#objects = objects;
  }

  start(listener: SourceListener): void {
    this.#listener = listener;
    this.change(...this.#objects.map((object) => ({ type: "ADDED", object }) as const));
  }

  change(...events: readonly ObjectEvent[]): void {
    this.#listener?.events(events, true);
  }

  close(): void {
    this.#listener = undefined;
  }
}

const LIMITS: GatewayConfig["limits"] = {
  ...{ headerBytes: 16_384, headers: 100, headerSec: 10, idleSec: 75, stallSec: 60, bodyBytes: 0 },
  ...{ connections: 1000, streams: 128, streamIdleSec: 3600, flowIdleSec: 60, flows: 100 },
};

export interface Running {
  readonly gateway: Gateway;
  readonly source: ChangingSource;
  /** Of http, and of https. */
  readonly port: number;
  readonly tlsPort: number;
  readonly notes: readonly string[];
}

/** Ends with the test. */
export async function runningGateway(
  t: Test,
  objects: readonly KubeObject[],
  more: Partial<GatewayOptions> = {},
): Promise<Running> {
  const [port, tlsPort] = await Promise.all([freePort(), freePort()]);
  const source = new ChangingSource(objects);
  const notes: string[] = [];
  const gateway = new Gateway({
    ...{ source, ingress: { http: port, https: tlsPort }, gateways: [], address: ["127.0.0.1"] },
    ...{
      accessLog: "off",
      metrics: undefined,
      limits: LIMITS,
      drainSec: 1,
      workers: 1,
      nodeName: "",
      zone: "",
    },
    proxyProtocol: "off",
    onNote: (line) => notes.push(line),
    ...more,
  });
  await gateway.start();
  t.teardown(() => gateway.close());
  return { gateway, source, port, tlsPort, notes };
}

const FREE_FROM = 10_000;
const FREE_TO = 20_000; // kernels give clients others: by one of theirs a port would be taken again before it is used
const given = new Set<number>();

/** A port that nobody has at the moment. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FREE_FROM, FREE_TO);
    if (given.has(port)) continue;
    given.add(port);
    const server = createTcp();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Answers on loopback until the test ends. */
export async function backend(
  t: Test,
  answer: RequestListener,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer({ keepAliveTimeout: 30_000 }, answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, port: (server.address() as AddressInfo).port };
}

/** What a backend was asked, as JSON. */
function tellRequest(request: IncomingMessage, body: string): string {
  const { method, url, rawHeaders, rawTrailers } = request;
  return JSON.stringify({ method, url, headers: rawHeaders, trailers: rawTrailers, body });
}

/** Answers each request with what it was. */
export const echo: RequestListener = (request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (chunk: Buffer) => parts.push(chunk));
  request.on("end", () => {
    const text = tellRequest(request, Buffer.concat(parts).toString());
    response.setHeader("Content-Length", Buffer.byteLength(text));
    response.end(text);
  });
};

/** Checked and defaulted objects, and what they say is at 192.0.2.1 is on loopback: no slice may say so itself. */
export function localObjects(...values: readonly object[]): KubeObject[] {
  return objectsOf(...values).map((object) =>
    object.kind === "EndpointSlice"
      ? (JSON.parse(JSON.stringify(object).replaceAll("192.0.2.1", "127.0.0.1")) as KubeObject)
      : object,
  );
}

/** A Service with endpoints on loopback. */
export function servedAt(name: string, ports: readonly number[], more: object = {}): object[] {
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: "shop", ...more },
      spec: { clusterIP: "10.96.0.9", ports: [{ name: "http", port: 80, targetPort: 8080 }] },
    },
    ...ports.map((port, i) => sliceAt(name, port, i)),
  ];
}

export function sliceAt(name: string, port: number, index = 0): object {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${name}-${index}`, namespace: "shop", labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: [{ name: "http", port }],
    endpoints: [
      {
        addresses: ["192.0.2.1"],
        targetRef: { kind: "Pod", namespace: "shop", name: `${name}-pod-${index}` },
      },
    ],
  };
}

/** Writes bytes to a port, and answers what came until the other side ended, or nothing came for so long. */
export function rawAnswer(port: number, bytes: string | Buffer, quietMs = 300): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let text = "";
    let timer: NodeJS.Timeout | undefined;
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const wait = (): void => {
      clearTimeout(timer);
      timer = setTimeout(done, quietMs);
    };
    socket.on("connect", () => {
      socket.write(bytes, "latin1" as BufferEncoding);
      wait();
    });
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      wait();
    });
    socket.on("end", done);
    socket.on("error", done);
    socket.on("close", done);
  });
}
