/**
 * Keeps the policy routing of the node's namespace what `compile/host-rules` says: reads what ip(8) shows, adds what is
 * missing, takes away what is too much, so that a restart after a crash finds its own. Taken back when the agent ends.
 */
import { PodwireError } from "../../base/errors.ts";
import type { Ip, IpFamily } from "../../base/ip.ts";
import type { KernelRoute, KernelRule } from "../../base/kernel-network.ts";
import {
  type ExternalPort,
  externalPorts,
  type FamilyRules,
  HOST_TABLE,
  type HostRules,
  hostRules,
} from "../../compile/host-rules.ts";
import type { NodeTopology } from "../../compile/node.ts";
import type { ProxySettings } from "../../compile/proxy-settings.ts";
import type { AgentConfig } from "../../config/agent.ts";
import type { ServiceUpdate } from "../../dataplane/spec/services.ts";
import { readRecord, writeRecord } from "./record.ts";
import { NO_ROOM, routingAdvice } from "./routing-advice.ts";
import {
  isLocal,
  isOwn,
  linesToHave,
  linesToLeave,
  missing,
  type Places,
  placesOf,
  rulesShown,
} from "./rule-lines.ts";
import { linesOf, runIn } from "./run-ip.ts";

const FAMILIES: readonly IpFamily[] = [4, 6];
const LOCAL_TABLE = 255;
const NOTHING: FamilyRules = { routes: [], rules: [] };
const NO_RULES: HostRules = { loopback: false, 4: NOTHING, 6: NOTHING };

