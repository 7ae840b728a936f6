// podwire check: do packets arrive? Real ones, sent by the agents as their pods and nodes would send them, to pods,
// services, nodes, DNS and the world, in both families, and of full size; what does not arrive is told with its reason.
import { isIP } from "node:net";
import type { Command } from "commander";
import type { KubeObject } from "../../kube/objects.ts";
import { callJson } from "../client.ts";
import { type Globals, globals, note, print, printData, progress } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { chooseAgents, findWorkload, type NodeAt, type Nodes } from "../nodes/nodes.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { type PeersAnswer, wholeSize } from "../nodes/peer-checks.ts";
import { listObjects } from "../objects/workload.ts";
import { type Column, formatTable } from "../table.ts";
import { type CheckRow, type CheckWorld, checkPlan, type SendingNode } from "./check-plan.ts";
import { dnsProblem, dnsQuestion, isDnsName } from "./dns-message.ts";
import { probeExpression, reasonOf, watchProbe } from "./failure-reason.ts";

interface Options {
  from?: string;
  to?: string;
  namespace: string;
  world?: string[];
  dnsName: string;
  timeout: string;
}

/** What an agent says of a probe. */
interface ProbeReport {
  kind: "answer" | "refused" | "error" | "lost" | "unsent";
  ms: number;
  from?: string;
  text?: string;
  mtu?: number;
  source?: string;
  payload?: string;
}

interface Outcome extends CheckRow {
  readonly ok: boolean;
  /** Of the answer; null: there was none. */
  readonly ms: number | null;
  /** The address that it was sent from; "": it was not sent. */
  readonly source: string;
  /** "" where it is well. */
  readonly reason: string;
}

const SIDE_BY_SIDE = 8;
const AGENT_MS = 3000;
/** It asks all other nodes before it answers. */
const PEERS_MS = 10_000;
/** An agent has so many watchers, and others may want some. */
const WATCHES = 4;
const TRIES = 2;
/** Failures that are looked into; more have the same few reasons. */
const REASONS_MOST = 20;
/** Ports that no kernel gives out by itself. */
const FIRST_PORT = 61_000;
const PORTS = 4000;

