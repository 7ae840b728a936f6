// podwire lab up|down|status|list
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { LabStatus, NodeReport, PodReport } from "../../lab/lab-status.ts";
import { type Globals, globals, note, print, printData, progress } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { chooseLab } from "../running-lab.ts";
import { type Column, formatTable } from "../table.ts";

const PROGRAM = fileURLToPath(new URL("../main.js", import.meta.url));
const UP_TIMEOUT_SEC = 60;
const DOWN_GRACE_SEC = 1;
const SECONDS_MAX = 2_147_483; // of a timer; 24 days

export function register(program: Command): void {
  const lab = program.command("lab").description("make, remove and look at labs");
  lab
    .command("up")
    .description("make a lab, or repair one; without a file: two nodes, one client, the demo's objects")
    .option("-f, --file <lab.yaml>", "the Lab object; - for standard input")
    .option("--timeout <seconds>", "how long to wait until everything is ready; 0: do not wait", seconds)
    .option("--grace-period <seconds>", "upper limit for every pod's termination grace period", seconds)
    .action((options: UpFlags, command: Command) => up(options, globals(command)));
  lab
    .command("down")
    .description("remove a lab and everything it made")
    .option("-f, --file <lab.yaml>", "the Lab object whose lab to remove")
    .option("--all", "every lab")
    .option("--grace-period <seconds>", "how long pods may take to end (default 1)", seconds)
    .action((options: DownFlags, command: Command) => down(options, globals(command)));
  lab
    .command("status")
    .description("nodes, agents, pods and processes; exit status 3 when something is not right")
    .action((_: unknown, command: Command) => status(globals(command)));
  lab
    .command("list")
    .description("all labs of this machine")
    .action((_: unknown, command: Command) => list(globals(command)));
  lab
    .command("run", { hidden: true })
    .option("--grace-period <seconds>", "", seconds)
    .action(async (options: { gracePeriod?: number }, command: Command) => {
      const { runLab } = await import("../../lab/run.ts");
      const graceMs = options.gracePeriod === undefined ? undefined : options.gracePeriod * 1000;
      await runLab(globals(command).lab ?? "", PROGRAM, graceMs);
    });
}

interface UpFlags {
  file?: string;
  timeout?: number;
  gracePeriod?: number;
}
interface DownFlags {
  file?: string;
  all?: boolean;
  gracePeriod?: number;
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= SECONDS_MAX)) {
    throw usageError(`"${text}": not a number of seconds up to ${SECONDS_MAX}`);
  }
  return value;
}

async function up(options: UpFlags, flags: Globals): Promise<void> {
  const { planTopology } = await import("../../lab/topology.ts");
  const { bringUp } = await import("../../lab/up.ts");
  const { readLabFile, defaultLab } = await import("../../lab/lab-file.ts");
  const { checkPrivileges } = await import("../../lab/preconditions.ts");
  const file = options.file === undefined ? defaultLab() : readLabFile(options.file);
  for (const line of file.notes) note(line);
  checkPrivileges("lab up");
  const topology = planTopology(flags.lab ?? file.object.metadata?.name ?? "default", file.object);
  const {
    status: result,
    created,
    kubeconfig,
  } = await bringUp({
    topology,
    manifests: file.manifests,
    program: PROGRAM,
    timeoutMs: (options.timeout ?? UP_TIMEOUT_SEC) * 1000,
    ...(options.gracePeriod === undefined ? {} : { graceMaxMs: options.gracePeriod * 1000 }),
    progress,
    note,
  });
  progress("");
  for (const line of result.stuck) note(`warning: ${line}`);
  if (flags.output === "json" || flags.output === "yaml") return printData(flags.output, result, [], []);
  const waiting = result.stuck.filter((line) => line.startsWith("pod ")).length;
  const pods = `${count(result.pods, "pod")}${waiting === 0 ? "" : ` (${waiting} of them cannot get ready)`}`;
  const size = `${count(result.nodes, "node")}, ${pods}, ${count(result.clients, "client")}`;
  note(`lab ${result.lab} ${created ? "is up" : "is complete"}: ${size}`);
  if (kubeconfig !== undefined) note(`its Kubernetes API: export KUBECONFIG=${kubeconfig}`);
}

function count(list: unknown[], noun: string): string {
  return `${list.length} ${noun}${list.length === 1 ? "" : "s"}`;
}

