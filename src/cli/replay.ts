// podwire replay FILE: a capture through a node's pipeline, without a kernel: what would have become of each
// packet.
import type { Command } from "commander";
import { OfflineNode } from "../agent/offline-node.ts";
import {
  type Replayed,
  type ReplayFrame,
  type ReplayOptions,
  replayFrames,
  type Via,
} from "../agent/replay.ts";
import { checkInput, inputStream, refuseTwice } from "../control/watch/input.ts";
import { dissect } from "../dissect/dissect.ts";
import { summary } from "../dissect/summary.ts";
import { captureComment } from "../observe/capture-comment.ts";
import { readCapture } from "../observe/capture-file.ts";
import { formatTime } from "../observe/packet-line.ts";
import { CaptureFormatError, LINKTYPE_ETHERNET } from "../observe/pcapng.ts";
import { formatTrace } from "../observe/trace-format.ts";
import type { CaptureRecord } from "../observe/trace-record.ts";
import { globals, note } from "./context.ts";
import { CliError, Exit, usageError } from "./errors.ts";
import { collect, named, readObjects, readOne } from "./manifests.ts";
import { offlineCluster } from "./offline-cluster.ts";

interface Options {
  file?: string[];
  node?: string;
  config?: string;
  via?: string;
  keepMacs?: boolean;
  seed?: string;
  count?: string;
}

const VIAS: readonly Via[] = ["pod", "uplink", "host"];

export function register(program: Command): void {
  program
    .command("replay")
    .description("a capture through a node's pipeline, with a verdict per packet")
    .argument("<capture>", "pcap or pcapng; - for standard input")
    .option("-f, --file <objects>", "manifests (repeatable); without: the running lab's objects", collect)
    .option("--node <name>", "whose pipeline (default: the first node)")
    .option("--config <file>", "a KubeProxyConfiguration, or kubeadm's ConfigMap of it")
    .option("--via <port>", "take all packets for coming by pod, uplink or host (default: by their source)")
    .option("--keep-macs", "leave MAC addresses as captured, instead of making them this node's")
    .option("--seed <number>", "of the random choices (1)")
    .option("-c, --count <packets>", "stop after so many packets")
    .addHelpText(
      "after",
      "\nA new connection to a service may get another endpoint here than it got when it was captured.",
    )
    .action(async (capture: string, options: Options, command: Command) => run(capture, options, command));
}

async function run(capture: string, options: Options, command: Command): Promise<void> {
  const flags = globals(command);
  const limit = whole("-c", options.count) ?? Number.POSITIVE_INFINITY;
  const replay = replayOptions(options);
  refuseTwice([...named("", capture), ...named("-f", options.file), ...named("--config", options.config)]);
  checkInput(capture);
  const { config, objects } = await offlineCluster(flags, {
    texts: options.file === undefined ? undefined : readObjects(options.file),
    node: options.node,
    proxyConfig: options.config === undefined ? undefined : readOne(options.config),
  });
  const node = new OfflineNode(config, objects);
  const tally = new Tally();
  let number = 0;
  for await (const replayed of replayFrames(node, framesOf(capture, node), replay)) {
    number++;
    const text =
      flags.output === "json"
        ? JSON.stringify(record(number, replayed, node, flags.verbose))
        : line(number, replayed, node);
    process.stdout.write(`${text}\n`);
    if (flags.verbose && flags.output !== "json")
      process.stdout.write(`${formatTrace(replayed.steps).join("\n")}\n`);
    if (replayed.error !== "")
      throw new CliError(`packet ${number}: internal error, please report: ${replayed.error}`);
    tally.add(replayed);
    if (number >= limit) break;
  }
  note(tally.text());
}

function replayOptions(options: Options): ReplayOptions {
  const via = VIAS.find((each) => each === options.via);
  if (options.via !== undefined && via === undefined)
    throw usageError(`--via ${options.via}: use ${VIAS.join(", ")}`);
  const seed = whole("--seed", options.seed);
  return {
    ...(via !== undefined && { via }),
    ...(seed !== undefined && { seed }),
    keepMacs: options.keepMacs === true,
  };
}

