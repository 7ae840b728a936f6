/**
 * Keeps the policy routing of the node's namespace what `compile/host-rules` says: reads what ip(8) shows, adds what is
 * missing, takes away what is too much, so that a restart after a crash finds its own. Taken back when the agent ends.
 */
import { PodwireError } from "../../base/errors.ts";
import type { IpFamily } from "../../base/ip.ts";
import {
  type ExternalPort,
  externalPorts,
  type FamilyRules,
  HOST_PRIORITY,
  HOST_TABLE,
  type HostRules,
  hostRules,
} from "../../compile/host-rules.ts";
import type { NodeTopology } from "../../compile/node.ts";
import type { ProxySettings } from "../../compile/proxy-settings.ts";
import type { AgentConfig } from "../../config/agent.ts";
import type { ServiceUpdate } from "../../dataplane/spec/services.ts";
import { linesOf, runIn } from "./run-ip.ts";

const FAMILIES: readonly IpFamily[] = [4, 6];
/** Where the rule for the local table stands once others have to come before it. */
const LOCAL_PRIORITY = 100;
const NOTHING: FamilyRules = { routes: [], rules: [] };
const NO_RULES: HostRules = { loopback: false, 4: NOTHING, 6: NOTHING };

type Settings = Pick<AgentConfig, "netns" | "host" | "nodePortRange" | "serviceCidrs"> & {
  readonly uplink: Pick<AgentConfig["uplink"], "mode">;
};

export class HostRouting {
  readonly #config: Settings;
  readonly #externals = new Map<number, readonly ExternalPort[]>();
  #dirty = true;
  #applied = NO_RULES;
  /** What the node's routing could not be changed for; "": it is as it should be. */
  problem = "";
  /** Called when the node's routing cannot be changed; once for each problem. */
  onProblem: (error: Error) => void = () => {};

  constructor(config: Settings) {
    this.#config = config;
  }

  /** Hears of services; external addresses among them may be the node's own. */
  update({ upsert, remove }: ServiceUpdate): void {
    for (const id of remove) this.#note(id, []);
    for (const spec of upsert) this.#note(spec.id, externalPorts(spec));
  }

  #note(id: number, ports: readonly ExternalPort[]): void {
    if (ports.length === 0 && !this.#externals.has(id)) return;
    this.#dirty = true;
    if (ports.length === 0) this.#externals.delete(id);
    else this.#externals.set(id, ports);
  }

