// Random clusters with random policies by the kernel, behind the rules that Calico would have written, by podwire's plane
// and by the evaluator: the same connections, before and after a change.
import type { IpFamily } from "../../src/base/ip.ts";
import { renderPolicyRules } from "../../src/calico/felix/policy-rules.ts";
import { calicoInterfaceName } from "../../src/calico/interface-name.ts";
import type { KubeObject } from "../../src/kube/objects.ts";
import { Numbers } from "../../src/testing/judge/compare.ts";
import { V4, V6 } from "../../src/testing/judge/world.ts";
import { someCells } from "../../src/testing/policy/cells.ts";
import { clusterOf, type Named, podAt } from "../../src/testing/policy/cluster.ts";
import { evaluate } from "../../src/testing/policy/evaluator.ts";
import { GROUND } from "../../src/testing/policy/ground.ts";
import { allowedAtNode, nodeCell } from "../../src/testing/policy/node-cells.ts";
import { podwirePlane } from "../../src/testing/policy/plane-side.ts";
import type { Difference, Side, SideMaker, Verdict } from "../../src/testing/policy/policy-judge.ts";
import { laterCluster, type RandomCluster, randomCluster } from "../../src/testing/policy/random-cluster.ts";
import { KernelRouter } from "./kernel-router.ts";
import type { Namespaces } from "./namespaces.ts";

const POD_DEVICE = "cali"; // with their numbers, while no pod is there: what begins so is a pod's to the rules
const OVERLAY = { type: "none" } as const;

export interface KernelOptions {
  readonly family: IpFamily;
  /** Which iptables-restore. */
  readonly variant: "legacy" | "nft";
  /** Cells drawn of each state. */
  readonly perState: number;
}

/** An error planted into what is loaded, or into the plane. */
export interface Planted {
  readonly plane?: SideMaker;
  readonly rules?: (text: string) => string;
  readonly sets?: (text: string) => string;
}

export class PolicyKernelJudge {
  readonly #options: KernelOptions;
  readonly #router: KernelRouter;
  readonly #numbers = new Numbers();
  /** What the devices of the world's pods are called now. */
  readonly #devices: string[];

  constructor(namespaces: Namespaces, options: KernelOptions) {
    const world = options.family === 4 ? V4 : V6;
    this.#options = options;
    const name = `policy-${options.family}-${options.variant}`;
    this.#router = new KernelRouter(namespaces, name, { world, attach: "veth", podDevice: POD_DEVICE });
    this.#devices = world.pods.map((_, i) => this.#router.podDevice(i));
  }

  start(): Promise<void> {
    return this.#router.start();
  }

  async judge(seed: number, planted: Planted = {}): Promise<Verdict> {
    const { plane = podwirePlane } = planted;
    const before = randomCluster(seed, GROUND, [this.#options.family]);
    const after = laterCluster(before, seed);
    const first = await this.#state(before, plane(before.objects), planted, false);
    const second = await this.#state(after, plane(after.objects, before.objects), planted, true);
    return { cells: first.cells + second.cells, differences: [...first.differences, ...second.differences] };
  }

  async #state(
    state: RandomCluster,
    plane: Side,
    planted: Planted,
    isAfterChange: boolean,
  ): Promise<Verdict> {
    const { perState } = this.#options;
    const cluster = clusterOf(state.objects);
    this.#load(state.objects, planted);
    this.#router.forgetConnections();
    const asked = someCells(state, perState)
      .flatMap((cell) => nodeCell(GROUND, cluster, cell) ?? [])
      .map((each) => ({ ...each, ...this.#numbers.next() }));
    const seen = await this.#router.shoot(asked);
    const differences = asked.flatMap(({ cell, id }): Difference[] => {
      const answer = evaluate(cluster, cell);
      const wanted = allowedAtNode(GROUND, cell, answer);
      const sides = [
        ...(seen.texts.has(id) === wanted ? [] : [`kernel (${seen.texts.get(id) ?? "nothing came out"})`]),
        ...(plane.allows(cell) === wanted ? [] : [plane.name]),
      ];
      return sides.map((side) => ({ cell, side, isAfterChange, answer }));
    });
    return { cells: asked.length, differences };
  }

  /** In the place of what was there; by one shell, since to enter a namespace takes longer than most of it. */
  #load(objects: readonly Named[], planted: Planted): void {
    const { family, variant } = this.#options;
    const input = {
      objects: objects as readonly unknown[] as readonly KubeObject[],
      nodeName: "node1",
      family,
      overlay: OVERLAY,
    };
    const restore = `${family === 4 ? "iptables" : "ip6tables"}-${variant}-restore`;
    const rules = renderPolicyRules("iptables-save", input);
    const sets = renderPolicyRules("ipset", input);
    this.#router.run(
      "sh -e",
      [
        ...this.#renamed(objects).map(([from, to]) => `ip link set dev ${from} name ${to}`),
        withInput(restore, "*filter\nCOMMIT\n"),
        "ipset destroy",
        withInput("ipset restore", planted.sets?.(sets) ?? sets),
        withInput(restore, planted.rules?.(rules) ?? rules),
      ].join("\n"),
    );
  }

  /** Pods come and go, their devices stay, and are called as the pod of now has it. */
  #renamed(objects: readonly Named[]): [from: string, to: string][] {
    const cluster = clusterOf(objects);
    const renamed: [string, string][] = [];
    for (const [i, address] of this.#router.world.pods.entries()) {
      const pod = podAt(cluster, address);
      const { namespace = "default", name } = pod?.metadata ?? { name: "" };
      const wanted = pod === undefined ? this.#router.podDevice(i) : calicoInterfaceName(namespace, name);
      if (wanted === this.#devices[i]) continue;
      renamed.push([this.#devices[i], wanted]);
      this.#devices[i] = wanted;
    }
    return renamed;
  }

  close(): void {
    this.#router.close();
  }
}

function withInput(command: string, input: string): string {
  return `${command} <<'END'\n${input}END`;
}
