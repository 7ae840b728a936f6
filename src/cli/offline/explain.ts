// podwire explain: what would happen to a packet, and why. A packet is sent through a node that is built from files or
// from the objects of nodes that run here; neither root nor a kernel is needed.
import type { Command } from "commander";
import { type Ip, parseIp } from "../../base/ip.ts";
import { PROBE_PROTOCOLS } from "../../base/probe-protocols.ts";
import { ManifestError } from "../../kube/manifest/manifest.ts";
import { PassedOver } from "../../kube/passed-over.ts";
import { formatExplanation } from "../../kubeproxy/words/explain-format.ts";
import type { Explanation } from "../../kubeproxy/words/explanation.ts";
import { Explainer, type Flow, type Via } from "../../offline/explain/explainer.ts";
import { refuseTwice } from "../../watch/input.ts";
import { type Globals, globals, note, print, printData, yamlText } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { collect, named, readObjects, readOne } from "../objects/manifests.ts";
import { admitFiles } from "./admit-files.ts";
import {
  explainConnection,
  explainHttp,
  type HttpOptions,
  printGatewayStatus,
  requestFile,
} from "./explain-http.ts";
import {
  clusterWorld,
  type End,
  findEnd,
  noteIgnored,
  openWorld,
  ownerOf,
  protocolOf,
  rawObjects,
  sameFamily,
  type World,
} from "./explain-world.ts";
import { readJsonLines } from "./json-lines.ts";
import { becomesCluster } from "./need-controllers.ts";
import { offlineCluster, refuseAgentAndFiles } from "./offline-cluster.ts";

interface Options extends HttpOptions {
  node?: string;
  config?: string;
  localIp?: string[];
  previous?: string[];
  from?: string;
  to?: string;
  port?: string;
  protocol?: string;
  namespace: string;
  flows?: string;
  manifestOnly?: boolean;
  via?: string;
}

const VIAS: readonly Via[] = ["pod", "uplink", "host"];

export function register(program: Command): void {
  program
    .command("explain")
    .description("what would happen to a packet, and why")
    .option(
      "-f, --file <objects>",
      "manifests (repeatable); without: the objects of the lab or agent here",
      collect,
    )
    .option("--node <name>", "whose decision (default: the node of the sender, else of the receiver)")
    .option("--config <file>", "a KubeProxyConfiguration, or kubeadm's ConfigMap of it")
    .option("--local-ip <ip>", "a further address of type LOCAL on the node (repeatable)", collect)
    .option("--previous <objects>", "objects loaded first and then replaced (repeatable)", collect)
    .option("--from <who>", "an address, pod/NAME, node/NAME or client/NAME")
    .option("--to <whom>", "the same, or svc/NAME[:PORT], with a port's number or name")
    .option("--port <port>", "destination port")
    .option("--protocol <protocol>", PROBE_PROTOCOLS.join(", "))
    .option("-n, --namespace <namespace>", "of pods and services named without one", "default")
    .option("--flows <file>", "one JSON object a line with from, to, port, protocol; - for standard input")
    .option("--manifest-only", "check the files and say what would be loaded")
    .option("--via <port>", "the packet comes in by pod, uplink or host (default: by its source)")
    .option("--http <request...>", "a file of HTTP requests, one JSON object a line; or METHOD URL")
    .option("-H, --header <header>", "of the request behind --http: 'Name: value' (repeatable)", collect)
    .option("--client <ip>", "who sends the request behind --http, or opens the connection to --gateway")
    .option(
      "--gateway <name>",
      "the Gateway that the request comes to; with --port alone: that a connection comes to",
    )
    .option("--sni <name>", "the name that the connection's TLS asks for ('': for none)")
    .option(
      "--gateway-status",
      "what a controller would write of the Gateways and routes in the files, or in the lab",
    )
    .action(async (options: Options, command: Command) => run(options, command));
}

