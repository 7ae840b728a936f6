// scripts/agent-memory: arguments in, figures out. Exit code 3 when it is more than was allowed.
import { Command, Option } from "commander";
import { measureAgentMemory } from "./agent-memory.ts";
import { measureObjectMemory } from "./object-memory.ts";
import { undoAll } from "./shell.ts";

const number = (text: string): number => Number(text);

const command = new Command("agent-memory")
  .description(
    "resident memory of an agent with a connection table that is full, or of a cluster's objects (needs root)",
  )
  .addOption(new Option("--transport <name>", "tcp or udp").choices(["tcp", "udp"]).default("tcp"))
  .option("--connections <n>", "connections, one packet each", number, 1_000_000)
  .option("--rate <n>", "packets a second", number, 40_000)
  .option("--objects", "of objects from an API server: a stand-in, with so many of them")
  .option("--services <n>", "Services, each with one slice", number, 10_000)
  .option("--endpoints <n>", "endpoints of each", number, 10)
  .option("--pods <n>", "pods of other nodes", number, 20_000)
  .option(
    "--max-mib <n>",
    "more than that is a failure; of objects, what they add",
    number,
    Number.POSITIVE_INFINITY,
  );
command.parse();
const o = command.opts();
const mib = (value: number): string => value.toFixed(0);

async function connections(): Promise<boolean> {
  const { transport, connections, rate } = o;
  const r = await measureAgentMemory({ lab: "agent-memory", transport, connections, rate });
  console.log(
    `agent-memory: ${transport}, ${r.entries} connections: ${mib(r.before)} MiB → ${mib(r.after)} MiB, ` +
      `${(((r.after - r.before) * 2 ** 20) / r.entries).toFixed(0)} bytes each`,
  );
  const bad = r.entries < connections || r.after > o.maxMib;
  if (bad) console.log(`agent-memory: wanted were ${connections} connections in ${o.maxMib} MiB`);
  return !bad;
}

async function objects(): Promise<boolean> {
  const { services, endpoints, pods } = o;
  const { before, after } = await measureObjectMemory({ services, endpoints, pods });
  const more = after.resident - before.resident;
  console.log(
    `agent-memory: ${services} services of ${endpoints} endpoints, ${pods} pods in ${after.seconds.toFixed(1)} s: ` +
      `${mib(before.resident)} MiB → ${mib(after.resident)} MiB (${mib(more)} more; at most ${mib(after.most)}), ` +
      `live heap ${mib(before.heap)} → ${mib(after.heap)}`,
  );
  const bad = !(more <= o.maxMib);
  if (bad) console.log(`agent-memory: wanted were ${o.maxMib} MiB for them`);
  return !bad;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => void undoAll().then(() => process.exit(1)));
try {
  process.exitCode = (await (o.objects === true ? objects() : connections())) ? 0 : 3;
} finally {
  await undoAll();
}
