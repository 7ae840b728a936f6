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

/** Every pair of hosts in every family, on every port: some thousand. */
export function allCells({ ground, families }: RandomCluster): Cell[] {
  return families.flatMap((family) => {
    const hosts = hostsOf(ground, family);
    return hosts.flatMap((from) => hosts.flatMap((to) => ASKED.map((asked) => ({ from, to, ...asked }))));
  });
}

/** `count` of them, by the cluster's seed. */
export function someCells(cluster: RandomCluster, count: number): Cell[] {
  const random = new Prng(cluster.seed ^ 0xce11);
  const all = allCells(cluster);
  return Array.from({ length: count }, () => random.pick(all));
}

export function cellText({ from, to, protocol, port, byService }: Cell): string {
  return `${from} -> ${to} ${protocol === "ICMP" ? "" : `${port}/`}${protocol}${byService === true ? " (Service)" : ""}`;
}
