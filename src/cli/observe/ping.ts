// podwire ping: is a node, VTEP or pod reachable by ICMP from a node's own stack, and with which path MTU?
// Output and options are ping(8)'s; a target that does not answer is exit status 3.
import { isIP } from "node:net";
import type { Command } from "commander";
import type { Pod } from "../../kube/objects.ts";
import { globals, print, printData } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { checkNetns, rerunInNamespace } from "../in-namespace.ts";
import { findWorkload, type Nodes, nodeNetns } from "../nodes/nodes.ts";
import { NOBODY, openNodes } from "../nodes/open-nodes.ts";
import { listObjects } from "../objects/workload.ts";
import { type EchoAnswer, IcmpProber } from "./icmp-prober.ts";
import { findPathMtu, type MtuStep } from "./path-mtu.ts";
import { answerLine, lossPercent, type PingSummary, rttStatistics, summaryText } from "./ping-report.ts";

interface Options {
  count?: string;
  size?: string;
  interval?: string;
  timeout?: string;
  ttl?: string;
  from?: string;
  namespace?: string;
  quiet?: boolean;
  mtu?: boolean;
  /** Set when we run in the right namespace already: the target's name, for the first line. */
  hereFor?: string;
}

const DATA_BYTES = 56; //        ping(8)'s default
const MAX_DATA_BYTES = 65_507; // an IPv4 packet less its headers
const ICMP_AND_IP_BYTES = 28;
const ICMP_AND_IPV6_BYTES = 48;

export function register(program: Command): void {
  const command = program.command("ping");
  command
    .description("ICMP probe of a pod, node, VTEP or address from a node's own network stack")
    .argument("<target>", "pod/NAME, node/NAME, vtep/NODE, client/NAME or an IP address")
    .option("-c, --count <count>", "stop after so many requests")
    .option("-s, --size <bytes>", `data bytes of a request (${DATA_BYTES})`)
    .option("-i, --interval <seconds>", "between requests (1)")
    .option("-W, --timeout <seconds>", "wait for an answer (1)")
    .option("-t, --ttl <hops>", "time to live of requests")
    .option("-n, --namespace <namespace>", "of a pod named without one")
    .option("-q, --quiet", "only the statistics")
    .option("--from <where>", "node/NAME (default: the first node), pod/NAME or client/NAME")
    .option("--mtu", "find the path MTU instead")
    .addOption(command.createOption("--here-for <name>", "").hideHelp())
    .action(async (target: string, options: Options, self: Command) => run(target, options, self));
}

async function run(target: string, options: Options, command: Command): Promise<void> {
  const settings = pingSettings(options);
  const all = options.hereFor === undefined ? await openOrHere(target, options, command) : undefined;
  if (all === undefined) {
    const status = await (options.mtu ? probeMtu : pingHere)(
      target,
      options.hereFor ?? target,
      settings,
      command,
    );
    process.exitCode = status;
    return;
  }
  const address = await targetAddress(all, target, options.namespace);
  const netns = await originNetns(all, options);
  checkNetns(netns, options.from ?? all.nodes[0].name, "podwire status says more");
  process.exitCode = await rerunInNamespace(netns, againArgs(address, target, options, command));
}

/** Undefined: an address is asked for, nobody is here and nobody was named, so it is asked for from our own stack. */
async function openOrHere(target: string, options: Options, command: Command): Promise<Nodes | undefined> {
  try {
    return await openNodes(globals(command));
  } catch (error) {
    const isOwn = isIP(target) !== 0 && options.from === undefined;
    if (isOwn && (error as { code?: string }).code === NOBODY) return undefined;
    throw error;
  }
}

interface Settings {
  count: number;
  dataBytes: number;
  intervalMs: number;
  timeoutMs: number;
  ttl: number | undefined;
  quiet: boolean;
}

