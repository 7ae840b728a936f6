// scripts/syn-flood: arguments in, figures out. Exit code 3 when what is promised does not hold.
import { Command } from "commander";
import { runSynFlood } from "./syn-flood.ts";

const SHARE_MIN = 0.8;
const number = (text: string): number => Number(text);

const command = new Command("syn-flood")
  .description("SYNs from forged sources through a node port while a connection transfers (needs root)")
  .option("--sources <n>", "forged sources, one SYN each", number, 500_000)
  .option("--rate <n>", "SYNs a second", number, 50_000)
  .option("--stream <mbit>", "rate of the connection, Mbit/s", number, 200)
  .option("--conntrack-max <n>", "entries of the connection table", number, 262_144)
  .option("--from-pod", "from a pod with anti-spoofing off, to the ClusterIP", false)
  .option("--seed <n>", "of ports and sequence numbers", number, Math.floor(Math.random() * 2 ** 31));
command.parse();
const o = command.opts();
console.log(
  `syn-flood: seed ${o.seed}, ${o.sources} sources, ${o.rate} SYNs/s, stream of ${o.stream} Mbit/s`,
);
const r = await runSynFlood({
  lab: "syn-flood",
  seed: o.seed,
  sources: o.sources,
  rate: o.rate,
  streamMbit: o.stream,
  conntrackMax: o.conntrackMax,
  fromPod: o.fromPod,
});
const share = r.during / r.before;
console.log(
  `syn-flood: ${r.sent} SYNs in ${r.seconds.toFixed(1)} s: ${Math.round(r.sent / r.seconds)} a second`,
);
console.log(
  `syn-flood: stream ${r.before.toFixed(1)} Mbit/s before, ${r.during.toFixed(1)} during: ${(100 * share).toFixed(0)} %`,
);
console.log(
  `syn-flood: at most ${r.entriesMax} connections of ${o.conntrackMax}, ${r.earlyDrops} dropped early; ` +
    `agent ${r.memoryMb.before} MB → ${r.memoryMb.after} MB`,
);
for (const [reason, packets] of Object.entries(r.drops))
  console.log(`syn-flood:   ${reason.padEnd(28)} ${`${packets}`.padStart(10)}`);
const bad = share < SHARE_MIN || r.entriesMax > o.conntrackMax;
if (bad) console.log("syn-flood: not as promised");
process.exitCode = bad ? 3 : 0;
