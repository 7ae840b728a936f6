// Who may import whom. The table is the one in ARCHITECTURE.md; the finer rules keep stages apart from each
// other, tables apart from packets, the plane apart from Node, and the rules that judge the plane apart from it.
import type { Node, SourceFile } from "typescript/unstable/ast";
import * as is from "typescript/unstable/ast/is";
import { at, eachChild, type Finding, resolveImport, type Sources, withParsed } from "./source-tree.ts";

/** Folder → folders it may import, besides itself and base. The floors of the house, from the top: ARCHITECTURE.md. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  wire: [],
  dataplane: ["wire"],
  native: [],
  device: ["wire", "dataplane", "native"],
  kube: [],
  config: ["kube"],
  watch: ["kube"],
  cluster: ["kube"],
  apiserver: ["kube", "cluster"],
  compile: ["dataplane", "kube", "config", "watch"],
  l7: ["kube", "compile"],
  plane: ["wire", "dataplane", "native", "config", "watch", "compile"],
  cni: ["kube", "config", "watch", "compile"],
  dissect: ["wire"],
  capture: ["dissect"],
  observe: ["dataplane"],
  dns: ["kube", "config", "watch", "observe"],
  gateway: ["wire", "kube", "config", "watch", "l7", "observe"],
  mesh: ["native", "kube", "config", "watch", "l7", "observe", "gateway"],
  kubeproxy: ["dataplane", "kube", "config", "observe"],
  calico: ["kube", "config"],
  api: ["wire", "dataplane", "watch", "compile", "plane", "capture", "observe", "kubeproxy"],
  agent: [
    ...[
      "dataplane",
      "native",
      "device",
      "kube",
      "config",
      "watch",
      "compile",
      "plane",
      "cni",
      "observe",
      "api",
    ],
  ],
  offline: [
    ...["wire", "dataplane", "device", "kube", "config", "watch", "compile", "plane", "observe", "kubeproxy"],
    ...["calico", "api"],
  ],
  lab: ["native", "kube", "config", "watch", "cluster", "apiserver", "l7", "dns", "kubeproxy"],
  cli: [
    ...[
      "kube",
      "config",
      "watch",
      "cluster",
      "apiserver",
      "dissect",
      "capture",
      "observe",
      "kubeproxy",
      "calico",
      "api",
      "offline",
    ],
    ...["lab", "agent", "dns", "l7", "gateway", "mesh"],
  ],
};

/** Folders outside the table: they may import everything, and nothing in the table may import them. */
const FREE = ["bench", "testing", "native-test"];

/** "importing path → imported path" or "importing folder → imported folder", and why it is allowed. */
export type ImportExceptions = Readonly<Record<string, string>>;

interface Import {
  readonly from: string;
  /** Path from the root for a relative import, else the bare specifier. */
  readonly to: string;
  readonly typeOnly: boolean;
  /** Names of functions imported one by one; none for `import * as`. */
  readonly functions: readonly string[];
  readonly where: (what: string) => Finding;
}

export function findImportBreaches(sources: Sources, exceptions: ImportExceptions = {}): Finding[] {
  const imports = collectImports(sources).filter(({ from }) => !isTest(from));
  const breaches = imports.flatMap((one) => (isExcused(one, exceptions) ? [] : breachesOf(one)));
  return [...breaches, ...findFolderCycles(imports), ...findBadNames(sources)];
}

/** Files that import each other, directly or through others, tests and types counted: read one, and you read all. */
export function findFileCircles(sources: Sources): Finding[] {
  const edges = new Map<string, string[]>();
  for (const { from, to } of collectImports(sources)) edges.set(from, [...(edges.get(from) ?? []), to]);
  const findings: Finding[] = [];
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): void => {
    const seen = path.indexOf(file);
    if (seen >= 0) findings.push(`files import each other: ${[...path.slice(seen), file].join(" → ")}`);
    if (seen >= 0 || done.has(file)) return;
    for (const next of edges.get(file) ?? []) walk(next, [...path, file]);
    done.add(file);
  };
  for (const file of edges.keys()) walk(file, []);
  return findings;
}

/** Floors that import what stands beneath them. */
export function findFloorBreaches(
  table: Readonly<Record<string, readonly string[]>> = MAY_IMPORT,
): Finding[] {
  const floors = Object.keys(table);
  return floors.flatMap((floor, i) =>
    table[floor]
      .filter((other) => floors.indexOf(other) >= i || !floors.includes(other))
      .map((other) => `${floor} stands above ${other} and may not import it`),
  );
}

