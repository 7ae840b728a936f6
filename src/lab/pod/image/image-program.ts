// What runs for a container: its command, a program of this machine that lab.yaml or podwire has for its image, podwire's
// echo, which also stands in for images that nobody knows, or nothing at all.
import { ECHO_IMAGE } from "../../../kube/fields/fields.ts";
import type { Container, Pod } from "../../../kube/objects.ts";
import { isSidecar } from "../pod-status.ts";
import {
  baseName,
  builtInOf,
  type ImageRule,
  isBusybox,
  isSomebodys,
  isWellKnown,
  withoutTag,
} from "./built-in.ts";
import { missingWord } from "./missing-word.ts";
import { standInPorts } from "./stand-in-ports.ts";

export type ImageUse =
  /** The manifest says what runs. */
  | "command"
  /** podwire/echo itself. */
  | "echo"
  /** A program of this machine for the image. */
  | "program"
  /** podwire/echo, since nobody knows the image, or its command is not on this machine. */
  | "stand-in"
  /** The same of a container that is to end: it has ended well. */
  | "done"
  /** Nothing: the container keeps the pod's namespace. */
  | "none";

export interface ImageProgram {
  readonly use: ImageUse;
  /** Before $(VAR) is expanded; of echo and stand-ins none: it is podwire's own. */
  readonly argv: readonly string[];
  /** Writes where its image would: to files of its own, not the machine's. */
  readonly ownRoot: boolean;
  readonly workingDir: string | undefined;
  /** busybox' applets come first among its programs. */
  readonly applets: boolean;
  /** The image's own program is not there: what probes and hooks would call in it is not either. */
  readonly standsIn: boolean;
}

/** Of an init container, of a Job's pod, or one that goes on. */
export type Role = "init" | "job" | "stays";

const DONE = ["true"];
const IDLE = ["sleep", "infinity"];

export function roleOf({ metadata }: Pod, container: Container, isInit: boolean): Role {
  if (isInit) return isSidecar(container) ? "stays" : "init";
  const isJobs = metadata.ownerReferences?.some(
    ({ kind, controller }) => kind === "Job" && controller === true,
  );
  return isJobs === true ? "job" : "stays";
}

export function imageProgram(
  container: Container,
  rules: readonly ImageRule[],
  role: Role = "stays",
): ImageProgram {
  const { image = "", command = [] } = container;
  const applets = isBusybox(image);
  const plain = { ownRoot: false, workingDir: undefined, applets, standsIn: false };
  const isMissing = lacksCommand(container);
  if (command.length > 0 && !isMissing) return commandProgram(container);
  if (ECHO_IMAGE.test(image)) return { ...plain, use: "echo", argv: [] };
  const args = isMissing ? [] : (container.args ?? []); // they are the command's
  const own = rules.find(({ match }) => matches(match, image));
  const program = { ...plain, use: "program" as const, ownRoot: true };
  if (own !== undefined) return { ...program, argv: started(own.run, args) };
  const builtIn = builtInOf(image);
  if (builtIn !== undefined) {
    const { run, always = [], workingDir, takesArgs = false } = builtIn;
    const begun = takesArgs ? [...run, ...args] : started(run, args);
    return { ...program, argv: [...begun, ...always], workingDir };
  }
  if (applets && args.length > 0) return { ...plain, use: "program", argv: args };
  if (role !== "stays") return { ...plain, use: "done", argv: DONE };
  if (standInPorts(container).length > 0) return { ...plain, use: "stand-in", argv: [], standsIn: true };
  return { ...plain, use: "none", argv: [], standsIn: isSomebodys(image) || isWellKnown(image) };
}

/** The manifest says what runs, and it is no program of this machine, but of the image. */
export function lacksCommand(container: Container): boolean {
  const { image = "", command = [], args = [] } = container;
  if (command.length === 0 || !isSomebodys(image) || isBusybox(image)) return false;
  return missingWord([...command, ...args], container) !== undefined;
}

/** Where a Service expects it to answer it does: a stand-in, or what becomes one then. */
export function takesServicePorts({ use, standsIn }: ImageProgram): boolean {
  return standsIn && (use === "stand-in" || use === "none");
}

/**
 * What runs instead of a command whose shell did not find what lies in the image; undefined: it is started again as it
 * is. A Job's failure stands: that is what it is there to say.
 */
export function insteadOf(program: ImageProgram, container: Container, role: Role): ImageProgram | undefined {
  const { image = "" } = container;
  if (program.use !== "command" || role === "job") return undefined;
  if (!isSomebodys(image) || isBusybox(image)) return undefined;
  if (role === "init") return { ...program, use: "done", argv: DONE };
  if (standInPorts(container).length === 0) return { ...program, use: "program", argv: IDLE, standsIn: true };
  return { ...program, use: "stand-in", argv: [], standsIn: true };
}

/** An image's own program keeps what the image gives it, also where the manifest calls it. */
function commandProgram({ image = "", command = [], args = [] }: Container): ImageProgram {
  const builtIn = builtInOf(image);
  const isIts = builtIn !== undefined && builtIn.run[0] === command[0];
  return {
    use: "command",
    argv: [...command, ...args, ...((isIts ? builtIn.always : undefined) ?? [])],
    ownRoot: isSomebodys(image),
    workingDir: isIts ? builtIn.workingDir : undefined,
    applets: isBusybox(image),
    standsIn: false,
  };
}

/** As images' own entry points do: arguments that begin with a dash are for the program, others say what runs. */
function started(run: readonly string[], args: readonly string[]): readonly string[] {
  if (args.length === 0) return run;
  if (run[1] === "-c" && run.length > 2) return [...run, ...args]; // a script that is given them
  return args[0].startsWith("-") ? [run[0], ...args] : args;
}

function matches(pattern: string, image: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const wanted = new RegExp(`^${parts.join(".*")}$`);
  return [image, withoutTag(image), baseName(image)].some((name) => wanted.test(name));
}
