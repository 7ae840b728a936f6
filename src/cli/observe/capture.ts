// podwire capture [WORKLOAD…] [-w FILE] [FILTER]: the packets at the plane's ports, with what was done to
// each.
import type { Command } from "commander";
import { compileFilterToBase64, FilterError } from "../../capture/bpf-compile.ts";
import { globals, note } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { rerunInNamespace } from "../in-namespace.ts";
import {
  askAgent,
  chooseAgents,
  chooseNodes,
  findWorkload,
  type NodeAt,
  type Nodes,
  type Workload,
} from "../nodes/nodes.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { startsFilter, withoutNumeric } from "./capture-arguments.ts";
import { type CaptureOutput, openCaptureFile, openPacketLines } from "./capture-output.ts";
import { CaptureSession, type CaptureSource } from "./capture-session.ts";
import { AgentSource, InterfaceSource } from "./capture-sources.ts";

interface Options {
  write?: string;
  interface?: string;
  count?: string;
  snaplen?: string;
  node?: string;
  namespace?: string;
}

/** What an agent's /status says of a port; only these fields are used here. */
export interface AgentPort {
  id: number;
  name: string;
  /** pod, host or uplink. */
  kind: string;
  /** "namespace/name" of a pod's port. */
  pod?: string;
}

const APPLICATION = "podwire capture";
/** tcpdump's -n and -nn: podwire prints addresses and ports as numbers anyway. */
export const rewriteArguments = withoutNumeric;

export function register(program: Command): void {
  program
    .command("capture")
    .description("packets at the plane's ports with what was done to each: as pcapng, or one line each")
    .argument("[words...]", "WORKLOAD… (pod, NAMESPACE/POD, node/NAME), then a filter in tcpdump's language")
    .option("-w, --write <file>", "pcapng file; - for standard output: … -w - | wireshark -k -i -")
    .option("-i, --interface <name>", "a host interface, through libpcap, instead of the plane's ports")
    .option("-c, --count <packets>", "stop after so many packets")
    .option("-s, --snaplen <bytes>", "keep only so many bytes of each packet")
    .option(
      "-n, --namespace <namespace>",
      "of pods named without one; -n before a filter or an option, and -nn, are tcpdump's",
    )
    .option("--node <name>", "only this node")
    .action(async (words: string[], options: Options, command: Command) => run(words, options, command));
}

async function run(words: string[], options: Options, command: Command): Promise<void> {
  const limit = positive("-c", options.count) ?? Number.POSITIVE_INFINITY;
  const snapLen = positive("-s", options.snaplen) ?? 0;
  if (options.interface !== undefined && options.node !== undefined) {
    process.exitCode = await rerunOnNode(words, options, command);
    return;
  }
  const { sources, where } =
    options.interface === undefined
      ? await agentSources(await openNodes(globals(command)), words, options, snapLen)
      : interfaceSource(options.interface, words, snapLen);
  const { output: form } = globals(command);
  const output =
    options.write === undefined ? await openPacketLines(form) : openCaptureFile(options.write, APPLICATION);
  await capture(output, sources, limit, where);
}

/**
 * Runs the session with tcpdump's manners: what is listened on first, the count at the end, both on stderr.
 */