async function run(options: Options, command: Command): Promise<void> {
  const flags = globals(command);
  check(options);
  refuseAgentAndFiles(command, options.file);
  if (options.gatewayStatus === true) return everyProblem(() => printGatewayStatus(flags, options));
  if (options.http !== undefined) return everyProblem(() => explainHttp(flags, options));
  if (options.gateway !== undefined) return everyProblem(() => explainConnection(flags, options));
  const world = await everyProblem(() => worldOf(flags, options));
  if (options.manifestOnly === true) return printCounts(flags, world);
  noteIgnored(world);
  if (options.flows !== undefined) return explainFlows(flags, world, options);
  const asked = askedFlow(world, options);
  const explainer = await explainerOf(world, options, asked.node);
  const explanation = explainer.explain(asked.flow);
  await printOne(flags, explanation, {
    from: asked.from,
    to: asked.to,
    node: explainer.node.messages.config.nodeName,
  });
  if (explanation.verdict === "drop" || explanation.verdict === "reject") process.exitCode = Exit.NO;
}

function check(options: Options): void {
  const { from, to, flows, manifestOnly = false, via, protocol, http, gatewayStatus = false } = options;
  const hasPacket = from !== undefined || to !== undefined;
  const asked = [
    ...[hasPacket, flows !== undefined, manifestOnly, http !== undefined, gatewayStatus],
    isConnection(options),
  ].filter(Boolean).length;
  if (asked !== 1)
    throw usageError(
      "use --from and --to, or --flows, or --http, or --gateway and --port, or --gateway-status, or --manifest-only",
    );
  refuseStrangers(options);
  if (hasPacket && from === undefined) throw usageError("--from is missing");
  if (hasPacket && to === undefined) throw usageError("--to is missing");
  if (via !== undefined && !VIAS.includes(via as Via))
    throw usageError(`--via ${via}: use ${VIAS.join(", ")}`);
  if (protocol !== undefined && protocolOf(protocol) === undefined) {
    throw usageError(`--protocol ${protocol}: use one of ${PROBE_PROTOCOLS.join(", ")}`);
  }
  for (const text of options.localIp ?? []) {
    if (parseIp(text) === null) throw usageError(`--local-ip ${text}: not an IP address`);
  }
  if (manifestOnly && options.file === undefined) throw usageError("--manifest-only: name the files with -f");
  refuseTwice([
    ...named("-f", options.file),
    ...named("--previous", options.previous),
    ...named("--config", options.config),
    ...named("--flows", flows),
    ...named("--http", requestFile(options)),
  ]);
}

/** Asked about a connection to a Gateway. Beside another way to ask, --gateway is that one's, or nobody's. */
function isConnection({ gateway, http, gatewayStatus, from, to, flows, manifestOnly }: Options): boolean {
  const other = http ?? gatewayStatus ?? from ?? to ?? flows ?? manifestOnly;
  return gateway !== undefined && other === undefined;
}

/** Options of one way to ask that the other would pass over without a word. */
function refuseStrangers(options: Options): void {
  const { http, header, client, gateway, gatewayStatus, sni } = options;
  const { node, config, localIp, previous, port, protocol, via } = options;
  const isToGateway = isConnection(options);
  const isAboutPackets = http === undefined && gatewayStatus !== true && !isToGateway;
  const ports = isToGateway ? {} : { port, protocol };
  const packets = { node, config, "local-ip": localIp, previous, via, ...ports };
  const isRequest = http !== undefined && requestFile(options) === undefined;
  const requests = { header, ...(isToGateway ? {} : { client, gateway }) };
  const given = (all: object): string | undefined =>
    Object.entries(all).find(([, value]) => value !== undefined)?.[0];
  const ofPackets = isAboutPackets ? undefined : given(packets);
  if (ofPackets !== undefined) {
    const asked = isToGateway
      ? "--gateway asks about a connection to one"
      : http === undefined
        ? "--gateway-status asks about Gateways"
        : "--http asks about requests";
    throw usageError(`--${ofPackets}: is about packets, and ${asked}: leave it out`);
  }
  const ofRequests = isRequest ? undefined : given(requests);
  if (ofRequests !== undefined)
    throw usageError(`--${ofRequests}: goes with --http METHOD URL; in a file it is a field of the request`);
  if (sni !== undefined && !isToGateway)
    throw usageError("--sni: goes with --gateway and --port; of a request it is the name in its address");
}

