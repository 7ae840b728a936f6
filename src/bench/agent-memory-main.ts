// scripts/agent-memory: arguments in, figures out. Exit code 3 when it is more than was allowed.
import { Command, Option } from "commander";
import { measureAgentMemory } from "./agent-memory.ts";

const number = (text: string): number => Number(text);

const command = new Command("agent-memory")
  .description("resident memory of an agent with a connection table that is full (needs root)")
  .addOption(new Option("--transport <name>", "tcp or udp").choices(["tcp", "udp"]).default("tcp"))
  .option("--connections <n>", "connections, one packet each", number, 1_000_000)
  .option("--max-mib <n>", "more than that is a failure", number, Number.POSITIVE_INFINITY)
  .option("--rate <n>", "packets a second", number, 40_000);
command.parse();
const o = command.opts();
const r = await measureAgentMemory({
  lab: "agent-memory",
  transport: o.transport,
  connections: o.connections,
  rate: o.rate,
});
console.log(
  `agent-memory: ${o.transport}, ${r.entries} connections: ${r.before.toFixed(0)} MiB → ${r.after.toFixed(0)} MiB, ` +
    `${(((r.after - r.before) * 2 ** 20) / r.entries).toFixed(0)} bytes each`,
);
const bad = r.entries < o.connections || r.after > o.maxMib;
if (bad) console.log(`agent-memory: wanted were ${o.connections} connections in ${o.maxMib} MiB`);
process.exitCode = bad ? 3 : 0;
