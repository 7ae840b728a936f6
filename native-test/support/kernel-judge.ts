// Scenarios by the kernel and by podwire: kube-proxy's rules, read from the objects on their own (src/kubeproxy),
// loaded into a namespace; the objects themselves into a podwire node; the same packets to both.

import { cidr, type IpFamily, ip } from "../../src/base/ip.ts";
import type { KubeObject } from "../../src/kube/objects.ts";
import { renderRules } from "../../src/kubeproxy/rules.ts";
import { Comparison, type Difference, Numbers } from "../../src/testing/judge/compare.ts";
import { AffinityComparison, withShortAffinity } from "../../src/testing/judge/compare-affinity.ts";
import { UpdateComparison } from "../../src/testing/judge/compare-update.ts";
import { agentConfigOf, PlaneSide, type Shot } from "../../src/testing/judge/plane.ts";
import { type JudgedMode, type Scenario, scenario } from "../../src/testing/judge/scenario.ts";
import { later, staleEntries } from "../../src/testing/judge/update.ts";
import { V4, V6, type World } from "../../src/testing/judge/world.ts";
import { KernelRouter } from "./kernel-router.ts";
import { Namespaces } from "./namespaces.ts";

export interface JudgeOptions {
  readonly mode: JudgedMode;
  readonly family: IpFamily;
  /** Which iptables-restore. */
  readonly variant: "legacy" | "nft";
  /** Changes of the cluster take as long as all the rest: 3 is "with every third seed". */
  readonly updateEvery?: number;
  /** Affinity's time-outs take seconds to go by: 4 is "with every fourth seed that has affinity at all". */
  readonly timesEvery?: number;
  /** Engines of podwire's node, as of so many workers; left out: 1. */
  readonly workers?: number;
}

export interface Verdict {
  readonly scenario: Scenario;
  readonly differences: readonly Difference[];
  readonly packets: number;
}

/** Errors planted on purpose, to see that they are found. */
export interface Planted {
  readonly rules?: (text: string) => string;
  readonly objects?: (objects: readonly KubeObject[]) => readonly KubeObject[];
  /** False: kube-proxy forgets to delete UDP entries. */
  readonly cleanup?: boolean;
}

export class KernelJudge {
  readonly #namespaces: Namespaces;
  readonly #options: JudgeOptions;
  readonly #world: World;
  readonly #numbers = new Numbers();
  readonly #routers = new Map<string, KernelRouter>();

  constructor(options: JudgeOptions, prefix = "pwt-judge") {
    this.#namespaces = new Namespaces(prefix);
    this.#options = options;
    this.#world = options.family === 4 ? V4 : V6;
  }

