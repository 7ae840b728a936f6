// A real kubelet with its containerd on a machine of the test's, as a node of the cluster.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Result, type Running, start } from "../../../src/testing/lab/process.ts";
import { Containerd } from "./containerd.ts";
import { type ControlPlane, PROGRAMS } from "./control-plane.ts";
import type { Machine } from "./machine.ts";

/** Of the Service `kube-dns`. */
export const CLUSTER_DNS = "10.96.0.10";

interface Options {
  readonly control: ControlPlane;
  readonly machine: Machine;
  readonly folder: string;
  /** Of the node, by comma. */
  readonly addresses: string;
  /** Who answers for names outside the cluster. */
  readonly nameserver: string;
}

export class Kubelet {
  readonly containerd: Containerd;
  readonly #options: Options;
  #running: Running | undefined;

  private constructor(options: Options, containerd: Containerd) {
    this.#options = options;
    this.containerd = containerd;
  }

  static async start(options: Options): Promise<Kubelet> {
    const { folder, machine } = options;
    await mkdir(folder, { recursive: true });
    const kubelet = new Kubelet(options, await Containerd.start({ folder, inside: machine.inside }));
    try {
      await kubelet.#writeConfig();
      await kubelet.#start();
    } catch (error) {
      await kubelet.stop();
      throw error;
    }
    return kubelet;
  }

  async #writeConfig(): Promise<void> {
    const { folder, nameserver } = this.#options;
    const resolvConf = join(folder, "resolv.conf");
    await writeFile(resolvConf, `nameserver ${nameserver}\n`);
    const config = {
      ...{ apiVersion: "kubelet.config.k8s.io/v1beta1", kind: "KubeletConfiguration" },
      // What such a machine has not: control groups of its own, room of its own, scores for the OOM killer.
      ...{ failCgroupV1: false, cgroupDriver: "cgroupfs", cgroupsPerQOS: false, enforceNodeAllocatable: [] },
      ...{ failSwapOn: false, localStorageCapacityIsolation: false, evictionHard: {}, oomScoreAdj: 0 },
      ...{ imageGCHighThresholdPercent: 100, imageGCLowThresholdPercent: 99 },
      makeIPTablesUtilChains: false,
      ...{ readOnlyPort: 0, healthzBindAddress: "127.0.0.1" },
      containerRuntimeEndpoint: `unix://${this.containerd.socket}`,
      // The API server asks it for logs and to run programs; nobody else reaches it here.
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: "AlwaysAllow" },
      ...{ clusterDNS: [CLUSTER_DNS], clusterDomain: "cluster.local", resolvConf },
      ...{ nodeStatusUpdateFrequency: "2s", syncFrequency: "10s" },
    };
    await writeFile(join(folder, "kubelet.yaml"), JSON.stringify(config));
  }

  async #start(): Promise<void> {
    const { control, machine, folder, addresses } = this.#options;
    const flags = {
      config: join(folder, "kubelet.yaml"),
      kubeconfig: control.kubeconfig({ token: control.tokenOf(`system:node:${machine.name}`) }),
      ...{ "hostname-override": machine.name, "node-ip": addresses },
      ...{ "root-dir": join(folder, "kubelet"), "cert-dir": join(folder, "kubelet-pki") },
    };
    const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    const command = [...machine.inside, join(PROGRAMS, "kubelet"), ...words];
    this.#running = await start(command, /Started kubelet/, 60_000);
  }

  /** Runs a program in the container `main` of a pod of this node. */
  async exec(pod: string, ...words: string[]): Promise<Result> {
    const label = ["--label", `io.kubernetes.pod.name=${pod}`];
    const { stdout } = await this.containerd.crictl("ps", "-q", "--name", "main", ...label);
    return await this.containerd.crictl("exec", "--sync", stdout.trim(), ...words);
  }

  output(): string {
    return this.#running?.output() ?? "";
  }

  /** Kubelet first, or it would make its pods again. */
  async stop(): Promise<void> {
    await this.#running?.stop("SIGKILL");
    await this.containerd.stop();
  }
}