export function register(program: Command): void {
  program
    .command("check")
    .description(
      "do packets arrive: real ones, from pods and nodes to each other, services, DNS and the world",
    )
    .option("--from <who>", "only from pod/NAME or node/NAME (default: a pod of each node, and the node)")
    .option("--to <whom>", "only to pod/NAME, node/NAME, svc/NAME or client/NAME")
    .option("-n, --namespace <namespace>", "of pods and services named without one", "default")
    .option("--world <address>", "also to ADDRESS or ADDRESS:PORT outside the cluster (repeatable)", collect)
    .option("--dns-name <name>", "what DNS is asked for", "kubernetes.default.svc.cluster.local")
    .option("--timeout <seconds>", "for each answer; what does not come is asked for twice", "1")
    .addHelpText(
      "after",
      "\nStatus 3 when something does not arrive; each such line says where its way ends. MS is of the quicker of " +
        "two answers.",
    )
    .action(async (options: Options, command: Command) => run(options, command));
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

/** Nothing that was asked for is left out without a word. */
function checkWorld({ world = [], from, to }: Options): void {
  world.forEach(worldOf);
  if (world.length === 0) return;
  if (to !== undefined) throw usageError("--world beside --to: --to is all that is checked: leave one out");
  if (from?.startsWith("node/") === true)
    throw usageError(`--world beside --from ${from}: only pods ask the world: use --from pod/NAME`);
}

function whyNothing({ from, to }: Options): string {
  if (from === undefined && to === undefined) return ": no pod runs here";
  const named = [
    ...(from === undefined ? [] : [` from ${from}`]),
    ...(to === undefined ? [] : [` to ${to}`]),
  ];
  return `${named.join("")}: it is not there, runs on a node that is not asked, or serves no port`;
}

async function run(options: Options, command: Command): Promise<void> {
  checkWorld(options);
  if (!isDnsName(options.dnsName))
    throw usageError(
      `--dns-name ${JSON.stringify(options.dnsName)}: no name for DNS: use one such as web.default.svc`,
    );
  const flags = globals(command);
  const timeoutMs = Number(options.timeout) * 1000;
  if (!(timeoutMs >= 10 && timeoutMs <= 10_000))
    throw usageError(`--timeout ${options.timeout}: use a number of seconds from 0.01 to 10`);
  const all = await openNodes(flags);
  const { agents, senders, silent } = await askAgents(chooseAgents(all, undefined, "check"));
  const { rows, left } = await planOf(all, senders, options);
  if (rows.length + silent.length === 0)
    throw new CliError(`podwire check: there is nothing to check${whyNothing(options)}`);
  if (left > 0) note(`note: ${left} more services are there: --to svc/NAME checks one`);
  const outcomes = [...silent, ...(await runAll(all, agents, rows, timeoutMs))];
  await show(flags, outcomes);
  if (outcomes.some(({ ok }) => !ok)) process.exitCode = Exit.NO;
}

/** Who can send; an agent that does not answer is a finding of its own. */
async function askAgents(nodes: readonly NodeAt[]) {
  const agents: NodeAt[] = [];
  const senders: SendingNode[] = [];
  const silent: Outcome[] = [];
  const asked = await Promise.allSettled(nodes.map(sendingNode));
  for (const [i, answer] of asked.entries()) {
    const name = `node/${nodes[i].name}`;
    const row = {
      check: "agent",
      from: name,
      node: nodes[i].name,
      to: name,
      address: "",
      family: 4,
    } as const;
    if (answer.status === "rejected") {
      const reason = (answer.reason as Error).message;
      silent.push({ ...row, protocol: "ICMP", ok: false, ms: null, source: "", reason });
    } else {
      agents.push(nodes[i]);
      senders.push(answer.value);
    }
  }
  return { agents, senders, silent };
}

async function planOf(
  all: Nodes,
  senders: readonly SendingNode[],
  options: Options,
): Promise<ReturnType<typeof checkPlan>> {
  const kinds = ["pods", "services", "endpointslices", "nodes"];
  const objects: KubeObject[] = [];
  for (const kind of kinds) objects.push(...(await listObjects(all, kind)).items);
  const world: CheckWorld["world"] = [
    ...all.clients.map(({ name, address }) => ({ name: `client/${name}`, address })),
    ...(options.world ?? []).map(worldOf),
  ];
  const filter = {
    from: await nameOf(all, "--from", options.from, options.namespace),
    to: await nameOf(all, "--to", options.to, options.namespace),
  };
  return checkPlan({ senders, objects, world, dnsName: options.dnsName }, filter);
}

/** The agent's own pods, as far as their devices are there. */
async function sendingNode(node: NodeAt): Promise<SendingNode> {
  interface PortRow {
    kind: string;
    pod: string;
    mtu: number;
    state: string;
  }
  const ask = <T>(path: string, timeoutMs: number): Promise<T> =>
    callJson<T>(node.socket, `the agent of ${node.name}`, { path, timeoutMs });
  const { items } = await ask<{ items: PortRow[] }>("/show/ports", AGENT_MS);
  const { items: ways } = await ask<PeersAnswer>("/peers", PEERS_MS);
  const pods = items.filter(({ kind, state }) => kind === "pod" && state === "up");
  return { name: node.name, pods: pods.map(({ pod, mtu }) => ({ pod, mtu })).sort(byName), ways };
}

const byName = (a: { pod: string }, b: { pod: string }): number => (a.pod < b.pod ? -1 : 1);

/** ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT */
function worldOf(text: string): CheckWorld["world"][number] {
  if (isIP(text) !== 0) return { name: text, address: text };
  const [, six, four, port = ""] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = six ?? four ?? "";
  if (isIP(address) === 0 || !(Number(port) >= 1 && Number(port) <= 65_535))
    throw usageError(`--world ${text}: use an IP address, or ADDRESS:PORT`);
  return { name: text, address, port: Number(port) };
}

/** As rows call it. */
async function nameOf(
  all: Nodes,
  flag: string,
  word: string | undefined,
  namespace: string,
): Promise<string | undefined> {
  if (word === undefined) return undefined;
  const service = /^(?:svc|services?)\/(.+)$/.exec(word)?.[1];
  if (service !== undefined && flag === "--to")
    return `svc/${service.includes("/") ? service : `${namespace}/${service}`}`;
  const found = await findWorkload(all, word, namespace);
  if (found === undefined || (flag === "--from" && found.kind === "client")) {
    const more = flag === "--to" ? ", svc/NAME or client/NAME" : "";
    throw usageError(`${flag} ${word}: use pod/NAME, node/NAME${more}`);
  }
  return found.kind === "pod" ? `pod/${found.namespace}/${found.name}` : `${found.kind}/${found.name}`;
}

async function runAll(
  all: Nodes,
  agents: readonly NodeAt[],
  rows: readonly CheckRow[],
  timeoutMs: number,
): Promise<Outcome[]> {
  let done = 0;
  const first = await sideBySide(SIDE_BY_SIDE, rows, async (row) => {
    const outcome = outcomeOf(row, await send(agents, row, timeoutMs));
    progress(`${++done} of ${rows.length} asked`);
    return outcome;
  });
  const outcomes = await sideBySide(SIDE_BY_SIDE, first, (outcome) => again(agents, outcome, timeoutMs));
  const failed = outcomes.filter(({ ok }) => !ok).slice(0, REASONS_MOST);
  const reasons = await sideBySide(WATCHES, failed, async (outcome) => {
    const reason = isNarrow(outcome, outcomes)
      ? narrowReason(outcome, outcomes, all)
      : await lookInto(all, agents, outcome, timeoutMs).catch((error: Error) => error.message);
    return [outcome.reason, reason].filter((text) => text !== "").join(": ");
  });
  progress("");
  const found = new Map(failed.map((outcome, i) => [outcome, reasons[i]]));
  return outcomes.map((outcome) => ({ ...outcome, reason: found.get(outcome) ?? outcome.reason }));
}

/** The first packet of a way waits for neighbours to be asked and code to be read: what was answered is asked again. */
async function again(agents: readonly NodeAt[], outcome: Outcome, timeoutMs: number): Promise<Outcome> {
  if (!outcome.ok || outcome.ms === null) return outcome;
  const { kind, ms } = await send(agents, outcome, timeoutMs, { tries: 1 });
  return kind === "answer" && ms < outcome.ms ? { ...outcome, ms } : outcome;
}

/** So many at a time; the answers in the order of the list. */
async function sideBySide<T, U>(
  most: number,
  list: readonly T[],
  work: (each: T) => Promise<U>,
): Promise<U[]> {
  const answers: U[] = new Array(list.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < list.length) {
      const at = next++;
      answers[at] = await work(list[at]);
    }
  };
  await Promise.all(Array.from({ length: most }, worker));
  return answers;
}

