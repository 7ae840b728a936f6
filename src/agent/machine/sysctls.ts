/**
 * Sysctls of the machine that a shared uplink needs, each with what takes it back.
 *
 *   net.ipv4.ip_local_reserved_ports   the kernel gives the ports of masqueraded connections to no program
 *   net.ipv4.conf.all.rp_filter=1      would drop on host0 what the node sends to itself by way of a service: the check
 *                                      becomes each device's own, host0's excepted
 */
import { joinRanges, type NumberRange } from "../../base/taken.ts";
import type { PortRange } from "../../config/agent.ts";
import { linesOf, runIn } from "./run-ip.ts";

const RESERVED = "/proc/sys/net/ipv4/ip_local_reserved_ports";
const CONF = "/proc/sys/net/ipv4/conf";
const STRICT = "1";

export class MachineSysctls {
  readonly #netns: string;

  constructor(netns: string) {
    this.#netns = netns;
  }

  /** Ports that are not reserved yet: "50000-65535". */
  async unreserved(wanted: PortRange): Promise<string> {
    return rangesText(without([wanted], await this.#reserved()));
  }

  async reserve(ports: string): Promise<void> {
    if (ports !== "") await this.#write(RESERVED, [...(await this.#reserved()), ...rangesOf(ports)]);
  }

  async release(ports: string): Promise<void> {
    if (ports !== "") await this.#write(RESERVED, without(await this.#reserved(), rangesOf(ports)));
  }

  async #reserved(): Promise<NumberRange[]> {
    return rangesOf(await runIn(this.#netns, ["cat", RESERVED]));
  }

  #write(file: string, ranges: readonly NumberRange[]): Promise<string> {
    return runIn(this.#netns, ["sh", "-c", `echo "$1" > "$0"`, file, rangesText(joinRanges(ranges))]);
  }

  /** rp_filter of every device, "all" and "default", if all are held to the strict check; {}: they are not. */
  async strictCheck(host: string): Promise<Record<string, string>> {
    const text = await runIn(this.#netns, ["sh", "-c", `cd ${CONF} && grep . */rp_filter`], {
      mayFail: true,
    });
    const values = linesOf(text).map((line) => line.split("/rp_filter:") as [string, string]);
    const found = Object.fromEntries(values.filter(([name]) => name !== host));
    return found.all === STRICT ? found : {};
  }

  /** Each device gets what it had by `all`. */
  async loosen(before: Record<string, string>): Promise<void> {
    const strict = Object.entries(before).filter(([name, value]) => name !== "all" && value === "0");
    await this.#setFilters([...strict.map(([name]) => [name, STRICT] as const), ["all", "0"]]);
  }

  /** Back to what was recorded, where nobody else has changed it. */
  async restore(before: Record<string, string>): Promise<void> {
    await this.#setFilters([["all", before.all ?? "0"], ...Object.entries(before)]);
  }

  async #setFilters(list: readonly (readonly [name: string, value: string])[]): Promise<void> {
    if (list.length === 0) return;
    const script = list.map(
      ([name, value]) =>
        `[ ! -e '${CONF}/${name}/rp_filter' ] || echo ${value} > '${CONF}/${name}/rp_filter'`,
    );
    await runIn(this.#netns, ["sh", "-e", "-c", script.join("\n")]);
  }
}

function rangesOf(text: string): NumberRange[] {
  const parts = text
    .trim()
    .split(",")
    .filter((part) => part !== "");
  return joinRanges(
    parts.map((part) => {
      const [first, last = first] = part.split("-").map(Number);
      return { first, last };
    }),
  );
}

/** As the kernel prints it. */
function rangesText(ranges: readonly NumberRange[]): string {
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join();
}

/** What of `ranges` is in none of `others`. */
function without(ranges: readonly NumberRange[], others: readonly NumberRange[]): NumberRange[] {
  let left = [...ranges];
  for (const { first, last } of others) {
    left = left.flatMap((range) => {
      if (range.last < first || range.first > last) return [range];
      const before = { first: range.first, last: first - 1 };
      const behind = { first: last + 1, last: range.last };
      return [before, behind].filter((part) => part.first <= part.last);
    });
  }
  return left;
}
