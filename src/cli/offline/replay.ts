// podwire replay FILE: a capture through a node's pipeline, without a kernel: what would have become of each
// packet.
import type { Command } from "commander";
import { formatTime } from "../../capture/packet-line.ts";
import { CaptureFormatError } from "../../capture/pcapng.ts";
import { dissect, dissectCut } from "../../dissect/dissect.ts";
import { summary } from "../../dissect/summary.ts";
import { captureComment } from "../../kubeproxy/words/capture-comment.ts";
import { formatTrace } from "../../kubeproxy/words/trace-format.ts";
import { HOST_PORT, OfflineNode, type OfflinePort, UPLINK_PORT } from "../../offline/offline-node.ts";
import {
  type Replayed,
  type ReplayFrame,
  type ReplayOptions,
  replayFrames,
  type Via,
} from "../../offline/replay/replay.ts";
import { checkInput, isReadOnce, refuseTwice } from "../../watch/input.ts";
import { globals, note, recordText } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { collect, named, readObjects, readOne } from "../objects/manifests.ts";
import { offlineCluster, refuseAgentAndFiles } from "./offline-cluster.ts";
import { ethernetFrames } from "./replay-frames.ts";

interface Options {
  file?: string[];
  node?: string;
  config?: string;
  via?: string;
  at?: string;
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
    .option(
      "-f, --file <objects>",
      "manifests (repeatable); without: the objects of the lab or agent here",
      collect,
    )
    .option("--node <name>", "whose pipeline (default: the first node)")
    .option("--config <file>", "a KubeProxyConfiguration, or kubeadm's ConfigMap of it")
    .option("--via <port>", "take all packets for coming by pod, uplink or host (default: by their source)")
    .option(
      "--at <place>",
      "where it was captured: pod/NAME, node/NAME (its own stack) or uplink (default: told)",
    )
    .option("--keep-macs", "leave MAC addresses as captured, instead of making them this node's")
    .option("--seed <number>", "of the random choices (1)")
    .option("-c, --count <packets>", "stop after so many packets")
    .addHelpText(
      "after",
      `
A capture of tcpdump or Wireshark, as Ethernet, -i any (SLL, SLL2), raw IP or BSD loopback, also cut by -s. What was
sent into the plane is put in; what came out of it is compared with what the plane sends here: "as captured", or the
difference. Where the capture shows which endpoint or source port a connection got, it gets the same here.
Status 3: a packet is dropped (and the capture does not show that its sender was told), or differs.`,
    )
    .action(async (capture: string, options: Options, command: Command) => run(capture, options, command));
}

async function run(capture: string, options: Options, command: Command): Promise<void> {
  const flags = globals(command);
  refuseAgentAndFiles(command, options.file);
  const limit = whole("-c", options.count) ?? Number.POSITIVE_INFINITY;
  const seed = whole("--seed", options.seed);
  const replay = replayOptions(options);
  refuseTwice([...named("", capture), ...named("-f", options.file), ...named("--config", options.config)]);
  checkInput(capture);
  const { config, objects, addressless } = await offlineCluster(flags, {
    texts: options.file === undefined ? undefined : readObjects(options.file),
    node: options.node,
    proxyConfig: options.config === undefined ? undefined : readOne(options.config),
  });
  const node = new OfflineNode(config, objects, seed === undefined ? {} : { seed });
  const at = options.at === undefined ? undefined : placeOf(options.at, node);
  const tally = new Tally();
  let number = 0;
  const text = await recordText(
    flags.output,
    (one: Replayed) => record(number, one, node, flags.verbose),
    (one) => [line(number, one, node), ...(flags.verbose ? formatTrace(one.steps) : [])].join("\n"),
  );
  let isElsewhere = false;
  const guessed = new Set(addressless);
  for await (const replayed of replayFrames(node, framesOf(capture, node), {
    ...replay,
    ...(at && { at }),
    isLive: isReadOnce(capture),
    isBrief: !flags.verbose,
    tell: (notice) => {
      note(`note: ${notice}`);
      if (!isElsewhere && at === undefined && addressless.length > 0) note(madeUp(addressless));
      isElsewhere = at === undefined;
    },
  })) {
    number++;
    const { pod } = replayed.port.info;
    if (at === undefined && guessed.delete(pod)) note(takenFor(pod, node));
    process.stdout.write(`${text(replayed)}\n`);
    if (replayed.error !== "")
      throw new CliError(`packet ${number}: internal error, please report: ${replayed.error}`);
    tally.add(replayed);
    if (number >= limit) break;
  }
  note(tally.text());
  if (tally.hasNo) process.exitCode = Exit.NO;
  else if (isElsewhere && tally.judgedNone) process.exitCode = Exit.FAILED;
}

const NAMED_MAX = 3;

function madeUp(pods: readonly string[]): string {
  const names = pods.slice(0, NAMED_MAX).join(", ");
  const more = pods.length > NAMED_MAX ? ` and ${pods.length - NAMED_MAX} more` : "";
  const hint = "if it is one of them, say --at pod/NAME";
  return `note: pods without status.podIP have made-up addresses here: ${names}${more}: ${hint}`;
}

/** Whoever has this address by accident was hardly captured. */
function takenFor(pod: string, node: OfflineNode): string {
  const address = node.graph.pods.get(pod)?.status.podIP;
  return (
    `note: ${address} is taken for pod/${pod}, whose address is made up here (no status.podIP): ` +
    "if it is another pod's, give that Pod with -f"
  );
}

const AT = "use pod/NAME, pod/NAMESPACE/NAME, node/NAME or uplink";

