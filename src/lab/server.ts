// What of a lab is no Kubernetes API (kubernetes-api.ts): HTTP with JSON on a unix socket, for the command line.
//
//   GET  /status                        LabStatus
//   GET  /topology                      the plan
//   POST /apply    {"manifests":[{"file","text"}],"namespace"?,"create"?,"dryRun"?} {"items":[Outcome],"notes":[line]}
//                  many objects as one change: all of them or none; "dryRun": everything but storing
//   POST /repair   {"made":[namespaces that had to be made again]}
//   POST /down     {"graceMs"}
//
// Errors: {"error","code","exitCode"} with status 400; several problems of manifests are several lines of "error".
import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Outcome } from "../cluster/outcome.ts";
import { type CustomDefinition, isCustomKind } from "../kube/custom-definition.ts";
import { externalIpWarnings } from "../kube/external-ips.ts";
import { warningLines } from "../kube/fields/warnings.ts";
import type { ManifestText } from "../kube/manifest/manifest.ts";
import { type KubeObject, keyOf } from "../kube/objects.ts";
import { idleNotes } from "../kube/passed-over.ts";
import { LabError, messageOf } from "./errors.ts";
import type { Lab } from "./lab.ts";
import { parseForLab } from "./lab-manifests.ts";
import { loadBalancerNotes } from "./load-balancer-notes.ts";
import { imageNotes } from "./pod/image/image-notes.ts";
import { kernelNodeWarnings } from "./policy-kernel-nodes.ts";

const BODY_MAX_BYTES = 64 << 20;

export interface LabServer {
  server: Server;
  close(): void;
}

export function serveLab(
  lab: Lab,
  socketPath: string,
  onDown: (graceMs: number) => Promise<void>,
): Promise<LabServer> {
  const server = createServer((request, response) => {
    route(lab, onDown, request, response).catch((error: unknown) => answerError(response, error));
  });
  server.keepAliveTimeout = 1000;
  rmSync(socketPath, { force: true });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(socketPath, () => {
      chmodSync(socketPath, 0o600);
      const close = (): void => {
        server.close();
        server.closeAllConnections();
      };
      resolve({ server, close });
    });
  });
}

async function route(
  lab: Lab,
  onDown: (graceMs: number) => Promise<void>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://lab");
  const path = url.pathname;
  switch (`${request.method} ${path}`) {
    case "GET /status":
      return answer(response, lab.status());
    case "GET /topology":
      return answer(response, lab.topology);
    case "POST /apply":
      return answer(response, apply(lab, (await readJsonBody(request)) as ManifestBody));
    case "POST /repair": {
      const body = (await readJsonBody(request)) as { made?: string[] };
      await lab.repair(body.made ?? []);
      return answer(response, {});
    }
    case "POST /down": {
      const body = (await readJsonBody(request)) as { graceMs?: number };
      await onDown(body.graceMs ?? 1000);
      return answer(response, {});
    }
    default:
      response.statusCode = 404;
      return answer(response, { error: `lab: ${request.method} ${path}: no such call`, exitCode: 1 });
  }
}

interface ManifestBody {
  manifests: ManifestText[];
  /** Of objects that name none. */
  namespace?: string;
  /** No object may name another one. */
  isNamespaceFixed?: boolean;
  /** Objects that are there already refuse the call. */
  create?: boolean;
  dryRun?: boolean;
}

function apply({ cluster, topology }: Lab, body: ManifestBody): unknown {
  const { namespace = "default", isNamespaceFixed, create = false, dryRun = false } = body;
  const isTaken = ({ kind, metadata }: KubeObject, name: string): boolean =>
    create && cluster.get(kind, keyOf({ metadata: { ...metadata, name } })) !== undefined;
  const options = { namespace, onlyNamespace: isNamespaceFixed === true ? namespace : undefined, isTaken };
  const definitions = cluster.list("CustomResourceDefinition") as CustomDefinition[];
  const { manifests, passed } = parseForLab(body.manifests, options, definitions);
  const warned = new Set<string>();
  const items = cluster.applyManifests(manifests, { create, dryRun, warn: (text) => warned.add(text) });
  const objects = manifests.map(({ object }) => object);
  const { images = [], loadBalancer } = topology;
  const beside = [
    ...imageNotes(manifests, images),
    ...loadBalancerNotes(manifests, loadBalancer !== undefined),
  ];
  const warnings = externalIpWarnings(objects, cluster.list("Node"));
  return {
    items: items.map(withOwnKind),
    notes: [
      ...passed.notes(),
      ...idleNotes(manifests),
      ...[...warned].map((text) => `Warning: ${text}`),
      ...warningLines([...manifests, ...beside], "lab"),
      ...warnings,
      ...kernelNodeWarnings(objects, topology.nodes),
    ],
  };
}

/** A store has custom resources under a kind with their group in it. */
function withOwnKind(item: Outcome): Outcome {
  const { kind, object } = item;
  if (!isCustomKind(kind)) return item;
  const [own] = kind.split(".", 1);
  return { ...item, kind: own, ...(object === undefined ? {} : { object: { ...object, kind: own } }) };
}

async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_MAX_BYTES)
      throw new LabError("LAB_TOO_LARGE", "lab: more than 64 MiB of manifests in one call");
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  return text === "" ? {} : JSON.parse(text);
}

function answer(response: ServerResponse, data: unknown): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(data));
}

function answerError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { code, exitCode } = error as { code?: string; exitCode?: number };
  response.statusCode = 400;
  answer(response, { error: messageOf(error), code: code ?? "LAB_INTERNAL", exitCode: exitCode ?? 1 });
}
