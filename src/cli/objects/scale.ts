// podwire scale KIND NAME… | KIND/NAME… --replicas=N
import type { Command } from "commander";
import type { KubeObject } from "../../kube/objects.ts";
import { globals, print } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { runningLab } from "../running-lab.ts";
import { nameOf } from "./get/output.ts";

interface Flags {
  namespace: string;
  replicas: string;
  currentReplicas?: string;
}

const REPLICAS_MAX = 10_000;

export function register(program: Command): void {
  program
    .command("scale <words...>")
    .description("set how many pods a deployment (or another kind with replicas) has")
    .usage("KIND NAME… | KIND/NAME… --replicas=N [--current-replicas=N] [-n NAMESPACE]")
    .requiredOption("--replicas <n>", "pods wanted")
    .option("--current-replicas <n>", "only if so many are wanted now")
    .option("-n, --namespace <namespace>", "namespace of the objects", "default")
    .addHelpText("after", "\nExample:\n  podwire scale deploy/web --replicas=3")
    .action(async (words: string[], flags: Flags, command: Command) => {
      const replicas = numberOf("replicas", flags.replicas);
      const current = numberOf("current-replicas", flags.currentReplicas ?? "0");
      const targets = targetsOf(words);
      const lab = runningLab(globals(command));
      for (const { kind, name } of targets) {
        const body = {
          kind,
          name,
          namespace: flags.namespace,
          replicas,
          ...(flags.currentReplicas === undefined ? {} : { current }),
        };
        const scaled = await lab.call<{ object?: KubeObject }>({ method: "POST", path: "/scale", body });
        if (scaled.object === undefined)
          throw new CliError(`scale ${kind}/${name}: the lab is of another version`);
        await print(`${nameOf(scaled.object)} scaled`);
      }
    });
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > REPLICAS_MAX)
    throw usageError(`--${option} ${text}: use a number from 0 to ${REPLICAS_MAX}`);
  return value;
}

function targetsOf(words: string[]): { kind: string; name: string }[] {
  if (words[0].includes("/")) {
    return words.map((word) => {
      const [kind, name] = word.split("/", 2);
      if (!kind || !name) throw usageError(`scale ${word}: write KIND/NAME`);
      return { kind, name };
    });
  }
  const [kind, ...names] = words;
  if (names.length === 0)
    throw usageError(`scale ${kind}: which one? podwire scale ${kind} NAME --replicas=N`);
  return names.map((name) => ({ kind, name }));
}
