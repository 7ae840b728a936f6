// Kubernetes' own end-to-end tests of a network, run by their own runner against a cluster of a test's: which of them,
// and what became of each by their own report.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../../src/testing/lab/process.ts";
import { PROGRAMS } from "./control-plane.ts";

/** Patterns of full names. */
export interface Choice {
  readonly focus: readonly string[];
  readonly skip: readonly string[];
}

export interface Spec {
  readonly name: string;
  readonly state: string;
  readonly seconds: number;
  /** Why, where it failed or did not run. */
  readonly said: string;
}

export interface Report {
  /** What the runner says of all in the end. */
  readonly summary: string;
  /** Those that were chosen. */
  readonly specs: readonly Spec[];
  readonly output: string;
}

/** The images that the tests may name, all from this registry. */
export async function imagesOf(folder: string, registry: string): Promise<string[]> {
  const { stdout } = await run([TESTS, "--list-images"], { env: await fromRegistry(folder, registry) });
  return stdout.split("\n").filter((line) => line.startsWith(`${registry}/`));
}

interface Options {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly timeoutMs: number;
}

interface SpecOptions extends Options {
  readonly registry: string;
  /** So many at once. */
  readonly processes: number;
}

export async function runSpecs(choice: Choice, options: SpecOptions): Promise<Report> {
  const { folder, registry, kubeconfig, processes, timeoutMs } = options;
  const timeout = `--timeout=${Math.floor(timeoutMs / 1000)}s`;
  const words = [
    ...["--no-color", `--procs=${processes}`, timeout, "--json-report=report.json", `--output-dir=${folder}`],
    ...choice.focus.map((pattern) => `--focus=${pattern}`),
    ...choice.skip.map((pattern) => `--skip=${pattern}`),
  ];
  const flags = [
    ...[`--kubeconfig=${kubeconfig}`, `--kubectl-path=${join(PROGRAMS, "kubectl")}`, "--provider=skeleton"],
    ...[`--e2e-output-dir=${folder}`, "--num-nodes=2", "--dump-logs-on-failure=true"],
  ];
  const ended = await run([join(PROGRAMS, "ginkgo"), ...words, TESTS, "--", ...flags], {
    ...{ env: await fromRegistry(folder, registry), cwd: folder, timeoutMs: timeoutMs + 60_000 },
  });
  const output = ended.stdout + ended.stderr;
  const summary = output.match(/^(Ran \d+ of \d+ Specs .*|(SUCCESS|FAIL)! -- .*)$/gm)?.join("; ");
  if (summary === undefined) throw new Error(`no summary: ${output.slice(-4000)}`);
  return { summary, specs: await specsOf(join(folder, "report.json")), output };
}

interface Judged {
  /** What it says in the end of kinds of policies and of protocols. */
  readonly summary: string;
  /** Descriptions of cases. */
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  readonly output: string;
}

/** Policies by cyclonus, which judges each of them by a simulation of its own. `tag`: of cases; "": all there are. */
export async function runCyclonus(tag: string, options: Options): Promise<Judged> {
  const { folder, kubeconfig, timeoutMs } = options;
  const file = join(folder, "cyclonus.xml");
  const command = [join(PROGRAMS, "cyclonus"), `-junit=${file}`, `-include=${tag}`];
  const { stdout, stderr } = await run(command, { env: { KUBECONFIG: kubeconfig }, timeoutMs });
  const report = await readFile(file, "utf8").catch(() => {
    throw new Error(`no report of cyclonus: ${stdout.slice(-4000)}${stderr.slice(-4000)}`);
  });
  const cases = [...report.matchAll(/<testcase [^>]*name="([^"]*)"[^>]*>(\s*<failure)?/g)];
  const names = (isFailed: boolean): string[] =>
    cases.filter((match) => (match[2] !== undefined) === isFailed).map((match) => match[1]);
  const text = Buffer.from(stdout, "latin1").toString("utf8");
  const summary = text.slice(text.lastIndexOf("Tag results:")).trim();
  return { summary, passed: names(false), failed: names(true), output: text };
}

const TESTS = join(PROGRAMS, "e2e.test");

/** Every registry that the tests take images from is this one. */
async function fromRegistry(folder: string, registry: string): Promise<Record<string, string>> {
  const file = join(folder, "registries.yaml");
  const names = ["promoterE2eRegistry", "buildImageRegistry", "gcRegistry", "gcEtcdRegistry"];
  await writeFile(file, names.map((name) => `${name}: ${registry}\n`).join(""));
  return { KUBE_TEST_REPO_LIST: file };
}

interface SpecReport {
  readonly ContainerHierarchyTexts: string[] | null;
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly State: string;
  readonly RunTime: number;
  readonly Failure?: { readonly Message: string };
}

async function specsOf(file: string): Promise<Spec[]> {
  const suites = JSON.parse(await readFile(file, "utf8")) as { SpecReports: SpecReport[] | null }[];
  return suites
    .flatMap(({ SpecReports }) => SpecReports ?? [])
    .filter(({ State, RunTime }) => State !== "skipped" || RunTime > 0)
    .filter(({ State, LeafNodeType }) => LeafNodeType === "It" || State !== "passed")
    .map((each) => ({
      name: [...(each.ContainerHierarchyTexts ?? []), each.LeafNodeText || each.LeafNodeType].join(" "),
      state: each.State,
      seconds: each.RunTime / 1e9,
      said: (each.Failure?.Message ?? "").split("\n")[0],
    }));
}
