// Flags as Go's programs take them: --watch=false, --ignore-not-found=true; and one whose value may be left out
// (--dry-run) never takes the next word for it; -n=prod, where commander would take the equals sign for a part of the
// value (a namespace "=prod" without an object).
import type { Command, Option } from "commander";

/** The same command line in commander's spelling. What stands behind "--" is another program's. */
export function rewriteFlags(args: readonly string[], command: Command): string[] {
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  const options = optionsOf(command);
  return [...own.flatMap((word) => rewrite(word, options)), ...args.slice(own.length)];
}

function optionsOf(command: Command): Option[] {
  return [...command.options, ...command.commands.flatMap(optionsOf)];
}

function rewrite(word: string, options: readonly Option[]): string[] {
  const named = (long: string): Option | undefined => options.find((option) => option.long === long);
  const bare = named(word);
  if (bare?.optional === true && typeof bare.presetArg === "string") return [`${word}=${bare.presetArg}`];
  const short = /^(-[A-Za-z])=(.*)$/s.exec(word);
  if (short !== null) {
    const option = options.find((each) => each.short === short[1]);
    if (option?.required === true) return [short[1], short[2]];
    return option?.long == null ? [word] : rewrite(`${option.long}=${short[2]}`, options);
  }
  const match = /^(--[\w-]+)=(true|false)$/.exec(word);
  if (match === null) return [word];
  const [, long, value] = match;
  const option = named(long);
  const opposite = named(long.replace(/^--/, "--no-"));
  if (opposite !== undefined) return value === "false" ? [opposite.long as string] : [];
  if (option === undefined || option.required || option.optional) return [word];
  return value === "true" ? [long] : [];
}