/** Large packets do not arrive, and small ones do. */
function isNarrow({ check, from, address }: Outcome, outcomes: readonly Outcome[]): boolean {
  const isSmall = (each: Outcome): boolean =>
    each.check === "pod" && each.protocol === "ICMP" && each.from === from && each.address === address;
  return check === "MTU" && outcomes.some((each) => isSmall(each) && each.ok);
}

function narrowReason(
  { bytes = 0, family, from, to }: Outcome,
  outcomes: readonly Outcome[],
  { vxlanPort }: Nodes,
): string {
  const four = outcomes.find(
    (each) => each.check === "MTU" && each.family === 4 && each.from === from && each.to === to,
  );
  const whole = wholeSize(bytes, family, vxlanPort, four?.bytes);
  return `small ones are answered: the network between the nodes must carry ${whole} bytes`;
}

interface Sent extends ProbeReport {
  /** Of a question to DNS. */
  readonly id: number;
}

async function send(
  agents: readonly NodeAt[],
  row: CheckRow,
  timeoutMs: number,
  { tries = TRIES, sourcePort = anyPort() } = {},
): Promise<Sent> {
  const node = agents.find(({ name }) => name === row.node) as NodeAt;
  const id = Math.floor(Math.random() * 0xffff);
  const { from, address: to, protocol, port, bytes, question, family } = row;
  const payload =
    question === undefined ? {} : { payload: dnsQuestion(question, id, family).toString("base64") };
  const wish = {
    ...{ from: from.startsWith("node/") ? "node" : from.slice("pod/".length), to, protocol, port, bytes },
    ...{ ...payload, timeoutMs, tries, sourcePort },
  };
  const call = { method: "POST", path: "/probe", body: wish, timeoutMs: 60_000 } as const;
  const report = await callJson<ProbeReport>(node.socket, `the agent of ${node.name}`, call);
  return { ...report, id };
}