/** Rows of ARCHITECTURE.md's map that say something else than MAY_IMPORT. */
export function findTableDrift(markdown: string): Finding[] {
  const rows = markdown.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  const head = rows.findIndex((cells) => cells[1] === "folder" && cells[3]?.startsWith("imports"));
  if (head < 0) return ["ARCHITECTURE.md: no table of imports"];
  const said: Record<string, readonly string[]> = {};
  for (const cells of rows.slice(head + 2)) {
    const folder = /^`src\/([a-z0-9]+)`/.exec(cells[1] ?? "")?.[1];
    if (folder === undefined) break;
    if (!FREE.includes(folder))
      said[folder] = [...cells[3].matchAll(/`([a-z0-9]+)`/g)].map(([, name]) => name);
  }
  const text = (row: readonly string[] | undefined): string =>
    row?.length === 0 ? "nothing" : [...(row ?? ["no such row"])].sort().join(", ");
  const folders = [...new Set([...Object.keys(said), ...Object.keys(MAY_IMPORT)])];
  const drift = folders
    .filter((folder) => text(said[folder]) !== text(MAY_IMPORT[folder]))
    .map(
      (folder) =>
        `ARCHITECTURE.md: ${folder} imports ${text(said[folder])}; here: ${text(MAY_IMPORT[folder])}`,
    );
  const isOrdered = Object.keys(said).join() === Object.keys(MAY_IMPORT).join();
  return drift.length > 0 || isOrdered ? drift : ["ARCHITECTURE.md: the floors stand in another order"];
}

/** process.exit belongs to the programs. */
export function findExits(sources: Sources): Finding[] {
  const findings: Finding[] = [];
  withParsed(sources, (path, file) => {
    if (isTest(path) || FREE.includes(folderOf(path)) || ["agent", "cli", "lab"].includes(folderOf(path)))
      return;
    const visit = (node: Node): void => {
      if (is.isPropertyAccessExpression(node) && node.getText(file) === "process.exit") {
        findings.push(at(path, file, node, "process.exit belongs to agent, cli and lab"));
      }
      eachChild(node, visit);
    };
    visit(file);
  });
  return findings;
}

function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.startsWith("native-test/");
}

/** "src/dataplane/table/fdb.ts" → "dataplane". */
function folderOf(path: string): string {
  const parts = path.split("/");
  return parts[0] === "src" ? parts[1] : parts[0];
}

function isExcused(one: Import, exceptions: ImportExceptions): boolean {
  return (
    `${one.from} → ${one.to}` in exceptions || `${folderOf(one.from)} → ${folderOf(one.to)}` in exceptions
  );
}

function breachesOf(one: Import): Finding[] {
  const [from, to] = [folderOf(one.from), folderOf(one.to)];
  if (one.from.startsWith("src/") && one.to.startsWith("native-test/"))
    return [one.where("src imports nothing of native-test")];
  if (FREE.includes(from)) return [];
  if (!one.to.startsWith("src/")) return bareBreaches(one, from);
  const findings: Finding[] = [];
  const known = MAY_IMPORT[from];
  if (known === undefined) findings.push(one.where(`folder ${from} is not in the table of imports`));
  else if (from !== to && to !== "base" && !known.includes(to))
    findings.push(one.where(`${from} may not import ${to}`));
  findings.push(...fineBreaches(one, from, to).map(one.where));
  return findings;
}

function bareBreaches(one: Import, from: string): Finding[] {
  const plane = from === "wire" || from === "dataplane";
  if (plane) return [one.where(`${from} imports no package and nothing of Node: ${one.to}`)];
  const pure = ["kube", "config", "cluster", "compile"].includes(from);
  if (pure && one.to.startsWith("node:")) return [one.where(`${from} imports nothing of Node: ${one.to}`)];
  return [];
}

