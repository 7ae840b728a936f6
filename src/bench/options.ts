// The benchmark's command line.
import { Command, InvalidArgumentError, Option } from "commander";
import { ALONE, type Alone, type Case, casesOf, selectCases } from "./network/cases.ts";
import { atLeastOne } from "./numbers.ts";
import { type Path, PEERS, SUBJECTS, type SubjectName } from "./subject/subject.ts";

export interface Options {
  seconds: number;
  rounds: number;
  streamRounds: number;
  against?: string;
  cases: Case[];
  alone: Alone[];
  udpRate: string;
  skip: SubjectName[];
  json?: string;
  check: boolean;
  list: boolean;
  peers: (typeof PEERS)[number][];
  /** Nothing is measured: two files are compared, or files made into a page. */
  compare: boolean;
  /** perf looks at four loads. */
  profile: boolean;
  /** V8 looks at their JavaScript. */
  cpuProf: boolean;
  report?: string;
  files: string[];
}

const PATHS: Path[] = ["same-node", "overlay"];
const SKIPPED = SUBJECTS.filter((name) => name !== "before");

/** Several words, divided by commas. */
function oneOf(words: readonly string[]): (text: string) => string[] {
  return (text) => {
    const list = text.split(",");
    const bad = list.find((word) => !words.includes(word));
    if (bad !== undefined) throw new InvalidArgumentError(`${bad} is none of ${words.join(", ")}.`);
    return list;
  };
}

function caseWords(text: string): string[] {
  const words = text.split(",");
  for (const word of words) {
    const found = casesOf(word);
    if (typeof found === "string") throw new InvalidArgumentError(`${found}.`);
  }
  return words;
}

export function parseOptions(argv: readonly string[]): Options {
  const command = new Command("bench")
    .description("Measures podwire beside the kernel and a C copy loop in one run.")
    .argument("[files...]", "with --compare or --report: what --json wrote")
    .option("--seconds <n>", "length of one throughput or latency measurement", atLeastOne, 10)
    .option("--rounds <n>", "alternating rounds of the packet-rate measurements (2 s each)", atLeastOne, 5)
    .option("--stream-rounds <n>", "alternating rounds of throughput and latency", atLeastOne, 1)
    .option("--against <checkout>", "another, built checkout of podwire, measured beside this one")
    .option(
      "--only <words>",
      `cases by words of their names, such as pps, tcp/overlay or udp-socket/same-node/gro-1-flow; ${ALONE.join(", ")}`,
      caseWords,
      [],
    )
    .option("--list", "print the names of the cases that would be measured, and measure nothing", false)
    .option("--path <paths>", `of ${PATHS.join(",")}`, oneOf(PATHS), PATHS)
    .option("--udp-rate <rate>", "what iperf3 offers over UDP", "500M")
    .option("--skip <subjects>", `of ${SKIPPED.join(",")}`, oneOf(SKIPPED), [])
    .addOption(new Option("--skip-kernel", "the same as --skip kernel,kernel-bridge"))
    .option(
      "--peers <peers>",
      "ovs: Open vSwitch's user-space datapath too, fetched where it is missing",
      oneOf(PEERS),
      [],
    )
    .option("--profile", "say too where the time goes under four loads, by perf (linux-perf)", false)
    .option(
      "--cpu-prof",
      "say too which steps the agents' JavaScript spends its time in, by V8's profiler",
      false,
    )
    .option("--json <file>", "write every figure there too")
    .option(
      "--compare",
      "measure nothing: say what B.json is of A.json; with --check, status 3 when worse",
      false,
    )
    .option("--report <page>", "measure nothing: make this page, such as docs/performance.md, of the files")
    .option("--check", "exit status 3 when a promised ratio does not hold", false)
    .exitOverride((stop) => process.exit(stop.exitCode === 0 ? 0 : 2))
    .parse([...argv]);
  const raw = command.opts();
  const files = command.args;
  if (raw.compare && raw.report !== undefined) command.error("error: --compare and --report: one of them");
  if (raw.compare && files.length !== 2) command.error("error: --compare: two files: A.json B.json");
  if (raw.report !== undefined && files.length === 0)
    command.error("error: --report: one file at least: A.json");
  if (!raw.compare && raw.report === undefined && files.length > 0)
    command.error(`error: ${files[0]}: files go with --compare or --report`);
  if (raw.skipKernel) raw.skip = [...raw.skip, "kernel", "kernel-bridge"];
  return { ...raw, files, ...selectCases(raw.only, raw.path) } as unknown as Options;
}
