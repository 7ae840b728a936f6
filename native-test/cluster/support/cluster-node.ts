// A node whose agent follows a real API server, as docs/cluster.md says it may: its own account, the role of that page.
import { readFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { PODWIRE, ROOT } from "../../../src/testing/lab/lab.ts";
import { type Result, type Running, run, start } from "../../../src/testing/lab/process.ts";
import type { Namespaces } from "../../support/namespaces.ts";
import { CONFIG } from "../../support/own-node.ts";
import type { ControlPlane, Rule } from "./control-plane.ts";

const ACCOUNT = { kind: "ServiceAccount", name: "podwire", namespace: "kube-system" };

type Role = { metadata: { name: string }; rules: Rule[] } & Record<string, unknown>;

export class ClusterNode {
  readonly socket: string;
  readonly #control: ControlPlane;
  readonly #namespaces: Namespaces;
  readonly #folder: string;
  readonly #settings: object;
  readonly #inside: readonly string[];
  #agent: Running | undefined;
  #source: object = {};

  /** `settings`: of its configuration, besides those of own-node.ts. `inside`: what runs a program on its machine. */
  constructor(
    control: ControlPlane,
    namespaces: Namespaces,
    folder: string,
    settings: object = {},
    inside: readonly string[] = [],
  ) {
    this.#control = control;
    this.#namespaces = namespaces;
    this.#folder = folder;
    this.#settings = settings;
    this.#inside = inside;
    this.socket = join(folder, "agent.sock");
  }

  /** Makes account and role, writes the configuration, starts the agent. */
  async begin(secret = "one"): Promise<void> {
    const { admin } = this.#control;
    const role = roleOfDocs();
    const { kind, ...account } = ACCOUNT;
    await admin.apply({ apiVersion: "v1", kind, metadata: account });
    await admin.apply(role);
    await admin.apply({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "podwire" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role.metadata.name },
      subjects: [ACCOUNT],
    });
    await this.renewToken(secret);
    const kubeconfig = this.#control.kubeconfig({ tokenFile: this.#tokenFile });
    this.#source = { kubernetes: { kubeconfig, stateFile: join(this.#folder, "objects.gz") } };
    await this.configure({});
    await this.start();
  }

  /** For the next start. */
  async configure(settings: object): Promise<void> {
    const netns = this.#namespaces.path("node");
    const own = { netns, socket: this.socket, source: this.#source };
    await writeFile(this.#configFile, JSON.stringify({ ...CONFIG, ...own, ...this.#settings, ...settings }));
  }

  get #tokenFile(): string {
    return join(this.#folder, "token");
  }

  /** What it kept for the next start. */
  async forget(): Promise<void> {
    await rm(join(this.#folder, "objects.gz"), { force: true });
    const { namespace } = ACCOUNT;
    await this.#control.admin.remove({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "one", namespace },
    });
  }

  get #configFile(): string {
    return join(this.#folder, "agent.yaml");
  }

  /** As a kubelet does it: another token under the same name. Its secret has this name. */
  async renewToken(secret: string): Promise<void> {
    const { name, namespace } = ACCOUNT;
    await writeFile(this.#tokenFile, await this.#control.serviceAccountToken(namespace, name, secret));
  }

  async token(): Promise<string> {
    return await readFile(this.#tokenFile, "utf8");
  }

  async start(): Promise<void> {
    const command = [...this.#inside, PODWIRE, "agent", "--config", this.#configFile];
    this.#agent = await start(command, /data plane running/, 30_000);
  }

  async stop(signal?: NodeJS.Signals): Promise<void> {
    await this.#agent?.stop(signal);
    this.#agent = undefined;
  }

  /** Of the agent's memory what is its own, and what was most, MiB. */
  memory(): { now: number; most: number } {
    const text = readFileSync(`/proc/${this.#agent?.child.pid}/status`, "utf8");
    const of = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(text)?.[1]) / 1024;
    return { now: of("VmRSS"), most: of("VmHWM") };
  }

  /** What the agent has said. */
  output(): string {
    return this.#agent?.output() ?? "";
  }

  podwire(...words: string[]): Promise<Result> {
    return run([PODWIRE, "--agent", this.socket, ...words]);
  }

  async status(): Promise<Result> {
    return await this.podwire("status");
  }

  /** The value of one of its metrics. */
  async metric(name: string): Promise<number> {
    const page = await run(this.#namespaces.command("node", "curl -s http://127.0.0.1:10249/metrics"));
    return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(page.stdout)?.[1]);
  }
}

/** The role that docs/cluster.md tells people to make. */
export function roleOfDocs(): Role {
  const page = readFileSync(join(ROOT, "docs/cluster.md"), "utf8");
  return parse(/```yaml\n(apiVersion: rbac[\s\S]*?)```/.exec(page)?.[1] ?? "");
}
