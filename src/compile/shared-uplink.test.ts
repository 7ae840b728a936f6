import t from "tap";
import { type Cidr, cidr, contains, formatCidr, formatIp, type Ip, ip } from "../base/ip.ts";
import type { KernelNetwork, KernelRoute } from "../base/kernel-network.ts";
import type { Taken } from "../base/taken.ts";
import { RouteKind } from "../dataplane/spec/routes.ts";
import { FrontendKind, type FrontendSpec, type ServicePortSpec } from "../dataplane/spec/services.ts";
import { takenFilter } from "../device/taken-filter.ts";
import { machineNetwork, servedPorts, takenOf } from "./shared-uplink.ts";

const LINKS = ["lo", "eth0", "docker0", "host0", "kube-ipvs0"].map((name, i) => ({
  ...{ index: i + 1, name, mtu: 1500, isUp: true, mac: "02:00:00:00:00:01" },
}));
const link = (name: string): number => LINKS.find((each) => each.name === name)?.index ?? 0;
const at = (name: string, text: string) => {
  const range = cidr(`${text.split("/")[0]}/${text.includes(":") ? 128 : 32}`);
  const prefixLen = Number(text.split("/")[1]);
  return { link: link(name), address: range as Ip, prefixLen, isGlobal: true, isUsable: true };
};
const way = (to: string, dev: string, more: Partial<KernelRoute> = {}): KernelRoute => {
  const range: Cidr = cidr(to);
  const nothing = { gateway: undefined, source: undefined, metric: 0, mtu: 0, type: 1 };
  return { family: range.family, to: range, link: link(dev), ...nothing, ...more };
};
const CONFIG = {
  clusterCidrs: [cidr("10.244.0.0/16")],
  serviceCidrs: [cidr("10.96.0.0/12")],
  overlay: { type: "vxlan", vni: 1, port: 8472 },
} as const;
const NAMES = { uplink: "eth0", host: "host0" };

t.test("what the kernel's routes are for the plane", async (t) => {
  const kernel: KernelNetwork = {
    links: LINKS,
    addresses: [
      ...[at("lo", "127.0.0.1/8"), at("lo", "::1/128"), at("lo", "198.51.100.7/32")],
      ...[at("eth0", "192.168.77.11/24"), at("eth0", "192.168.77.99/24"), at("eth0", "fe80::1234/64")],
      ...[at("host0", "10.244.1.1/32"), at("docker0", "169.254.20.10/32")],
      ...[at("kube-ipvs0", "10.96.0.1/32"), at("kube-ipvs0", "203.0.113.80/32")],
    ],
    routes: [
      way("0.0.0.0/0", "docker0", { gateway: ip("172.17.0.9"), metric: 200 }),
      way("0.0.0.0/0", "eth0", { gateway: ip("192.168.77.1"), metric: 100, mtu: 1400 }),
      way("192.168.77.0/24", "eth0", { source: ip("192.168.77.99") }),
      way("172.17.0.0/16", "docker0"),
      way("10.9.0.0/16", "lo", { type: 7 }),
      way("10.8.0.0/16", "lo", { type: 6 }),
      way("10.244.0.0/16", "host0", { gateway: ip("169.254.1.1") }),
      way("10.244.2.0/24", "docker0", { gateway: ip("10.244.2.0") }), // of another network plug-in
      way("198.18.0.0/15", "eth0", { gateway: ip("fe80::1") }),
      way("fe80::/64", "eth0"),
    ],
  };
  const machine = machineNetwork(kernel, NAMES, CONFIG);
  t.strictSame(machine.local.map(formatIp), [
    "198.51.100.7",
    "192.168.77.11",
    "192.168.77.99",
    "169.254.20.10",
  ]);
  t.strictSame(machine.onLink.map(formatCidr), ["192.168.77.0/24"]);
  const shown = machine.ways.map(({ range, kind, gateway, source, mtu }) =>
    [formatCidr(range), kind, gateway && formatIp(gateway), source && formatIp(source), mtu].join(" ").trim(),
  );
  t.strictSame(shown, [
    `0.0.0.0/0 ${RouteKind.GATEWAY} 192.168.77.1  1400`,
    `192.168.77.0/24 ${RouteKind.ONLINK}  192.168.77.99 0`,
    `172.17.0.0/16 ${RouteKind.UNREACHABLE}   0`,
    `10.9.0.0/16 ${RouteKind.UNREACHABLE}   0`,
    `10.8.0.0/16 ${RouteKind.BLACKHOLE}   0`,
    `198.18.0.0/15 ${RouteKind.GATEWAY} fe80::1  0`,
  ]);
  t.equal(machine.linkLocal && formatIp(machine.linkLocal), "fe80::1234");
});

