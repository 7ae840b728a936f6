// What `podwire rules --policy` prints is loaded by the tools it is written for, shown by them again as it was printed,
// and enforced: pods in namespaces behind veth pairs with the names that Calico gives, and connections between them.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import t from "tap";
import { calicoInterfaceName } from "../../src/calico/interface-name.ts";
import { parseManifests } from "../../src/kube/manifest/manifest.ts";
import { run } from "../../src/testing/lab/process.ts";
import { clusterOf, type Named } from "../../src/testing/policy/cluster.ts";
import { evaluate } from "../../src/testing/policy/evaluator.ts";
import { Namespaces } from "../support/namespaces.ts";

const OBJECTS = "src/calico/felix/testdata/three-tier.yaml";
const CLI = ["node", "build/src/cli/main.js", "rules", "--policy", "-f", OBJECTS, "--node", "node1"];
const skip = process.getuid?.() === 0 ? false : "needs root";
const PODS = {
  frontend: ["10.244.1.10", "fd00:10:244:1::10"],
  db: ["10.244.1.30", "fd00:10:244:1::30"],
} as const;
/** The other node, and behind it the backend: one namespace has both addresses. */
const REMOTE = {
  node: ["192.168.50.12", "fd00:50::12"],
  backend: ["10.244.2.20", "fd00:10:244:2::20"],
} as const;
const NODE = ["192.168.50.11", "fd00:50::11"] as const;
const SECONDS = 1; // that a connection may take

/** What the kernel has for the database's ingress, rule by rule, without the hashes. */
const TO_DATABASE = [
  "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  "-m conntrack --ctstate INVALID -j DROP",
  "-j MARK --set-xmark 0x0/0x30000",
  '-m comment --comment "Start of tier default" -j MARK --set-xmark 0x0/0x20000',
  "-m mark --mark 0x0/0x20000 -j cali-pi-_boOrsue0FcQ8KZ1ipkO",
  '-m comment --comment "Return if policy accepted" -m mark --mark 0x10000/0x10000 -j RETURN',
  '-m comment --comment "End of tier default. Drop if no policies passed packet" -m mark --mark 0x0/0x20000 -j DROP',
  "-j cali-pri-kns.default",
  '-m comment --comment "Return if profile accepted" -m mark --mark 0x10000/0x10000 -j RETURN',
  "-j cali-pri-ksa.default.default",
  '-m comment --comment "Return if profile accepted" -m mark --mark 0x10000/0x10000 -j RETURN',
  '-m comment --comment "Drop if no profiles matched" -j DROP',
];
/** The other node's tunnel, the database's named port, and pods with app=backend. */
const SETS = {
  "cali40all-vxlan-net": ["hash:net", "192.168.50.12"],
  "cali40n:P9d1HvGt-eX0bBSOutmm3XH": ["hash:ip,port", "10.244.1.30,tcp:5432"],
  "cali40s:FjWXt9eYsqrc5adWRmKj01A": ["hash:net", "10.244.2.20"],
  "cali60all-vxlan-net": ["hash:net", "fd00:50::12"],
  "cali60n:P9d1HvGt-eX0bBSOutmm3XH": ["hash:ip,port", "fd00:10:244:1::30,tcp:5432"],
  "cali60s:FjWXt9eYsqrc5adWRmKj01A": ["hash:net", "fd00:10:244:2::20"],
};

function rulesOf(saved: string, chain: string): string[] {
  return saved
    .split("\n")
    .filter((line) => line.startsWith(`-A ${chain} `))
    .map((line) => line.slice(`-A ${chain} `.length).replace(/^-m comment --comment "cali:[\w-]{16}" /, ""));
}

/** Of `ipset list`: name → type and members. */
function setsOf(list: string): Record<string, string[]> {
  const blocks = list.trim().split("\n\n");
  return Object.fromEntries(
    blocks.map((block) => {
      const [, name, type, members] =
        /^Name: (.*)\nType: (.*)\n[\s\S]*\nMembers:\n([\s\S]*)$/.exec(block) ?? [];
      return [name, [type, ...members.trim().split("\n")]];
    }),
  );
}

async function rules(...options: string[]): Promise<string> {
  const { status, stdout, stderr } = await run([...CLI, ...options]);
  if (status !== 0) throw new Error(`podwire rules ${options.join(" ")}: ${stderr}`);
  return stdout;
}

async function inside(namespaces: Namespaces, name: string, command: string, input = ""): Promise<string> {
  const { status, stdout, stderr } = await run(namespaces.command(name, command), { input });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}

/** Without what only iptables-save adds, and in one spelling of protocols. */
const comparable = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => /^(:cali|-A )/.test(line))
    .map((line) => line.replace(/ \[\d+:\d+\]$/, "").replace(/-p (ipencap|ipv4) /, "-p 4 "))
    .sort();

t.test("rules and sets load, and are shown as they were printed", { skip }, async (t) => {
  const namespaces = new Namespaces("pwt-policy-rules");
  t.teardown(() => namespaces.remove());
  for (const variant of ["legacy", "nft"]) {
    const name = `load-${variant}`;
    namespaces.add(name);
    const sets = await rules("--format", "ipset");
    await inside(namespaces, name, "ipset restore", sets);
    const saved = (await inside(namespaces, name, "ipset save")).replace(
      / bucketsize \d+ initval 0x\w+/g,
      "",
    );
    t.same(saved.split("\n").sort(), sets.split("\n").sort(), `ipset, ${variant}`);
    for (const [family, tool] of [
      ["4", "iptables"],
      ["6", "ip6tables"],
    ]) {
      const text = await rules("--family", family);
      await inside(namespaces, name, `${tool}-${variant}-restore`, text);
      const shown = await inside(namespaces, name, `${tool}-${variant}-save -t filter`);
      t.same(comparable(shown), comparable(text), `${tool}-${variant}`);
    }
  }
});

