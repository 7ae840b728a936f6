// CONTRIBUTING.md, size: how long things may get, and what may not be left lying around.
import type { Node, SourceFile } from "typescript/unstable/ast";
import * as is from "typescript/unstable/ast/is";
import { at, eachChild, type Finding, lineAt, type Sources, withParsed } from "./source-tree.ts";

const MAX_FILE_LINES = 400;
const MAX_TEST_LINES = 700; // a test is a table of cases: long, but not deep
const MAX_FUNCTION_LINES = 60;
// The formatter wraps code at 110 columns; this bound is for what it leaves alone: comments and literals.
const MAX_COLUMNS = 122;
const UNFINISHED = new RegExp(
  `\\b(?:${["TO", "FIX"].map((word) => `${word}${word === "TO" ? "DO" : "ME"}`).join("|")})\\b`,
);

const MAX_FOLDER_FILES = 30; // those directly in it, tests counted: what a listing shows at once

/** Folders in which nobody finds anything any more. */
export function findFullFolders(paths: readonly string[]): Finding[] {
  const counts = new Map<string, number>();
  for (const path of paths) {
    const folder = path.slice(0, path.lastIndexOf("/"));
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count > MAX_FOLDER_FILES)
    .map(([folder, count]) => `${folder}: ${count} files, at most ${MAX_FOLDER_FILES}`);
}

export interface SizeRules {
  /** Path → why it may be longer than 400 lines. */
  readonly longFiles: Readonly<Record<string, string>>;
  /** "path#function" → why it may be longer than 60 lines. */
  readonly longFunctions: Readonly<Record<string, string>>;
}

export function findLongLines(sources: Sources): Finding[] {
  const checked = Object.fromEntries(Object.entries(sources).filter(([path]) => !path.endsWith(".test.ts")));
  return eachLine(checked, (line) =>
    line.length > MAX_COLUMNS && !/^\s*(?:import|export) .* from |https?:/.test(line)
      ? `${line.length} columns, at most ${MAX_COLUMNS}`
      : undefined,
  );
}

export function findUnfinished(sources: Sources): Finding[] {
  return eachLine(sources, (line) =>
    UNFINISHED.test(line) ? "unfinished work belongs in an issue" : undefined,
  );
}

export function findLongFiles(sources: Sources, rules: SizeRules): Finding[] {
  const findings: Finding[] = [];
  for (const [path, text] of Object.entries(sources)) {
    const lines = text.trimEnd().split("\n").length;
    const excused = path in rules.longFiles;
    const most = path.endsWith(".test.ts") ? MAX_TEST_LINES : MAX_FILE_LINES;
    if (lines > most && !excused) findings.push(`${path}: ${lines} lines, at most ${most}`);
    if (lines <= most && excused) findings.push(`${path}: is excused, but has ${lines} lines only`);
  }
  return findings;
}

/** Functions outside tests; in a test the callback of t.test is a table of cases as often as not. */
export function findLongFunctions(sources: Sources, rules: SizeRules): Finding[] {
  const findings: Finding[] = [];
  withParsed(sources, (path, file) => {
    if (path.endsWith(".test.ts") || path.startsWith("native-test/")) return;
    const visit = (node: Node): void => {
      const lines = functionLines(file, node);
      const name = (node as { readonly name?: Node }).name?.getText(file) ?? "function";
      if (lines > MAX_FUNCTION_LINES && !(`${path}#${name}` in rules.longFunctions)) {
        findings.push(at(path, file, node, `${name} has ${lines} lines, at most ${MAX_FUNCTION_LINES}`));
      }
      eachChild(node, visit);
    };
    visit(file);
  });
  return findings;
}

function functionLines(file: SourceFile, node: Node): number {
  const isFunction =
    is.isFunctionDeclaration(node) ||
    is.isFunctionExpression(node) ||
    is.isArrowFunction(node) ||
    is.isMethodDeclaration(node) ||
    is.isConstructorDeclaration(node);
  if (!isFunction) return 0;
  return lineAt(file.text, node.getEnd()) - lineAt(file.text, node.getStart(file)) + 1;
}

function eachLine(sources: Sources, judge: (line: string) => string | undefined): Finding[] {
  const findings: Finding[] = [];
  for (const [path, text] of Object.entries(sources)) {
    text.split("\n").forEach((line, i) => {
      const what = judge(line);
      if (what !== undefined) findings.push(`${path}:${i + 1}: ${what}`);
    });
  }
  return findings;
}
