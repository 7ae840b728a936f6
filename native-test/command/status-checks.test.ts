// podwire status by what really comes and goes between nodes: each thing that is wrong is made so, told, and mended.
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { run, until } from "../../src/testing/lab/process.ts";

const skip = cannotRun("ip");

interface Row {
  of: string;
  check: string;
  ok: boolean;
  detail: string;
  advice: string;
}

t.test("what is between nodes", { skip }, async (t) => {
  const lab = await TestLab.up("checks", {
    nodes: [{ name: "node1" }, { name: "node2" }, { name: "node3", agent: "kernel" }],
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
    clients: [],
  });
  t.teardown(() => lab.down());
  const socket = `/run/podwire/labs/${lab.name}/agents/node1.sock`;
  const ip = async (space: string, ...words: string[]): Promise<void> => {
    const { status, stderr } = await run(["ip", "-n", `pw-${lab.name}-${space}`, ...words]);
    if (status !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr}`);
  };
  /** Of node1's agent: what is wrong, a line each. */
  const wrong = async (): Promise<string[]> => {
    const { status, stdout } = await run(["./podwire", "--agent", socket, "status", "-o", "json"]);
    const rows = (JSON.parse(stdout).checks as Row[]).filter(({ ok }) => !ok);
    t.equal(status, rows.length === 0 ? 0 : 3);
    return rows.map(({ check, detail, advice }) => `${check}: ${detail}: ${advice}`);
  };
  const becomes = async (wanted: RegExp[]): Promise<void> => {
    let found: string[] = [];
    for (let i = 0; i < 20; i++) {
      found = await wrong();
      if (found.length === wanted.length && wanted.every((each) => found.some((line) => each.test(line))))
        return;
      await sleep(200);
    }
    t.fail(`not ${wanted.join(", ")}: ${found.join("\n")}`);
  };
  const all = await lab.podwire(["status"]);
  t.equal(all.status, 0, all.stdout);
  for (const node of ["node1", "node2"]) {
    t.match(all.stdout, new RegExp(`${node} +peers +yes +2 nodes answer by IPv4 and IPv6 within [\\d.]+ ms`));
    t.match(all.stdout, new RegExp(`${node} +MTU +yes +1450 bytes reach 2 nodes`));
  }

  await ip("fabric", "link", "set", "p1", "mtu", "1400");
  const narrow =
    "MTU: node2: packets of 1450 bytes are not answered, small ones are: the network .* carry 1500 bytes";
  await becomes([new RegExp(narrow), new RegExp(narrow)]); // both families
  await ip("fabric", "link", "set", "p1", "mtu", "1500");

  const { nodes } = await lab.json("lab", "status");
  const { pid } = nodes.find(({ name }: { name: string }) => name === "node2");
  process.kill(pid, "SIGSTOP");
  const silent =
    /^peers: node2 \(192\.168\.50\.12\) does not answer through the tunnel at .*: is its agent running.*8472/;
  await becomes([silent, silent]).finally(() => process.kill(pid, "SIGCONT"));

  await ip("fabric", "link", "set", "p0", "down");
  await becomes([/^uplink: eth0 has no carrier: /, ...Array.from({ length: 4 }, () => /^peers: node[23] /)]);
  await ip("fabric", "link", "set", "p0", "up");

  const netns = `pw-${lab.name}-n-node1`;
  const before = await hostNetwork(netns);
  t.match(before, /^fd00:.* via fe80::1 dev host0 table 30000 src fd00:/m);
  const isWhole = async (): Promise<boolean> => (await hostNetwork(netns)) === before;
  await ip("n-node1", "link", "set", "host0", "down");
  await becomes([/^host device: host0 is down: ip link set host0 up/, ...Array(4).fill(/^peers: /)]);
  await ip("n-node1", "link", "set", "host0", "up"); // which has taken its routes with it, and of IPv6 its addresses
  await until("all that host0 had", isWhole);
  await becomes([]);
  await run(["ip", "-n", netns, "-batch", "-"], { input: "link set host0 down\nlink set host0 up\n" });
  await until("the same after a moment", isWhole);
  await becomes([]);

  const [, six = ""] = /^(fd00:192\S+) .*scope global/m.exec(before) ?? [];
  await ip("n-node1", "addr", "del", six, "dev", "host0");
  const address = six.split("/")[0];
  const gone = `do not reach all services: no device has ${address}: ip addr add ${address}/128 dev host0 nodad`;
  await becomes([new RegExp(`^agent: host0: the node's own programs ${gone}: $`)]);
  // An address that the kernel still looks for elsewhere is there, and no source yet.
  await run(["ip", "netns", "exec", netns, "sysctl", "-qw", "net.ipv6.conf.host0.dad_transmits=3"]);
  await ip("n-node1", "addr", "add", six, "dev", "host0");
  await becomes([]);
  await until("its routes", async () => tableOf(await hostNetwork(netns)) === tableOf(before));
});

/** Addresses of host0, and routes by it: all tables, of both families. */
async function hostNetwork(netns: string): Promise<string> {
  const commands = [
    "-o addr show dev host0 scope global",
    "-4 route show table all",
    "-6 route show table all",
  ];
  const shown = await Promise.all(commands.map((words) => run(["ip", "-n", netns, ...words.split(" ")])));
  return shown
    .flatMap(({ stdout }) => stdout.split("\n"))
    .filter((line) => / host0\b/.test(line) && !/^(local |multicast |anycast )?(fe80|ff00)/.test(line))
    .map((line) =>
      line
        .replace(/^\d+: host0 +inet6? |valid_lft.*|\\/g, "")
        .replace(/ +/g, " ")
        .trim(),
    )
    .sort()
    .join("\n");
}

const tableOf = (network: string): string =>
  network
    .split("\n")
    .filter((line) => line.includes("table 30000"))
    .join("\n");
