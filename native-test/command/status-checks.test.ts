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
  await ip("n-node1", "link", "set", "host0", "down");
  await becomes([/^host device: host0 is down: ip link set host0 up/, ...Array(4).fill(/^peers: /)]);
  await ip("n-node1", "link", "set", "host0", "up"); // which has taken its routes with it
  await becomes([]);
  const table = ["ip", "-n", `pw-${lab.name}-n-node1`, "route", "show", "table", "30000"];
  await until("its routes", async () => /dev host0/.test((await run(table)).stdout), 3000);
});
