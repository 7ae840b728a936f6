// What `podwire rules` prints is loaded by the tools it is written for, into namespaces of its own: both
// variants of iptables-restore, for both families, and nft. A rule that does not load is a rule that nobody
// has.
import { writeFileSync } from "node:fs";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { standardObjects } from "../../src/testing/lab/objects.ts";
import { type Result, run } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";

const OBJECTS = "src/testing/testdata/rules/cluster.yaml";
const HOST_PORTS = "src/testing/testdata/rules/host-ports.yaml";
const CLI = ["node", "build/src/cli/main.js", "rules", "--node", "node1"];
const VARIANTS = ["nft", "legacy"];
const skip = process.getuid?.() === 0 ? false : "needs root";

function rules(...options: string[]): Promise<string> {
  return rulesOf(OBJECTS, ...options);
}

async function rulesOf(objects: string, ...options: string[]): Promise<string> {
  const { status, stdout, stderr } = await run([...CLI, "-f", objects, ...options]);
  if (status !== 0) throw new Error(`podwire rules ${options.join(" ")}: ${stderr}`);
  return stdout;
}

function inside(namespaces: Namespaces, name: string, command: string, input = ""): Promise<Result> {
  return run(namespaces.command(name, command), { input });
}

t.test("rules load", { skip }, async (t) => {
  const namespaces = new Namespaces("pwt-rules");
  t.teardown(() => namespaces.remove());

  for (const [family, tool] of [
    ["4", "iptables"],
    ["6", "ip6tables"],
  ]) {
    const text = await rules("--format", "iptables-save", "--family", family);
    for (const variant of VARIANTS) {
      t.test(`${tool}-${variant}-restore takes all of it`, async (t) => {
        const name = `${tool}-${variant}`;
        namespaces.add(name);
        const { status, stderr } = await inside(namespaces, name, `${tool}-${variant}-restore`, text);
        t.equal(status, 0, stderr);
        const saved = (await inside(namespaces, name, `${tool}-${variant}-save`)).stdout;
        const chains = (s: string) => [...s.matchAll(/^:(KUBE-\S+)/gm)].map((match) => match[1]).sort();
        t.strictSame(chains(saved), chains(text));
        const count = (s: string) => s.split("\n").filter((line) => line.startsWith("-A ")).length;
        t.equal(count(saved), count(text), "not a rule is lost");
        const again = await inside(namespaces, name, `${tool}-${variant}-restore`, text);
        t.equal(again.status, 0, `a second time: ${again.stderr}`);
      });
    }
  }

  t.test(
    "host ports: iptables-save gives back, word by word, what `rules` printed; nft takes its table",
    async (t) => {
      for (const [family, tool] of [
        ["4", "iptables"],
        ["6", "ip6tables"],
      ]) {
        const text = await rulesOf(HOST_PORTS, "--format", "iptables-save", "--family", family);
        for (const variant of VARIANTS) {
          const name = `ports-${tool}-${variant}`;
          namespaces.add(name);
          const { status, stderr } = await inside(namespaces, name, `${tool}-${variant}-restore`, text);
          t.equal(status, 0, stderr);
          const saved = (await inside(namespaces, name, `${tool}-${variant}-save`)).stdout;
          const own = (s: string) =>
            s
              .split("\n")
              .filter((line) => /^-A .*CNI-/.test(line))
              .sort();
          t.ok(own(text).length > 10, `${own(text).length} rules`);
          t.strictSame(own(saved), own(text));
        }
      }
      namespaces.add("ports-nft");
      const text = await rulesOf(HOST_PORTS, "--format", "nft");
      const { status, stderr } = await inside(namespaces, "ports-nft", "nft -f -", text);
      t.equal(status, 0, stderr);
      const listed = (await inside(namespaces, "ports-nft", "nft list ruleset")).stdout;
      const dnats = (s: string) => s.split("\n").filter((line) => / dnat to .* comment /.test(line)).length;
      t.ok(dnats(text) > 20, `${dnats(text)} rules`);
      t.equal(dnats(listed), dnats(text));
    },
  );

  t.test("every way to know pods, and every option, loads", async (t) => {
    namespaces.add("options");
    const configs = [
      "detectLocalMode: NodeCIDR",
      "detectLocalMode: BridgeInterface\ndetectLocal: { bridgeInterface: cbr0 }",
      "detectLocalMode: InterfaceNamePrefix\ndetectLocal: { interfaceNamePrefix: veth }",
      "nodePortAddresses: [192.168.50.0/24]",
      "iptables: { masqueradeAll: true, masqueradeBit: 31, localhostNodePorts: false }",
    ];
    for (const config of configs) {
      const file = `${t.testdir()}/proxy.yaml`;
      writeFileSync(
        file,
        `apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n${config}\n`,
      );
      const iptables = await rules("--format", "iptables-save", "--config", file);
      for (const variant of VARIANTS) {
        const { status, stderr } = await inside(
          namespaces,
          "options",
          `iptables-${variant}-restore`,
          iptables,
        );
        t.equal(status, 0, `${config}: ${stderr}`);
      }
      const nft = await inside(
        namespaces,
        "options",
        "nft -f -",
        await rules("--format", "nft", "--config", file),
      );
      t.equal(nft.status, 0, `${config}: ${nft.stderr}`);
    }
  });

  t.test("nft takes both tables, and replaces them", async (t) => {
    namespaces.add("nft");
    const text = await rules("--format", "nft");
    for (const time of ["once", "twice"]) {
      const { status, stderr } = await inside(namespaces, "nft", "nft -f -", text);
      t.equal(status, 0, `${time}: ${stderr}`);
    }
    for (const family of ["ip", "ip6"]) {
      const listed = (await inside(namespaces, "nft", `nft list table ${family} kube-proxy`)).stdout;
      const made = [...text.matchAll(new RegExp(`^add chain ${family} kube-proxy (\\S+)`, "gm"))];
      const there = [...listed.matchAll(/^\tchain (\S+) \{/gm)];
      t.ok(made.length > 15);
      t.equal(there.length, made.length, `chains of ${family}`);
    }
  });
});

t.test(
  "the rules of a running lab are those of its objects, for each node",
  { skip: cannotRun() },
  async (t) => {
    const namespaces = new Namespaces("pwt-rules-lab");
    const lab = await TestLab.up("rules", { objects: standardObjects() });
    t.teardown(() => lab.down());
    t.teardown(() => namespaces.remove());
    const clusterIP = await lab.clusterIP("web");
    const all = await lab.output(["rules"]);
    t.match(all, /^# node node1, IPv4\n/);
    t.match(all, /^# node node2, IPv4$/m);
    const own = await lab.output(["rules", "--node", "node1"]);
    t.ok(all.startsWith(`# node node1, IPv4\n${own}`));
    t.match(own, `-d ${clusterIP} --dport`);
    const { items } = await lab.json("rules", "--format", "nft");
    t.match(items, [{ node: "node1", family: 4, format: "nft" }, { node: "node2" }]);
    namespaces.add("node1");
    for (const [tool, rules] of [
      ["iptables-nft-restore", own],
      ["nft -f -", `${items[0].rules.join("\n")}\n`],
    ]) {
      const { status, stderr } = await inside(namespaces, "node1", tool, rules);
      t.equal(status, 0, stderr);
    }
  },
);
