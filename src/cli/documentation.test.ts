// What the pages tell people to type: every command of README.md and docs/ is one that podwire takes, and those that need
// neither node nor root do what they say.
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import t from "tap";
import { CommandLine } from "../testing/command-line.ts";
import { projectRoot } from "../testing/tidy/source-tree.ts";
import { prepare } from "./main.ts";

const root = projectRoot();
const PAGES = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
/** Verbs that can do without a node once they are given files. */
const FROM_FILES = /^(?:rules|explain|replay|policy)$/;
/** What stands for something in a synopsis. */
const MEANT: Readonly<Record<string, string>> = {
  NODE: "node1",
  IP: "192.0.2.9",
  N: "80",
  PLACE: "uplink",
  WHO: "app=frontend",
  WHOM: "app=db",
  METHOD: "GET",
  URL: "http://shop.example/",
  "Name: value": "Accept: text/html",
};

interface Told {
  /** "docs/cli.md:105" */
  readonly at: string;
  readonly text: string;
}

/** Lines of fenced blocks that begin with `podwire` or a script of ours, with what is indented beneath; and code in prose. */
function commandsOf(page: string): Told[] {
  const told: { at: string; text: string }[] = [];
  let fenced = false;
  let isOpen = false; // the line before is a synopsis that may go on
  readFileSync(join(root, page), "utf8")
    .split("\n")
    .forEach((line, i) => {
      const at = `${page}:${i + 1}`;
      if (line.startsWith("```")) fenced = !fenced;
      else if (!fenced) {
        for (const [, text] of line.matchAll(/`((?:\.\/)?podwire [a-z][^`]*|scripts\/[^`]+)`/g))
          told.push({ at, text });
      } else if (/^(?:\$ )?(?:sudo )?(?:(?:\.\/)?podwire [a-z]|scripts\/)/.test(line)) {
        told.push({ at, text: line });
        isOpen = line.includes("[");
      } else if (isOpen && /^ +[[(-]/.test(line)) (told.at(-1) as { text: string }).text += ` ${line.trim()}`;
      else isOpen = false;
    });
  return told;
}

/** The words of a command, without what a shell, a reader or a synopsis adds. */
function wordsOf(text: string, minimal: boolean): string[] {
  let line = text
    .replace(/^\$ /, "")
    .replace(/^sudo /, "")
    .replace(/^\.\//, "");
  line = line
    .replace(/ +#.*$/, "")
    .replace(/ &&? .*$| &$/, "")
    .replace(/ {4,}[a-z].*$/, "");
  line = line.replace(/\((\S+ .*?) \| .*?\)/g, "$1"); // of several ways the first
  if (line.includes("[")) {
    if (minimal) while (/\[[^[\]]*\]/.test(line)) line = line.replace(/\[[^[\]]*\]/g, "");
    line = line.replace(/[[\]…]/g, "").replace(/ \| --\S+ \S+/g, "");
  } else line = line.replace(/ \| .*$| >.*$/, "").replace(/…/g, "");
  const words = line.match(/'[^']*'|"[^"]*"|\S+/g) ?? [];
  return words.slice(1).map((word) => {
    const plain = word.replace(/^(['"])(.*)\1$/, "$2");
    return MEANT[plain] ?? (/^[\w-]+(?:\|[\w-]+)+$/.test(plain) ? plain.split("|")[0] : plain);
  });
}

/** Commands that do nothing but look at their words, help included. */
function disarm(command: Command): void {
  command.configureOutput({ writeOut: () => {} });
  if (command.commands.length === 0) command.action(() => {});
  for (const child of command.commands) disarm(child);
}

/** What is wrong with a command line; "": nothing. */
async function problemOf(words: readonly string[]): Promise<string> {
  try {
    const { program, args } = await prepare(words);
    if (words.length === 1) return ""; // a verb, as it is called in prose
    disarm(program);
    await program.parseAsync(args, { from: "user" });
    return "";
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    return code === "commander.helpDisplayed" ? "" : message;
  }
}

/** Without options that name a file which is nowhere. */
function isThere(word: string, i: number, words: readonly string[]): boolean {
  return word !== "FILE" && words[i + 1] !== "FILE";
}

const ALL = PAGES.flatMap(commandsOf);
const OURS = ALL.filter(({ text }) => !/^(?:\$ )?(?:sudo )?scripts\//.test(text));

t.test("every command of a page has a verb and options that there are", async (t) => {
  t.ok(OURS.length > 60, `${OURS.length} commands`);
  for (const { at, text } of OURS) t.equal(await problemOf(wordsOf(text, false)), "", `${at}: ${text}`);
});

t.test("every script of a page is there", async (t) => {
  const scripts = ALL.filter((each) => !OURS.includes(each));
  t.ok(scripts.length > 10, `${scripts.length} scripts`);
  for (const { at, text } of scripts) {
    const [, name] = /(scripts\/[\w.-]+)/.exec(text) as RegExpExecArray;
    t.ok(existsSync(join(root, name)), `${at}: ${name}`);
  }
});

t.test("what needs neither node nor root does what it says", async (t) => {
  const podwire = new CommandLine();
  t.teardown(() => podwire.close());
  const folder = t.testdir();
  const file = (name: string): string => join(folder, name);
  for (const name of ["NEW", "OLD", "three-tier", "access", "shop"])
    copyFileSync(join(root, "src/calico/felix/testdata/three-tier.yaml"), file(`${name}.yaml`));
  const replayed = join(root, "src/cli/offline/testdata/replay");
  copyFileSync(join(replayed, "objects.yaml"), file("OBJECTS.yaml"));
  copyFileSync(join(replayed, "pod-side-clusterip.pcap"), file("pod.pcap"));
  const { stdout } = podwire.run(["policy", "matrix", "-f", file("three-tier.yaml"), "-o", "json"]);
  writeFileSync(file("expect.jsonl"), stdout);
  writeFileSync(file("REQUESTS.jsonl"), '{"host":"shop.example","path":"/"}\n');
  for (const page of PAGES)
    for (const [name, text] of examplesOf(page).files) writeFileSync(file(name), text);
  const runs = OURS.flatMap(({ at, text }) => {
    const all = wordsOf(text, false);
    const least = wordsOf(text, true);
    const words = all.includes("-f") && !least.includes("-f") ? all : least;
    const isFromFiles = FROM_FILES.test(words[0]) && words.includes("-f");
    return isFromFiles || words[0] === "replay" ? [{ at, text, words: words.filter(isThere) }] : [];
  });
  t.ok(runs.length >= 10, `${runs.length} commands`);
  for (const { at, text, words: told } of runs) {
    const objects = told[0] === "policy" ? "three-tier.yaml" : "OBJECTS.yaml";
    const given = told.map((word) => (word === "OBJECTS.yaml" ? objects : word));
    const words = given.map((word) => (existsSync(file(word)) ? file(word) : word));
    if (words[0] === "replay" && !words.includes("-f"))
      words.push("-f", file("OBJECTS.yaml"), "--node", "node1");
    if (words[1] === "diff" && !words.includes("--against")) words.push("--against", file("OLD.yaml"));
    const { status, stderr } = podwire.run(words);
    t.ok(status === 0 || status === 3, `${at}: ${text}: ${status} ${stderr}`);
  }
});

interface Example {
  readonly at: string;
  readonly words: readonly string[];
  readonly output: string;
}

/** Of pages that have the files of their examples: `# file: NAME` in the first line of a block. */
function examplesOf(page: string): { files: Map<string, string>; examples: Example[] } {
  const files = new Map<string, string>();
  const examples: Example[] = [];
  const text = readFileSync(join(root, page), "utf8");
  for (const match of text.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)) {
    const [, block] = match;
    const name = /^# file: (\S+)\n/.exec(block)?.[1];
    if (name !== undefined) files.set(name, block);
    for (const [, command, output] of block.matchAll(/^\$ (podwire .*)\n((?:(?!\$ ).*\n)*)/gm))
      examples.push({ at: `${page}: ${command}`, words: wordsOf(command, false), output });
  }
  return files.size === 0 ? { files, examples: [] } : { files, examples };
}

t.test("examples that stand beside their files print what the page says", async (t) => {
  const podwire = new CommandLine();
  t.teardown(() => podwire.close());
  let count = 0;
  for (const page of PAGES) {
    const { files, examples } = examplesOf(page);
    const folder = t.testdir();
    for (const [name, text] of files) writeFileSync(join(folder, name), text);
    for (const { at, words, output } of examples) {
      if (!words.some((word) => files.has(word))) continue; // it asks the lab that runs here, if there is one
      const { stdout, stderr } = podwire.run(
        words.map((word) => (files.has(word) ? join(folder, word) : word)),
      );
      t.equal(stdout, output, `${at} ${stderr}`);
      count++;
    }
  }
  t.ok(count > 0, `${count} examples`);
});

t.test("a page that is wrong is told of", async (t) => {
  t.match(await problemOf(wordsOf("podwire policy matricks -f x.yaml", false)), /unknown command|too many/);
  t.match(
    await problemOf(wordsOf("$ podwire show drops --sise 3   # text", false)),
    /unknown option '--sise'/,
  );
  t.match(await problemOf(wordsOf("podwire rulez | iptables-restore", false)), /unknown command rulez/);
  t.match(await problemOf(wordsOf("podwire trace --count", false)), /argument missing/);
});
