// Conversations by the kernel, a router that runs kube-proxy's rules, and by podwire.
import { formatIp, type IpFamily, ip } from "../../src/base/ip.ts";
import type { ConntrackSysctls } from "../../src/config/conntrack.ts";
import { renderRules } from "../../src/kubeproxy/rules.ts";
import { type Conversation, conversation, stepText } from "../../src/testing/judge/conversations.ts";
import type { Seen } from "../../src/testing/judge/outcome.ts";
import { agentConfigOf } from "../../src/testing/judge/plane.ts";
import type { JudgedMode, Scenario } from "../../src/testing/judge/scenario.ts";
import { differences, type Entry, type TalkSide, type Told, tell } from "../../src/testing/judge/talk.ts";
import { talkScenario } from "../../src/testing/judge/talk-places.ts";
import { flagsText, JUDGED_SYSCTLS, PlaneTalk, timeoutClass } from "../../src/testing/judge/talk-plane.ts";
import { V4, V6, type World } from "../../src/testing/judge/world.ts";
import { KernelRouter } from "./kernel-router.ts";
import { Namespaces } from "./namespaces.ts";

export interface JudgeOptions {
  readonly family: IpFamily;
  /** Default iptables. */
  readonly mode?: JudgedMode;
  /** For both sides. */
  readonly sysctls?: ConntrackSysctls;
}

export interface Finding {
  readonly conversation: Conversation;
  readonly lines: readonly string[];
}

export interface BatchVerdict {
  readonly findings: readonly Finding[];
  readonly packets: number;
  /** Packets that the kernel handed on untranslated, and podwire dropped, as it is documented to do. */
  readonly chosen: number;
  /** Conversations that met others by a port chosen at random: not compared. */
  readonly met: number;
}

export class ConntrackJudge {
  readonly #namespaces: Namespaces;
  readonly #world: World;
  readonly #mode: JudgedMode;
  readonly #kernel: KernelTalk;
  readonly #sysctls: ConntrackSysctls;
  /** What the kernel made of the batch that was told last. */
  #last: { readonly key: string; readonly told: readonly Told[] } = { key: "", told: [] };

  constructor({ family, mode = "iptables", sysctls = {} }: JudgeOptions, prefix = "pwt-ctjudge") {
    this.#namespaces = new Namespaces(prefix);
    this.#world = family === 4 ? V4 : V6;
    this.#mode = mode;
    this.#kernel = new KernelTalk(this.#namespaces, talkScenario(this.#world, mode), sysctls);
    this.#sysctls = sysctls;
  }

  /** Conversations `first` … `first + count - 1` of a seed; `planted`: an error of podwire's, made on purpose. */
  async judge(
    seed: number,
    first: number,
    count: number,
    planted: ConntrackSysctls = {},
  ): Promise<BatchVerdict> {
    const batch = Array.from({ length: count }, (_, i) => conversation(seed, first + i, this.#world.family));
    const key = `${seed} ${first} ${count}`;
    if (this.#last.key !== key) this.#last = { key, told: await tell(this.#kernel, batch, this.#world) };
    const kernel = this.#last.told;
    const plane = new PlaneTalk(talkScenario(this.#world, this.#mode), { ...this.#sysctls, ...planted });
    const podwire = await tell(plane, batch, this.#world);
    const findings: Finding[] = [];
    let [packets, chosen, met] = [0, 0, 0];
    for (const [i, one] of batch.entries()) {
      packets += kernel[i].steps.length;
      chosen += podwire[i].chosen.size;
      if (kernel[i].hasMet || podwire[i].hasMet) met++;
      const lines = differences(kernel[i], podwire[i], this.#world, this.#mode);
      if (lines.length > 0) findings.push({ conversation: one, lines });
    }
    return { findings, packets, chosen, met };
  }

  close(): void {
    this.#kernel.close();
    this.#namespaces.remove();
  }
}

/** A finding for people: what was said, what differs. */
export function findingText({ conversation: told, lines }: Finding): string {
  const { number, protocol, route, early, late } = told;
  const said = [...early, ...late].map((step, i) => {
    const pause = i === early.length ? "\n      … a pause" : "";
    return `${pause}\n      ${i + 1}. ${stepText(step)}`;
  });
  return `conversation ${number}, ${protocol}, ${route}:${said.join("")}\n    ${lines.join("\n    ")}`;
}

class KernelTalk implements TalkSide {
  readonly #router: KernelRouter;

  constructor(namespaces: Namespaces, made: Scenario, sysctls: ConntrackSysctls) {
    const { world, mode } = made;
    this.#router = new KernelRouter(namespaces, "talk", { world, attach: "veth" });
    const rules = renderRules(mode === "iptables" ? "iptables-save" : "nft", {
      objects: made.objects,
      nodeName: "node1",
      config: agentConfigOf(made).proxy,
      family: world.family,
      localAddresses: [world.nodeIp, world.secondIp, world.gateway].map(ip),
      serviceCidrs: [],
    });
    const iptables = world.family === 4 ? "iptables" : "ip6tables";
    this.#router.run(mode === "iptables" ? `${iptables}-legacy-restore` : "nft -f -", rules);
    const words = Object.entries({ ...JUDGED_SYSCTLS, ...sysctls, nf_conntrack_acct: 1 });
    this.#router.run(
      `sysctl -qw ${words.map(([name, value]) => `net.netfilter.${name}=${value}`).join(" ")}`,
    );
  }

  inject(frames: readonly { readonly where: string; readonly frame: Uint8Array }[]): Seen {
    return this.#router.inject(frames);
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  forget(): void {
    this.#router.run("conntrack -F");
  }

  choices(): number {
    return 0;
  }

  entries(): Entry[] {
    const { family } = this.#router.world;
    const text = this.#router.run(`conntrack -L -f ipv${family}`);
    return text
      .split("\n")
      .filter((line) => /^(tcp|udp|icmp|icmpv6) /.test(line))
      .map(readEntry);
  }

  close(): void {
    this.#router.close();
  }
}

/** A line of `conntrack -L`. */
function readEntry(line: string): Entry {
  const words = line.split(/\s+/);
  const [protocol, , left] = words;
  const values = (name: string): string[] =>
    words.filter((word) => word.startsWith(`${name}=`)).map((word) => word.slice(name.length + 1));
  const [sources, destinations, packets] = [values("src"), values("dst"), values("packets")];
  const isIcmp = protocol.startsWith("icmp");
  const [from, to] = isIcmp ? [values("id"), values("id")] : [values("sport"), values("dport")];
  const way = (i: number): Entry["orig"] => ({
    from: { address: formatIp(ip(sources[i])), port: Number(from[i]) },
    to: { address: formatIp(ip(destinations[i])), port: Number(to[i]) },
  });
  return {
    protocol,
    state: protocol === "tcp" ? words[3] : "",
    timeout: timeoutClass(Number(left)),
    orig: way(0),
    reply: way(1),
    flags: flagsText(!words.includes("[UNREPLIED]"), words.includes("[ASSURED]")),
    packets: packets.join("/"),
  };
}
