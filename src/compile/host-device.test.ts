import t from "tap";
import { cidr, ip } from "../base/ip.ts";
import { hostDevice, hostDeviceLines } from "./host-device.ts";
import type { NodeTopology } from "./node.ts";

const CONFIG = {
  clusterCidrs: [cidr("10.244.0.0/16"), cidr("fd00:10:244::/48")],
  serviceCidrs: [cidr("10.96.0.0/12"), cidr("fd00:10:96::/112")],
  host: { interface: "host0" },
};
const MACHINE = [ip("192.168.77.11"), ip("fd00:77::11")];
const topology = (vteps: string[]): NodeTopology =>
  ({
    own: {
      addresses: [ip("192.168.77.11"), ip("fd00:77::11")],
      podCidrs: [cidr("10.244.1.0/24"), cidr("fd00:10:244:1::/64")],
      gateways: [ip("10.244.1.1"), ip("fd00:10:244:1::1")],
      vtepAddresses: vteps.map(ip),
    },
    routes: [{ mtu: 1500 }, { mtu: 1450 }],
  }) as unknown as NodeTopology;

t.test("host0 of a node with a tunnel", async (t) => {
  const device = hostDevice(CONFIG, topology(["10.244.1.0", "fd00:10:244:1::"]), MACHINE);
  t.strictSame(device.addresses, [
    "10.244.1.1/32",
    "fd00:10:244:1::1/128",
    "10.244.1.0/32",
    "fd00:10:244:1::/128",
  ]);
  t.strictSame(Object.fromEntries(device.routes), {
    "169.254.1.1/32": "dev host0 scope link",
    "10.244.1.0/24": "dev host0 scope link src 10.244.1.1 mtu 1450",
    "10.244.0.0/16": "via 169.254.1.1 dev host0 onlink src 10.244.1.0 mtu 1450",
    "10.96.0.0/12": "via 169.254.1.1 dev host0 onlink src 192.168.77.11 mtu 1450",
    "fd00:10:244:1::/64": "dev host0 src fd00:10:244:1::1 mtu 1450",
    "fd00:10:244::/48": "via fe80::1 dev host0 src fd00:10:244:1:: mtu 1450",
    "fd00:10:96::/112": "via fe80::1 dev host0 src fd00:77::11 mtu 1450",
  });
});

t.test("without a tunnel other nodes' pods see the gateway, whose answers come back here", async (t) => {
  const { routes } = hostDevice(CONFIG, topology([]), MACHINE);
  t.equal(routes.get("10.244.0.0/16"), "via 169.254.1.1 dev host0 onlink src 10.244.1.1 mtu 1450");
});

t.test(
  "an address that the machine does not have yet is no source: the kernel refuses such routes",
  async (t) => {
    const { routes } = hostDevice(CONFIG, topology([]), [ip("fd00:77::11")]);
    t.equal(routes.get("10.96.0.0/12"), "via 169.254.1.1 dev host0 onlink src 10.244.1.1 mtu 1450");
    t.equal(routes.get("fd00:10:96::/112"), "via fe80::1 dev host0 src fd00:77::11 mtu 1450");
  },
);

t.test("what an earlier agent left is taken away, what is right stays", async (t) => {
  const wanted = {
    addresses: ["10.244.1.1/32"],
    routes: new Map([["10.96.0.0/12", "via 169.254.1.1 dev host0"]]),
  };
  const there = {
    addresses: [
      { ...ip("10.244.1.1"), prefixLen: 32 },
      { ...ip("10.244.7.1"), prefixLen: 32 },
    ],
    routes: [cidr("10.96.0.0/12"), cidr("10.97.0.0/16")],
  };
  t.strictSame(hostDeviceLines("host0", wanted, there), [
    "addr del 10.244.7.1/32 dev host0",
    "addr replace 10.244.1.1/32 dev host0",
    "route del 10.97.0.0/16 dev host0",
    "route replace 10.96.0.0/12 via 169.254.1.1 dev host0",
  ]);
});
