import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { CommandLine } from "../../testing/command-line.ts";

const EXAMPLE = new URL("../../../../src/calico/felix/testdata/three-tier.yaml", import.meta.url).pathname;
const commands = new CommandLine();
t.teardown(() => commands.close());
const rules = (...args: string[]): ReturnType<CommandLine["run"]> => commands.run(["rules", ...args]);
const policy = (...args: string[]): string => {
  const { stdout, stderr, status } = rules("--policy", ...args);
  t.equal(status, 0, stderr);
  return stdout;
};

t.test("--policy prints a node's chains, of its first family or of the one that is asked for", async (t) => {
  const first = policy("-f", EXAMPLE, "--node", "node1");
  t.match(first, /^\*filter\n[\s\S]*\nCOMMIT\n$/);
  t.match(first, /-A cali-tw-calie57ed5aa5ae /);
  t.notMatch(first, /cali60|ipv6-icmp/);
  t.match(policy("-f", EXAMPLE, "--node", "node1", "--family", "6"), /--match-set cali60s:/);
  t.notMatch(policy("-f", EXAMPLE, "--node", "node2"), /calie57ed5aa5ae/, "the database is on another node");
});

t.test("--format ipset prints the sets of both families, and -o json what belongs to what", async (t) => {
  const ipset = ["-f", EXAMPLE, "--node", "node1", "--format", "ipset"];
  const sets = policy(...ipset);
  t.match(sets, /^create cali40all-vxlan-net hash:net family inet /);
  t.match(sets, /^create cali60all-vxlan-net hash:net family inet6 /m);
  const { items } = JSON.parse(policy(...ipset, "-o", "json")) as { items: Record<string, unknown>[] };
  t.same(
    items.map(({ node, family, format }) => ({ node, family, format })),
    [4, 6].map((family) => ({ node: "node1", family, format: "ipset" })),
  );
});

t.test("pods without addresses get those that a cluster of two nodes would give them", async (t) => {
  const file = join(t.testdir({}), "web.json");
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web" },
    spec: { containers: [{ name: "c", image: "i" }] },
  };
  writeFileSync(file, JSON.stringify(pod));
  const all = ["node1", "node2"].map((node) => policy("-f", file, "--node", node)).join("");
  t.match(all, /^:cali-tw-cali[0-9a-f]{11} - \[0:0\]$/m);
});

t.test("what belongs to one of the two rule sets is refused with the other", async (t) => {
  const cases: [args: string[], message: RegExp][] = [
    [
      ["--format", "ipset"],
      /--format ipset: kube-proxy has no such rules: add --policy, which Calico writes so/,
    ],
    [["--policy", "--format", "nft"], /--format nft: with --policy it is one of iptables-save, ipset/],
    [["--policy", "--nfacct"], /--nfacct: is kube-proxy's: leave it out, or --policy/],
    [["--policy", "--config", EXAMPLE], /--config: is kube-proxy's: leave it out, or --policy/],
    [["--policy", "--local-ip", "192.0.2.1"], /--local-ip: is kube-proxy's: leave it out, or --policy/],
  ];
  for (const [args, message] of cases)
    t.match(rules("-f", EXAMPLE, ...args), { status: 2, stdout: "", stderr: message }, args.join(" "));
});
