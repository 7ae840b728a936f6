// Connections that begin before a change of the cluster and go on after it: does the second packet of each get where
// the first one got, somewhere else, or nowhere? Whom a first packet gets is chance, so sets of outcomes are compared,
// and an endpoint is named only where a second packet was led to it anew.
import type { Service } from "../../kube/objects.ts";
import type { Difference, Numbers } from "./compare.ts";
import { type Flow, flowsOf, flowText } from "./flows.ts";
import { hostPortsAt } from "./host-ports.ts";
import { answerTo, type Seen } from "./outcome.ts";
import type { Shot } from "./plane.ts";
import type { Scenario } from "./scenario.ts";
import { servingEndpoints } from "./update.ts";

export interface UpdatedSide {
  /** The cluster as it was, no connections. */
  begin(): void | Promise<void>;
  shoot(shots: readonly Shot[], quickly?: boolean): Seen | Promise<Seen>;
  inject(frames: readonly { readonly where: string; readonly frame: Uint8Array }[]): Seen;
  /** The cluster as it is now. */
  update(): void | Promise<void>;
}

const SHOTS = 4;
// Of those whose sets differ: first one endpoint of four, then another one of four is an outcome of one in sixteen, and
// (15/16)^(2 * 4 + 10 * 24) says that one which was never seen is not there.
const MORE_SHOTS = 24;
const QUICK_ROUNDS = 2;
const ROUNDS = 12;
const SILENCE = "silence";

export class UpdateComparison {
  readonly #before: Scenario;
  readonly #now: Scenario;
  readonly #serving: ReadonlySet<string>;
  readonly #own: readonly string[];
  readonly #sides: Readonly<Record<"kernel" | "podwire", UpdatedSide>>;
  readonly #numbers: Numbers;
  packets = 0;

  constructor(
    { before, now }: { before: Scenario; now: Scenario },
    sides: { kernel: UpdatedSide; podwire: UpdatedSide },
    numbers: Numbers,
  ) {
    this.#before = before;
    this.#now = now;
    this.#serving = servingEndpoints(now);
    const { nodeIp, secondIp, gateway } = before.world;
    this.#own = [nodeIp, secondIp, gateway];
    this.#sides = sides;
    this.#numbers = numbers;
  }

  async differences(): Promise<Difference[]> {
    let rows = flowsOf(this.#before)
      .filter((flow) => isTracked(flow) && !this.#isLeftToLo(flow))
      .map((flow) => new Row(flow));
    for (let round = 0; round < ROUNDS && rows.length > 0; round++) {
      const shots = round < QUICK_ROUNDS ? SHOTS : MORE_SHOTS;
      for (const who of ["kernel", "podwire"] as const) await this.#course(who, rows, shots);
      rows = rows.filter((row) => !row.isEqual());
    }
    return rows.map((row) => row.difference(this.#before.seed));
  }

  /**
   * What the node says to a host port of its own, or to an address of its own that a Service had as an external one,
   * stays on lo when nobody has it any more: the connection is reset.
   */
  #isLeftToLo({ entry, to, port, protocol }: Flow): boolean {
    if (entry !== "node" || !this.#own.includes(to)) return false;
    const has = (s: Scenario): boolean =>
      hostPortsAt(s, to).some((held) => held.hostPort === port && held.protocol === protocol) ||
      s.services.some((service) => isExternal(service, to, port, protocol));
    return has(this.#before) && !has(this.#now);
  }

  async #course(who: "kernel" | "podwire", rows: readonly Row[], count: number): Promise<void> {
    const side = this.#sides[who];
    await side.begin();
    const firsts = rows.flatMap((row) =>
      Array.from({ length: count }, () => ({ row, shot: { flow: row.flow, ...this.#numbers.next() } })),
    );
    const seen = await side.shoot(
      firsts.map(({ shot }) => shot),
      true,
    );
    const answers = new Map<number, { where: string; frame: Uint8Array; id: number }>();
    for (const { shot } of firsts) {
      const got = seen.frames.get(shot.id);
      const id = this.#numbers.next().id;
      const frame = got === undefined || got.where === "host" ? undefined : answerTo(got.frame, id);
      if (got !== undefined && frame !== undefined) answers.set(shot.id, { where: got.where, frame, id });
    }
    side.inject([...answers.values()]);
    await side.update();
    const seconds = firsts.map(({ shot }) => {
      const ack = (answers.get(shot.id)?.id ?? -1) + 1;
      const flow =
        shot.flow.protocol === "TCP" ? { ...shot.flow, flags: ".", seq: shot.id + 1, ack } : shot.flow;
      return { ...shot, flow, id: this.#numbers.next().id };
    });
    const then = await side.shoot(seconds, true);
    this.packets += firsts.length + answers.size + seconds.length;
    for (const [i, { row, shot }] of firsts.entries()) {
      const first = seen.texts.get(shot.id);
      // Linux meets lo twice: what INPUT refuses has its entry from OUTPUT, and will not be translated later.
      const isOwn = shot.flow.entry === "node" && this.#own.includes(shot.flow.to);
      const isRefused = first === undefined || first.includes(": icmp ");
      if (isOwn && isRefused) row.add(who, "refused");
      // What the kernel's side takes for itself is dropped before it is a connection.
      else if (first?.startsWith("host: ")) row.add(who, "to the node");
      else row.add(who, this.#told(first, then.texts.get(seconds[i].id)));
    }
  }

  #told(first = SILENCE, second = SILENCE): string {
    const endpoint = / > (\S+)$/.exec(first)?.[1];
    const was = endpoint === undefined ? first : this.#serving.has(endpoint) ? "serves" : "gone";
    return `${was}, then ${second === first ? "the same" : second}`;
  }
}

function isExternal({ spec, status }: Service, address: string, port: number, protocol: string): boolean {
  const ingress = status?.loadBalancer?.ingress ?? [];
  const external = [...(spec.externalIPs ?? []), ...ingress.map(({ ip }) => ip)];
  return (
    external.includes(address) && (spec.ports ?? []).some((p) => p.port === port && p.protocol === protocol)
  );
}

/** Connections whose packets can be told from others', and whose choice nothing but chance decides. */
function isTracked({ protocol, flags, affine, entry, to }: Flow): boolean {
  if (entry === "node" && (to.startsWith("127.") || to === "::1")) return false;
  return (protocol === "TCP" || protocol === "UDP") && flags === undefined && affine === undefined;
}

class Row {
  readonly flow: Flow;
  readonly #seen = { kernel: new Set<string>(), podwire: new Set<string>() };

  constructor(flow: Flow) {
    this.flow = flow;
  }

  add(who: "kernel" | "podwire", outcome: string): void {
    const isOwn = this.flow.entry === "node"; // which of its addresses it speaks to itself from is its own business
    const text = isOwn ? outcome.replaceAll(/host: \S+ > /g, "host: > ") : outcome;
    this.#seen[who].add(isOwn ? text.replaceAll(/host: (icmp \S+) from \S+/g, "host: $1") : text);
  }

  isEqual(): boolean {
    const { kernel, podwire } = this.#seen;
    return kernel.size === podwire.size && [...kernel].every((text) => podwire.has(text));
  }

  difference(seed: number): Difference {
    const { kernel, podwire } = this.#seen;
    const flow = `${flowText(this.flow)}, then a change`;
    return { seed, flow, kernel: [...kernel].sort(), podwire: [...podwire].sort() };
  }
}
