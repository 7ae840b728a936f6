// podwire apply -f FILE…
import type { Command } from "commander";
import { globals } from "./context.ts";
import { CliError, usageError } from "./errors.ts";
import { collect, namespaceBody, readAll } from "./manifests.ts";
import { type Outcomes, printOutcomes } from "./outcomes.ts";
import { runningLab } from "./running-lab.ts";

export function register(program: Command): void {
  program
    .command("apply")
    .description("create or change the objects of manifests in a running lab; all of them or none")
    .option("-f, --filename <file>", "file, directory, or - for standard input; may be repeated", collect)
    .option("-n, --namespace <namespace>", "namespace of the objects (default: their own, or default)")
    .action(async (flags: { filename?: string[]; namespace?: string }, command: Command) => {
      if (flags.filename === undefined) throw usageError("apply: which manifests? podwire apply -f FILE");
      const lab = runningLab(globals(command));
      const body = { manifests: readAll(flags.filename), ...namespaceBody(flags.namespace) };
      const answer = await lab.call<Outcomes>({ method: "POST", path: "/apply", body });
      if (answer.items.length + answer.notes.length === 0)
        throw new CliError(`apply: no objects in ${flags.filename.join(", ")}: nothing was applied`);
      await printOutcomes(globals(command), answer);
    });
}
