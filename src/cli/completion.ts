// podwire completion bash|zsh|fish: a script that asks `podwire __complete WORDS…` for every proposal, so that names
// come from the lab or agent that runs here.
import { Argument, Command } from "commander";
import { SHOW_TABLES } from "../api/show-tables.ts";
import { labsWithState } from "../lab/state-dir.ts";
import { type Globals, OUTPUT_FORMS, print, whereFrom } from "./context.ts";
import type { Nodes } from "./nodes/nodes.ts";
import { openNodes } from "./nodes/open-nodes.ts";
import { listObjects } from "./objects/workload.ts";
import { type LoadVerb, VERBS, verbOf } from "./verbs.ts";

const KIND_WORDS = [
  "pods",
  "services",
  "svc",
  "endpointslices",
  "nodes",
  "deployments",
  "deploy",
  "namespaces",
  "networkpolicies",
  "netpol",
  "clusternetworkpolicies",
  "cnp",
  "workloadendpoints",
  "wep",
  "events",
  "all",
];

const BASH = `# bash completion for podwire: source <(podwire completion bash)
_podwire() {
  local cur="\${COMP_WORDS[COMP_CWORD]}"
  mapfile -t COMPREPLY < <(podwire __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if [ "\${#COMPREPLY[@]}" -eq 1 ] && [ "\${COMPREPLY[0]}" = ":files" ]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    compopt -o filenames
  fi
}
complete -F _podwire podwire`;

const ZSH = `#compdef podwire
# zsh completion for podwire: source <(podwire completion zsh)
_podwire() {
  local -a found
  found=("\${(@f)$(podwire __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "\${found[1]}" == ":files" ]]; then _files; else compadd -- $found; fi
}
compdef _podwire podwire`;

const FISH = `# fish completion for podwire: podwire completion fish | source
function __podwire_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (podwire __complete -- $words[2..-1] 2>/dev/null)
    if test "$found[1]" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\\n' $found
    end
end
complete -c podwire -f -a '(__podwire_complete)'`;

const SCRIPTS: Record<string, string> = { bash: BASH, zsh: ZSH, fish: FISH };

export function register(program: Command, load: LoadVerb): void {
  program
    .command("completion")
    .description("shell completion")
    .addArgument(new Argument("<shell>").choices(Object.keys(SCRIPTS)))
    .action((shell: string) => print(SCRIPTS[shell]));
  program
    .command("__complete [words...]", { hidden: true })
    .allowUnknownOption(true)
    .action(async (words: string[]) => {
      const current = words.at(-1) ?? "";
      const proposals = await complete(words.slice(0, -1), load);
      const fitting = proposals.filter((word) => word.startsWith(current) || word === ":files");
      if (fitting.length > 0) await print(fitting.join("\n"));
    });
}

/** What may come after these words. ":files" stands for names of files. */
async function complete(before: string[], load: LoadVerb): Promise<string[]> {
  const previous = before.at(-1);
  if (before.includes("--")) return [];
  const byOption = await optionValue(previous);
  if (byOption !== undefined) return byOption;
  const verb = verbOf(before);
  if (verb === undefined) return VERBS.filter((each) => each.hidden !== true).map((each) => each.name);
  const words = before.slice(before.indexOf(verb) + 1).filter((word) => !word.startsWith("-"));
  const command = await loadCommand(verb, load);
  return [...(await argument(verb, words, command)), ...optionsOf(command, words)];
}

async function optionValue(option: string | undefined): Promise<string[] | undefined> {
  switch (option) {
    case "-o":
    case "--output":
      return [...OUTPUT_FORMS, "csv", "name", "jsonpath=", "custom-columns="];
    case "--lab":
      return labsWithState();
    case "--agent":
      return [":files"];
    case "-n":
    case "--namespace":
      return namesOf("namespaces");
    case "--node":
      return namesOf("nodes");
    case "-f":
    case "--file":
    case "--filename":
    case "--config":
    case "--against":
    case "--expect":
    case "-w":
      return [":files"];
    case "--for":
      return ["delete", "condition=Ready", "condition=Available", "condition=Complete", "jsonpath="];
    case "--dry-run":
      return ["client", "server", "none"];
    default:
      return undefined;
  }
}

