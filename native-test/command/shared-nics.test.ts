// Which device a machine shares with its agent when nobody names one: that which has the node's InternalIP, be it a NIC, a
// bridge with a NIC behind it, a macvlan, a VLAN's or a bond, and wherever the default route leads. Kinds that this kernel
// does not make are told by a line.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { cannotRun, PODWIRE } from "../../src/testing/lab/lab.ts";
import { run, sleep, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import * as machine from "../support/shared-machine.ts";
import { nodeIp, podIp, WORLD } from "../support/shared-machine.ts";

const namespaces = new Namespaces("pwt-nics");
const ip = (name: string, ...lines: string[]): void => {
  for (const line of lines) namespaces.ip(name, line);
};
/** The node's addresses and its default routes, on a device. */
const addressesOn = (device: string): string[] => [
  `addr add ${nodeIp(1)}/24 dev ${device}`,
  `addr add ${nodeIp(1, 6)}/64 dev ${device} nodad`,
  "route add default via 192.168.77.1",
  "route add default via fd00:77::1",
];
const OFF_ETH0 = ["addr flush dev eth0 scope global", "-6 route flush default"];

interface Kind {
  readonly device: string;
  readonly make: () => void;
  readonly unmake: () => void;
}

const KINDS: Readonly<Record<string, Kind>> = {
  "a bridge with the NIC behind it": {
    device: "lan0",
    make: () => {
      ip("n1", "link add lan0 type bridge forward_delay 0", "link set eth0 master lan0", "link set lan0 up");
      ip("n1", ...OFF_ETH0, ...addressesOn("lan0"));
    },
    unmake: () => ip("n1", "link set eth0 nomaster", "link del lan0", ...addressesOn("eth0")),
  },
  "a macvlan of the NIC": {
    device: "mac0",
    make: () => {
      ip("n1", "link add mac0 link eth0 type macvlan mode bridge", "link set mac0 up");
      ip("n1", ...OFF_ETH0, ...addressesOn("mac0"));
    },
    unmake: () => ip("n1", "link del mac0", ...addressesOn("eth0")),
  },
  "a VLAN of the NIC": {
    device: "eth0.100",
    make: () => {
      ip("n1", "link add eth0.100 link eth0 type vlan id 100", "link set eth0.100 up");
      ip("fab", "link add port1.100 link port1 type vlan id 100", "link set port1.100 up");
      ip("fab", "link set port1 nomaster", "link set port1.100 master br0");
      ip("n1", ...OFF_ETH0, ...addressesOn("eth0.100"));
    },
    unmake: () => {
      ip("fab", "link del port1.100", "link set port1 master br0");
      ip("n1", "link del eth0.100", ...addressesOn("eth0"));
    },
  },
  "a bond of two NICs": {
    device: "bond0",
    make: () => {
      ip("n1", "link add bond0 type bond mode active-backup miimon 100");
      ip("fab", `link add port1b type veth peer name eth9 netns ${namespaces.nameOf("n1")}`);
      ip("fab", "link set port1b master br0 up");
      ip("n1", ...OFF_ETH0);
      for (const nic of ["eth0", "eth9"]) ip("n1", `link set ${nic} down`, `link set ${nic} master bond0`);
      ip("n1", "link set bond0 up", ...addressesOn("bond0"));
    },
    unmake: () => {
      ip("n1", "link set eth0 nomaster", "link del bond0", "link del eth9", "link set eth0 up");
      ip("n1", ...addressesOn("eth0"));
    },
  },
};

/** Neighbours ask again: the node's address has been on a device with another MAC address. */
function reaches(t: Test, ways: readonly (readonly [string, string, string])[]): Promise<void> {
  for (const name of ["out", "n2"]) ip(name, "neigh flush dev eth0");
  return machine.reaches(t, namespaces, ways);
}

const WAYS = [
  ["a", `${podIp(2)}:8080`, `pod b saw ${podIp(1)}`],
  ["b", `[${podIp(1, 6)}]:8080`, `pod a saw ${podIp(2, 6)}`],
  ["out", `${nodeIp(1)}:30082`, "pod b saw 10.244.1.0"],
  ["out", `[${nodeIp(1, 6)}]:30081`, "pod a saw fd00:10:244:1::1"],
  ["out", `${nodeIp(1)}:2280`, "pod n1 saw 192.168.77.1"],
  ["n1", "10.96.0.82:82", "pod b saw 10.244.1.0"],
  ["b", `${nodeIp(1)}:2280`, `pod n1 saw ${nodeIp(2)}`],
] as const;
const TO_WORLD = [
  ["a", `${WORLD[4]}:8080`, `pod out saw ${nodeIp(1)}`],
  ["a", `[${WORLD[6]}]:8080`, `pod out saw ${nodeIp(1, 6)}`],
  ["n1", `${WORLD[4]}:8080`, `pod out saw ${nodeIp(1)}`],
] as const;

t.test("the device that has the node's address", { skip: cannotRun("socat", "curl", "nft") }, async (t) => {
  const { folder, agent } = await machine.setUp(t, namespaces);
  await agent(2);
  const plain = await machine.snapshot(namespaces, "n1");

  for (const [what, { device, make, unmake }] of Object.entries(KINDS)) {
    await t.test(what, async (t) => {
      try {
        make();
      } catch (error) {
        if (!/Unknown device type/.test(`${error}`)) throw error;
        t.match(`${error}`, /Unknown device type|not supported/, `this kernel has none: ${error}`);
        return;
      }
      const before = await machine.snapshot(namespaces, "n1");
      const first = await agent(1);
      t.match(first.output(), `uplink ${device}, shared with the kernel, which keeps ${nodeIp(1)}`);
      await reaches(t, [...WAYS, ...TO_WORLD]);
      await first.stop();
      await machine.cleanUp(namespaces, folder, 1);
      t.strictSame(await machine.snapshot(namespaces, "n1"), before, "the machine is as it was");
      unmake();
    });
  }
  t.strictSame(await machine.snapshot(namespaces, "n1"), plain);

  await t.test("two NICs, of which the other one has the default route", async (t) => {
    ip("n1", `link add eth1 type veth peer name eth1 netns ${namespaces.nameOf("out")}`);
    ip("out", "link set eth1 up", "addr add 10.9.0.1/24 dev eth1", "addr add fd00:9::1/64 dev eth1 nodad");
    ip("n1", "link set eth1 up", "addr add 10.9.0.2/24 dev eth1", "addr add fd00:9::2/64 dev eth1 nodad");
    ip("n1", "route replace default via 10.9.0.1", "route del default via fd00:77::1");
    ip("n1", "route add default via fd00:9::1");
    const before = await machine.snapshot(namespaces, "n1");
    const first = await agent(1);
    await until("the other device", async () => first.output().includes("uplink eth0, shared"));
    await until("the plane", async () => first.output().includes("data plane running"));
    const text = first.output();
    t.match(text, /uplink eth1, shared with the kernel, which keeps 10\.9\.0\.2, fd00:9::2/);
    t.match(
      text,
      "uplink eth1 does not have the node's address 192.168.77.11, eth0 has it: it is the uplink from now on",
    );
    const unreached = "IPv4's default route leads by eth1, IPv6's default route leads by eth1";
    const wanted = `pods do not reach what is outside of eth0's networks: ${unreached}`;
    await until("the line", async () => first.output().includes(wanted));
    await reaches(t, WAYS);
    t.match(
      await machine.get(namespaces, "a", `http://${WORLD[4]}:8080/`),
      /No route to host|Couldn't connect/,
    );
    await reaches(t, [["n1", `${WORLD[4]}:8080`, "pod out saw 10.9.0.2"]]);
    const status = await run([PODWIRE, "--agent", join(folder, "n1.sock"), "status"]);
    t.match(status.stdout, `eth0 is up, shared with the kernel; ${wanted}`);
    t.equal(status.status, 0, status.stdout);

    ip("n1", "route replace default via 192.168.77.1", "route replace default via fd00:77::1");
    await reaches(t, TO_WORLD); // followed as it moves
    ip("n1", "route replace default via 10.9.0.1", "route del default via fd00:77::1");
    ip("n1", "route replace default via fd00:9::1");
    await first.stop("SIGKILL");
    const again = await agent(1);
    t.match(again.output(), /uplink eth0, shared/, "the next one knows");
    t.notMatch(again.output(), "uplink eth1");
    await again.stop();
    await machine.cleanUp(namespaces, folder, 1);
    t.strictSame(await machine.snapshot(namespaces, "n1"), before, "the machine is as it was");
    ip("n1", "link del eth1", "route add default via 192.168.77.1", "route add default via fd00:77::1");
  });

  await t.test("IPv4 by next hops of IPv6, as the kernel has them", async (t) => {
    const [far, others] = ["198.51.100.9", ["198.51.100.10", "198.51.100.11"]];
    // The router speaks ARP for what is on its NIC alone: of what lies behind it nobody hears a MAC address.
    const quiet = "net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2";
    await run(namespaces.command("out", `sysctl -qw ${quiet}`));
    ip("out", "addr add fe80::1/64 dev eth0 nodad");
    for (const address of [far, ...others]) ip("out", `addr add ${address}/32 dev lo`);
    const first = await agent(1);
    ip("n1", `route add ${far}/32 via inet6 fe80::1 dev eth0`);
    ip(
      "n1",
      `route add ${others[0]}/32 nexthop via inet6 fe80::1 dev eth0 nexthop via 192.168.77.12 dev eth0`,
    );
    ip("n1", "nexthop add id 7 via fe80::1 dev eth0", `route add ${others[1]}/32 nhid 7`);
    t.match(namespaces.ip("n1", `route get ${far}`), /via inet6 fe80::1 dev eth0/);
    const answer = `pod out saw ${nodeIp(1)}`;
    await reaches(t, [
      ["n1", `${far}:8080`, answer], // the kernel's own way, by which the plane's is judged
      ["a", `${far}:8080`, answer],
      ["a", `${others[0]}:8080`, answer],
      ["a", `${others[1]}:8080`, answer],
    ]);
    const shown = await run([PODWIRE, "--agent", join(folder, "n1.sock"), "show", "routes"]);
    t.match(shown.stdout, /198\.51\.100\.9\/32 +gateway +fe80::1 /);
    ip("n1", `route replace ${far}/32 via 192.168.77.1 dev eth0`);
    await reaches(t, [["a", `${far}:8080`, answer]]);
    for (const address of [far, ...others]) ip("n1", `route del ${address}/32`);
    ip("n1", "nexthop del id 7");
    ip("out", "addr del fe80::1/64 dev eth0");
    await first.stop();
    await machine.cleanUp(namespaces, folder, 1);
    t.strictSame(await machine.snapshot(namespaces, "n1"), plain, "the machine is as it was");
  });

  await t.test("a Node that is made anew with another range: host0 and its routes follow", async (t) => {
    const file = join(folder, "objects.json");
    const objects = await readFile(file, "utf8");
    const first = await agent(1);
    const { items, ...list } = JSON.parse(objects);
    const without = items.filter((item: { metadata: { name: string } }) => item.metadata.name !== "n1");
    const range = (text: string): string => text.replaceAll("10.244.1.0/24", "10.244.7.0/24");
    const own = items.find((item: { metadata: { name: string } }) => item.metadata.name === "n1");
    const anew = { ...own, metadata: { ...own.metadata, uid: "anew" } };
    const host0 = (): string => namespaces.ip("n1", "-4 -o addr show dev host0");
    await until("host0, at first", async () => host0().includes("10.244.1.1/32"));
    await writeFile(file, JSON.stringify({ ...list, items: without }));
    await sleep(500);
    t.match(host0(), "10.244.1.1/32", "while it is away all is as it was");
    await writeFile(file, range(JSON.stringify({ ...list, items: [anew, ...without] })));
    await until("host0", async () => host0().includes("10.244.7.1/32"));
    const way = /^10\.244\.7\.0\/24 scope link src 10\.244\.7\.1/m;
    await until("its route", async () => way.test(namespaces.ip("n1", "route show dev host0")));
    t.match(host0(), "10.244.7.0/32");
    t.notMatch(host0(), "10.244.1.");
    await writeFile(file, objects);
    await until("host0, as before", async () => host0().includes("10.244.1.1/32"));
    await reaches(t, WAYS);
    await first.stop();
    await machine.cleanUp(namespaces, folder, 1);
    t.strictSame(await machine.snapshot(namespaces, "n1"), plain, "the machine is as it was");
  });

  await t.test("an address that comes when the agent is there already", async (t) => {
    ip("n1", ...OFF_ETH0);
    await writeFile(
      join(folder, "n1.yaml"),
      JSON.stringify(machine.agentConfig(1, folder, { interface: "eth0", mode: "shared" })),
    );
    const first = await agent(1);
    await until("the line", async () => /no device of this machine has it/.test(first.output()));
    ip("n1", ...addressesOn("eth0"));
    await reaches(t, [...WAYS, ...TO_WORLD]);
    t.match(namespaces.ip("n1", "route show 10.96.0.0/12"), /dev host0 src 192\.168\.77\.11 /);
    await first.stop();
    await machine.cleanUp(namespaces, folder, 1);
  });

  await t.test(
    "a Node that says its address is loopback's: told, and lo is not taken for an uplink",
    async (t) => {
      const file = join(folder, "objects.json");
      const objects = await readFile(file, "utf8");
      await writeFile(file, objects.replace(`"address":"${nodeIp(1)}"`, '"address":"127.0.0.1"'));
      await writeFile(join(folder, "n1.yaml"), JSON.stringify(machine.agentConfig(1, folder)));
      const first = await agent(1);
      const wanted =
        "the node's address 127.0.0.1, lo has it: that carries no Ethernet frames: give the Node an InternalIP of a NIC";
      await until("the line", async () => first.output().includes(wanted));
      await sleep(500);
      t.equal(first.child.exitCode, null, "the agent goes on");
      await writeFile(file, objects);
      await reaches(t, [...WAYS, ...TO_WORLD]);
      await first.stop();
      await machine.cleanUp(namespaces, folder, 1);
    },
  );
});
