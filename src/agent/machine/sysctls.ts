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

  /** Of what an agent reserved, ports that are not wanted any more; answers what is still reserved. */
  async releaseOthers(ports: string, wanted: PortRange): Promise<string> {
    const others = without(rangesOf(ports), [wanted]);
    await this.release(rangesText(others));
    return rangesText(without(rangesOf(ports), others));
  }

  async #reserved(): Promise<NumberRange[]> {
    return rangesOf(await runIn(this.#netns, ["cat", RESERVED]));
  }

  #write(file: string, ranges: readonly NumberRange[]): Promise<string> {
    return runIn(this.#netns, ["sh", "-c", `echo "$1" > "$0"`, file, rangesText(joinRanges(ranges))]);
  }

  /** rp_filter of every device, "all" and "default", if all are held to the strict check; {}: they are not. */
  async strictCheck(host: string): Promise<Record<string, string>> {
    const { [host]: _, ...others } = await this.#filters();
    return others.all === STRICT ? others : {};
  }

  /** Each device gets what it had by `all`. */
  async loosen(before: Record<string, string>): Promise<void> {
    const { all, ...others } = before;
    const each = Object.entries(others).map(([name, value]) => [name, loosened(name, value)] as const);
    await this.#setFilters(all === undefined ? each : [...each, ["all", loosened("all", all)]]);
  }

  /** Back to what was recorded, where nobody else has changed it; answers rp_filter of all then. */
  async restore(before: Record<string, string>): Promise<string> {
    await this.#setFilters(filtersToRestore(before, await this.#filters()));
    return (await this.#filters()).all ?? "";
  }

  async #filters(): Promise<Record<string, string>> {
    // A shell that reads byte by byte gets the digit of such a file and no end of its line: read then answers 1.
    const script = `cd ${CONF} && for each in */rp_filter; do
  value=
  read -r value < "$each" || [ -n "$value" ] && echo "$each:$value"
done`;
    const text = await runIn(this.#netns, ["sh", "-c", script], { mayFail: true });
    return Object.fromEntries(linesOf(text).map((line) => line.split("/rp_filter:") as [string, string]));
  }

  /** One after the other; a device that is gone meanwhile needs nothing. */
  async #setFilters(list: readonly (readonly [name: string, value: string])[]): Promise<void> {
    if (list.length === 0) return;
    const script = `while [ $# -gt 0 ]; do
  file=${CONF}/$1/rp_filter
  [ ! -e "$file" ] || echo "$2" > "$file" || [ ! -e "$file" ]
  shift 2
done`;
    await runIn(this.#netns, ["sh", "-e", "-c", script, "sh", ...list.flat()]);
  }
}

function loosened(name: string, value: string): string {
  if (name === "all") return "0";
  return value === "0" ? STRICT : value;
}

/** Of what was loosened that which is still as it was made then. */
export function filtersToRestore(
  before: Record<string, string>,
  now: Record<string, string>,
): [name: string, value: string][] {
  return Object.entries(before).filter(
    ([name, value]) => now[name] === loosened(name, value) && now[name] !== value,
  );
}

/** What is in either. */
export function unitedRanges(a: string, b: string): string {
  return rangesText(joinRanges([...rangesOf(a), ...rangesOf(b)]));
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
