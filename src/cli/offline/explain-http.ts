// podwire explain --http, --gateway --port: what would become of requests and of connections by Ingresses and Gateways,
// told without sending one.
import { parseIp } from "../../base/ip.ts";
import { GATEWAY_KINDS } from "../../kube/gateway/gateway-kinds.ts";
import type { GatewayCondition } from "../../kube/gateway/gateway-objects.ts";
import { gatewayKinds } from "../../kube/gateway/read-gateway.ts";
import { qualifiedPlural, WORKLOADS } from "../../kube/kinds.ts";
import { type ManifestText, parseManifests } from "../../kube/manifest/manifest.ts";
import { withMirroredSlices } from "../../kube/mirrored-slices.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { PassedOver } from "../../kube/passed-over.ts";
import { connectionJson, connectionLines } from "../../l7/connection-words.ts";
import type { Step } from "../../l7/decision.ts";
import { Evaluator, ROUTING_KINDS } from "../../l7/evaluator.ts";
import { explanationJson, explanationLines } from "../../l7/explanation.ts";
import { type Header, type HttpRequest, readHeader, readRequest } from "../../l7/request.ts";
import { type Globals, note, noteOnce, print, printData, yamlText } from "../context.ts";
import { Exit, usageError } from "../errors.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { readObjects, readOne } from "../objects/manifests.ts";
import { readJsonLines } from "./json-lines.ts";
import { becomesCluster } from "./need-controllers.ts";
import { clusterObjects, offlineCluster } from "./offline-cluster.ts";

export interface HttpOptions {
  readonly file?: string[];
  /** A file of requests, or a method and an address. */
  readonly http?: string[];
  readonly header?: string[];
  readonly client?: string;
  readonly gateway?: string;
  readonly gatewayStatus?: boolean;
  /** Of a connection; `sni` "": its TLS asks for no name. */
  readonly port?: string;
  readonly protocol?: string;
  readonly sni?: string;
}

const REFUSED = 400; // statuses from here on are a no

/** The file among the words behind --http; undefined: they are a request. */
export function requestFile({ http = [] }: HttpOptions): string | undefined {
  return http.length === 1 && !/^https?:\/\//.test(http[0]) ? http[0] : undefined;
}

export async function explainHttp(flags: Globals, options: HttpOptions): Promise<void> {
  const requests = readRequests(options);
  const evaluator = await evaluatorOf(flags, options.file);
  for (const line of evaluator.notes) note(`note: ${line}`);
  if (evaluator.count === 0) note("note: no Ingress and no Gateway here is podwire's to serve");
  const lines: string[] = [];
  for (const request of requests) {
    const explained = evaluator.explain(request);
    if (flags.output === "json") lines.push(JSON.stringify(explanationJson(request, explained)));
    else if (flags.output === "yaml")
      lines.push("---", (await yamlText(explanationJson(request, explained))).trimEnd());
    else lines.push(...explanationLines(request, explained), "");
    const { action } = explained.decision;
    const isNo = action.kind === "answer" && action.status >= REFUSED;
    if (isNo && requestFile(options) === undefined) process.exitCode = Exit.NO;
  }
  if (lines.at(-1) === "") lines.pop();
  if (lines.length > 0) await print(lines.join("\n"));
}

/** One connection, or datagrams, to a port of a Gateway. */
export async function explainConnection(flags: Globals, options: HttpOptions): Promise<void> {
  const { port = "", protocol = "TCP", gateway, sni, client } = options;
  const asked = protocol.toLowerCase();
  if (asked !== "tcp" && asked !== "udp")
    throw usageError(`--protocol ${protocol}: to a Gateway use TCP, UDP`);
  if (!/^\d+$/.test(port) || Number(port) < 1 || Number(port) > 65_535)
    throw usageError(port === "" ? "--port is missing" : `--port ${port}: use a number from 1 to 65535`);
  const from = client === undefined ? undefined : parseIp(client);
  if (from === null) throw usageError(`--client ${client}: not an IP address`);
  if (asked === "udp" && sni !== undefined)
    throw usageError("--sni: datagrams have no TLS that is looked at");
  const evaluator = await evaluatorOf(flags, options.file);
  for (const line of evaluator.notes) note(`note: ${line}`);
  const connection = { protocol: asked, port: Number(port), gateway, sni, client: from } as const;
  const steps: Step[] = [];
  const decision = evaluator.connect(connection, (step, text) => steps.push({ step, text }));
  if (flags.output === "json") await print(JSON.stringify(connectionJson(decision, steps)));
  else if (flags.output === "yaml") await print((await yamlText(connectionJson(decision, steps))).trimEnd());
  else await print(connectionLines(connection, decision, steps).join("\n"));
  if (decision.action.kind === "close") process.exitCode = Exit.NO;
}

