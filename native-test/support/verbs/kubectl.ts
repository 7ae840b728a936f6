// One kubectl among several, in a namespace of its own on a lab that they share.
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { TestLab } from "../../../src/testing/lab/lab.ts";
import { type Result, type Running, run, start } from "../../../src/testing/lab/process.ts";

const CALL_MS = 60_000;

export interface Expected {
  readonly status?: number;
  readonly stdout?: RegExp | string;
  readonly stderr?: RegExp;
}

export class Kubectl {
  /** "1.37.2" */
  readonly version: string;
  readonly namespace: string;
  readonly folder: string;
  readonly #program: string;
  readonly #env: Record<string, string>;

  private constructor(program: string, version: string, folder: string, kubeconfig: string) {
    this.#program = program;
    this.version = version;
    this.folder = folder;
    this.namespace = `kubectl-${version.replaceAll(".", "-")}`;
    // Its caches too are its own: another one's discovery may have been of other kinds.
    this.#env = { KUBECONFIG: kubeconfig, HOME: folder, TERM: "xterm", KUBE_EDITOR: "false" };
  }

  /** `name`: a path, or found on the PATH. Throws where it is no kubectl. */
  static async open(name: string, lab: TestLab): Promise<Kubectl> {
    // A path, for `shell` has another program of this name on its PATH, which runs this one.
    const found = await run(["sh", "-c", 'command -v -- "$1"', "sh", name]);
    if (found.status !== 0) throw new Error(`${name}: no such program`);
    const program = resolve(found.stdout.trim());
    const said = await run([program, "version", "--client", "-o", "json"], { env: { HOME: lab.folder } });
    const version = /"gitVersion": "v(\d+\.\d+\.\d+)/.exec(said.stdout)?.[1];
    if (version === undefined) throw new Error(`${program}: does not say its version as kubectl does`);
    const folder = join(lab.folder, version);
    await mkdir(folder, { recursive: true });
    const kubeconfig = join(folder, "kubeconfig");
    const kubectl = new Kubectl(program, version, folder, kubeconfig);
    const { namespace } = kubectl;
    const config = JSON.parse(await lab.output(["kubeconfig"])); // JSON is YAML
    config.contexts[0].context.namespace = namespace;
    const text = JSON.stringify(config);
    await writeFile(kubeconfig, text, { mode: 0o600 });
    await lab.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    return kubectl;
  }

  get minor(): number {
    return Number(this.version.split(".")[1]);
  }

  call(words: readonly string[], input = "", env: Record<string, string> = {}): Promise<Result> {
    return run([this.#program, ...words], { env: { ...this.#env, ...env }, input, timeoutMs: CALL_MS });
  }

  /** Standard output of a call that must end as expected: without words with status 0. Throws with what it said. */
  async expect(
    words: readonly string[],
    expected: Expected | RegExp | string = {},
    input = "",
  ): Promise<string> {
    const wanted =
      typeof expected === "string" || expected instanceof RegExp ? { stdout: expected } : expected;
    return judged(words, await this.call(words, input), wanted);
  }

  /** As `expect`, of a shell's line in which `kubectl` is this one. */
  async shell(line: string, expected: Expected = {}): Promise<string> {
    const bin = join(this.folder, "bin");
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, "kubectl"), `#!/bin/sh\nexec '${this.#program}' "$@"\n`);
    await chmod(join(bin, "kubectl"), 0o755);
    const env = { ...this.#env, PATH: `${bin}:${process.env.PATH}` };
    return judged([line], await run(["sh", "-c", line], { env, timeoutMs: CALL_MS }), expected);
  }

  /** Beside what follows, from when it has printed something that matches. */
  begin(words: readonly string[], ready: RegExp): Promise<Running> {
    const env = Object.entries(this.#env).map(([name, value]) => `${name}=${value}`);
    return start(["env", ...env, this.#program, ...words], ready, CALL_MS);
  }

  /** Its path. A text, or objects. */
  async file(name: string, content: string | readonly object[]): Promise<string> {
    const path = join(this.folder, name);
    const items = { apiVersion: "v1", kind: "List", items: content };
    await writeFile(path, typeof content === "string" ? content : JSON.stringify(items));
    return path;
  }
}

function judged(words: readonly string[], result: Result, { status = 0, stdout, stderr }: Expected): string {
  const said = [result.stdout, result.stderr].join("").trim().slice(0, 400);
  const problem =
    result.status !== status
      ? `status ${result.status}`
      : !fits(result.stdout, stdout)
        ? "standard output"
        : !fits(result.stderr, stderr)
          ? "standard error"
          : undefined;
  if (problem === undefined) return result.stdout;
  throw new Error(`${words.join(" ")}: ${problem}: ${said}`);
}

function fits(found: string, wanted: RegExp | string | undefined): boolean {
  if (wanted === undefined) return true;
  return typeof wanted === "string" ? found === wanted : wanted.test(found);
}
