// CONTRIBUTING.md, hot and cold: what a hot function may not contain, because it allocates, throws, waits or reads a
// clock. Hot is every function in src/wire and src/dataplane but those of change/ and spec/, and constructors. A name
// excuses nothing.
import type { FunctionLikeDeclaration, Node, SourceFile } from "typescript/unstable/ast";
import { SyntaxKind } from "typescript/unstable/ast";
import * as is from "typescript/unstable/ast/is";
import { at, eachChild, type Finding, type Sources, withParsed } from "./source-tree.ts";

export interface HotRules {
  /** Path or "path#function" → why it is cold although it lies in a hot folder. */
  readonly cold: Readonly<Record<string, string>>;
  /** "path#function: ban" → why this one construct is right in a function that is hot otherwise. */
  readonly allowed: Readonly<Record<string, string>>;
}

interface HotFunction {
  readonly name: string;
  readonly fn: FunctionLikeDeclaration;
}

const HOT_FOLDERS = /^src\/(?:wire|dataplane)\//;
const COLD_FOLDERS = /^src\/dataplane\/(?:change|spec)\//;

const BANNED_KINDS: Readonly<Partial<Record<SyntaxKind, string>>> = {
  [SyntaxKind.NewExpression]: "new",
  [SyntaxKind.ObjectLiteralExpression]: "object literal",
  [SyntaxKind.ArrayLiteralExpression]: "array literal",
  [SyntaxKind.ArrayBindingPattern]: "array destructuring",
  [SyntaxKind.SpreadElement]: "spread",
  [SyntaxKind.SpreadAssignment]: "spread",
  [SyntaxKind.ArrowFunction]: "closure",
  [SyntaxKind.FunctionExpression]: "closure",
  [SyntaxKind.FunctionDeclaration]: "closure",
  [SyntaxKind.ClassExpression]: "class",
  [SyntaxKind.ClassDeclaration]: "class",
  [SyntaxKind.ThrowStatement]: "throw",
  [SyntaxKind.TryStatement]: "try",
  [SyntaxKind.AwaitExpression]: "await",
  [SyntaxKind.YieldExpression]: "yield",
  [SyntaxKind.ForOfStatement]: "for…of",
  [SyntaxKind.ForInStatement]: "for…in",
  [SyntaxKind.TemplateExpression]: "template string",
  [SyntaxKind.NoSubstitutionTemplateLiteral]: "template string",
  [SyntaxKind.TaggedTemplateExpression]: "template string",
  [SyntaxKind.BigIntLiteral]: "BigInt",
  [SyntaxKind.RegularExpressionLiteral]: "regular expression",
};

const BANNED_NAMES: readonly string[] = [
  "Map",
  "Set",
  "WeakMap",
  "WeakSet",
  "BigInt",
  "Date",
  "performance",
  "process",
  "console",
  "JSON",
  "Promise",
  "arguments",
];

const BANNED_MEMBERS: readonly string[] = [
  "subarray",
  "slice",
  "concat",
  "bind",
  "toString",
  "getBigInt64",
  "getBigUint64",
  "setBigInt64",
  "setBigUint64",
];

/** Every banned construct in a hot function. */
export function findHotBans(sources: Sources, rules: HotRules): Finding[] {
  const findings: Finding[] = [];
  const hot: Record<string, string> = {};
  for (const [path, text] of Object.entries(sources)) {
    if (HOT_FOLDERS.test(path) && !isCold(path, rules)) hot[path] = text;
  }
  withParsed(hot, (path, file) => {
    const isColdName = (name: string): boolean => `${path}#${name}` in rules.cold;
    for (const { name, fn } of hotFunctions(file, isColdName)) {
      const isAllowed = (what: string): boolean => `${path}#${name}: ${what}` in rules.allowed;
      findings.push(...bansIn(path, file, fn, isAllowed));
    }
  });
  return findings;
}

/** Entries of `cold` that name nothing: an exception must not outlive its reason. */
export function findStaleExceptions(sources: Sources, rules: HotRules): Finding[] {
  const findings: Finding[] = [];
  for (const key of [...Object.keys(rules.cold), ...Object.keys(rules.allowed)]) {
    const [path, name] = key.split(": ")[0].split("#");
    const text = sources[path];
    const named = text !== undefined && (name === undefined || new RegExp(`\\b${name}\\b`).test(text));
    if (!named) findings.push(`${key}: is excused, but does not exist`);
  }
  return findings;
}

function isCold(path: string, rules: HotRules): boolean {
  return path.endsWith(".test.ts") || COLD_FOLDERS.test(path) || path in rules.cold;
}

function hotFunctions(file: SourceFile, isColdName: (name: string) => boolean): HotFunction[] {
  const found: HotFunction[] = [];
  const visit = (node: Node): void => {
    const fn = functionOf(node);
    if (fn !== undefined) {
      const name = nameOf(node);
      if (!isColdName(name) && !is.isConstructorDeclaration(fn)) found.push({ name, fn });
      return; // what a cold function holds is cold; what a hot one holds is looked at with it
    }
    const descend = is.isSourceFile(node) || is.isClassDeclaration(node) || is.isVariableStatement(node);
    if (descend || is.isVariableDeclarationList(node)) eachChild(node, visit);
  };
  visit(file);
  return found;
}

/** A declared function, a method or accessor, or `const f = () => …` at module level. */
function functionOf(node: Node): FunctionLikeDeclaration | undefined {
  if (is.isFunctionDeclaration(node) || is.isMethodDeclaration(node) || is.isConstructorDeclaration(node))
    return node;
  if (is.isGetAccessorDeclaration(node) || is.isSetAccessorDeclaration(node)) return node;
  if (!is.isVariableDeclaration(node) && !is.isPropertyDeclaration(node)) return undefined;
  const value = node.initializer;
  if (value === undefined) return undefined;
  return is.isArrowFunction(value) || is.isFunctionExpression(value) ? value : undefined;
}

function nameOf(node: Node): string {
  const name = (node as { readonly name?: Node }).name;
  return name === undefined ? "" : name.getText().replace(/^#/, "");
}

function bansIn(
  path: string,
  file: SourceFile,
  fn: FunctionLikeDeclaration,
  isAllowed: (what: string) => boolean,
): Finding[] {
  const findings: Finding[] = [];
  const ban = (node: Node, what: string): void => {
    if (!isAllowed(what)) findings.push(at(path, file, node, `${what} in a hot function`));
  };
  const visit = (node: Node): void => {
    if (is.isTypeNode(node)) return;
    const what = BANNED_KINDS[node.kind];
    if (what !== undefined) ban(node, what);
    if (is.isPropertyAccessExpression(node)) {
      const member = node.name.getText(file);
      if (BANNED_MEMBERS.includes(member)) ban(node, `.${member}()`);
      visit(node.expression);
      return;
    }
    if (is.isIdentifier(node) && BANNED_NAMES.includes(node.text)) ban(node, node.text);
    eachChild(node, visit);
  };
  for (const modifier of fn.modifiers ?? []) {
    if (modifier.kind === SyntaxKind.AsyncKeyword) ban(modifier, "async");
  }
  if (fn.asteriskToken !== undefined) ban(fn, "generator");
  for (const parameter of fn.parameters) {
    if (parameter.dotDotDotToken !== undefined) ban(parameter, "rest parameter");
    if (parameter.initializer !== undefined) visit(parameter.initializer);
  }
  if (fn.body !== undefined) visit(fn.body);
  return findings;
}