function whole(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw usageError(`${flag} ${text}: use a number above 0`);
  return Number(text);
}

/**
 * What came in, of the capture's packets: a capture of ours also holds what went out, with a comment that
 * says so.
 */
async function* framesOf(path: string, node: OfflineNode): AsyncGenerator<ReplayFrame> {
  try {
    for await (const frame of ethernetFrames(path)) if (!isOfOther(frame, node)) yield frame;
  } catch (error) {
    if (!(error instanceof CaptureFormatError)) throw error;
    throw new CliError(`${path}: ${error.message}`, Exit.FAILED, error.code, error);
  }
}

/** A capture of several nodes has their names in front of the interfaces': "node2 eth0 default/web". */
function isOfOther({ interfaceName = "" }: ReplayFrame, node: OfflineNode): boolean {
  const [first] = interfaceName.split(" ");
  return first !== node.messages.config.nodeName && node.graph.nodes.has(first);
}

async function* ethernetFrames(path: string): AsyncGenerator<ReplayFrame> {
  const interfaces = new Map<number, { name: string; linkType: number }>();
  for await (const item of readCapture(inputStream(path))) {
    if (item.type === "interface") {
      const { name, linkType = LINKTYPE_ETHERNET } = item.interface;
      interfaces.set(item.interfaceId, { name, linkType });
    }
    if (item.type !== "packet" || item.packet.direction === "out") continue;
    const from = interfaces.get(item.packet.interfaceId);
    if (from !== undefined && from.linkType !== LINKTYPE_ETHERNET) {
      const hint = "capture with -y EN10MB, or on one interface instead of any";
      throw new CliError(`${path}: link type ${from.linkType} is not Ethernet: ${hint}`);
    }
    const { data, timestampNs } = item.packet;
    yield { data, timestampNs, ...(from !== undefined && { interfaceName: from.name }) };
  }
}

function line(number: number, { frame, port, input }: Replayed, node: OfflineNode): string {
  const what = `${formatTime(frame.timestampNs)} ${port.info.name}: ${summary(dissect(frame.data))}`;
  return `${String(number).padStart(5)} ${what}  [${comment(input, node)}]`;
}

function comment(input: CaptureRecord | undefined, node: OfflineNode): string {
  if (input === undefined) return "not replayed: longer than a packet slot";
  return captureComment(
    input,
    node.messages.services.nameOf(input.serviceId),
    node.ports[input.outPort]?.info.name,
  );
}

function record(number: number, replayed: Replayed, node: OfflineNode, withSteps: boolean) {
  const { frame, port, input, outputs, steps } = replayed;
  return {
    number,
    time: new Date(Number(frame.timestampNs / 1_000_000n)).toISOString(),
    port: port.info.name,
    summary: summary(dissect(frame.data)),
    verdict: input?.verdict ?? "none",
    ...(input?.dropReason !== undefined && { dropReason: input.dropReason, dropText: input.dropText }),
    comment: comment(input, node),
    outputs: outputs.map((output) => ({
      port: node.ports[output.port]?.info.name ?? "",
      summary: summary(dissect(output.data)),
    })),
    ...(withSteps && { steps }),
  };
}

/** Verdicts counted, drops by their reason. */
class Tally {
  readonly #verdicts = new Map<string, number>();

  add({ input }: Replayed): void {
    const text = input?.dropText === undefined ? (input?.verdict ?? "none") : `drop (${input.dropText})`;
    this.#verdicts.set(text, (this.#verdicts.get(text) ?? 0) + 1);
  }

  text(): string {
    const counts = [...this.#verdicts].map(([text, count]) => `${count} ${text}`);
    const total = [...this.#verdicts.values()].reduce((sum, count) => sum + count, 0);
    return `${total} packets replayed${counts.length === 0 ? "" : `: ${counts.join(", ")}`}`;
  }
}