async function capture(
  output: CaptureOutput,
  sources: CaptureSource[],
  limit: number,
  where: string,
): Promise<void> {
  const session = new CaptureSession(output, sources, limit);
  const stop = (): void => session.stop();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    const result = await session.run(() => note(`${APPLICATION}: listening on ${where}`));
    note(closingLines(result.packets, result.dropped));
    if (result.errors.length === sources.length) throw result.errors[0];
  } catch (error) {
    if (error instanceof CliError && error.code === "CAPTURE_WRITE") note(closingLines(session.packets, 0));
    throw error;
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

function closingLines(packets: number, dropped: number): string {
  return `${packets} packets captured\n${dropped} packets dropped by podwire`;
}

function positive(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw usageError(`${flag} ${text}: use a number above 0`);
  return Number(text);
}

async function rerunOnNode(words: string[], options: Options, command: Command): Promise<number> {
  const [node] = chooseNodes(await openNodes(globals(command)), options.node);
  const args = ["capture", "-i", options.interface ?? "", "-o", globals(command).output];
  if (options.write !== undefined) args.push("-w", options.write);
  if (options.count !== undefined) args.push("-c", options.count);
  if (options.snaplen !== undefined) args.push("-s", options.snaplen);
  return rerunInNamespace(node.netns, [...args, "--", ...words]);
}

interface Chosen {
  sources: CaptureSource[];
  where: string;
}

function interfaceSource(name: string, words: string[], snapLen: number): Chosen {
  return { sources: [new InterfaceSource(name, words.join(" "), snapLen)], where: `interface ${name}` };
}

async function agentSources(all: Nodes, words: string[], options: Options, snapLen: number): Promise<Chosen> {
  const { workloads, filter } = await splitWords(all, words, options.namespace);
  if (options.namespace !== undefined && workloads.length === 0)
    throw usageError(
      `capture: -n ${options.namespace}: is the namespace of pods, and none is named: name them, or leave -n out`,
    );
  const program = filter === "" ? "" : await compile(filter, all.vxlanPort);
  const agents = chooseAgents(all, options.node, "capture");
  const sources: CaptureSource[] = [];
  const places: string[] = [];
  for (const node of agents) {
    const wanted = workloads.filter((each) => each.node === node.name);
    if (workloads.length > 0 && wanted.length === 0) continue;
    const ports = await portsOf(node, wanted);
    sources.push(
      new AgentSource(node, { ports: ports.map((port) => port.id), program, snapLen }, agents.length === 1),
    );
    places.push(ports.length === 0 ? `all ports of ${node.name}` : ports.map((port) => port.name).join(", "));
  }
  if (sources.length === 0) throw new CliError(`capture: ${nowhere(all, workloads, options.node)}`);
  return { sources, where: places.join("; ") };
}

function nowhere(all: Nodes, workloads: Workload[], node: string | undefined): string {
  const { kind, name, node: at } = workloads[0];
  const host = all.nodes.find((each) => each.name === at);
  if (host?.kind === "kernel")
    return `${name} is on ${at}, a kernel node without an agent: use tcpdump there`;
  if (host === undefined) {
    return kind === "node"
      ? `${all.label} does not see ${at}: ask the agent there`
      : `${name} is on ${at}, which ${all.label} does not see: ask the agent there`;
  }
  return `${name} is not on ${node}`;
}

/** The ports of these workloads; none = all. */
async function portsOf(node: NodeAt, wanted: Workload[]): Promise<AgentPort[]> {
  if (wanted.length === 0) return [];
  const { ports } = await askAgent<{ ports: AgentPort[] }>(node, "/status");
  return wanted.map((workload) => {
    const port = ports.find((each) =>
      workload.kind === "pod" ? each.pod === `${workload.namespace}/${workload.name}` : each.kind === "host",
    );
    if (port === undefined)
      throw new CliError(`${workload.name}: the agent of ${node.name} has no port for it yet`);
    return port;
  });
}

export async function compile(filter: string, vxlanPort: number | undefined): Promise<string> {
  try {
    return await compileFilterToBase64(filter, vxlanPort);
  } catch (error) {
    if (error instanceof FilterError && error.code === "FILTER_SYNTAX") throw usageError(error.message);
    throw error;
  }
}

/**
 * Leading words that name workloads, then the filter. A pod called like a word of the filter language needs
 * pod/.
 */
async function splitWords(
  all: Nodes,
  words: readonly string[],
  namespace?: string,
): Promise<{ workloads: Workload[]; filter: string }> {
  const workloads: Workload[] = [];
  let next = 0;
  for (; next < words.length && !startsFilter(words[next]); next++) {
    const workload = await findWorkload(all, words[next], namespace);
    if (workload === undefined) {
      throw usageError(
        `capture: "${words[next]}" is neither a workload of ${all.label} nor the start of a filter`,
      );
    }
    if (workload.kind === "client") {
      const hint = `podwire exec client/${workload.name} -- tcpdump -ni eth0`;
      throw new CliError(`capture: client ${workload.name} is outside of the plane: ${hint}`);
    }
    workloads.push(workload);
  }
  return { workloads, filter: words.slice(next).join(" ") };
}
