// A lab for tests: brought up and taken down by the command that users have, under a name of its own.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { atEnd } from "./at-end.ts";
import { type Result, type Running, type RunOptions, run, start } from "./process.ts";

export const ROOT = resolve(import.meta.dirname, "../../../..");
export const PODWIRE = join(ROOT, "podwire");

const DOWN_MS = 60_000;

/** What few tests need, so that scripts/install-deps leaves it out. */
const OPTIONAL = new Set(["containerd", "ctr", "runc", "podman", "conmon", "vagrant", "python3", "kubectl"]);

/** Why the tests of this file cannot run here, or false: the value of tap's `skip`. */
export function cannotRun(...tools: string[]): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  if (!existsSync("/dev/net/tun")) return "needs /dev/net/tun";
  const folders = `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  const missing = tools.find((tool) => !folders.some((folder) => existsSync(join(folder, tool))));
  if (missing === undefined) return false;
  return `needs ${missing}: ${OPTIONAL.has(missing) ? "apt-get install has it" : "scripts/install-deps"}`;
}

// biome-ignore lint/suspicious/noExplicitAny: the tests that read these objects check them
type Json = any;

export interface NodeSpec {
  name: string;
  agent?: "podwire" | "kernel";
  uplink?: { driver: "packet" | "pcap" };
  address?: string;
  podCIDR?: string;
}

export interface LabSpec {
  nodes?: NodeSpec[];
  clients?: { name: string; address: string }[];
  overlay?: object;
  clusterCIDR?: string;
  serviceCIDR?: string | undefined;
  proxy?: object;
  conntrack?: object;
  dataplane?: object;
  policy?: object;
  podSecurity?: object;
  images?: { match: string; run: string[] }[];
  loadBalancer?: object;
  mesh?: object;
  /** Left out: the lab has no DNS, so that its pods and Services are those of the test. */
  dns?: object;
  objects?: object[];
}

/** PODWIRE_TEST_WORKERS: all that is tested, with so many data-plane workers, where there can be more than one. */
function workersOf({ proxy, nodes = [] }: LabSpec): { workers?: number } {
  const { PODWIRE_TEST_WORKERS: workers = "" } = process.env;
  const { mode } = (proxy ?? {}) as { mode?: string };
  const isSingle = mode === "userspace" || nodes.some(({ uplink }) => uplink?.driver === "pcap");
  return workers === "" || isSingle ? {} : { workers: Number(workers) };
}

export class TestLab {
  readonly name: string;
  readonly folder: string;
  private running: Running[] = [];
  private readonly forget: () => void;

  private constructor(name: string, folder: string) {
    this.name = name;
    this.folder = folder;
    this.forget = atEnd(() => {
      spawnSync(PODWIRE, ["--lab", name, "lab", "down"], { stdio: "ignore", timeout: DOWN_MS });
      rmSync(folder, { recursive: true, force: true });
    });
  }

  /** Brings a lab up. When that fails nothing is left and the error holds what the command said. */
  static async up(name: string, spec: LabSpec = {}): Promise<TestLab> {
    const lab = new TestLab(`t-${name}`, await mkdtemp(join(tmpdir(), `podwire-test-${name}-`)));
    const {
      nodes,
      clients,
      overlay,
      clusterCIDR,
      serviceCIDR,
      proxy,
      conntrack,
      policy,
      podSecurity,
      images,
      loadBalancer,
      objects = [],
    } = spec;
    const dataplane = { ...workersOf(spec), ...spec.dataplane };
    const manifest = { apiVersion: "v1", kind: "List", items: objects };
    await writeFile(join(lab.folder, "objects.json"), JSON.stringify(manifest));
    const file = {
      apiVersion: "podwire.dev/v1alpha1",
      kind: "Lab",
      metadata: { name: lab.name },
      spec: {
        nodes: nodes ?? [{ name: "node1" }, { name: "node2" }],
        clients: clients ?? [{ name: "outside", address: "192.168.50.100" }],
        ...(overlay === undefined ? {} : { overlay }),
        ...(clusterCIDR === undefined ? {} : { clusterCIDR }),
        ...(serviceCIDR === undefined ? {} : { serviceCIDR }),
        ...(proxy === undefined ? {} : { proxy }),
        ...(conntrack === undefined ? {} : { conntrack }),
        dataplane,
        ...(policy === undefined ? {} : { policy }),
        ...(podSecurity === undefined ? {} : { podSecurity }),
        ...(images === undefined ? {} : { images }),
        ...(loadBalancer === undefined ? {} : { loadBalancer }),
        ...(spec.mesh === undefined ? {} : { mesh: spec.mesh }),
        dns: spec.dns ?? { enabled: false },
        manifests: ["objects.json"],
      },
    };
    await writeFile(join(lab.folder, "lab.yaml"), JSON.stringify(file));
    await lab.podwire(["lab", "down"]);
    const up = await lab.podwire(["lab", "up", "-f", join(lab.folder, "lab.yaml")], { timeoutMs: 90_000 });
    if (up.status !== 0) {
      await lab.down();
      throw new Error(`lab up: status ${up.status}: ${up.stdout}${up.stderr}`);
    }
    return lab;
  }

  podwire(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return run([PODWIRE, "--lab", this.name, ...args], options);
  }

  /** Output of a command that must succeed. */
  async output(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const result = await this.podwire(args, options);
    if (result.status === 0) return result.stdout;
    throw new Error(`podwire ${args.join(" ")}: status ${result.status}: ${result.stderr}`);
  }

  async json(...args: string[]): Promise<Json> {
    return JSON.parse(await this.output([...args, "-o", "json"]));
  }

  exec(workload: string, command: readonly string[], options: RunOptions = {}): Promise<Result> {
    return this.podwire(["exec", workload, "--", ...command], options);
  }

  /** A program that runs beside the test in a workload's network; it ends with the lab at the latest. */
  async startIn(
    workload: string,
    command: readonly string[],
    ready: RegExp,
    namespace = "default",
  ): Promise<Running> {
    const words = ["exec", "-n", namespace, workload, "--", ...command];
    const running = await start([PODWIRE, "--lab", this.name, ...words], ready);
    this.running.push(running);
    return running;
  }

  async apply(...objects: object[]): Promise<void> {
    const file = join(this.folder, "apply.json");
    await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
    await this.output(["apply", "-f", file]);
  }

  async podAddress(name: string): Promise<string> {
    const pod = await this.json("get", "pods", name);
    return pod.status.podIP ?? pod.status.podIPs[0].ip;
  }

  async clusterIP(name: string): Promise<string> {
    return (await this.json("get", "services", name)).spec.clusterIP;
  }

  async down(): Promise<Result> {
    for (const running of this.running.splice(0)) await running.stop();
    const result = await this.podwire(["lab", "down"], { timeoutMs: DOWN_MS });
    await rm(this.folder, { recursive: true, force: true });
    this.forget();
    return result;
  }

  /** What of this lab the machine still holds; empty after `down`. */
  async traces(): Promise<string[]> {
    const netns = (await run(["ip", "netns", "list"])).stdout.split("\n");
    const processes = (await run(["ps", "-eo", "pid=,args="])).stdout.split("\n");
    const state = `/run/podwire/labs/${this.name}`;
    return [
      ...netns.filter((line) => line.startsWith(`pw-${this.name}-`)),
      ...processes.filter((line) => line.includes(`--lab ${this.name}`) || line.includes(`${state}/`)),
      ...(existsSync(state) ? [state] : []),
    ];
  }
}