/** What a controller would write, told without one. */
export async function printGatewayStatus(flags: Globals, { file }: HttpOptions): Promise<void> {
  const evaluator = await evaluatorOf(flags, file);
  const rows = evaluator.statuses.flatMap((status) => {
    const { object, conditions = [], listeners = [], parents = [], ancestors = [] } = status;
    const at = (name: string, own: readonly GatewayCondition[]) =>
      own.map((each) => ({ object, part: `at ${name}`, ...each }));
    return [
      ...conditions.map((each) => ({ object, part: "", ...each })),
      ...listeners.flatMap((listener) =>
        listener.conditions.map((each) => ({
          ...{ object, part: `${listener.name} (${listener.attachedRoutes} attached)`, ...each },
          ...(each.type === "ResolvedRefs" &&
            each.message === "" && { message: takes(listener.supportedKinds) }),
        })),
      ),
      ...parents.flatMap(({ parentRef, conditions: own }) => at(parentRef.name, own)),
      ...ancestors.flatMap(({ ancestorRef, conditions: own }) => at(ancestorRef.name, own)),
    ];
  });
  const column = (header: string, value: (row: (typeof rows)[number]) => string | undefined) => ({
    header,
    value: (row: (typeof rows)[number]) => value(row) ?? "",
  });
  const columns = [
    column("OBJECT", ({ object }) => object),
    column("PART", ({ part }) => part),
    column("CONDITION", ({ type }) => type),
    column("STATUS", ({ status }) => status),
    column("REASON", ({ reason }) => reason),
    column("MESSAGE", ({ message }) => message),
  ];
  await printData(flags.output, evaluator.statuses, columns, rows);
}

function takes(kinds: readonly { readonly kind: string }[]): string {
  return kinds.length === 0 ? "takes no routes" : `takes ${kinds.map(({ kind }) => kind).join(", ")}`;
}

async function evaluatorOf(flags: Globals, files: string[] | undefined): Promise<Evaluator> {
  if (files === undefined) return new Evaluator(await runningObjects(flags), { nowMs: Date.now() });
  const texts = readObjects(files);
  const passed = new PassedOver();
  const given = parseManifests(texts, { passed, carries: true, customKinds: gatewayKinds }).map(
    ({ object }) => object,
  );
  noteOnce(passed.notes());
  const areAssumed = !given.some(({ kind }) => tellsOfEndpoints(kind));
  if (areAssumed)
    note("note: no Pods and no EndpointSlices in these files: every Service is taken to be served");
  const nowMs = Date.now();
  return new Evaluator(await completed(flags, texts, given, areAssumed), { areAssumed, nowMs });
}

/** Of a lab, which has the Gateway API's kinds; an agent follows none of them. */
async function runningObjects(flags: Globals): Promise<KubeObject[]> {
  const nodes = await openNodes(flags);
  if (nodes.api === undefined)
    throw usageError(`${nodes.label} follows neither Ingresses nor Gateways: name files with -f`);
  const gatewayWords = GATEWAY_KINDS.map((info) => qualifiedPlural(info));
  return clusterObjects(nodes, [...ROUTING_KINDS, ...gatewayWords]);
}

function tellsOfEndpoints(kind: string): boolean {
  return ["EndpointSlice", "Endpoints", "Pod", ...WORKLOADS].includes(kind);
}

/** Where pods are still to get addresses, and Services their slices, as a cluster would give them. */
async function completed(
  flags: Globals,
  texts: readonly ManifestText[],
  given: KubeObject[],
  areAssumed: boolean,
): Promise<KubeObject[]> {
  if (areAssumed || !becomesCluster(given, undefined)) return withMirroredSlices(given);
  const { objects } = await offlineCluster(flags, { texts, isQuiet: true });
  const routing = [...ROUTING_KINDS, ...GATEWAY_KINDS.map(({ kind }) => kind)];
  return [...objects, ...given.filter(({ kind }) => routing.includes(kind))];
}

function readRequests(options: HttpOptions): HttpRequest[] {
  const file = requestFile(options);
  if (file !== undefined) return readJsonLines(readOne(file), "requests", readRequest);
  const [method, address, ...more] =
    options.http?.length === 1 ? ["GET", ...options.http] : (options.http ?? []);
  if (address === undefined || more.length > 0)
    throw usageError(
      "--http: give a file of requests, or a method and an address: --http GET http://HOST/PATH",
    );
  return [requestOf(method, address, options)];
}

function requestOf(method: string, address: string, options: HttpOptions): HttpRequest {
  const match = /^(https?):\/\/([^/?#]*)([^#]*)/.exec(address);
  if (match === null)
    throw usageError(`--http ${address}: not an address that begins with http:// or https://`);
  const [, scheme, host, rest] = match;
  const port = /:(\d{1,5})$/.exec(host)?.[1];
  const { client, gateway, header = [] } = options;
  if (client !== undefined && parseIp(client) === null)
    throw usageError(`--client ${client}: not an IP address`);
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  const given = header.map(readHeaderLine);
  const named = given.find(({ name }) => name.toLowerCase() === "host")?.value;
  try {
    const fields = {
      method,
      scheme,
      path,
      client,
      gateway,
      ...(port !== undefined && { port: Number(port) }),
    };
    const request = readRequest({ ...fields, ...((named ?? host) !== "" && { host: named ?? host }) });
    const headers = given.filter(({ name }) => name.toLowerCase() !== "host");
    return { ...request, headers, ...(named !== undefined && host !== "" && { sni: host }) };
  } catch (error) {
    throw usageError(`--http ${address}: ${(error as Error).message}`);
  }
}

function readHeaderLine(line: string): Header {
  const colon = line.indexOf(":");
  if (colon <= 0) throw usageError(`-H ${JSON.stringify(line)}: write 'Name: value'`);
  try {
    return readHeader(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  } catch (error) {
    throw usageError(`-H ${JSON.stringify(line)}: ${(error as Error).message}`);
  }
}