t.test("what is taken: services where they are served, and nothing else", async (t) => {
  const frontend = (kind: number, address: string, port: number): FrontendSpec => {
    const byClass = [] as unknown as FrontendSpec["byClass"];
    return { kind, port, sourceRanges: null, byClass, ...ip(address) };
  };
  const spec: ServicePortSpec = {
    ...{ id: 1, name: "default/web:", protocol: 6, affinitySec: 0, endpoints: [], sets: [] },
    frontends: [
      frontend(FrontendKind.CLUSTER_IP, "10.96.0.80", 80),
      frontend(FrontendKind.NODE_PORT, "0.0.0.0", 30080),
      frontend(FrontendKind.NODE_PORT, "127.0.0.0", 30080),
      frontend(FrontendKind.EXTERNAL_IP, "192.168.77.99", 443),
      frontend(FrontendKind.LOAD_BALANCER, "203.0.113.80", 443),
      frontend(FrontendKind.UNSERVED_PORTS, "192.168.77.99", 0),
    ],
  };
  const local = [ip("192.168.77.11"), ip("192.168.77.99"), ip("fd00:77::11")];
  const taken = takenOf({
    ...{ config: CONFIG, machine: { local, onLink: [], ways: [] }, podCidrs: [cidr("10.244.1.0/24")] },
    ...{ masqueradePorts: { first: 50_000, last: 65_535 }, served: servedPorts(spec) },
  });
  t.strictSame(taken.whole.map(formatCidr), ["10.96.0.0/12", "10.244.1.0/24", "203.0.113.80/32"]);
  const text = (list: readonly { first: number; last: number }[]) =>
    list.map(({ first, last }) => `${first}-${last}`).join(" ");
  t.strictSame(
    taken.groups.map(({ addresses, ports }) => [
      addresses.map(formatIp).join(),
      text(ports[6]),
      text(ports[17]),
    ]),
    [
      ["192.168.77.11", "30080-30080 50000-65535", "8472-8472 50000-65535"],
      ["192.168.77.99", "443-443 30080-30080 50000-65535", "8472-8472 50000-65535"],
      ["fd00:77::11", "50000-65535", "8472-8472 50000-65535"],
    ],
  );
});

t.test("however many external addresses there are, the socket's filter holds them", async (t) => {
  const few = [...Array(100).keys()].map((i) => ip(`203.0.113.${2 * i}`));
  const many = [...Array(3000).keys()].map((i) =>
    ip(`198.${18 + (i & 1)}.${(i >> 4) & 255}.${(37 * i) & 255}`),
  );
  const many6 = [...Array(1000).keys()].map((i) =>
    ip(`2001:db8:${i.toString(16)}:${(7 * i).toString(16)}::1`),
  );
  const wholeOf = (addresses: readonly Ip[]): Taken =>
    takenOf({
      config: CONFIG,
      machine: { local: [ip("192.168.77.11"), ip("fd00:77::11")], onLink: [], ways: [] },
      podCidrs: [],
      masqueradePorts: { first: 50000, last: 65535 },
      served: addresses.map((address) => ({ family: address.family, address, port: 80, protocol: 6 })),
    });
  t.strictSame(
    wholeOf(few).whole.slice(1).map(formatCidr),
    few.map((a) => `${formatIp(a)}/32`),
  );
  for (const addresses of [few, many, [...many, ...many6]]) {
    const taken = wholeOf(addresses);
    t.ok(
      addresses.every((address) =>
        taken.whole.some((range) => range.family === address.family && contains(range, address)),
      ),
    );
    const size = takenFilter(taken).length / 2; // two words each
    t.ok(size <= 4096, `${size} instructions`);
  }
});