t.test("the example is enforced as the evaluator says, in both families", { skip }, async (t) => {
  const namespaces = new Namespaces("pwt-policy-live");
  t.teardown(() => namespaces.remove());
  await makeNode(namespaces);
  await inside(namespaces, "node1", "ipset restore", await rules("--format", "ipset"));
  await inside(namespaces, "node1", "iptables-nft-restore", await rules("--family", "4"));
  await inside(namespaces, "node1", "ip6tables-nft-restore", await rules("--family", "6"));
  const tw = `cali-tw-${calicoInterfaceName("default", "db")}`;
  const saved = await inside(namespaces, "node1", "iptables-nft-save");
  t.same(rulesOf(saved, tw), TO_DATABASE);
  t.same(setsOf(await inside(namespaces, "node1", "ipset list")), SETS);

  const servers = [...Object.keys(PODS), "remote"].flatMap((name) =>
    [5432, 80].map((port) =>
      spawn(
        "ip",
        namespaces.command(name, `socat TCP6-LISTEN:${port},fork,reuseaddr,ipv6only=0 PIPE`).slice(1),
      ),
    ),
  );
  t.teardown(() => servers.map((server) => server.kill()));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const cluster = clusterOf(
    parseManifests([{ file: OBJECTS, text: readFileSync(OBJECTS, "utf8") }]).map(
      ({ object }) => object as Named,
    ),
  );
  const counts = { allowed: 0, denied: 0 };
  for (const { where, from, to, port } of connections()) {
    const wanted = evaluate(cluster, { from, to, protocol: "TCP", port }).allowed;
    const passed = await connects(namespaces, where, from, to, port);
    t.equal(passed, wanted, `${from} -> ${to}:${port}`);
    counts[wanted ? "allowed" : "denied"]++;
  }
  t.ok(counts.allowed >= 6 && counts.denied >= 6, JSON.stringify(counts));
});

interface Connection {
  readonly where: string;
  readonly from: string;
  readonly to: string;
  readonly port: number;
}

function connections(): Connection[] {
  const db = (i: number): string => PODS.db[i];
  return [0, 1].flatMap((i) => [
    { where: "frontend", from: PODS.frontend[i], to: db(i), port: 5432 },
    { where: "remote", from: REMOTE.backend[i], to: db(i), port: 5432 },
    { where: "remote", from: REMOTE.backend[i], to: db(i), port: 80 },
    { where: "remote", from: REMOTE.node[i], to: db(i), port: 5432 },
    { where: "node1", from: NODE[i], to: db(i), port: 5432 },
    { where: "db", from: db(i), to: PODS.frontend[i], port: 80 },
    { where: "db", from: db(i), to: REMOTE.backend[i], port: 80 },
  ]);
}

async function connects(
  namespaces: Namespaces,
  where: string,
  from: string,
  to: string,
  port: number,
): Promise<boolean> {
  const ends = to.includes(":") ? `TCP6:[${to}]:${port},bind=[${from}]` : `TCP4:${to}:${port},bind=${from}`;
  const words = namespaces.command(where, `socat -T${SECONDS} - ${ends},connect-timeout=${SECONDS}`);
  const { stdout } = await run(words, { input: "knock\n" });
  return stdout === "knock\n";
}

/** node1 with its pods, and one namespace that is the other node and the pod behind it. */
async function makeNode(namespaces: Namespaces): Promise<void> {
  namespaces.add("node1", "remote", ...Object.keys(PODS));
  for (const name of ["node1", "remote"])
    await inside(namespaces, name, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  namespaces.connect("node1", "remote");
  const has = (
    name: string,
    addresses: readonly string[],
    bits: readonly number[],
    device = "eth0",
  ): void => {
    for (const [i, address] of addresses.entries())
      namespaces.ip(name, `addr add ${address}/${bits[i]} dev ${device}${i === 1 ? " nodad" : ""}`);
  };
  // Whoever forwards asks for neighbours by its link-local address.
  namespaces.ip("node1", "addr add fe80::a/64 dev eth0 nodad");
  namespaces.ip("remote", "addr add fe80::b/64 dev eth0 nodad");
  has("node1", NODE, [24, 64]);
  has("remote", REMOTE.node, [24, 64]);
  has("remote", REMOTE.backend, [32, 128]);
  for (const [i, range] of ["10.244.2.0/24", "fd00:10:244:2::/64"].entries())
    namespaces.ip("node1", `route add ${range} via ${REMOTE.node[i]}`);
  for (const [i, range] of ["10.244.1.0/24", "fd00:10:244:1::/64"].entries())
    namespaces.ip("remote", `route add ${range} via ${NODE[i]}`);
  for (const [name, addresses] of Object.entries(PODS)) {
    const device = calicoInterfaceName("default", name);
    namespaces.ip("node1", `link add ${device} type veth peer name eth0 netns ${namespaces.nameOf(name)}`);
    namespaces.ip("node1", `link set ${device} addrgenmode none up`);
    namespaces.ip(name, "link set eth0 addrgenmode none up");
    has("node1", ["169.254.1.1", "fe80::1"], [32, 64], device);
    has(name, addresses, [32, 128]);
    for (const [i, address] of addresses.entries())
      namespaces.ip("node1", `route add ${address}/${[32, 128][i]} dev ${device}`);
    namespaces.ip(name, "route add 169.254.1.1 dev eth0 scope link");
    namespaces.ip(name, "route add default via 169.254.1.1");
    namespaces.ip(name, "addr add fe80::2/64 dev eth0 nodad");
    namespaces.ip(name, "-6 route add default via fe80::1 dev eth0");
  }
}
