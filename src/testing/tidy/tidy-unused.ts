// What nobody uses: exports that no other file imports, exports that tests alone have a use for, members that nobody
// reads. Told from names and from the paths of imports; types are not resolved, so a member counts as read wherever any
// of its name is.
import type {
  BindingElement,
  ExportDeclaration,
  ImportDeclaration,
  Node,
  SourceFile,
} from "typescript/unstable/ast";
import { SyntaxKind } from "typescript/unstable/ast";
import * as is from "typescript/unstable/ast/is";
import { eachChild, type Finding, lineAt, resolveImport, type Sources, withParsed } from "./source-tree.ts";

/** "path#name", "folder/#name", or either without a name for all that is there → why. */
type Excuses = Readonly<Record<string, string>>;

export interface UnusedRules {
  /** Exports that are used otherwise than by an import, or to no end yet. */
  readonly exports: Excuses;
  /** What the product holds although tests alone use it. */
  readonly forTests: Excuses;
  /** Members, by "Type.member", that others read than our code. */
  readonly members: Excuses;
}

interface Export {
  readonly name: string;
  readonly offset: number;
}

interface Parsed {
  readonly path: string;
  readonly text: string;
  readonly exports: Export[];
  /** Those of them that are types: what an export speaks of may be named by whoever uses it. */
  readonly types: Set<string>;
  /** Names that occur, and how often, declarations and imports not counted. */
  readonly uses: Map<string, number>;
  /** Module → names taken from it; "*": all of them, for all we can see. */
  readonly takes: Map<string, Set<string>>;
  readonly members: { readonly type: string; readonly name: string; readonly offset: number }[];
  readonly reads: Set<string>;
}

export function findUnusedExports(sources: Sources, rules: UnusedRules): Finding[] {
  const files = parseAll(sources);
  const takers = new Map<string, string[]>();
  for (const { path, takes } of files) {
    for (const [module, names] of takes) {
      for (const name of names)
        takers.set(`${module}#${name}`, [...(takers.get(`${module}#${name}`) ?? []), path]);
    }
  }
  const findings: Finding[] = [];
  for (const file of files) {
    for (const { name, offset } of file.exports) {
      const by = [...(takers.get(`${file.path}#${name}`) ?? []), ...(takers.get(`${file.path}#*`) ?? [])];
      const what = judge(file, name, by, rules);
      if (what !== undefined) findings.push(`${file.path}:${lineAt(file.text, offset)}: ${name} ${what}`);
    }
  }
  return findings;
}

function judge(file: Parsed, name: string, by: readonly string[], rules: UnusedRules): string | undefined {
  const { path, uses, types } = file;
  if (excuseOf(rules.exports, path, name) !== undefined) return undefined;
  const isOwn = (uses.get(name) ?? 0) > 0;
  if (by.length === 0 && !isOwn) return "is used by nobody";
  if (by.length === 0) return types.has(name) ? undefined : "is exported, and used in this file alone";
  if (isForTests(path) || isOwn || !by.every(isForTests)) return undefined;
  return excuseOf(rules.forTests, path, name) === undefined ? "is used by tests alone" : undefined;
}

/** The key by which something is excused. */
function excuseOf(excuses: Excuses, path: string, name: string): string | undefined {
  const places = [path, ...path.split("/").map((_, i, parts) => `${parts.slice(0, i).join("/")}/`)];
  return places.flatMap((place) => [`${place}#${name}`, `${place}#`]).find((key) => key in excuses);
}

/** Members of classes, interfaces and other object types that nobody reads. */
export function findUnreadMembers(sources: Sources, rules: UnusedRules): Finding[] {
  const files = parseAll(sources);
  const reads = new Set(files.flatMap((file) => [...file.reads]));
  return files.flatMap(({ path, text, members }) =>
    members
      .filter(({ name }) => !reads.has(name))
      .filter(({ type, name }) => excuseOf(rules.members, path, `${type}.${name}`) === undefined)
      .map(({ type, name, offset }) => `${path}:${lineAt(text, offset)}: nobody reads ${type}.${name}`),
  );
}

