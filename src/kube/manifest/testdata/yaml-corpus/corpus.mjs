// Makes the corpus, and looks for documents that are read in another way than kubectl reads them.
//   node corpus.mjs make JUDGE               writes corpus.jsonl from hand-written.txt and changed seeds.txt
//   node corpus.mjs fuzz JUDGE [COUNT SEED]  changes seeds at random and compares; needs npm run build
// JUDGE is the program of judge/ (README.md says how it is built).
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname;
const MUTATED = 500;
const PIECES = [
  ..."{}[],:-?&*!|>'\"%@`#~<=+._019aynx\t\n \r\\/",
  ...["\n", "\n", "  ", "   ", "\n  ", "\n- ", ": ", "- ", "? ", "---", "\n---\n", "...", "\n...\n", "--- x\n"],
  ...[" #", "\r\n"],
  ...["\u0085", "\u2028", "\u2029", "\uFEFF", "\u00a0", "\x7f", "\x01", "é"],
  ...["😀", "\uFFFD", "\uE000", "\\x4", "\\u00e9", "\\\n"],
  ...["<<: ", "*a", "&a ", "!!str ", "!!int ", "!x ", "|\n", ">\n", "|-\n"],
  ...["|+2\n", "''", '""', '"\n', "'\n", "%YAML 1.1\n"],
  ...["null", "true", "no", "0x1f", "0b11", "0o7", "017", "08", "1_0", "1e3"],
  ...[".5", ".inf", ".nan", "-0", "+1", "12345678901234567890"],
];

/** The documents of seeds.txt: each stands behind a line `### title`. */
function readSeeds() {
  const parts = readFileSync(join(here, "seeds.txt"), "utf8").split(/^### .*\n/m);
  return parts.slice(1);
}

/**
 * The documents of hand-written.txt, one a line: ⏎ stands for a line break, «9» for the character of that code, and ««
 * for the end without a line break. `# ` begins a topic, but where a line holds a ⏎; `@values` a list of scalars;
 * `@utf-16le` and `@utf-16be` a document in these bytes.
 */
function readWritten() {
  const lines = readFileSync(join(here, "hand-written.txt"), "utf8").split("\n");
  const documents = lines.filter((line) => line !== "" && !(line.startsWith("# ") && !line.includes("⏎")));
  return documents.flatMap((line) => {
    if (line.startsWith("@values ")) return line.split(" ").slice(1).map((value) => `a: ${value}\n`);
    const [, encoding, rest = line] = /^@(utf-16[lb]e) (.*)$/.exec(line) ?? [];
    const plain = rest.replaceAll("⏎", "\n").replace(/««$/, "");
    const text = plain.replace(/«([\da-f]+)»/g, (_, hex) => String.fromCodePoint(Number.parseInt(hex, 16)));
    if (encoding === undefined) return [text];
    const bytes = Buffer.from(text, "utf16le");
    return [encoding === "utf-16le" ? bytes : bytes.swap16()];
  });
}

/** Mulberry32. */
function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % below;
  };
}

/** Some lines of a text, with some of its characters changed. */
function mutated(text, next) {
  let lines = text.split("\n");
  const from = next(Math.max(1, lines.length - 4));
  if (next(3) > 0) lines = lines.slice(from, from + 3 + next(10));
  let found = lines.join("\n");
  for (let i = next(4) + (next(8) === 0 ? 6 : 0); i >= 0; i--) {
    const at = next(found.length + 1);
    const piece = PIECES[next(PIECES.length)];
    const kind = next(5);
    if (kind < 2) found = found.slice(0, at) + piece + found.slice(at);
    else if (kind === 2) found = found.slice(0, at) + found.slice(at + 1 + next(3));
    else if (kind === 3) found = found.slice(0, at) + piece + found.slice(at + 1);
    else {
      const line = found.lastIndexOf("\n", at) + 1;
      found = found.slice(0, line) + " ".repeat(next(4)) + found.slice(line).trimStart();
    }
  }
  return found.toWellFormed();
}

function judged(judge, documents) {
  const written = documents.map((each) => {
    return typeof each === "string" ? { text: each } : { base64: each.toString("base64") };
  });
  const input = written.map((each) => JSON.stringify(each)).join("\n");
  const { status, stdout } = spawnSync(judge, { input, encoding: "utf8", maxBuffer: 2 ** 30 });
  if (status !== 0) throw new Error(`${judge}: status ${status}`);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line, i) => {
      const { docs = [], ...wrong } = JSON.parse(line);
      return { ...written[i], ...(Object.keys(wrong).length > 0 ? wrong : { docs }) };
    });
}

function mutatedSeeds(count, seed) {
  const next = random(seed);
  // Half of them from the large ones.
  const seeds = [readSeeds(), readWritten().filter((each) => typeof each === "string")];
  const one = (list) => list[next(list.length)];
  return Array.from({ length: count }, () => mutated(one(one(seeds)), next));
}

/** kubectl's own words for what is wrong are kept without the frame around them. */
function compact(entry) {
  if (entry.error === undefined) return entry;
  return { ...entry, error: entry.error.replace(/^error converting YAML to JSON: yaml: (?:line \d+: )?/, "") };
}

function make(judge) {
  const texts = [...new Set([...readWritten(), ...readSeeds(), ...mutatedSeeds(MUTATED, 1)])];
  const entries = judged(judge, texts).map(compact);
  writeFileSync(join(here, "corpus.jsonl"), `${entries.map((entry) => JSON.stringify(entry)).join("\n")}\n`);
  const refused = entries.filter(({ error }) => error !== undefined).length;
  console.log(`${entries.length} documents: ${entries.length - refused} read, ${refused} refused`);
}

async function fuzz(judge, count, seed) {
  const { differenceOf } = await import("../../../../../build/src/testing/yaml-corpus.js");
  let different = 0;
  for (let done = 0; done < count; done += 10_000) {
    for (const entry of judged(judge, mutatedSeeds(Math.min(10_000, count - done), seed + done))) {
      const difference = differenceOf(entry);
      if (difference === undefined || ++different > 20) continue;
      console.log(`${JSON.stringify(entry)}\n  ${difference}`);
    }
  }
  console.log(`${count} documents, ${different} read in another way`);
  process.exitCode = different > 0 ? 1 : 0;
}

const [task, judge, count = "100000", seed = "1"] = process.argv.slice(2);
if (task === "make") make(judge);
else if (task === "fuzz") await fuzz(judge, Number(count), Number(seed));