function pingSettings(options: Options): Settings {
  const number = (flag: string, text: string | undefined, fallback: number, min: number, max: number) => {
    const value = text === undefined ? fallback : Number(text);
    if (text !== undefined && (text === "" || !(value >= min && value <= max))) {
      throw usageError(`${flag} ${text}: use a number from ${min} to ${max}`);
    }
    return value;
  };
  return {
    count: Math.trunc(number("-c", options.count, Number.POSITIVE_INFINITY, 1, 1e9)),
    dataBytes: Math.trunc(number("-s", options.size, DATA_BYTES, 0, MAX_DATA_BYTES)),
    intervalMs: number("-i", options.interval, 1, 0.001, 3600) * 1000,
    timeoutMs: number("-W", options.timeout, 1, 0.001, 3600) * 1000,
    ttl: options.ttl === undefined ? undefined : Math.trunc(number("-t", options.ttl, 64, 1, 255)),
    quiet: options.quiet === true,
  };
}

async function targetAddress(all: Nodes, target: string, namespace: string | undefined): Promise<string> {
  if (isIP(target) !== 0) return target;
  if (target.startsWith("vtep/")) {
    const host = all.hosts.find((each) => each.name === target.slice("vtep/".length));
    if (host === undefined) throw new CliError(`${all.label} has no node ${target.slice("vtep/".length)}`);
    if (host.vtepAddress === "")
      throw new CliError(`${target}: there is no tunnel, or it has no podCIDR yet`);
    return host.vtepAddress;
  }
  const workload = await findWorkload(all, target, namespace);
  if (workload === undefined) {
    throw new CliError(
      `ping ${target}: ${all.label} has no such pod: use pod/NAME, node/NAME, vtep/NODE, client/NAME or an address`,
    );
  }
  if (workload.ip === "") throw new CliError(`${target} has no address yet`);
  return workload.ip;
}

/** Where the request starts: a namespace of the lab, or of this machine. */
async function originNetns(all: Nodes, { from, namespace }: Options): Promise<string> {
  if (from === undefined) return all.nodes[0].netns;
  const bare = all.nodes.find((each) => each.name === from);
  if (bare !== undefined) return bare.netns;
  const origin = await findWorkload(all, from, namespace);
  if (origin?.kind === "node") return nodeNetns(all, origin.name);
  const client = all.clients.find(({ name }) => origin?.kind === "client" && name === origin.name);
  if (client !== undefined) return client.netns;
  if (origin?.kind === "pod") {
    const pods = (await listObjects(all, "pods", origin.namespace)).items as Pod[];
    const pod = pods.find(({ metadata }) => metadata.name === origin.name);
    if (pod !== undefined) return all.podNetns(pod);
  }
  throw new CliError(`--from ${from}: ${all.label} has no such node, pod or client`);
}

/** The command line for the run inside: everything resolved, nothing left to look up. */
function againArgs(address: string, target: string, options: Options, command: Command): string[] {
  const args = ["ping", address, "--here-for", target, "-o", globals(command).output];
  const flags = { "-c": "count", "-s": "size", "-i": "interval", "-W": "timeout", "-t": "ttl" } as const;
  for (const [flag, key] of Object.entries(flags)) {
    const value = options[key];
    if (value !== undefined) args.push(flag, value);
  }
  if (options.quiet) args.push("-q");
  if (options.mtu) args.push("--mtu");
  return args;
}

async function pingHere(
  address: string,
  name: string,
  settings: Settings,
  command: Command,
): Promise<number> {
  const { output } = globals(command);
  const isTable = output === "table" || output === "wide";
  const prober = await IcmpProber.open({ address, ...(settings.ttl !== undefined && { ttl: settings.ttl }) });
  const run = new PingRun(prober, name, settings, isTable && !settings.quiet);
  if (isTable) {
    const total = settings.dataBytes + (isIP(address) === 6 ? ICMP_AND_IPV6_BYTES : ICMP_AND_IP_BYTES);
    const size =
      isIP(address) === 6
        ? `${settings.dataBytes} data bytes`
        : `${settings.dataBytes}(${total}) bytes of data.`;
    await print(`PING ${name} (${address}) ${size}`);
  }
  const summary = await run.finish();
  prober.close();
  if (isTable) await print(`\n${summaryText(summary)}`);
  else {
    const { rttsMs, ...rest } = summary;
    await printData(
      output,
      { ...rest, address, lossPercent: lossPercent(summary), rtt: rttStatistics(rttsMs) },
      [],
      [],
    );
  }
  return summary.received > 0 ? Exit.OK : Exit.NO;
}

