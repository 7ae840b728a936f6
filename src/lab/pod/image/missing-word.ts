// Is what a container's command names on this machine? Commands of images that people have built name what lies in the
// image: "./server", "node app.js".
import { accessSync, constants } from "node:fs";
import { basename, resolve } from "node:path";
import type { Container } from "../../../kube/objects.ts";
import { isInstalled } from "./built-in.ts";

/** They are given a file to run. */
const INTERPRETERS = /^(?:sh|bash|dash|ash|node|python[\d.]*|perl|ruby|php)$/;

/**
 * The first word of a command that is to be a file of this machine and is none: the program, or an interpreter's script.
 * What lies below one of the container's mounts may be there; what a variable says is not known yet.
 */
export function missingWord(argv: readonly string[], container: Container): string | undefined {
  const [program = "", script = ""] = argv;
  if (program.includes("$(")) return undefined;
  const isThere = program.includes("/") ? isFile(program, container, constants.X_OK) : isInstalled(program);
  if (!isThere) return program;
  const isScript = INTERPRETERS.test(basename(program)) && /^[^-$]/.test(script);
  return isScript && !isFile(script, container, constants.R_OK) ? script : undefined;
}

function isFile(path: string, { workingDir = "/", volumeMounts = [] }: Container, mode: number): boolean {
  const file = resolve("/", workingDir, path);
  if (volumeMounts.some(({ mountPath }) => `${file}/`.startsWith(`${resolve("/", mountPath)}/`))) return true;
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}