async function argument(verb: string, words: string[], command?: Command): Promise<string[]> {
  switch (verb) {
    case "exec":
    case "capture":
      return words.length === 0 || verb === "capture" ? workloads() : [];
    case "attach":
    case "logs":
      return words.length === 0 ? namesOf("pods") : [];
    case "port-forward":
      return words.length === 0 ? forwardable() : [];
    case "cp":
      return [...(await namesOf("pods")).map((name) => `${name}:`), ":files"];
    case "get":
    case "describe":
    case "scale":
    case "label":
    case "annotate":
    case "wait":
    case "delete":
    case "edit":
    case "expose":
      return words.length === 0 ? [...new Set([...KIND_WORDS, ...(await servedKinds())])] : namesOf(words[0]);
    case "rollout":
      if (words.length < 2)
        return words.length === 0 ? subcommands(command) : ["deployment", "daemonset", "statefulset"];
      return namesOf(words[1]);
    case "create":
      return createWords(words, command);
    case "show":
      return words.length === 0 ? [...SHOW_TABLES] : [];
    case "completion":
      return words.length === 0 ? Object.keys(SCRIPTS) : [];
    case "replay":
      return [":files"];
    default:
      return words.length === 0 ? subcommands(command) : [];
  }
}

async function workloads(): Promise<string[]> {
  const nodes = (await namesOf("nodes")).map((name) => `node/${name}`);
  const deployments = (await namesOf("deployments")).map((name) => `deploy/${name}`);
  const clients = (await nodesHere())?.clients.map((client) => `client/${client.name}`) ?? [];
  return [...(await namesOf("pods")), ...nodes, ...clients, ...deployments];
}

/** Kinds of kinds have words of their own: create service clusterip. */
function createWords(words: string[], command: Command | undefined): string[] {
  const inner = command?.commands.find((each) => each.name() === words[0]);
  if (words.length === 0) return subcommands(command);
  return words.length === 1 ? subcommands(inner) : [];
}

async function forwardable(): Promise<string[]> {
  const services = (await namesOf("services")).map((name) => `svc/${name}`);
  const deployments = (await namesOf("deployments")).map((name) => `deploy/${name}`);
  return [...(await namesOf("pods")), ...services, ...deployments];
}

/** What a lab serves beside these, installed definitions among it, by all their words. */
async function servedKinds(): Promise<string[]> {
  try {
    const served = (await (await openNodes(placeFlags())).api?.finder.all()) ?? [];
    return served.flatMap(({ plural, shortNames }) => [plural, ...shortNames]);
  } catch {
    return [];
  }
}

/** Names of objects, none when there is nobody to ask: completion never fails. */
async function namesOf(word: string): Promise<string[]> {
  try {
    const { items } = await listObjects(await openNodes(placeFlags()), word);
    return items.map((object) => object.metadata.name);
  } catch {
    return [];
  }
}

async function nodesHere(): Promise<Nodes | undefined> {
  try {
    return await openNodes(placeFlags());
  } catch {
    return undefined;
  }
}

/** The lab or agent that the command line being completed names. */
function placeFlags(): Globals {
  const after = (flag: string): string | undefined => {
    const at = process.argv.lastIndexOf(flag);
    return at >= 0 ? process.argv[at + 1] : undefined;
  };
  return { output: "table", ...whereFrom(after("--lab"), after("--agent")), verbose: false };
}

async function loadCommand(verb: string, load: LoadVerb): Promise<Command | undefined> {
  const program = new Command("podwire");
  try {
    (await load(verb)).register(program, load);
  } catch {
    return undefined; // a verb that this version does not have
  }
  return program.commands.find((command) => command.name() === verb);
}

function subcommands(command: Command | undefined): string[] {
  return (command?.commands ?? []).filter((each) => !hidden(each)).map((each) => each.name());
}

function optionsOf(command: Command | undefined, words: string[]): string[] {
  const inner = command?.commands.find((each) => each.name() === words[0]);
  const options = [...((inner ?? command)?.options ?? [])].map((option) => option.long ?? option.short ?? "");
  return [...options, "--output", "--lab", "--agent", "--verbose", "--help"];
}

function hidden(command: Command): boolean {
  return (command as unknown as { _hidden?: boolean })._hidden === true;
}
