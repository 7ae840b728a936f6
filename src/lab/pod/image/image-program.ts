// What runs for a container: its command, a program of this machine that lab.yaml or podwire has for its image, podwire's
// echo, which also stands in for images that nobody knows, or nothing at all.
import { ECHO_IMAGE } from "../../../kube/fields/fields.ts";
import type { Container } from "../../../kube/objects.ts";
import { baseName, builtInOf, type ImageRule, isBusybox, withoutTag } from "./built-in.ts";

export type ImageUse =
  /** The manifest says what runs. */
  | "command"
  /** podwire/echo itself. */
  | "echo"
  /** A program of this machine for the image. */
  | "program"
  /** podwire/echo, since nobody knows the image. */
  | "stand-in"
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
}

export function imageProgram(container: Container, rules: readonly ImageRule[]): ImageProgram {
  const { image = "", command = [], args = [] } = container;
  const applets = isBusybox(image);
  const plain = { ownRoot: false, workingDir: undefined, applets };
  if (command.length > 0) return { ...plain, use: "command", argv: [...command, ...args] };
  if (ECHO_IMAGE.test(image)) return { ...plain, use: "echo", argv: [] };
  const own = rules.find(({ match }) => matches(match, image));
  if (own !== undefined) return { ...plain, use: "program", argv: started(own.run, args), ownRoot: true };
  const builtIn = builtInOf(image);
  if (builtIn !== undefined) {
    const { run, always = [], workingDir } = builtIn;
    return { ...plain, use: "program", argv: [...started(run, args), ...always], ownRoot: true, workingDir };
  }
  if (applets && args.length > 0) return { ...plain, use: "program", argv: args };
  const serves = (container.ports ?? []).some(({ protocol }) => protocol !== "SCTP");
  return { ...plain, use: serves ? "stand-in" : "none", argv: [] };
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