/** Sends on time whatever the answers do, as ping(8); ends after the last answer, or at an interrupt. */
class PingRun {
  readonly #prober: IcmpProber;
  readonly #settings: Settings;
  readonly #isTalking: boolean;
  readonly #summary: PingSummary;
  readonly #startedAt = performance.now();
  #isStopped = false;
  #wake: () => void = () => {};

  constructor(prober: IcmpProber, target: string, settings: Settings, isTalking: boolean) {
    this.#prober = prober;
    this.#settings = settings;
    this.#isTalking = isTalking;
    this.#summary = {
      target,
      transmitted: 0,
      received: 0,
      duplicates: 0,
      errors: 0,
      elapsedMs: 0,
      rttsMs: [],
    };
    prober.onStray = (answer) => {
      if (answer.kind !== "reply") return;
      this.#summary.duplicates++;
      this.#say(answerLine(answer, true));
    };
  }

  async finish(): Promise<PingSummary> {
    const stop = (): void => {
      this.#isStopped = true;
      this.#wake();
    };
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    const waiting = new Set<Promise<void>>();
    for (let sequence = 1; sequence <= this.#settings.count && !this.#isStopped; sequence++) {
      if (sequence > 1) await this.#pause(this.#settings.intervalMs);
      if (this.#isStopped) break;
      this.#summary.transmitted++;
      const one: Promise<void> = this.#one(sequence).finally(() => waiting.delete(one));
      waiting.add(one);
    }
    if (!this.#isStopped) {
      const stopped = new Promise<void>((done) => {
        this.#wake = done;
      });
      await Promise.race([Promise.all(waiting), stopped]);
    }
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
    this.#summary.elapsedMs = performance.now() - this.#startedAt;
    return this.#summary;
  }

  async #one(sequence: number): Promise<void> {
    const { dataBytes, timeoutMs } = this.#settings;
    const answer = await this.#prober.probe(sequence & 0xffff, dataBytes, timeoutMs);
    this.#count(answer);
    this.#say(answerLine(answer));
  }

  #count(answer: EchoAnswer): void {
    if (answer.kind === "reply") {
      this.#summary.received++;
      if (answer.rttMs !== undefined) this.#summary.rttsMs.push(answer.rttMs);
    } else if (answer.kind !== "timeout") this.#summary.errors++;
  }

  #say(line: string | undefined): void {
    if (line !== undefined && this.#isTalking) process.stdout.write(`${line}\n`);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

async function probeMtu(
  address: string,
  name: string,
  settings: Settings,
  command: Command,
): Promise<number> {
  const { output } = globals(command);
  const isTable = output === "table" || output === "wide";
  const prober = await IcmpProber.open({ address, dontFragment: true });
  const headers = isIP(address) === 6 ? ICMP_AND_IPV6_BYTES : ICMP_AND_IP_BYTES;
  let sequence = 0;
  const probe = (bytes: number): Promise<EchoAnswer> => {
    return prober.probe(++sequence, bytes - headers, settings.timeoutMs);
  };
  const tell = (step: MtuStep): void => {
    if (isTable) process.stdout.write(`${String(step.bytes).padStart(6)} bytes: ${stepText(step.answer)}\n`);
  };
  if (isTable) await print(`path MTU to ${name} (${address})`);
  const mtu = await findPathMtu(probe, tell);
  prober.close();
  if (!isTable) await printData(output, { target: name, address, mtu: mtu ?? null }, [], []);
  else await print(mtu === undefined ? `${name} does not answer` : `path MTU ${mtu}`);
  return mtu === undefined ? Exit.NO : Exit.OK;
}

function stepText(answer: EchoAnswer): string {
  if (answer.kind === "reply") return `reply from ${answer.from}`;
  if (answer.kind === "timeout") return "no answer";
  return answer.from === undefined ? `${answer.text}` : `${answer.from}: ${answer.text}`;
}
