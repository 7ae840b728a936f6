// podwire policy matrix|diff|check: policies before they are applied. Needs neither root nor a kernel.
import type { Command } from "commander";
import { collect } from "../objects/manifests.ts";
import { check } from "./check.ts";
import { diff } from "./diff.ts";
import { matrix } from "./matrix.ts";

const FILES = "manifests (repeatable); without: the objects of the lab or agent here";
const WHO =
  "NAMESPACE/POD, a namespace, labels, an address, a CIDR, node/NAME, nodes or world (repeatable; default: all pods)";
const PORT = "such as 80/TCP (repeatable; default: what each pod serves)";
const WORLD = "where --from or --to is left out: nodes and addresses outside, too";

export function register(program: Command): void {
  const policy = program.command("policy").description("who can reach whom by policies");
  policy
    .command("matrix")
    .description("who can reach whom; exit status 3 when an expectation does not hold")
    .option("-f, --file <objects>", FILES, collect)
    .option("--port <port/protocol>", PORT, collect)
    .option("--from <who>", WHO, collect)
    .option("--to <whom>", WHO, collect)
    .option("--world", WORLD)
    .option("--expect <file>", "JSON lines with from, to, port, protocol, allowed; - for standard input")
    .action(matrix);
  policy
    .command("diff")
    .description("which pairs change if manifests are applied; exit status 3 when some do")
    .option("-f, --file <objects>", "what is to be applied (repeatable)", collect)
    .option(
      "--against <objects>",
      "to what (repeatable); without: the objects of the lab or agent here",
      collect,
    )
    .option("--port <port/protocol>", `${PORT.slice(0, -1)}, and what policies that change name)`, collect)
    .option("--from <who>", WHO, collect)
    .option("--to <whom>", WHO, collect)
    .option("--world", WORLD)
    .action(diff);
  policy
    .command("check")
    .description("what is suspicious about policies; exit status 3 when something is")
    .option("-f, --file <objects>", FILES, collect)
    .action(check);
}