async function down(options: DownFlags, flags: Globals): Promise<void> {
  const { tearDown, knownLabs } = await import("../../lab/down.ts");
  const { checkPrivileges } = await import("../../lab/preconditions.ts");
  checkPrivileges("lab down");
  const labs = options.all === true ? knownLabs() : [await labToRemove(options, flags, knownLabs())];
  const removed = [];
  for (const lab of labs) {
    const known = knownLabs().includes(lab);
    const result = await tearDown(lab, (options.gracePeriod ?? DOWN_GRACE_SEC) * 1000, progress);
    removed.push(result);
    progress("");
    if (flags.output === "table" || flags.output === "wide") {
      note(known || result.processes > 0 ? `lab ${lab} is removed` : `no lab ${lab}: nothing to remove`);
    }
  }
  if (flags.output === "json" || flags.output === "yaml") await printData(flags.output, removed, [], []);
}

async function labToRemove(options: DownFlags, flags: Globals, known: string[]): Promise<string> {
  if (flags.lab !== undefined) return flags.lab;
  if (options.file !== undefined) {
    const { readLabObject } = await import("../../lab/lab-file.ts");
    return readLabObject(options.file).metadata?.name ?? "default";
  }
  return chooseLab(undefined, known);
}

async function status(flags: Globals): Promise<void> {
  const { knownLabs } = await import("../../lab/down.ts");
  const { leftovers, readStatus } = await import("../../lab/read-status.ts");
  const lab = chooseLab(flags.lab, knownLabs());
  const result = (await readStatus(lab)) ?? (knownLabs().includes(lab) ? leftovers(lab) : undefined);
  if (result === undefined) {
    throw new CliError(
      `lab ${lab}: no such lab: podwire lab up makes it, podwire lab list shows what there is`,
    );
  }
  if (!result.ready) process.exitCode = Exit.NO;
  if (flags.output === "json" || flags.output === "yaml") return printData(flags.output, result, [], []);
  await printStatus(result, flags.output === "wide");
}

async function printStatus(s: LabStatus, wide: boolean): Promise<void> {
  const about = s.pid === null ? "its process is gone" : `process ${s.pid}, since ${s.startedAt}`;
  const parts = [
    `lab ${s.lab}: ${s.state}, ${s.ready ? "ready" : "not ready"} (${about})`,
    formatTable(NODE_COLUMNS, s.nodes, wide),
    s.pods.length === 0 ? "no pods" : formatTable(POD_COLUMNS, s.pods, wide),
    ...(s.clients.length === 0 ? [] : [formatTable(CLIENT_COLUMNS, s.clients, wide)]),
    ...(s.problems.length === 0 ? [] : [["Problems:", ...s.problems.map((p) => `  ${p}`)].join("\n")]),
  ];
  await print(parts.join("\n\n"));
}

const NODE_COLUMNS: Column<NodeReport>[] = [
  { header: "NODE", value: (n) => n.name },
  { header: "STATE", value: (n) => n.state },
  { header: "AGENT", value: (n) => n.agent },
  { header: "ADDRESS", value: (n) => n.address },
  { header: "PODCIDR", value: (n) => n.podCIDR },
  { header: "PID", value: (n) => n.pid ?? "-" },
  { header: "RESTARTS", value: (n) => n.restarts },
  { header: "REASON", value: (n) => n.reason || "-" },
];

const POD_COLUMNS: Column<PodReport>[] = [
  { header: "NAMESPACE", value: (p) => p.namespace },
  { header: "POD", value: (p) => p.name },
  { header: "READY", value: (p) => p.ready },
  { header: "STATUS", value: (p) => p.status },
  { header: "RESTARTS", value: (p) => p.restarts },
  { header: "IP", value: (p) => p.ip },
  { header: "NODE", value: (p) => p.node },
  {
    header: "PROCESSES",
    value: (p) => p.processes.map((c) => `${c.container}=${c.pid ?? c.state}`).join(",") || "-",
    wide: true,
  },
  { header: "REASON", value: (p) => p.reason || "-" },
];

const CLIENT_COLUMNS: Column<{ name: string; address: string }>[] = [
  { header: "CLIENT", value: (c) => c.name },
  { header: "ADDRESS", value: (c) => c.address },
];

async function list(flags: Globals): Promise<void> {
  const { knownLabs } = await import("../../lab/down.ts");
  const { leftovers, readStatus } = await import("../../lab/read-status.ts");
  const labs = await Promise.all(knownLabs().map(async (lab) => (await readStatus(lab)) ?? leftovers(lab)));
  if (labs.length === 0 && (flags.output === "table" || flags.output === "wide")) {
    note("no labs: podwire lab up makes one");
    return;
  }
  const columns: Column<LabStatus>[] = [
    { header: "LAB", value: (l) => l.lab },
    { header: "STATE", value: (l) => l.state },
    { header: "READY", value: (l) => (l.ready ? "yes" : "no") },
    { header: "NODES", value: (l) => l.nodes.length },
    { header: "PODS", value: (l) => l.pods.length },
    { header: "PID", value: (l) => l.pid ?? "-" },
  ];
  await printData(flags.output, labs, columns, labs);
}
