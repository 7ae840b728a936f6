// The command lines of scripts/kernel-judge and scripts/conntrack-judge: wrong usage is a line and status 2.
import { parseArgs } from "node:util";

interface Choice {
  /** Where it is left out. */
  readonly value: string;
  readonly pattern: RegExp;
  /** For people: what may stand there. */
  readonly what: string;
}

const NUMBER = /^[1-9]\d*$/;
export const SEED: Choice = { value: "1", pattern: /^\d+$/, what: "a number" };
export const FAMILY: Choice = { value: "4", pattern: /^[46]$/, what: "4 or 6" };
export const MODE: Choice = {
  value: "iptables",
  pattern: /^(iptables|nftables)$/,
  what: "iptables or nftables",
};

export function number(value: string): Choice {
  return { value, pattern: NUMBER, what: "a number from 1" };
}

export interface JudgeOptions<Name extends string> {
  readonly values: Readonly<Record<Name, string>>;
  readonly flag: boolean;
}

/** Of `name`'s arguments; ends the process for --help (0) and wrong usage (2). `flag` is the one that takes no value. */
export function judgeOptions<Name extends string>(
  name: string,
  choices: Readonly<Record<Name, Choice>>,
  flag: { readonly name: string; readonly short?: string },
): JudgeOptions<Name> {
  const names = Object.keys(choices) as Name[];
  const allowed = (n: Name): string => choices[n].what.replace(/^a number.*/, "N").replace(" or ", "|");
  const options = [...names.map((n) => `--${n} ${allowed(n)}`), `--${flag.name}`];
  const usage = `usage: scripts/${name} ${options.map((option) => `[${option}]`).join(" ")}`;
  const refuse = (text: string): never => {
    console.error(`${name}: ${text}`);
    process.exit(2);
  };
  let given: Record<string, string | boolean | undefined> = {};
  try {
    given = parseArgs({
      options: {
        help: { type: "boolean", short: "h" },
        [flag.name]: { type: "boolean", ...(flag.short === undefined ? {} : { short: flag.short }) },
        ...Object.fromEntries(names.map((n) => [n, { type: "string" as const }])),
      },
    }).values as typeof given;
  } catch (error) {
    refuse(
      `${error instanceof Error ? error.message.split(". ")[0] : String(error)}: see scripts/${name} --help`,
    );
  }
  if (given.help === true) {
    console.log(usage);
    process.exit(0);
  }
  const values = {} as Record<Name, string>;
  for (const n of names) {
    const { value, pattern, what } = choices[n];
    values[n] = String(given[n] ?? value);
    if (!pattern.test(values[n])) refuse(`--${n} ${values[n]}: must be ${what}`);
  }
  return { values, flag: given[flag.name] === true };
}