  /** Brings the kernel up to date; `moved`: the node's addresses or settings may have changed. */
  async sync(topology: NodeTopology | undefined, settings: ProxySettings, moved: boolean): Promise<void> {
    if (topology === undefined || !(moved || this.#dirty)) return;
    this.#dirty = false;
    const wanted = hostRules({
      interface: this.#config.host.interface,
      topology,
      settings,
      nodePorts: this.#config.nodePortRange,
      externals: [...this.#externals.values()].flat(),
      ranges: this.#config.uplink.mode === "shared" ? this.#config.serviceCidrs : undefined,
    });
    if (JSON.stringify(wanted) !== JSON.stringify(this.#applied)) await this.#change(wanted);
  }

  /** Everything as it was without an agent. */
  async remove(): Promise<void> {
    if (this.#applied !== NO_RULES) await this.#change(NO_RULES);
  }

  /** Whatever an agent left here; answers what it was. */
  async takeAway(): Promise<string[]> {
    const taken: string[] = [];
    for (const family of FAMILIES) {
      const shown = linesOf(await this.#run(["ip", `-${family}`, "rule", "show"], true));
      const count = shown.filter((line) => line.endsWith(` lookup ${HOST_TABLE}`)).length;
      if (count === 0) continue;
      await this.#changeFamily(family, NOTHING);
      taken.push(`${count} rules of IPv${family} and their table ${HOST_TABLE}`);
    }
    return taken;
  }

  async #change(wanted: HostRules): Promise<void> {
    const before = this.#applied;
    this.#applied = wanted;
    this.problem = "";
    try {
      if (wanted !== NO_RULES) await this.#allow(wanted.loopback);
      for (const family of FAMILIES) {
        if (before[family].rules.length + wanted[family].rules.length === 0) continue;
        await this.#changeFamily(family, wanted[family]);
      }
    } catch (error) {
      const { interface: name } = this.#config.host;
      this.problem =
        `${name}: the node's own programs do not reach node ports at the node's own addresses: ` +
        `${(error as Error).message}: install iproute2, or set nodePortRange: none`;
      this.onProblem(new PodwireError(this.problem, { code: "HOST_ROUTING" }));
    }
  }

  /** Answers come from host0 and bear an address of the node itself as source. */
  async #allow(loopback: boolean): Promise<void> {
    const dir = `/proc/sys/net/ipv4/conf/${this.#config.host.interface}`;
    const set = [
      ["accept_local", 1],
      ["rp_filter", 0],
      ["route_localnet", loopback ? 1 : 0],
    ];
    const script = set.map(([key, value]) => `[ ! -e ${dir}/${key} ] || echo ${value} > ${dir}/${key}`);
    await this.#run(["sh", "-e", "-c", script.join("\n")]);
  }

  async #changeFamily(family: IpFamily, { rules, routes }: FamilyRules): Promise<void> {
    const shown = linesOf(await this.#run(["ip", `-${family}`, "rule", "show"]));
    const own = shown.filter((line) => line.endsWith(` lookup ${HOST_TABLE}`)).map(selector);
    // An empty table does not exist, and asking for it fails.
    const inTable = linesOf(
      await this.#run(["ip", `-${family}`, "route", "show", "table", String(HOST_TABLE)], true),
    );
    const wantedTo = new Set(routes.map(firstWord));
    const others = shown.filter((line) => !line.endsWith(` lookup ${HOST_TABLE}`));
    await this.#run(
      ["ip", `-${family}`, "-batch", "-"],
      false,
      [
        ...routes.map((route) => `route replace ${route} table ${HOST_TABLE}`),
        ...(rules.length > 0 ? moveLocal(others) : []),
        ...rules
          .filter((rule) => !own.includes(rule))
          .map((rule) => `rule add pref ${HOST_PRIORITY} ${rule}`),
        ...own
          .filter((rule) => !rules.includes(rule))
          .map((rule) => `rule del pref ${HOST_PRIORITY} ${rule}`),
        ...(rules.length > 0 ? [] : moveLocalBack(others)),
        ...inTable
          .map(firstWord)
          .filter((to) => !wantedTo.has(to))
          .map((to) => `route del ${to} table ${HOST_TABLE}`),
      ]
        .map((line) => `${line}\n`)
        .join(""),
    );
  }

  #run(argv: readonly string[], mayFail = false, input = ""): Promise<string> {
    return runIn(this.#config.netns, argv, { mayFail, input });
  }
}

/** The kernel's rule for the local table stands before all others, at 0. */
function moveLocal(shown: readonly string[]): string[] {
  if (!shown.includes("0:\tfrom all lookup local")) return [];
  const there = shown.includes(`${LOCAL_PRIORITY}:\tfrom all lookup local`);
  return [
    ...(there ? [] : [`rule add pref ${LOCAL_PRIORITY} lookup local`]),
    "rule del pref 0 from all lookup local",
  ];
}

/** Back to 0, if nobody else has put a rule before it. */
function moveLocalBack(shown: readonly string[]): string[] {
  if (shown[0] !== `${LOCAL_PRIORITY}:\tfrom all lookup local`) return [];
  return ["rule add pref 0 lookup local", `rule del pref ${LOCAL_PRIORITY} from all lookup local`];
}

/** "50:\tfrom all …" → "from all …" */
function selector(line: string): string {
  return line.slice(line.indexOf("\t") + 1);
}

function firstWord(line: string): string {
  return line.split(" ")[0];
}
