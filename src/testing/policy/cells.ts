// Which connections a random cluster is asked about: every host with an address to every other one, on ports and
// protocols that policies speak of and on some that they do not.
import type { IpFamily } from "../../base/ip.ts";
import { Prng } from "../prng.ts";
import type { Cell } from "./evaluator.ts";
import type { Ground } from "./ground.ts";
import type { RandomCluster } from "./random-cluster.ts";
import { PORTS } from "./random-policies.ts";

const ASKED: readonly Pick<Cell, "protocol" | "port">[] = [
  ...PORTS.map((port) => ({ protocol: "TCP", port })),
  ...PORTS.map((port) => ({ protocol: "UDP", port })),
  { protocol: "SCTP", port: 80 },
  { protocol: "SCTP", port: 8080 },
  { protocol: "TCP", port: 79 },
  { protocol: "UDP", port: 8081 },
  { protocol: "ICMP", port: 0 },
];

export function hostsOf({ nodes, outside }: Ground, family: IpFamily): string[] {
  const all = [...nodes.flatMap(({ pods, address }) => [...pods, address]), ...outside];
  return all.map((pair) => pair[family]);
}

/** Every pair of hosts in every family, on every port, by number. */
class Cells {
  readonly #hosts: readonly (readonly string[])[];
  readonly #pairs: number;
  readonly count: number;

  constructor({ ground, families }: RandomCluster) {
    this.#hosts = families.map((family) => hostsOf(ground, family));
    this.#pairs = this.#hosts[0].length ** 2;
    this.count = families.length * this.#pairs * ASKED.length;
  }

  at(n: number): Cell {
    const pair = Math.floor(n / ASKED.length);
    const hosts = this.#hosts[Math.floor(pair / this.#pairs)];
    const at = pair % this.#pairs;
    return {
      from: hosts[Math.floor(at / hosts.length)],
      to: hosts[at % hosts.length],
      ...ASKED[n % ASKED.length],
    };
  }
}

/** Some thousand. */
export function allCells(cluster: RandomCluster): Cell[] {
  const cells = new Cells(cluster);
  return Array.from({ length: cells.count }, (_, n) => cells.at(n));
}

/** `count` of them, by the cluster's seed. */
export function someCells(cluster: RandomCluster, count: number): Cell[] {
  const random = new Prng(cluster.seed ^ 0xce11);
  const cells = new Cells(cluster);
  return Array.from({ length: count }, () => cells.at(random.below(cells.count)));
}

export function cellText({ from, to, protocol, port, byService }: Cell): string {
  return `${from} -> ${to} ${protocol === "ICMP" ? "" : `${port}/`}${protocol}${byService === true ? " (Service)" : ""}`;
}
