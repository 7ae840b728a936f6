import { Command, Option } from "commander";
import t from "tap";
import { rewriteFlags } from "./boolean-flags.ts";

const command = new Command("podwire");
command
  .command("get")
  .option("-w, --watch", "")
  .option("-n, --namespace <namespace>", "")
  .option("--no-headers", "")
  .option("--wait", "", true)
  .option("--no-wait", "")
  .option("--tail <lines>", "")
  .addOption(new Option("--dry-run [strategy]", "").preset("client"));

const cases: [name: string, args: string, wanted: string][] = [
  ["a flag that is on", "get --watch=true pods", "get --watch pods"],
  ["a flag that is off", "get --watch=false pods", "get pods"],
  ["a flag that is on unless said otherwise", "get --wait=false", "get --no-wait"],
  ["the same, on", "get --wait=true", "get"],
  ["a flag that is called no", "get --no-headers=true", "get --no-headers"],
  ["the same, off", "get --no-headers=false", "get"],
  ["a flag with a value keeps it", "get --tail=true", "get --tail=true"],
  ["no flag of ours is left to be refused", "get --nosuch=true", "get --nosuch=true"],
  ["a value that may be left out", "get --dry-run x.yaml", "get --dry-run=client x.yaml"],
  ["a value that is given", "get --dry-run=server", "get --dry-run=server"],
  ["a letter's value behind an equals sign", "get -n=prod pods -n=", "get -n prod pods -n "],
  ["a value that begins with one", "get -n==x -nx=y", "get -n =x -nx=y"],
  ["a letter that is a flag", "get -w=true", "get --watch"],
  ["the same, off", "get -w=false", "get"],
  ["an unknown letter is left to be refused", "get -z=1", "get -z=1"],
  ["another program's letters", "exec -- prog -n=1", "exec -- prog -n=1"],
  ["another program's words", "exec -- prog --watch=false", "exec -- prog --watch=false"],
];
for (const [name, args, wanted] of cases)
  t.test(name, async (t) => t.equal(rewriteFlags(args.split(" "), command).join(" "), wanted));