  /** One scenario, drawn from its seed. */
  async judge(seed: number, planted: Planted = {}): Promise<Verdict> {
    const made = scenario(seed, this.#options.mode, this.#world);
    const router = await this.#routerFor(made.attach);
    const rules = this.rules(made);
    const load = (): void => this.#load(router, made, planted.rules?.(rules) ?? rules);
    load();
    router.forgetConnections();
    const objects = planted.objects?.(made.objects) ?? made.objects;
    const plane = new PlaneSide({ ...made, objects }, this.#options.workers);
    const comparison = new Comparison(
      made,
      {
        shoot: (shots) => router.shoot(shots),
        inject: (frames) => router.inject(frames),
        forget: async () => (this.#options.mode === "nftables" ? load() : router.forgetAffinity()),
      },
      {
        shoot: (shots, quickly) => plane.shoot(shots, quickly),
        inject: (frames) => plane.inject(frames),
        forget: () => plane.reset(),
      },
      this.#numbers,
    );
    const differences = await comparison.differences();
    const { updateEvery = 1, timesEvery = 1 } = this.#options;
    const none = { differences: [], packets: 0 };
    const updated = seed % updateEvery === 0 ? await this.#afterUpdate(made, router, planted) : none;
    const isTimed = made.affinity && seed % timesEvery === 0;
    const timed = isTimed ? await this.#affinityTimes(made, router, planted) : none;
    return {
      scenario: made,
      differences: [...differences, ...updated.differences, ...timed.differences],
      packets: comparison.packets + updated.packets + timed.packets,
    };
  }

  /** For how long clients are remembered. */
  async #affinityTimes(
    scenario: Scenario,
    router: KernelRouter,
    planted: Planted,
  ): Promise<Pick<Verdict, "differences" | "packets">> {
    const made = withShortAffinity(scenario);
    const rules = this.rules(made);
    const plane = new PlaneSide(
      { ...made, objects: planted.objects?.(made.objects) ?? made.objects },
      this.#options.workers,
    );
    const sides = {
      kernel: {
        begin: async () => {
          this.#load(router, made, planted.rules?.(rules) ?? rules);
          router.forgetConnections();
          await router.forgetAffinity();
        },
        shoot: (shots: readonly Shot[]) => router.shoot(shots),
        wait: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
      },
      podwire: {
        begin: () => plane.reset(),
        shoot: (shots: readonly Shot[]) => plane.shoot(shots, true),
        wait: (ms: number) => plane.pause(ms),
      },
    };
    const comparison = new AffinityComparison(made, sides, this.#numbers);
    return { differences: await comparison.differences(), packets: comparison.packets };
  }

  /** What becomes of connections when the cluster changes under them. */
  async #afterUpdate(
    before: Scenario,
    router: KernelRouter,
    planted: Planted,
  ): Promise<Pick<Verdict, "differences" | "packets">> {
    const now = later(before);
    const load = (s: Scenario): void => {
      const rules = this.rules(s);
      this.#load(router, s, planted.rules?.(rules) ?? rules);
    };
    const seenBy = (s: Scenario): Scenario => ({ ...s, objects: planted.objects?.(s.objects) ?? s.objects });
    const plane = new PlaneSide(seenBy(before), this.#options.workers);
    const comparison = new UpdateComparison(
      { before, now },
      {
        kernel: {
          begin: () => {
            load(before);
            router.forgetConnections();
          },
          shoot: (shots) => router.shoot(shots),
          inject: (frames) => router.inject(frames),
          update: () => {
            load(now);
            if (planted.cleanup !== false) router.deleteConnections(staleEntries(before, now));
          },
        },
        podwire: {
          begin: () => plane.reset(),
          shoot: (shots, quickly) => plane.shoot(shots, quickly),
          inject: (frames) => plane.inject(frames),
          update: () => plane.update(seenBy(now)),
        },
      },
      this.#numbers,
    );
    return { differences: await comparison.differences(), packets: comparison.packets };
  }

  /** kube-proxy's rules for a scenario's node, and behind them portmap's for host ports. */
  rules(made: Scenario): string {
    const { world } = made;
    const rules = renderRules(made.mode === "iptables" ? "iptables-save" : "nft", {
      objects: made.objects,
      nodeName: "node1",
      config: agentConfigOf(made).proxy,
      family: world.family,
      localAddresses: [world.nodeIp, world.secondIp, world.gateway].map(ip),
      serviceCidrs: [cidr(world.serviceCidr)],
    });
    // The last scenario may have had host ports: nft, unlike iptables-restore, leaves tables that it is not told of.
    const table = `table ${world.family === 4 ? "ip" : "ip6"} cni_hostport`;
    return made.mode === "nftables" ? `add ${table}\ndelete ${table}\n${rules}` : rules;
  }

  #load(router: KernelRouter, made: Scenario, rules: string): void {
    if (made.mode === "nftables") router.run("nft -f -", rules);
    else
      router.run(
        `${made.world.family === 4 ? "iptables" : "ip6tables"}-${this.#options.variant}-restore`,
        rules,
      );
  }

  async #routerFor(attach: Scenario["attach"]): Promise<KernelRouter> {
    let router = this.#routers.get(attach);
    if (router !== undefined) return router;
    router = new KernelRouter(this.#namespaces, attach, { world: this.#world, attach });
    this.#routers.set(attach, router);
    await router.start();
    return router;
  }

  close(): void {
    for (const router of this.#routers.values()) router.close();
    this.#namespaces.remove();
  }
}
