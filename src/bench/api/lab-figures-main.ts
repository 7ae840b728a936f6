// scripts/lab-figures: arguments in, figures out. Exit code 3 when packets follow a change later than was allowed.
import { Command } from "commander";
import "../../testing/runner/end-on-signal.ts";
import { aboveZero, atLeastOne } from "../numbers.ts";
import { type LabFiguresOptions, measureLab, type Spread } from "./lab-figures.ts";

const command = new Command("lab-figures")
  .description("a lab of many pods: time, memory, its API, and how soon packets follow objects (needs root)")
  .option("--nodes <n>", "nodes", atLeastOne, 3)
  .option("--pods <n>", "pods of podwire/echo, ten behind each Service", atLeastOne, 200)
  .option("--requests <n>", "of each kind, to the API: half as many PATCH, a fifth LIST", atLeastOne, 1000)
  .option("--changes <n>", "Services and policies that come and go", atLeastOne, 50)
  .option(
    "--max-ms <n>",
    "median from a request to the packet, or else status 3",
    aboveZero,
    Number.POSITIVE_INFINITY,
  )
  .exitOverride((stop) => process.exit(stop.exitCode === 0 ? 0 : 2));
command.parse();
const options = command.opts<LabFiguresOptions & { maxMs: number }>();
const r = await measureLab(options);
const say = (what: string, text: string): void => console.log(`${`${what}:`.padEnd(34)}${text}`);
const mib = (value: number): string => `${value.toFixed(1)} MiB`;
const of = ({ p50, p99, max, count }: Spread): string =>
  `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, at most ${max.toFixed(2)} ms (${count})`;

say(`lab up, ${options.nodes} nodes, ${options.pods} pods`, `${r.upSeconds.toFixed(1)} s until all is ready`);
say("lab process", `${mib(r.lab.resident)} resident, ${mib(r.lab.share)} its share`);
for (const { name, resident, share } of r.agents)
  say(`agent of ${name}`, `${mib(resident)} resident, ${mib(share)} its share`);
say("a pod of podwire/echo", `${mib(r.pod)} its share`);
say("all processes of the lab", mib(r.all));
say("GET of a pod", of(r.get));
say(`LIST of ${options.pods} pods`, of(r.list));
say("PATCH of a pod", of(r.patch));
say("Service made → first answer", of(r.service));
say("policy made → last answer", of(r.denied));
say("policy gone → first answer", of(r.allowed));
if ([r.service, r.denied, r.allowed].some(({ p50 }) => p50 > options.maxMs)) process.exitCode = 3;