async function worldOf(flags: Globals, options: Options): Promise<World> {
  const { file, previous, config, manifestOnly = false, node } = options;
  const passed = new PassedOver();
  const texts = file === undefined ? undefined : readObjects(file);
  const objects =
    texts === undefined ? undefined : rawObjects(texts, passed, manifestOnly ? admitFiles : undefined);
  const proxyConfig = config === undefined ? undefined : readOne(config);
  const isToBecome = !manifestOnly && previous === undefined && objects !== undefined;
  if (isToBecome && becomesCluster(objects, node)) {
    const cluster = await offlineCluster(flags, { texts, node, proxyConfig }); // tells what it passed over
    return clusterWorld(cluster);
  }
  const before = previous === undefined ? undefined : rawObjects(readObjects(previous, "--previous"), passed);
  for (const line of passed.notes()) note(line);
  return openWorld(flags, { objects, previous: before, config: proxyConfig });
}

/** All problems of bad objects, a line each: whoever mends a file wants to see them together. */
async function everyProblem<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    const texts = error.problems.map((problem) => problem.text);
    for (const text of texts.slice(0, -1)) process.stderr.write(`error: ${text}\n`);
    throw new CliError(texts.at(-1) ?? error.message, Exit.FAILED, "EXPLAIN_OBJECTS", error);
  }
}

async function explainerOf(world: World, options: Options, node: string | undefined): Promise<Explainer> {
  const name = options.node ?? node ?? (world.nodes.length === 1 ? world.nodes[0] : undefined);
  if (name === undefined)
    throw usageError(`--node is missing: use one of ${world.nodes.join(", ") || "the nodes"}`);
  if (options.file === undefined && !world.nodes.includes(name)) {
    const agents = `use one of ${world.nodes.join(", ")}`;
    if (options.node === undefined)
      throw usageError(`${name} would decide, and has no agent: --node: ${agents}`);
    throw usageError(`--node ${name}: no agent there: ${agents}`);
  }
  const localIps = (options.localIp ?? []).map((text) => parseIp(text) as Ip);
  const { objects, previous, isComplete: complete } = world;
  return new Explainer(await world.config(name), objects, { localIps, previous, complete });
}

interface Asked {
  flow: Flow;
  from: string;
  to: string;
  /** Of the sender; undefined: it is outside. */
  node: string | undefined;
}

function askedFlow(world: World, options: Options): Asked {
  const from = findEnd(world, "--from", options.from as string, options.namespace);
  const to = findEnd(world, "--to", options.to as string, options.namespace);
  const [source, destination] = sameFamily(from, to);
  const protocol = protocolOf(options.protocol ?? to.protocol ?? "TCP") ?? "TCP";
  const port =
    options.port === undefined ? (to.port ?? onlyPort(to, protocol)) : portOf("--port", options.port);
  if (options.port !== undefined && to.port !== undefined && /:/.test(to.name) && port !== to.port) {
    throw usageError(`--port ${options.port} and --to ${to.name} name two ports`);
  }
  if (port === undefined && protocol !== "ICMP") throw usageError(portMissing(to));
  const via = options.via as Via | undefined;
  const flow = { from: source, to: destination, port: port ?? 0, protocol, via };
  return {
    flow,
    from: from.name,
    to: to.name,
    node: from.node ?? ownerOf(world, source) ?? to.node ?? ownerOf(world, destination) ?? world.nodes[0],
  };
}

