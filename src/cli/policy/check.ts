// podwire policy check: what is suspicious about policies, a line each with its place. Exit status 3 when something is.
import type { Command } from "commander";
import type { Manifest } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { type Finding, pathText, titleOf } from "../../offline/policy/finding.ts";
import { findingsOf } from "../../offline/policy/findings.ts";
import { Reach } from "../../offline/policy/reach.ts";
import { refuseTwice } from "../../watch/input.ts";
import { globals, note, print, yamlText } from "../context.ts";
import { Exit } from "../errors.ts";
import { named, readObjects } from "../objects/manifests.ts";
import { refuseAgentAndFiles } from "../offline/offline-cluster.ts";
import { policyObjects } from "./policy-world.ts";

export async function check({ file: files }: { file?: string[] }, command: Command): Promise<void> {
  const flags = globals(command);
  refuseAgentAndFiles(command, files);
  refuseTwice(named("-f", files));
  const manifests = new Map<string, Manifest>();
  const texts = files === undefined ? undefined : readObjects(files);
  const { objects, hasOverlay } = await policyObjects(flags, texts, (read) => {
    for (const manifest of read) manifests.set(titleOf(manifest.object), manifest);
  });
  const lines = findingsOf(objects, new Reach(objects, hasOverlay)).map((finding) =>
    lineOf(finding, manifests),
  );
  if (flags.output === "json") {
    if (lines.length > 0) await print(lines.map((line) => JSON.stringify(line)).join("\n"));
  } else if (flags.output === "yaml") await print(await yamlText(lines));
  else if (lines.length > 0) await print(lines.map(({ text }) => text).join("\n"));
  if (lines.length > 0) process.exitCode = Exit.NO;
  else {
    const count = objects.filter(isPolicy).length;
    note(`nothing suspicious in ${count} ${count === 1 ? "policy" : "policies"}`);
  }
}

interface Line {
  readonly check: string;
  readonly kind: string;
  readonly namespace?: string | undefined;
  readonly name: string;
  /** "" where it is about no field. */
  readonly field: string;
  /** Of manifests: where it stands. */
  readonly file?: string;
  readonly line?: number;
  readonly text: string;
}

function lineOf(
  { object, path, check: what, text }: Finding,
  manifests: ReadonlyMap<string, Manifest>,
): Line {
  const { kind, metadata } = object;
  const about = {
    check: what,
    kind,
    namespace: metadata.namespace,
    name: metadata.name,
    field: pathText(path),
  };
  const manifest = manifests.get(titleOf(object));
  if (path.length === 0) return { ...about, text };
  if (manifest === undefined) return { ...about, text: `${titleOf(object)}: ${text}` };
  const { file, line, text: placed } = manifest.problem(path, text);
  return { ...about, file, line, text: placed };
}

function isPolicy({ kind }: KubeObject): boolean {
  return kind === "NetworkPolicy" || kind === "ClusterNetworkPolicy";
}