/** Entries of the rules that excuse nothing. */
export function findStaleUnused(sources: Sources, rules: UnusedRules): Finding[] {
  const none: UnusedRules = { exports: {}, forTests: {}, members: {} };
  const exports = findUnusedExports(sources, none);
  const stale = (excuses: Excuses, findings: readonly Finding[]): string[] => {
    const used = findings.map((finding) => {
      const [, path, name] = /^([^:]+):\d+: (?:nobody reads )?(\S+)/.exec(finding) ?? [];
      return excuseOf(excuses, path, name);
    });
    return Object.keys(excuses).filter((key) => !used.includes(key));
  };
  return [
    ...stale(rules.exports, exports),
    ...stale(
      rules.forTests,
      exports.filter((finding) => finding.endsWith("tests alone")),
    ),
    ...stale(rules.members, findUnreadMembers(sources, none)),
  ].map((key) => `${key}: is excused, but used`);
}

function isForTests(path: string): boolean {
  return path.endsWith(".test.ts") || path.startsWith("native-test/") || path.startsWith("src/testing/");
}

const PARSED = new WeakMap<Sources, Parsed[]>();

function parseAll(sources: Sources): Parsed[] {
  let files = PARSED.get(sources);
  if (files !== undefined) return files;
  files = [];
  PARSED.set(sources, files);
  withParsed(sources, (path, file) => files.push(read(path, file)));
  return files;
}

function read(path: string, file: SourceFile): Parsed {
  const parsed: Parsed = {
    ...{
      path,
      text: file.text,
      exports: [],
      types: new Set(),
      uses: new Map(),
      takes: new Map(),
      members: [],
      reads: new Set(),
    },
  };
  const namespaces = new Map<string, string>();
  const visit = (node: Node, parent: Node): void => {
    if (is.isImportDeclaration(node)) {
      takeImport(parsed, node, namespaces);
      return;
    }
    if (is.isExportDeclaration(node)) {
      takeExport(parsed, node);
      return;
    }
    noteExport(parsed, node);
    noteMember(parsed, node, parent);
    noteUse(parsed, node, parent, namespaces);
    eachChild(node, (child) => visit(child, node));
  };
  eachChild(file, (child) => visit(child, file));
  return parsed;
}

function add(parsed: Parsed, module: string, name: string): void {
  let names = parsed.takes.get(module);
  if (names === undefined) parsed.takes.set(module, (names = new Set()));
  names.add(name);
}

function moduleOf(path: string, specifier: Node): string {
  const { text } = specifier as Node & { readonly text: string };
  return text.startsWith(".") ? resolveImport(path, text) : text;
}

function takeImport(parsed: Parsed, node: ImportDeclaration, namespaces: Map<string, string>): void {
  const module = moduleOf(parsed.path, node.moduleSpecifier);
  const bindings = node.importClause?.namedBindings;
  if (bindings === undefined) return;
  if (is.isNamespaceImport(bindings)) namespaces.set(bindings.name.text, module);
  else
    for (const { name, propertyName } of bindings.elements) add(parsed, module, (propertyName ?? name).text);
}

/** `export { a, b as c }`, with or without "from". */
function takeExport(parsed: Parsed, node: ExportDeclaration): void {
  const clause = node.exportClause;
  if (clause === undefined || !is.isNamedExports(clause)) return;
  for (const { name, propertyName } of clause.elements) {
    parsed.exports.push({ name: name.text, offset: name.getStart() });
    const own = (propertyName ?? name).text;
    if (node.moduleSpecifier !== undefined) add(parsed, moduleOf(parsed.path, node.moduleSpecifier), own);
  }
}

