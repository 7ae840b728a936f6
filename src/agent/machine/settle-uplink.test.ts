import t from "tap";
import { cidr, ip } from "../../base/ip.ts";
import type { KernelNetwork } from "../../base/kernel-network.ts";
import { agentConfig } from "../../config/agent.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { settleUplink } from "./settle-uplink.ts";

/** Devices that carry no Ethernet frames, and what they have as a link-layer address. */
const OTHER_LINKS: Readonly<Record<string, string>> = {
  ...{ wg0: "", tunl0: "0a:00:00:01" },
  ib0: "80:00:02:08:fe:80:00:00:00:00:00:00:0c:42:a1:03:00:79:2a:11",
};

/** A machine with these addresses, and a default route by the device that is named. */
function machine(addresses: Record<string, string[]>, byDefault = ""): KernelNetwork {
  const names = ["lo", ...Object.keys(addresses), "host0"];
  const macOf = (name: string): string =>
    name === "lo" ? "00:00:00:00:00:00" : (OTHER_LINKS[name] ?? "02:00:00:00:77:0b");
  const links = names.map((name, i) => ({ index: i + 1, name, mtu: 1500, isUp: true, mac: macOf(name) }));
  const indexOf = (name: string): number => names.indexOf(name) + 1;
  const all = Object.entries({ ...addresses, lo: ["127.0.0.1"], host0: ["10.244.1.1"] });
  const nothing = { gateway: undefined, source: undefined, metric: 0, mtu: 0, type: 1, family: 4 as const };
  return {
    links,
    addresses: all.flatMap(([name, list]) =>
      list.map((text) => ({
        link: indexOf(name),
        address: ip(text),
        prefixLen: 24,
        isGlobal: name !== "lo",
        isUsable: true,
      })),
    ),
    routes: byDefault === "" ? [] : [{ ...nothing, to: cidr("0.0.0.0/0"), link: indexOf(byDefault) }],
  };
}

const settle = (uplink: object, network: KernelNetwork, more: object = {}, known = ""): string => {
  const needed = { clusterCIDR: "10.244.0.0/16", serviceCIDR: "10.96.0.0/12", source: { files: ["/x"] } };
  const problems = new FieldProblems();
  const config = agentConfig({ nodeName: "n1", ...needed, uplink, ...more }, problems);
  if (config === undefined) return problems.list.map(({ message }) => message).join();
  try {
    const { uplink: settled } = settleUplink(config, network, known).config;
    return `${settled.interface} ${settled.mode}`;
  } catch (error) {
    return (error as Error).message;
  }
};

t.test("whose the uplink is", async (t) => {
  const one = machine({ eth0: ["192.168.77.11"], eth1: [] }, "eth0");
  t.equal(settle({ interface: "eth0" }, one), "eth0 shared");
  t.equal(settle({ interface: "eth1" }, one), "eth1 exclusive", "it has no address");
  t.equal(settle({ interface: "eth0", gateway: "192.168.77.1" }, one), "eth0 exclusive", "as configured");
  t.equal(settle({ interface: "eth0" }, one, { fabricCIDR: "192.168.77.0/24" }), "eth0 exclusive");
  t.equal(settle({ interface: "eth1", mode: "shared" }, one), "eth1 shared", "its address may come later");
});

t.test("which device it is where none is named", async (t) => {
  const two = { eth0: ["192.168.77.11"], bond0: ["10.1.0.4"] };
  t.equal(settle({}, machine(two, "bond0")), "bond0 shared", "the default route's");
  t.equal(
    settle({}, machine(two, "eth0"), {}, "bond0"),
    "bond0 shared",
    "what had the node's address before",
  );
  t.equal(
    settle({}, machine({ eth7: ["10.1.0.4"], eth8: [] })),
    "eth7 shared",
    "the only one with an address",
  );
  t.match(settle({}, machine(two)), "there is no default route, and eth0, bond0 have addresses: name one");
  t.match(settle({}, machine({ eth0: [] })), "no NIC of this machine has an address");
});

t.test(
  "a device that carries no Ethernet frames is no uplink, though the default route leads by it",
  async (t) => {
    for (const name of Object.keys(OTHER_LINKS)) {
      const vpn = machine({ [name]: ["10.8.0.2"], eth0: ["192.168.77.11"] }, name);
      t.equal(settle({}, vpn), "eth0 shared");
      t.equal(settle({}, vpn, {}, name), "eth0 shared");
      t.match(settle({ interface: name }, vpn), `${name} carries no Ethernet frames`);
      t.match(settle({}, machine({ [name]: ["10.8.0.2"] }, name)), "no NIC of this machine has an address");
    }
  },
);

t.test("what is for one mode is not taken with the other", async (t) => {
  const one = machine({ eth0: ["192.168.77.11"] }, "eth0");
  const shared = { interface: "eth0", mode: "shared" };
  t.match(
    settle({ ...shared, gateway: "192.168.77.1" }, one),
    "may only be used when `uplink.mode` is 'exclusive'",
  );
  t.match(settle(shared, one, { fabricCIDR: "192.168.77.0/24" }), "may only be used when `uplink.mode` is");
  t.match(settle({ ...shared, driver: "pcap" }, one), "must be packet when `mode` is 'shared'");
  const exclusive = { interface: "eth0", mode: "exclusive", masqueradePorts: "50000-60000" };
  t.match(settle(exclusive, one), "may only be used when `mode` is 'shared'");
  for (const masqueradePorts of ["1000-2000", "60000", "60000-50000", "x"])
    t.match(
      settle({ ...shared, masqueradePorts }, one),
      "must be a range of ports from 1024 on",
      masqueradePorts,
    );
});