type Settings = Pick<AgentConfig, "netns" | "host" | "nodePortRange" | "serviceCidrs" | "socket"> & {
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

  /**
   * Brings the kernel up to date; `moved`: the node's addresses or settings, or what the machine has of them, may have
   * changed. `usable`: addresses that the kernel takes as sources now.
   */
  async sync(
    topology: NodeTopology | undefined,
    settings: ProxySettings,
    { moved, usable }: { moved: boolean; usable: () => readonly Ip[] },
  ): Promise<void> {
    if (topology === undefined || !(moved || this.#dirty)) return;
    this.#dirty = false;
    const wanted = hostRules({
      interface: this.#config.host.interface,
      topology,
      settings,
      nodePorts: this.#config.nodePortRange,
      externals: [...this.#externals.values()].flat(),
      ranges: this.#isShared ? this.#config.serviceCidrs : undefined,
      usable: usable(),
    });
    const isOther = JSON.stringify(wanted) !== JSON.stringify(this.#applied);
    if (isOther || this.problem !== "") await this.#change(wanted);
  }

  get #isShared(): boolean {
    return this.#config.uplink.mode === "shared";
  }

  /** False: somebody has taken something of it away. `rules`: of all tables; `routes`: of table 30000. */
  isWhole(rules: readonly KernelRule[], routes: readonly KernelRoute[]): boolean {
    if (this.problem !== "") return true; // it never was
    return FAMILIES.every((family) => {
      const wanted = this.#applied[family];
      if (wanted.rules.length === 0) return true;
      const its = rules.filter((rule) => rule.family === family);
      const local = its.find(({ table }) => table === LOCAL_TABLE)?.priority ?? -1;
      const works = its.filter(
        ({ table, from, priority }) => table === HOST_TABLE && from === "lo" && priority < local,
      );
      const ways = routes.filter((route) => route.family === family);
      return works.length >= wanted.rules.length && ways.length >= wanted.routes.length;
    });
  }

  /** Puts back what somebody has taken away; answers what, a line for each family. */
  async putBack(): Promise<string[]> {
    const lines: string[] = [];
    for (const family of FAMILIES) {
      const { rules, routes } = this.#applied[family];
      if (rules.length === 0) continue;
      const gone = missing(rulesShown(await this.#shown(family)), rules);
      const there = new Set((await this.#inTable(family)).map(firstWord));
      const away = routes.filter((route) => !there.has(firstWord(route))).length;
      if (gone + away > 0)
        lines.push(`${gone} rules of IPv${family} and ${away} routes of their table ${HOST_TABLE}`);
    }
    if (lines.length > 0) await this.#change(this.#applied);
    return lines;
  }

  /** Everything as it was without an agent. */
  async remove(): Promise<void> {
    if (this.#applied !== NO_RULES) await this.#change(NO_RULES);
  }

  /** Whatever an agent left here; answers what it was. `moved`: where it had put the rules for the local tables. */
  async takeAway(moved: Readonly<Record<IpFamily, number>>): Promise<string[]> {
    const taken: string[] = [];
    for (const family of FAMILIES) {
      const own = async () => rulesShown(await this.#shown(family, true)).filter(isOwn).length;
      const before = await own();
      const table = (await this.#inTable(family)).length;
      if (before + table + moved[family] === 0) continue;
      await this.#leaveFamily(family, moved[family]);
      const count = before - (await own());
      if (count + table > 0) taken.push(`${count} rules of IPv${family} and their table ${HOST_TABLE}`);
    }
    return taken;
  }

  async #change(wanted: HostRules): Promise<void> {
    const before = this.#applied;
    const told = this.problem;
    this.#applied = wanted;
    this.problem = "";
    try {
      if (wanted !== NO_RULES) await this.#allow(wanted.loopback);
      for (const family of FAMILIES) {
        if (before[family].rules.length + wanted[family].rules.length === 0) continue;
        if (wanted[family].rules.length > 0) await this.#changeFamily(family, wanted[family]);
        else await this.#leaveFamily(family, readRecord(this.#config.socket).local[family]);
      }
    } catch (error) {
      const { interface: name } = this.#config.host;
      this.problem =
        `${name}: the node's own programs do not reach node ports at the node's own addresses: ` +
        `${(error as Error).message}: ${routingAdvice(error)}`;
      if (this.problem !== told) this.onProblem(new PodwireError(this.problem, { code: "HOST_ROUTING" }));
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
    const shown = rulesShown(await this.#shown(family));
    const places = placesOf(shown, readRecord(this.#config.socket).local[family], !this.#isShared);
    if (places === undefined)
      throw new PodwireError(`an ip rule of IPv${family} has priority 1`, { code: NO_ROOM });
    const isAtZero = shown.some((rule) => isLocal(rule) && rule.priority === 0);
    if (this.#isShared && isAtZero) this.#remember(family, places);
    const wantedTo = new Set(routes.map(firstWord));
    const former = (await this.#inTable(family)).map(firstWord).filter((to) => !wantedTo.has(to));
    await this.#batch(family, [
      ...routes.map((route) => `route replace ${route} table ${HOST_TABLE}`),
      ...linesToHave(shown, rules, places),
      ...former.map((to) => this.#routeAway(to)),
    ]);
  }

  /** Written before it is done, so that it is taken back however the agent ends. */
  #remember(family: IpFamily, { local }: Places): void {
    const { socket } = this.#config;
    const record = readRecord(socket);
    writeRecord(socket, { ...record, local: { ...record.local, [family]: local } });
  }

  /** Line by line: what somebody else has taken away already does not hold up the rest. */
  async #leaveFamily(family: IpFamily, moved: number): Promise<void> {
    const shown = rulesShown(await this.#shown(family, true));
    const lines = linesToLeave(shown, moved, !this.#isShared);
    const routes = (await this.#inTable(family)).map((line) => this.#routeAway(firstWord(line)));
    await this.#batch(family, [...lines, ...routes], true);
  }

  #routeAway(to: string): string {
    return `route del ${to} dev ${this.#config.host.interface} table ${HOST_TABLE}`;
  }

  async #shown(family: IpFamily, mayFail = false): Promise<string[]> {
    return linesOf(await this.#run(["ip", `-${family}`, "rule", "show"], mayFail));
  }

  /** Routes of ours in the table. One that is empty does not exist, and asking for it fails. */
  async #inTable(family: IpFamily): Promise<string[]> {
    const { interface: dev } = this.#config.host;
    const words = ["ip", `-${family}`, "route", "show", "dev", dev, "table", String(HOST_TABLE)];
    return linesOf(await this.#run(words, true));
  }

  #batch(family: IpFamily, lines: readonly string[], mayFail = false): Promise<string> {
    const force = mayFail ? ["-force"] : [];
    const input = lines.map((line) => `${line}\n`).join("");
    return this.#run(["ip", `-${family}`, ...force, "-batch", "-"], mayFail, input);
  }

  #run(argv: readonly string[], mayFail = false, input = ""): Promise<string> {
    return runIn(this.#config.netns, argv, { mayFail, input });
  }
}

function firstWord(line: string): string {
  return line.split(" ")[0];
}
