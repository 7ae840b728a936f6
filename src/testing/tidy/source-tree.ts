// The project's own sources, parsed: what tidy.test.ts walks. TypeScript 7 has no compiler API of the old
// kind; its package ships this one, marked unstable, which is why package.json pins the exact version. The
// parser is given the texts through a virtual file system, so planted sources and real ones take the same
// way.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import type { Node, SourceFile } from "typescript/unstable/ast";
import { createVirtualFileSystem, type FileSystem } from "typescript/unstable/fs";
import { API } from "typescript/unstable/sync";

/** Path from the project's root, with slashes → text. */
export type Sources = Readonly<Record<string, string>>;

/** A rule that was broken, as "path:line: what". */
export type Finding = string;

// One parser process serves all calls; each call puts its own files before it. What it made of the whole tree is kept,
// since one rule after another walks that.
let parser: API | undefined;
let parses = 0;
let whole: { readonly sources: Sources; readonly parsed: Parsed } | undefined;
const WHOLE_FILES = 500;
let tree: FileSystem = {};
const TREE_OF_THE_MOMENT: FileSystem = {
  readFile: (name) => tree.readFile?.(name),
  fileExists: (name) => tree.fileExists?.(name),
  directoryExists: (name) => tree.directoryExists?.(name),
  getAccessibleEntries: (name) => tree.getAccessibleEntries?.(name),
  realpath: (name) => tree.realpath?.(name),
};

/** The project's root: the nearest folder upwards that holds tsconfig.json and src/wire. */
export function projectRoot(from = import.meta.dirname): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "tsconfig.json")) && existsSync(join(folder, "src", "wire"))) return folder;
    if (dirname(folder) === folder) throw new Error(`no project root above ${from}`);
  }
}

/** Texts of all files below these folders whose name ends in one of the suffixes. */
export function readSources(root: string, folders: readonly string[], suffixes: readonly string[]): Sources {
  const sources: Record<string, string> = {};
  for (const folder of folders.filter((name) => existsSync(join(root, name)))) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !suffixes.some((suffix) => entry.name.endsWith(suffix))) continue;
      const path = join(entry.parentPath, entry.name);
      sources[relative(root, path).split(sep).join("/")] = readFileSync(path, "utf8");
    }
  }
  return sources;
}

const CODE = /\.(?:[cm]?[jt]s|c|h|sh|rb|service)$/;

/** All code: files with an ending of a language, and scripts without one, which begin with a hash. */
export function readCode(root: string): Sources {
  const folders = ["src", "native-test", "scripts", "vagrant", ".ci"].filter((name) =>
    existsSync(join(root, name)),
  );
  const paths = [
    ...readdirSync(root),
    ...folders.flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true }).map((name) => `${folder}/${name}`),
    ),
  ].filter((path) => !path.split(sep).includes("testdata") && statSync(join(root, path)).isFile());
  const sources: Record<string, string> = {};
  for (const path of paths.filter((name) => CODE.test(name) || !basename(name).includes("."))) {
    const text = readFileSync(join(root, path), "utf8");
    if (CODE.test(path) || text.startsWith("#")) sources[path.split(sep).join("/")] = text;
  }
  return sources;
}

/** Parses TypeScript sources; nothing is resolved or checked. The visitor is called once per file. */
export function withParsed(sources: Sources, visit: (path: string, file: SourceFile) => void): void {
  const isKept = whole?.sources === sources;
  const parsed = isKept && whole !== undefined ? whole.parsed : parse(sources);
  for (const [path, file] of parsed.files) visit(path, file);
  if (isKept) return;
  if (parsed.files.length < WHOLE_FILES) {
    parsed.dispose();
    return;
  }
  whole?.parsed.dispose();
  whole = { sources, parsed };
}

interface Parsed {
  readonly files: readonly (readonly [path: string, file: SourceFile])[];
  dispose(): void;
}

function parse(sources: Sources): Parsed {
  const paths = Object.keys(sources).filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"));
  const root = `/tidy/${++parses}`; // a folder of its own, because the parser remembers files by name
  const compilerOptions = { noLib: true, noResolve: true, types: [], module: "esnext", target: "esnext" };
  const files: Record<string, string> = {
    [`${root}/tsconfig.json`]: JSON.stringify({ compilerOptions, files: paths }),
  };
  for (const path of paths) files[`${root}/${path}`] = sources[path];
  tree = createVirtualFileSystem(files);
  parser ??= new API({ cwd: "/tidy", fs: TREE_OF_THE_MOMENT });
  const snapshot = parser.updateSnapshot({ openProjects: [`${root}/tsconfig.json`] });
  const program = snapshot.getProject(`${root}/tsconfig.json`)?.program;
  const parsed = paths.map((path) => {
    const file = program?.getSourceFile(`${root}/${path}`);
    if (file === undefined) throw new Error(`${path} could not be parsed`);
    return [path, file] as const;
  });
  return { files: parsed, dispose: () => snapshot.dispose() };
}

/** Ends the parser's process; a test file that parsed calls this when it is done. */
export function closeParser(): void {
  parser?.close();
  parser = undefined;
  whole = undefined;
}

/** Calls `visit` for each child; forEachChild itself stops at the first truthy answer. */
export function eachChild(node: Node, visit: (child: Node) => void): void {
  node.forEachChild((child) => {
    visit(child);
    return undefined;
  });
}

/** Line number of an offset, from 1. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i >= 0 && i < offset; i = text.indexOf("\n", i + 1)) line++;
  return line;
}

export function at(path: string, file: SourceFile, node: Node, what: string): Finding {
  return `${path}:${lineAt(file.text, node.getStart(file))}: ${what}`;
}

/** Path from the root of what a relative import names. */
export function resolveImport(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