/** The port of a Service that has one of this protocol. */
function onlyPort({ ports = [] }: End, protocol: string): number | undefined {
  const fitting = ports.filter((each) => (each.protocol ?? "TCP") === protocol);
  return fitting.length === 1 ? fitting[0].port : undefined;
}

function portMissing({ name, ports = [] }: End): string {
  if (ports.length === 0) return "--port is missing";
  const texts = ports.map(
    ({ port, protocol = "TCP", name: own }) => `${port}/${protocol}${own === undefined ? "" : ` (${own})`}`,
  );
  return `--to ${name}: which port? It has ${texts.join(", ")}: say one by --to ${name}:PORT`;
}

function portOf(flag: string, value: unknown): number {
  const port = typeof value === "number" ? value : /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw usageError(`${flag} ${String(value)}: use a number from 1 to 65535`);
}

async function explainFlows(flags: Globals, world: World, options: Options): Promise<void> {
  const via = options.via as Via | undefined;
  const flows = readJsonLines(readOne(options.flows as string), "flows", (raw) => readFlow(raw, via));
  const explainer = await explainerOf(world, options, undefined);
  const node = explainer.node.messages.config.nodeName;
  const lines: string[] = [];
  for (const flow of flows) {
    const explanation = explainer.explain(flow);
    if (flags.output === "json") lines.push(JSON.stringify(explanation));
    else if (flags.output === "yaml") lines.push(...(await yamlLines(explanation)));
    else lines.push(...formatExplanation(explanation, { from: flow.from, to: flow.to, node }), "");
  }
  if (lines.at(-1) === "") lines.pop();
  if (lines.length > 0) await print(lines.join("\n"));
}

async function printOne(
  flags: Globals,
  explanation: Explanation,
  names: { from: string; to: string; node: string },
): Promise<void> {
  if (flags.output === "json") return print(JSON.stringify(explanation));
  if (flags.output === "yaml") return print((await yamlLines(explanation)).join("\n"));
  return print(formatExplanation(explanation, names).join("\n"));
}

async function yamlLines(explanation: Explanation): Promise<string[]> {
  return ["---", ...(await yamlText(explanation)).trimEnd().split("\n")];
}

function readFlow(raw: Record<string, unknown>, via: Via | undefined): Flow {
  const address = (field: string): string => {
    const text = raw[field];
    if (typeof text === "string" && parseIp(text) !== null) return text;
    throw new Error(`${field}: ${JSON.stringify(text) ?? "missing"} is not an IP address`);
  };
  const protocol = protocolOf(raw.protocol ?? "TCP");
  if (protocol === undefined)
    throw new Error(`protocol: ${JSON.stringify(raw.protocol)}: use ${PROBE_PROTOCOLS.join(", ")}`);
  if (raw.port === undefined && protocol !== "ICMP") throw new Error("port: missing");
  const own = raw.via ?? via;
  if (own !== undefined && !VIAS.includes(own as Via))
    throw new Error(`via: ${JSON.stringify(own)}: use ${VIAS.join(", ")}`);
  const [from, to] = [address("from"), address("to")];
  if (parseIp(from)?.family !== parseIp(to)?.family)
    throw new Error(`${from} and ${to}: addresses of two families`);
  return { from, to, port: portOf("port", raw.port ?? 0), protocol, via: own as Via | undefined };
}

async function printCounts(flags: Globals, world: World): Promise<void> {
  const counts = new Map<string, number>();
  for (const { kind } of world.objects) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const rows = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => ({ kind, count }));
  const data = { valid: true, objects: Object.fromEntries(rows.map(({ kind, count }) => [kind, count])) };
  const columns = [
    { header: "KIND", value: (row: (typeof rows)[number]) => row.kind },
    { header: "COUNT", value: (row: (typeof rows)[number]) => row.count },
  ];
  await printData(flags.output, data, columns, rows);
}
