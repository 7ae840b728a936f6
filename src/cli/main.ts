// The command `podwire`. A verb's file is loaded when the verb is used: start-up time is what one feels in a shell.
import { Command, CommanderError, type OutputConfiguration } from "commander";
import { rewriteFlags } from "./boolean-flags.ts";
import { OUTPUT_FORMS } from "./context.ts";
import { CliError, Exit, errorLine, exitCodeOf, usageError } from "./errors.ts";
import { loadVerb } from "./verb-modules.ts";
import { VERBS, verbOf } from "./verbs.ts";

function newProgram(): Command {
  const program = new Command("podwire");
  const output: OutputConfiguration = { outputError: () => {} }; // printed by main, on one line
  program
    .description("A Kubernetes data plane in user space: lab, packets, tables, explained.")
    .option("-o, --output <form>", `output form: ${OUTPUT_FORMS.join("|")}`)
    .option("--lab <name>", "the lab to work on (default: default)")
    .option("--agent <socket>", "ask this agent (default without a lab: /run/podwire/agent.sock)")
    .option("-v, --verbose", "say more")
    .version(version(), "-V, --version")
    .helpCommand(false)
    .configureOutput(output)
    .exitOverride()
    .showSuggestionAfterError(true);
  return program;
}

function version(): string {
  return process.env.npm_package_version ?? "0.1.0";
}

interface Prepared {
  readonly program: Command;
  /** The words as commander takes them. */
  readonly args: readonly string[];
}

/** The program with the verb that the words ask for, and nothing run yet. */
export async function prepare(words: readonly string[], program = newProgram()): Promise<Prepared> {
  const name = verbOf(words);
  const verb = VERBS.find((candidate) => candidate.name === name);
  if (verb === undefined) {
    if (name !== undefined) throw unknownVerb(name);
    for (const each of VERBS) if (each.hidden !== true) program.command(each.name).description(each.summary);
    program.action(() => program.help({ error: words.length === 0 }));
    return { program, args: words };
  }
  const module = await loadVerb(verb.name);
  module.register(program, loadVerb);
  program.hook("preAction", () => refuseAgent(verb.name, program.opts<{ agent?: string }>().agent));
  const args = rewriteFlags(module.rewriteArguments?.(words) ?? words, program);
  for (const command of program.commands) inherit(program, command);
  return { program, args };
}

export async function run(words: readonly string[]): Promise<number> {
  const program = newProgram();
  let args = words;
  try {
    ({ args } = await prepare(words, program));
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? Exit.OK);
  } catch (error) {
    return failed(error, args, program);
  }
}

/** Commands that ask no node. */
const ASK_NOBODY = new Set(["lab", "agent", "dns", "bench", "install", "uninstall", "cni", "completion"]);

function refuseAgent(verb: string, agent: string | undefined): void {
  if (agent === undefined || !ASK_NOBODY.has(verb)) return;
  throw usageError(`--agent ${agent}: podwire ${verb} asks no agent: leave it out`);
}

/** Subcommands made before the program was configured must answer errors the same way. */
function inherit(parent: Command, command: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(command, child);
}

function unknownVerb(name: string): CliError {
  const near = VERBS.find(
    (verb) => verb.hidden !== true && (verb.name.startsWith(name) || name.startsWith(verb.name)),
  );
  const hint = near === undefined ? "podwire --help lists the commands" : `did you mean ${near.name}?`;
  return new CliError(`unknown command ${name}: ${hint}`, Exit.USAGE);
}

const BAD_ARGUMENT = /command-argument value '(.*)' is invalid for argument '(.*)'\./;

function failed(error: unknown, args: readonly string[], program: Command): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return Exit.OK; // --help, --version
    if (error.code === "commander.help") return Exit.USAGE;
    const verb = verbOf(args);
    const help = verb === undefined ? "podwire --help" : `podwire ${verb} --help`;
    const text = errorLine(error).replace(BAD_ARGUMENT, "'$1' is no $2.");
    process.stderr.write(`${text.replace(/\.$/, "")}: see ${help}\n`);
    return Exit.USAGE;
  }
  const verbose = program.opts<{ verbose?: boolean }>().verbose === true;
  process.stderr.write(`${errorLine(error, verbose)}\n`);
  if (process.env.PODWIRE_DEBUG === "1" && error instanceof Error) {
    process.stderr.write(`${error.stack ?? ""}\n`);
    if (error.cause instanceof Error)
      process.stderr.write(`caused by ${error.cause.stack ?? error.cause.message}\n`);
  }
  return exitCodeOf(error);
}

/** A reader that has seen enough (`| head`) closes the pipe: that is no error. A full disk is one, and told. */
function toleratePipes(): void {
  const end = (error: NodeJS.ErrnoException): never =>
    process.exit(error.code === "EPIPE" ? Exit.OK : Exit.FAILED);
  process.stderr.on("error", end);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "ENOSPC") process.stderr.write("error: standard output: no space left on device\n");
    else if (error.code !== "EPIPE") process.stderr.write(`error: standard output: ${error.message}\n`);
    end(error);
  });
}

if (process.argv[1]?.endsWith("/cli/main.js")) {
  toleratePipes();
  void run(process.argv.slice(2)).then((status) => {
    process.exitCode = status;
  });
}
