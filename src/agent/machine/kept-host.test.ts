import t from "tap";
import { cidr, ip } from "../../base/ip.ts";
import type { KernelNetwork, KernelRoute } from "../../base/kernel-network.ts";
import { KeptHost } from "./kept-host.ts";

const HOST = 3;
const GATEWAY = { 4: "169.254.1.1", 6: "fe80::1" } as const;

function route(to: string, from = "", more: Partial<KernelRoute> = {}): KernelRoute {
  const { family } = cidr(to);
  return {
    ...{ family, to: cidr(to), type: 1, link: HOST, metric: family === 6 ? 1024 : 0, mtu: 0 },
    gateway: ip(GATEWAY[family]),
    source: from === "" ? undefined : ip(from),
    ...more,
  };
}

function network(isUp: boolean, addresses: string[], routes: KernelRoute[], index = HOST): KernelNetwork {
  const link = { mtu: 1500, mac: "02:00:00:00:00:01" };
  return {
    links: [
      { ...link, index: 2, name: "eth0", isUp: true },
      { ...link, index, name: "host0", isUp },
    ],
    addresses: addresses.map((text) => {
      const isGlobal = !text.startsWith("fe80");
      return {
        link: index,
        address: ip(text.split("/")[0]),
        prefixLen: Number(text.split("/")[1]),
        isGlobal,
        isUsable: true,
      };
    }),
    routes,
  };
}

const V4 = "192.168.50.11/24";
const V6 = "fd00:50::11/64";
const OWN4 = route("192.168.50.0/24", "192.168.50.11", { gateway: undefined });
const OWN6 = route("fd00:50::/64", "", { gateway: undefined, metric: 256 });
const ROUTES = [
  OWN4,
  OWN6,
  route("0.0.0.0/0", "192.168.50.11"),
  route("::/0", "fd00:50::11"),
  route("10.244.0.0/16", "10.244.1.0", { mtu: 1450 }),
  route("10.244.1.0/24", "10.244.1.1", { gateway: undefined }),
  route("10.96.0.0/12", "", { gateway: ip("fe80::1") }),
  route("fe80::/64", "", { gateway: undefined, metric: 256 }),
];
const WHOLE = network(true, [V4, V6, "fe80::aa/64"], ROUTES);
const DOWN = network(false, [V4], []);
const UP = network(true, [V4, "fe80::bb/64"], [OWN4]);

t.test("what a device loses by being down it gets back when it is up", async (t) => {
  const kept = new KeptHost("host0");
  kept.saw(WHOLE, []);
  t.notOk(kept.isTorn(WHOLE));
  kept.saw(DOWN, [HOST]);
  t.notOk(kept.isTorn(DOWN), "nothing can be put back yet");
  kept.saw(UP, []);
  t.ok(kept.isTorn(UP));
  t.same(kept.addressLines(UP), ["addr replace fd00:50::11/64 dev host0 nodad"]);
  const addressed = network(true, [V4, V6], [OWN4, OWN6]);
  t.same(kept.routeLines(addressed), [
    "route replace 0.0.0.0/0 via 169.254.1.1 dev host0 onlink src 192.168.50.11",
    "route replace ::/0 via fe80::1 dev host0 src fd00:50::11 metric 1024",
    "route replace 10.244.0.0/16 via 169.254.1.1 dev host0 onlink src 10.244.1.0 mtu 1450",
    "route replace 10.244.1.0/24 dev host0 scope link src 10.244.1.1",
    "route replace 10.96.0.0/12 via inet6 fe80::1 dev host0 onlink",
  ]);
  const { downs } = kept;
  kept.saw(UP, [HOST]);
  kept.mended(downs);
  t.ok(kept.isTorn(UP), "it was down once more meanwhile");
  kept.mended(kept.downs);
  kept.saw(WHOLE, []);
  t.notOk(kept.isTorn(WHOLE));
  t.same([...kept.addressLines(WHOLE), ...kept.routeLines(WHOLE)], []);
});

t.test("down and up between two looks is told by the events alone", async (t) => {
  const kept = new KeptHost("host0");
  kept.saw(WHOLE, []);
  kept.saw(UP, [HOST]);
  t.ok(kept.isTorn(UP));
  t.same(kept.addressLines(UP), ["addr replace fd00:50::11/64 dev host0 nodad"]);
  const other = new KeptHost("host0");
  other.saw(WHOLE, []);
  other.saw(UP, [2]);
  t.notOk(other.isTorn(UP), "another link was down");
});

t.test("what somebody takes away from a device that is up stays away", async (t) => {
  const kept = new KeptHost("host0");
  kept.saw(WHOLE, []);
  kept.saw(UP, []);
  t.notOk(kept.isTorn(UP));
  kept.saw(DOWN, [HOST]);
  kept.saw(UP, []);
  t.same([...kept.addressLines(UP), ...kept.routeLines(UP)], []);
});

t.test("another device of the name, and one that never was up, had nothing", async (t) => {
  const kept = new KeptHost("host0");
  kept.saw(DOWN, []);
  kept.saw(UP, []);
  t.notOk(kept.isTorn(UP));
  kept.saw(WHOLE, []);
  kept.saw({ ...DOWN, links: DOWN.links.slice(0, 1) }, []);
  const another = network(true, [], [], HOST + 1);
  kept.saw(another, []);
  t.notOk(kept.isTorn(another));
  t.same([...kept.addressLines(another), ...kept.routeLines(another)], []);
});
