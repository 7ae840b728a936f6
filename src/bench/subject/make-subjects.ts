// Brings up what is measured: each subject that a case of this run has a route for, all of them for the whole run.
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { BenchError, onExit } from "../shell.ts";
import { makeCopyLoopSubject } from "./copy-loop-subject.ts";
import { makeKernelSubject } from "./kernel-subject.ts";
import { makeOvsSubject } from "./ovs-subject.ts";
import { makePodwireSubject } from "./podwire-subject.ts";
import type { Path, Subject, SubjectName } from "./subject.ts";

const ROOT = resolve(import.meta.dirname, "../../../..");

export interface Wanted {
  /** Those that are not left out. */
  names: readonly SubjectName[];
  paths: readonly Path[];
  /** Another, built checkout of podwire. */
  against?: string | undefined;
  copyLoop: string;
  /** Whether Open vSwitch is asked for. */
  hasOvs: boolean;
}

export async function makeSubjects(wanted: Wanted, progress: (text: string) => void): Promise<Subject[]> {
  const subjects: Subject[] = [];
  const add = async (name: SubjectName, what: string, make: () => Promise<Subject>) => {
    if (!wanted.names.includes(name)) return;
    progress(`${name}: ${what}`);
    subjects.push(await make());
  };
  const before = wanted.against;
  await add("podwire", "lab up", () => makeCheckout("podwire", "pwb", ROOT));
  if (before !== undefined)
    await add("before", "lab up", () => makeCheckout("before", "pwb0", resolve(before)));
  await add("kernel", "bridge, iptables and VXLAN between two namespaces", () => makeKernelSubject("kernel"));
  if (wanted.paths.includes("overlay"))
    await add("kernel-bridge", "the same, with a bridge between the nodes", () =>
      makeKernelSubject("kernel-bridge"),
    );
  if (wanted.paths.includes("same-node")) {
    for (const name of ["c-loop", "c-spin"] as const)
      await add(name, "two TAPs", () => makeCopyLoopSubject(name, wanted.copyLoop));
    for (const name of wanted.hasOvs ? (["ovs", "ovs-tso"] as const) : [])
      await add(name, "Open vSwitch's user-space datapath", () => makeOvsSubject(name));
  }
  return subjects;
}

async function makeCheckout(subject: "podwire" | "before", lab: string, root: string): Promise<Subject> {
  const work = await mkdtemp(join(tmpdir(), "podwire-bench-"));
  onExit(() => rm(work, { recursive: true, force: true }));
  await access(join(root, "build/src/cli/main.js")).catch(() => {
    throw new BenchError(`${root}: no built checkout of podwire: run npm ci && npm run build there`);
  });
  return makePodwireSubject(join(root, "podwire"), work, { subject, lab });
}
