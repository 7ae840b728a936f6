// podwire status: what is here, labs and agent; whether all is well with it, and what to do where it is not.
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { AGENT_SOCKET } from "../config/agent-socket.ts";
import { knownLabs } from "../lab/down.ts";
import type { LabStatus } from "../lab/lab-status.ts";
import { leftovers, readStatus } from "../lab/read-status.ts";
import { agentSocket } from "../lab/state-dir.ts";
import { callJson } from "./client.ts";
import { type Globals, globals, note, print, printData } from "./context.ts";
import { CliError, Exit } from "./errors.ts";
import { type AgentStatus, agentChecks, type Check, deadCheck, type Fill } from "./nodes/agent-checks.ts";
import { START_AGENT } from "./nodes/agent-nodes.ts";
import { nobody } from "./nodes/open-nodes.ts";
import { type PeersAnswer, peerChecks } from "./nodes/peer-checks.ts";
import { type Column, formatTable } from "./table.ts";

export function register(program: Command): void {
  program
    .command("status")
    .description(
      "what is here: labs and agent, their health, and what to do; status 3 when something is wrong",
    )
    .addHelpText(
      "after",
      "\nAll labs and the agent of this machine; with --lab NAME that lab alone, with --agent SOCKET that agent alone.",
    )
    .action(async (_: unknown, command: Command) => run(globals(command)));
}

interface AgentReport extends Partial<AgentStatus> {
  socket: string;
  state: "running" | "dead";
  ready: boolean;
}

interface Report {
  ready: boolean;
  labs: LabStatus[];
  agents: AgentReport[];
  checks: Check[];
}

async function run(flags: Globals): Promise<void> {
  const report: Report = { ready: true, labs: [], agents: [], checks: [] };
  for (const lab of labsToAsk(flags)) await addLab(report, lab);
  for (const socket of socketsToAsk(flags)) await addAgent(report, socket);
  const isEmpty = report.labs.length + report.agents.length === 0;
  report.ready = !isEmpty && report.checks.every(({ ok }) => ok);
  if (!report.ready) process.exitCode = Exit.NO;
  if (flags.output === "json" || flags.output === "yaml")
    return printData(flags.output, { kind: "status", ...report }, [], []);
  if (isEmpty) return note(nobody().message);
  await print(formatTable(PLACES, placesOf(report), flags.output === "wide"));
  await print(`\n${formatTable(CHECKS, report.checks, flags.output === "wide")}`);
}

function labsToAsk({ lab, agent }: Globals): string[] {
  if (lab !== undefined) return [lab];
  return agent === undefined ? knownLabs() : [];
}

/** The usual socket only where it is; one that was named must be there. */
function socketsToAsk({ lab, agent }: Globals): string[] {
  if (agent !== undefined) return [agent];
  return lab === undefined && existsSync(AGENT_SOCKET) ? [AGENT_SOCKET] : [];
}

async function addLab(report: Report, name: string): Promise<void> {
  const of = `lab ${name}`;
  const lab = (await readStatus(name)) ?? (knownLabs().includes(name) ? leftovers(name) : undefined);
  if (lab === undefined)
    throw new CliError(`${of}: no such lab: podwire lab up --lab ${name} makes it, podwire status lists all`);
  report.labs.push(lab);
  for (const line of lab.problems) report.checks.push(problemCheck(of, line));
  if (lab.problems.length === 0) {
    const detail = `${lab.nodes.length} nodes and ${lab.pods.length} pods are as they should be`;
    report.checks.push({ of, check: "lab", ok: lab.ready, detail, advice: "" });
  }
  if (lab.state !== "running") return;
  for (const { name: node, agent } of lab.nodes)
    if (agent === "podwire")
      await checkAgent(report.checks, agentSocket(name, node), `${of}/${node}`, LOOKED_AFTER);
}

const LOOKED_AFTER = "the lab starts it again; its log is beside its socket";

/** A lab's line says what, where, and where it can what to do, behind the last colon. */
function problemCheck(of: string, line: string): Check {
  const cut = line.lastIndexOf(": podwire ");
  if (cut < 0)
    return { of, check: "lab", ok: false, detail: line, advice: `podwire lab status, podwire describe` };
  const detail = line.slice(line.startsWith(`${of}: `) ? of.length + 2 : 0, cut);
  return { of, check: "lab", ok: false, detail, advice: line.slice(cut + 2) };
}

async function addAgent(report: Report, socket: string): Promise<void> {
  const status = await checkAgent(report.checks, socket, undefined, START_AGENT);
  report.agents.push({
    ...status,
    socket,
    state: status ? "running" : "dead",
    ready: status?.ready ?? false,
  });
}

/** `of`: what it is called here; undefined: by its own name. */
async function checkAgent(
  checks: Check[],
  socket: string,
  of: string | undefined,
  advice: string,
): Promise<AgentStatus | undefined> {
  const ask = <T>(path: string): Promise<T> => callJson<T>(socket, "agent", { path, timeoutMs: 5000 });
  try {
    const status = await ask<AgentStatus>("/status");
    const found = agentChecks(status, await ask<Fill>("/conntrack/count"));
    found.push(...(await checkPeers(socket, status)));
    checks.push(...found.map((check) => (of === undefined ? check : { ...check, of })));
    return status;
  } catch (error) {
    const { code, message } = error as CliError;
    if (code === "CLI_DENIED") throw error; // it may be well or not
    checks.push(deadCheck(of ?? `agent at ${socket}`, message, advice));
    return undefined;
  }
}

/** Asked by the agent, from the node's own network. */
async function checkPeers(socket: string, { node, devices }: AgentStatus): Promise<Check[]> {
  const uplink = devices?.find(({ kind }) => kind === "uplink")?.interface ?? "";
  const answer = await callJson<PeersAnswer>(socket, "agent", { path: "/peers", timeoutMs: 10_000 });
  return peerChecks(node, answer, uplink);
}

interface Place {
  kind: "lab" | "agent";
  name: string;
  state: string;
  ready: boolean;
  nodes: number | undefined;
  pods: number | undefined;
  pid: number | null | undefined;
  at: string;
}

function placesOf({ labs, agents }: Report): Place[] {
  const ofLabs = labs.map(({ lab, state, ready, nodes, pods, pid }): Place => {
    return { kind: "lab", name: lab, state, ready, nodes: nodes.length, pods: pods.length, pid, at: "" };
  });
  const ofAgents = agents.map(({ node = "", state, ready, objects, pid, socket }): Place => {
    return {
      kind: "agent",
      name: node,
      state,
      ready,
      nodes: objects?.nodes,
      pods: objects?.pods,
      pid,
      at: socket,
    };
  });
  return [...ofLabs, ...ofAgents];
}

const PLACES: Column<Place>[] = [
  { header: "KIND", value: (p) => p.kind },
  { header: "NAME", value: (p) => p.name || "-" },
  { header: "STATE", value: (p) => p.state },
  { header: "READY", value: (p) => (p.ready ? "yes" : "no") },
  { header: "NODES", value: (p) => p.nodes ?? "-" },
  { header: "PODS", value: (p) => p.pods ?? "-" },
  { header: "PID", value: (p) => p.pid ?? "-" },
  { header: "SOCKET", value: (p) => p.at || "-" },
];

const CHECKS: Column<Check>[] = [
  { header: "OF", value: (c) => c.of },
  { header: "CHECK", value: (c) => c.check },
  { header: "OK", value: (c) => (c.ok ? "yes" : "no") },
  { header: "DETAIL", value: (c) => (c.advice === "" ? c.detail : `${c.detail}: ${c.advice}`) },
];