function fineBreaches(one: Import, from: string, to: string): string[] {
  const breaches: string[] = [];
  const inStage = one.from.startsWith("src/dataplane/stage/");
  if (inStage && one.to.startsWith("src/dataplane/stage/")) breaches.push("a stage imports another stage");
  if (inStage && /^src\/dataplane\/(?:pipeline|engine)\.ts$/.test(one.to)) {
    breaches.push(`a stage imports ${one.to}`);
  }
  const inTable = one.from.startsWith("src/dataplane/table/");
  if (inTable && to !== "base" && !/^src\/dataplane\/(?:table|spec)\//.test(one.to)) {
    breaches.push(`a table is given keys, not packets: ${one.to}`);
  }
  const isPacketsWay = from === "dataplane" && !one.from.startsWith("src/dataplane/change/");
  if (isPacketsWay && one.to.startsWith("src/dataplane/change/"))
    breaches.push("what packets pass does not change tables: change/ runs between batches");
  if (one.to === "src/dataplane/engine.ts" && from !== "plane" && from !== "offline" && from !== "dataplane")
    breaches.push("only plane and offline import the engine");
  if (/^src\/kubeproxy\/[^/]*$/.test(one.from) && to === "dataplane")
    breaches.push("the rules share nothing with the plane: they judge it");
  const isPort = one.to === "src/dataplane/port.ts";
  if (from === "device" && to === "dataplane" && !one.typeOnly && !isPort) {
    breaches.push("device imports the plane's port.ts and types");
  }
  if (from === "compile" && to === "dataplane" && !one.to.startsWith("src/dataplane/spec/")) {
    breaches.push(`compile knows what the plane is told, not its tables: ${one.to}`);
  }
  if (/^src\/(?:wire|dataplane\/table)\//.test(one.to) && one.functions.length > 0) {
    breaches.push(
      `import * as: functions of wire and table are named with their module: ${one.functions.join()}`,
    );
  }
  return breaches;
}

function findFolderCycles(imports: readonly Import[]): Finding[] {
  const edges = new Map<string, Set<string>>();
  for (const { from, to } of imports) {
    const [a, b] = [folderOf(from), folderOf(to)];
    if (!to.startsWith("src/") || a === b || FREE.includes(a)) continue;
    edges.set(a, (edges.get(a) ?? new Set()).add(b));
  }
  const findings: Finding[] = [];
  const done = new Set<string>();
  const walk = (folder: string, path: readonly string[]): void => {
    const seen = path.indexOf(folder);
    if (seen >= 0) findings.push(`folders import each other: ${[...path.slice(seen), folder].join(" → ")}`);
    if (seen >= 0 || done.has(folder)) return;
    for (const next of edges.get(folder) ?? []) walk(next, [...path, folder]);
    done.add(folder);
  };
  for (const folder of edges.keys()) walk(folder, []);
  return findings;
}

function findBadNames(sources: Sources): Finding[] {
  const findings: Finding[] = [];
  for (const path of Object.keys(sources)) {
    if (/(?:^|\/)index\.ts$/.test(path))
      findings.push(`${path}: no barrels: an import names the file that holds the thing`);
    if (/\/(?:utils?|common|helpers?)(?:\/|\.ts$)/.test(path))
      findings.push(`${path}: a name that says nothing`);
    if (!/^[a-z0-9./-]+$/.test(path)) findings.push(`${path}: file names are kebab-case`);
  }
  return findings;
}

function collectImports(sources: Sources): Import[] {
  const imports: Import[] = [];
  withParsed(sources, (path, file) => {
    const visit = (node: Node): void => {
      const one = importOf(path, file, node);
      if (one !== undefined) imports.push(one);
      eachChild(node, visit);
    };
    visit(file);
  });
  return imports;
}

function importOf(path: string, file: SourceFile, node: Node): Import | undefined {
  const found = specifierOf(node);
  if (found === undefined) return undefined;
  const text = found.node.getText(file).slice(1, -1);
  const to = text.startsWith(".") ? resolveImport(path, text) : text;
  const { typeOnly, functions } = found;
  return { from: path, to, typeOnly, functions, where: (what) => at(path, file, node, what) };
}

interface Specifier {
  readonly node: Node;
  readonly typeOnly: boolean;
  readonly functions: readonly string[];
}

/** import … from "x", export … from "x", import("x"). */
function specifierOf(node: Node): Specifier | undefined {
  if (is.isImportDeclaration(node)) {
    const clause = node.importClause;
    const bindings = clause?.namedBindings;
    const named = bindings !== undefined && is.isNamedImports(bindings) ? [...bindings.elements] : [];
    const values = named.filter((element) => !element.isTypeOnly).map(({ name }) => name.text);
    const onlyTypes = clause?.name === undefined && named.length > 0 && values.length === 0;
    const typeOnly = clause?.phaseModifier !== undefined || onlyTypes;
    const functions = typeOnly
      ? []
      : values.filter((name) => /^[a-z]/.test(name) && !/^create[A-Z]/.test(name));
    return { node: node.moduleSpecifier, typeOnly, functions };
  }
  if (is.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    return { node: node.moduleSpecifier, typeOnly: node.isTypeOnly, functions: [] };
  }
  if (!is.isCallExpression(node) || node.expression.getText() !== "import") return undefined;
  const [specifier] = node.arguments;
  if (specifier === undefined || !is.isStringLiteral(specifier)) return undefined;
  return { node: specifier, typeOnly: false, functions: [] };
}