function placeOf(text: string, node: OfflineNode): OfflinePort {
  const { nodeName } = node.messages.config;
  if (text === "uplink") return node.ports[UPLINK_PORT];
  const [kind, ...rest] = text.split("/");
  const name = rest.join("/");
  if (name === "" || rest.length > 2 || !["pod", "node"].includes(kind))
    throw usageError(`--at ${text}: ${AT}`);
  if (kind === "node") {
    if (name === nodeName) return node.ports[HOST_PORT];
    throw usageError(`--at ${text}: the pipeline is that of ${nodeName}: use --node ${name}`);
  }
  const key = rest.length === 1 ? `default/${name}` : name;
  const port = node.ports.find((each) => each.info.pod === key);
  if (port !== undefined) return port;
  const pod = node.graph.pods.get(key);
  if (pod?.spec.nodeName !== undefined && pod.spec.nodeName !== nodeName)
    throw usageError(`--at ${text}: it is on ${pod.spec.nodeName}: use --node ${pod.spec.nodeName}`);
  if (pod?.spec.hostNetwork === true)
    throw usageError(`--at ${text}: it has its node's network: use --at node/${nodeName} or --at uplink`);
  const known = node.ports.flatMap(({ info }) => (info.pod === "" ? [] : [`pod/${info.pod}`]));
  throw usageError(`--at ${text}: not a pod of ${nodeName}: it has ${known.join(", ") || "none"}`);
}

function replayOptions(options: Options): ReplayOptions {
  const via = VIAS.find((each) => each === options.via);
  if (options.via !== undefined && via === undefined)
    throw usageError(`--via ${options.via}: use ${VIAS.join(", ")}`);
  if (options.via !== undefined && options.at !== undefined) throw usageError("use --via or --at, not both");
  return {
    ...(via !== undefined && { via }),
    keepMacs: options.keepMacs === true,
  };
}

function whole(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw usageError(`${flag} ${text}: use a number above 0`);
  return Number(text);
}

/** The capture's packets that are of this node. */
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

function line(number: number, replayed: Replayed, node: OfflineNode): string {
  const { frame, port, isElsewhere = false } = replayed;
  const what = `${formatTime(frame.timestampNs)} ${isElsewhere ? "" : `${port.info.name}: `}${shown(frame)}`;
  return `${String(number).padStart(5)} ${what}  [${comment(replayed, node)}]`;
}

/** What there is of it, in tcpdump's words. */
function shown({ data, originalLength = data.length }: ReplayFrame): string {
  return summary(originalLength > data.length ? dissectCut(data, originalLength) : dissect(data));
}

/** What was made of it: a judgement on what the plane sent, or its verdict on what it was sent. */
function comment({ way, judgement, differences, notes, input }: Replayed, node: OfflineNode): string {
  const parts: string[] = [];
  if (judgement !== undefined) parts.push(way === "out" ? `received: ${judgement}` : judgement);
  parts.push(...differences, ...notes);
  if (judgement === "not compared") return parts.join("; ");
  if (input !== undefined) {
    const service = node.messages.services.nameOf(input.serviceId);
    parts.push(captureComment(input, service, node.ports[input.outPort]?.info.name));
  } else if (way === "in") parts.push("not replayed: longer than a packet slot");
  return parts.join("; ");
}

/** The plane's word on what was put in; on what it sent, whether it would have. */
function verdict({ way, judgement, input }: Replayed): string {
  if (judgement === undefined) return input?.verdict ?? "none";
  return way === "out" && judgement === "differs" && input?.verdict === "drop" ? "drop" : judgement;
}

function record(number: number, replayed: Replayed, node: OfflineNode, withSteps: boolean) {
  const { frame, port, way, judgement, differences, notes, input, outputs, steps } = replayed;
  const { data, originalLength = data.length } = frame;
  return {
    number,
    time: new Date(Number(frame.timestampNs / 1_000_000n)).toISOString(),
    port: replayed.isElsewhere ? "" : port.info.name,
    direction: way,
    summary: shown(frame),
    verdict: verdict(replayed),
    ...(input?.dropReason !== undefined && { dropReason: input.dropReason, dropText: input.dropText }),
    ...(judgement !== undefined && { compared: judgement, differences }),
    ...(originalLength > data.length && { cut: { captured: data.length, length: originalLength } }),
    ...(notes.length > 0 && { notes }),
    comment: comment(replayed, node),
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

  get judgedNone(): boolean {
    return [...this.#verdicts.keys()].every((word) => word === "not compared");
  }

  #differs = 0;
  #dropped = 0;
  #answered = 0;

  /** Something would not arrive, or came that the plane does not send. A drop whose answer was seen is as captured. */
  get hasNo(): boolean {
    return this.#differs > 0 || this.#dropped > this.#answered;
  }

  add(replayed: Replayed): void {
    const { input } = replayed;
    const word = verdict(replayed);
    const text = word === "drop" ? `drop (${input?.dropText})` : word;
    if (word === "differs") this.#differs++;
    if (word === "drop") this.#dropped++;
    if (replayed.answersDrop && word === "as captured") this.#answered++;
    this.#verdicts.set(text, (this.#verdicts.get(text) ?? 0) + 1);
  }

  text(): string {
    const counts = [...this.#verdicts].map(([text, count]) => `${count} ${text}`);
    const total = [...this.#verdicts.values()].reduce((sum, count) => sum + count, 0);
    const answered = this.#answered === 0 ? "" : `; ${this.#answered} answers to drops as captured`;
    const what = total === 1 ? "packet" : "packets";
    return `${total} ${what} replayed${counts.length === 0 ? "" : `: ${counts.join(", ")}`}${answered}`;
  }
}
