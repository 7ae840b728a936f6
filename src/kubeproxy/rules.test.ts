// One cluster that has one of everything, in every format, to the letter. The expected files were read line
// by line against what is known of kube-proxy; PODWIRE_GOLDEN=write writes them anew, to be read again.
import { readFileSync, writeFileSync } from "node:fs";
import t from "tap";
import { cidr, type IpFamily, ip } from "../base/ip.ts";
import { readProxyConfig } from "../config/proxy.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { parseManifests } from "../kube/manifest/manifest.ts";
import { formatOf, type RuleFormat, renderRules } from "./rules.ts";

const FOLDER = "src/testing/testdata/rules";
const SERVICE_CIDRS = ["10.96.0.0/12", "fd00:96::/112"];
const MODES = { "iptables-save": "iptables", nft: "nftables", ipvsadm: "ipvs" } as const;

function rules(format: RuleFormat, family: IpFamily): string {
  const file = `${FOLDER}/cluster.yaml`;
  const manifests = parseManifests([{ file, text: readFileSync(file, "utf8") }]);
  const problems = new FieldProblems();
  const config = readProxyConfig(
    { mode: MODES[format], clusterCIDR: "10.244.0.0/16,fd00:10:244::/48" },
    problems,
  );
  t.strictSame(problems.list, []);
  return renderRules(format, {
    objects: manifests.map((manifest) => manifest.object),
    nodeName: "node1",
    config,
    family,
    localAddresses: [ip("10.244.1.1"), ip("fd00:10:244:1::1")],
    serviceCidrs: SERVICE_CIDRS.map(cidr),
  });
}

for (const format of Object.keys(MODES) as RuleFormat[]) {
  for (const family of [4, 6] as const) {
    t.test(`IPv${family} rules of a cluster that has everything, as ${format}`, async (t) => {
      const file = `${FOLDER}/cluster-v${family}.${format}`;
      const made = rules(format, family);
      if (process.env.PODWIRE_GOLDEN === "write") writeFileSync(file, made);
      t.equal(made, readFileSync(file, "utf8"));
    });
  }
}

t.test("a mode's rules have their format; userspace mode has none", async (t) => {
  t.equal(formatOf("iptables"), "iptables-save");
  t.equal(formatOf("nftables"), "nft");
  t.equal(formatOf("ipvs"), "ipvsadm");
  t.equal(formatOf("userspace"), undefined);
});

t.test("the rules depend on the objects, not on their order", async (t) => {
  const file = `${FOLDER}/cluster.yaml`;
  const objects = parseManifests([{ file, text: readFileSync(file, "utf8") }]).map((m) => m.object);
  const config = readProxyConfig({ clusterCIDR: "10.244.0.0/16" }, new FieldProblems());
  for (const format of Object.keys(MODES) as RuleFormat[]) {
    const input = { nodeName: "node1", config, family: 4 as const };
    const forwards = renderRules(format, { ...input, objects });
    t.equal(renderRules(format, { ...input, objects: [...objects].reverse() }), forwards);
  }
});