function noteExport({ exports, types }: Parsed, node: Node): void {
  const { modifiers } = node as { readonly modifiers?: Iterable<Node> };
  if (![...(modifiers ?? [])].some(({ kind }) => kind === SyntaxKind.ExportKeyword)) return;
  const add = (name: Node): void => {
    if (is.isIdentifier(name)) exports.push({ name: name.text, offset: name.getStart() });
    else eachChild(name, (element) => add((element as { readonly name?: Node }).name ?? element));
  };
  if (is.isInterfaceDeclaration(node) || is.isTypeAliasDeclaration(node)) types.add(node.name.text);
  if (is.isVariableStatement(node)) for (const { name } of node.declarationList.declarations) add(name);
  else add((node as unknown as { readonly name: Node }).name);
}

function noteMember({ members }: Parsed, node: Node, parent: Node): void {
  const isMember =
    is.isPropertySignatureDeclaration(node) ||
    is.isMethodSignatureDeclaration(node) ||
    is.isPropertyDeclaration(node) ||
    is.isMethodDeclaration(node) ||
    is.isGetAccessorDeclaration(node);
  if (!isMember || !is.isIdentifier(node.name) || is.isObjectLiteralExpression(parent)) return;
  const type = (parent as { readonly name?: Node }).name?.getText() ?? "type";
  members.push({ type, name: node.name.text, offset: node.name.getStart() });
}

function noteUse(parsed: Parsed, node: Node, parent: Node, namespaces: ReadonlyMap<string, string>): void {
  if (is.isStringLiteral(node) || is.isNoSubstitutionTemplateLiteral(node)) parsed.reads.add(node.text);
  if (is.isBindingElement(node)) noteBinding(parsed, node);
  if (is.isPropertyAccessExpression(node) && !isWritten(node, parent)) parsed.reads.add(node.name.text);
  if (is.isCallExpression(node) && node.expression.kind === SyntaxKind.ImportKeyword) {
    const [specifier] = node.arguments;
    if (specifier !== undefined && is.isStringLiteral(specifier))
      add(parsed, moduleOf(parsed.path, specifier), "*");
  }
  if (!is.isIdentifier(node) || isDeclared(node, parent)) return;
  parsed.uses.set(node.text, (parsed.uses.get(node.text) ?? 0) + 1);
  const module = namespaces.get(node.text);
  if (module !== undefined) takeFrom(parsed, module, node, parent);
}

/** What is taken by way of `import * as node`. */
function takeFrom(parsed: Parsed, module: string, node: Node, parent: Node): void {
  if (is.isPropertyAccessExpression(parent)) {
    if (parent.expression === node) add(parsed, module, parent.name.text);
  } else if (is.isQualifiedName(parent)) {
    if (parent.left === node) add(parsed, module, parent.right.text);
  } else if (is.isVariableDeclaration(parent) && is.isObjectBindingPattern(parent.name)) {
    for (const { name, propertyName } of parent.name.elements) {
      add(parsed, module, (propertyName ?? name)?.getText() ?? "*");
    }
  } else add(parsed, module, "*");
}

function noteBinding({ reads }: Parsed, { name, propertyName }: BindingElement): void {
  const read = propertyName ?? name;
  if (read !== undefined && is.isIdentifier(read)) reads.add(read.text);
}

/** `x.name = …` */
function isWritten(node: Node, parent: Node): boolean {
  if (is.isBinaryExpression(parent)) {
    return parent.left === node && parent.operatorToken.kind === SyntaxKind.EqualsToken;
  }
  return false;
}

/** The name of a declaration or of a member, which uses nothing. */
function isDeclared(node: Node, parent: Node): boolean {
  if (is.isPropertyAccessExpression(parent)) return parent.name === node;
  if (is.isQualifiedName(parent)) return parent.right === node;
  if (is.isShorthandPropertyAssignment(parent)) return false;
  if (is.isBindingElement(parent)) return parent.initializer !== node;
  return (parent as { readonly name?: Node }).name === node;
}
