// scripts/api-churn: arguments in, what informers were told out. Exit code 3 when something was lost or invented.
import { Command } from "commander";
import { aboveZero, atLeastOne } from "../numbers.ts";
import { undoAll } from "../shell.ts";
import { type ChurnOptions, measureChurn } from "./churn.ts";

interface Options extends Omit<ChurnOptions, "burst" | "progress"> {
  readonly burstRate?: number;
  readonly burstMinutes: number;
}

const command = new Command("api-churn")
  .description("informers on a lab's API, their connections cut at random, while objects change (needs root)")
  .option("--minutes <n>", "how long objects change", aboveZero, 1)
  .option("--rate <n>", "changes a second", aboveZero, 1000)
  .option("--burst-rate <n>", "instead of --rate, for a while in the middle", aboveZero)
  .option("--burst-minutes <n>", "how long that is", aboveZero, 1)
  .option("--cut-bytes <n>", "a connection is cut after up to so many bytes", atLeastOne, 1_000_000)
  .option("--seed <n>", "of the changes and the cuts", atLeastOne, 1 + Math.floor(Math.random() * 2 ** 31))
  .exitOverride((stop) => process.exit(stop.exitCode === 0 ? 0 : 2));
command.parse();
const { burstRate, burstMinutes, ...options } = command.opts<Options>();
if (burstRate !== undefined && burstMinutes > options.minutes)
  command.error(`error: --burst-minutes ${burstMinutes}: longer than --minutes ${options.minutes}`);
const burst = burstRate === undefined ? undefined : { rate: burstRate, minutes: burstMinutes };
console.log(`api-churn: seed ${options.seed}`);
const progress = (text: string): boolean => process.stderr.write(`api-churn: ${text}\n`);

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => void undoAll().then(() => process.exit(1)));

const r = await measureChurn({ ...options, burst, progress: (text) => void progress(text) });
const ms = ({ p50, p99 }: { p50: number; p99: number }): string =>
  `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
const mib = (value: number): string => `${value.toFixed(0)} MiB`;
const rate = (r.changes / r.seconds).toFixed(0);
console.log(
  `api-churn: ${r.changes} changes in ${r.seconds.toFixed(0)} s (${rate} a second), ${r.cuts} cuts`,
);
for (const { told, lists, lost, invented, wrong } of r.followers) {
  console.log(
    `  informer: ${told} events told and written, ${lists} lists, ${lost} lost, ${invented} invented`,
  );
  for (const line of wrong) console.log(`    ${line}`);
}
console.log(`  from a request to its answer ${ms(r.write)}; to the informer's event ${ms(r.event)}`);
console.log(`  lab process: ${mib(r.before)} before, at most ${mib(r.most)}, ${mib(r.after)} after`);
if (r.followers.some(({ lost, invented }) => lost + invented > 0)) process.exitCode = 3;
