// podwire trace: what does happen to real packets, stage by stage, grouped by packet, in the words of the
// field.
import { isIP } from "node:net";
import type { Command } from "commander";
import { parseCidr } from "../../base/ip.ts";
import { formatTrace } from "../../kubeproxy/words/trace-format.ts";
import type { TraceRecord } from "../../observe/trace-record.ts";
import { globals, note, recordText } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { chooseAgents, findWorkload, type Nodes } from "../nodes/nodes.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { compile } from "./capture.ts";
import { withoutNumeric } from "./capture-arguments.ts";
import { flowExpression, type Place } from "./flow-expression.ts";
import { servicePlaces } from "./service-places.ts";
import { TraceSession } from "./trace-session.ts";

interface Options {
  count?: string;
  from?: string;
  to?: string;
  port?: string;
  protocol?: string;
  namespace?: string;
  node?: string;
  both?: boolean;
}

/** tcpdump's -n and -nn. */
export const rewriteArguments = withoutNumeric;

const DEFAULT_COUNT = 10;
const PROTOCOLS: Readonly<Record<string, string>> = {
  tcp: "tcp",
  udp: "udp",
  sctp: "sctp",
  icmp: "icmp",
  icmpv6: "icmp6",
  icmp6: "icmp6",
  arp: "arp",
};

export function register(program: Command): void {
  program
    .command("trace")
    .description("what does happen to real packets, stage by stage")
    .argument("[filter...]", "in tcpdump's language")
    .option("-c, --count <packets>", `stop after so many packets on each node (${DEFAULT_COUNT})`)
    .option("--from <where>", "pod/NAME, node/NAME, client/NAME, an address or a network")
    .option("--to <where>", "the same, or svc/NAME: its address and its endpoints")
    .option("--port <port>", "destination port")
    .option("--protocol <protocol>", "TCP, UDP, SCTP, ICMP, ARP")
    .option("--both", "also the packets that go back")
    .option("-n, --namespace <namespace>", "of pods and services named without one", "default")
    .option("--node <name>", "only this node")
    .action(async (words: string[], options: Options, command: Command) => run(words, options, command));
}

async function run(words: string[], options: Options, command: Command): Promise<void> {
  const { output } = globals(command);
  const count = options.count === undefined ? DEFAULT_COUNT : Number(options.count);
  if (!Number.isInteger(count) || count < 1) throw usageError(`-c ${options.count}: use a number above 0`);
  const all = await openNodes(globals(command));
  const expression = await expressionOf(all, words.join(" "), options);
  const program = expression === "" ? "" : await compile(expression, all.vxlanPort);
  const agents = chooseAgents(all, options.node, "trace");
  const text = await recordText(output, traceRecord, (steps: readonly TraceRecord[]) =>
    formatTrace(steps).join("\n"),
  );
  const session = new TraceSession(agents, { program, count }, (steps) => {
    process.stdout.write(`${text(steps)}\n`);
  });
  const stop = (): void => session.stop();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  const names = agents.map((node) => node.name).join(", ");
  try {
    const packets = await session.run(() => {
      note(`podwire trace: waiting for packets${expression === "" ? "" : ` of "${expression}"`} on ${names}`);
    });
    note(`${packets} packets traced`);
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

/** A packet as one object: who, where, and its steps. */
function traceRecord(steps: readonly TraceRecord[]) {
  return { node: steps[0].node, packet: steps[0].packet, steps };
}

async function expressionOf(all: Nodes, filter: string, options: Options): Promise<string> {
  const { namespace = "default" } = options;
  const port = options.port === undefined ? undefined : Number(options.port);
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65535)) {
    throw usageError(`--port ${options.port}: use a number from 1 to 65535`);
  }
  const protocol = options.protocol === undefined ? undefined : PROTOCOLS[options.protocol.toLowerCase()];
  if (options.protocol !== undefined && protocol === undefined) {
    throw usageError(`--protocol ${options.protocol}: use one of ${Object.keys(PROTOCOLS).join(", ")}`);
  }
  return flowExpression({
    from: options.from === undefined ? [] : await placesOf(all, "--from", options.from, namespace),
    to: options.to === undefined ? [] : await placesOf(all, "--to", options.to, namespace),
    ...(port !== undefined && { port }),
    ...(protocol !== undefined && { protocol }),
    both: options.both === true,
    filter,
  });
}

async function placesOf(all: Nodes, flag: string, word: string, namespace: string): Promise<Place[]> {
  if (isIP(word) !== 0 || parseCidr(word) !== null) return [{ address: word }];
  const service = /^(?:svc|service|services)\/(.+)$/.exec(word)?.[1];
  if (service !== undefined) return servicePlaces(all, service, namespace);
  const workload = await findWorkload(all, word, namespace);
  if (workload === undefined) {
    throw usageError(
      `${flag} ${word}: use pod/NAME, node/NAME, client/NAME, svc/NAME, an address or a network`,
    );
  }
  if (workload.ip === "") throw new CliError(`${flag} ${word}: it has no address yet`);
  return [{ address: workload.ip }];
}