const anyPort = (): number => FIRST_PORT + Math.floor(Math.random() * PORTS);

function outcomeOf(row: CheckRow, sent: Sent): Outcome {
  const { kind, ms, text, mtu, from, payload = "", id, source = "" } = sent;
  const isAnswer = kind === "answer";
  const dns = isAnswer && row.question !== undefined ? dnsProblem(Buffer.from(payload, "base64"), id) : "";
  const by = from === undefined || from === row.address ? "" : ` by ${from}`;
  const reasons = {
    answer: dns,
    refused: `refused${by}`,
    error: `${from}: ${text}${mtu === undefined ? "" : ` (mtu = ${mtu})`}`,
    lost: row.check === "MTU" ? `no answer to ${row.bytes} bytes that may not be cut` : "no answer",
    unsent: `could not be sent: ${text}`,
  };
  return { ...row, ok: isAnswer && dns === "", ms: isAnswer ? ms : null, source, reason: reasons[kind] };
}

/** "": nobody knows more. */
async function lookInto(
  all: Nodes,
  agents: readonly NodeAt[],
  outcome: Outcome,
  timeoutMs: number,
): Promise<string> {
  if (outcome.ms !== null || outcome.source === "") return ""; // answered, or never sent
  const again = { tries: 1, sourcePort: anyPort() };
  const expression = probeExpression(outcome, again.sourcePort, outcome.endpointPorts ?? []);
  const once = async (): Promise<void> => void (await send(agents, outcome, timeoutMs, again));
  const stories = await watchProbe(agents, all.vxlanPort, expression, once);
  const watched = agents.map(({ name }) => name);
  return reasonOf(outcome, again.sourcePort, stories, watched);
}

const COLUMNS: Column<Outcome>[] = [
  { header: "CHECK", value: (row) => row.check },
  { header: "FROM", value: (row) => row.from },
  { header: "TO", value: (row) => row.to },
  {
    header: "ADDRESS",
    value: ({ address, port }) => (port === undefined ? address : withPort(address, port)),
  },
  { header: "PROTOCOL", value: (row) => (row.check === "agent" ? "-" : row.protocol) },
  { header: "OK", value: (row) => (row.ok ? "yes" : "no") },
  { header: "MS", value: ({ ms }) => (ms === null ? "-" : ms.toFixed(1)) },
  { header: "REASON", value: (row) => row.reason || "-" },
];

const withPort = (address: string, port: number): string =>
  isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;

async function show({ output }: Globals, outcomes: Outcome[]): Promise<void> {
  const failed = outcomes.filter(({ ok }) => !ok).length;
  if (output === "json" || output === "yaml") {
    const rows = outcomes.map(({ node: _node, question: _question, endpointPorts: _ports, ms, ...row }) => {
      return { ...row, ms: ms === null ? null : Math.round(ms * 1000) / 1000 };
    });
    return printData(output, { kind: "check", ok: failed === 0, rows }, [], []);
  }
  await print(formatTable(COLUMNS, outcomes, output === "wide"));
  note(failed === 0 ? `all ${outcomes.length} arrive` : `${failed} of ${outcomes.length} do not arrive`);
}
