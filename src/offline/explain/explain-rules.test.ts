// What `explain` quotes stands, word by word, in what `rules` prints for the same objects, though each is made by itself:
// explanations of what the plane decided, rules of the objects. The published packet-flow cases, and random clusters
// with every packet that might tell one from another, in the formats of all modes; portmap's rules for host ports, where
// kube-proxy's mode has another format or none, as iptables-save prints them.
import { readFileSync } from "node:fs";
import t from "tap";
import { type IpFamily, ip } from "../../base/ip.ts";
import { type ProxyConfig, type ProxyMode, readProxyConfig } from "../../config/proxy.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { manifestOf } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { formatOf, type RuleFormat, renderRules } from "../../kubeproxy/rules.ts";
import type { ExplainStep } from "../../kubeproxy/words/explanation.ts";
import { flowsOf, type Flow as JudgedFlow } from "../../testing/judge/flows.ts";
import { agentConfigOf } from "../../testing/judge/plane.ts";
import { scenario } from "../../testing/judge/scenario.ts";
import { V4, V6 } from "../../testing/judge/world.ts";
import { offlineConfig } from "../offline-config.ts";
import { Explainer, type Flow } from "./explainer.ts";

const MODES: readonly ProxyMode[] = ["iptables", "nftables", "ipvs", "userspace"];
const CLUSTERS: Record<ProxyMode, number> = {
  ...{ iptables: 200, nftables: 200, ipvs: 200 },
  userspace: 110, // which has no rules but portmap's, and those are the same as in iptables and ipvs mode
};
/** Of a cluster's packets one in so many: all of them take three minutes, and show no more. */
const EACH = 12;
/** The portmap plug-in's rules. */
const PORTMAP = /CNI-HOSTPORT|CNI-DN-|cni_hostport/;

interface Asked {
  readonly objects: readonly KubeObject[];
  readonly config: ProxyConfig;
  readonly localIps: readonly string[];
  readonly nodeName: string;
}

/** Lines of `podwire rules`, each family in its turn; portmap's in whichever mode. */
function linesOf(asked: Asked, explainer: Explainer): Set<string> {
  const format = formatOf(asked.config.mode);
  const own = format === undefined ? [] : printed(format, asked, explainer);
  if (format === "iptables-save" || format === "nft") return new Set(own);
  const portmap = printed("iptables-save", asked, explainer).filter((line) => PORTMAP.test(line));
  return new Set([...own, ...portmap]);
}

function printed(
  format: RuleFormat,
  { objects, config, localIps, nodeName }: Asked,
  { node }: Explainer,
): string[] {
  const families: readonly IpFamily[] = [4, 6];
  const { serviceCidrs } = node.messages.config;
  const text = families.map((family) =>
    renderRules(format, {
      ...{ objects, nodeName, config, family, serviceCidrs },
      localAddresses: localIps.map(ip),
    }),
  );
  return text.join("").split("\n");
}

/** As `rules` would print the step's rule. */
function lineOf({ table, chain, rule }: ExplainStep): string {
  if (table === "nat" || table === "filter") return `-A ${chain} ${rule}`;
  return table === "ipvs" ? rule : `add rule ${table} ${chain} ${rule}`;
}

/** What has to come up among portmap's rules: an address or none, who is masqueraded, several ports, both families. */
const PORTMAP_CHAINS = [
  /^-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT$/,
  /^-A CNI-HOSTPORT-DNAT -p tcp .* --dports \d+ -j/,
  /^-A CNI-HOSTPORT-DNAT -p udp .* --dports \d+,\d+ -j/,
  /^-A CNI-DN-\S+ -s 127\.0\.0\.1\/32 -d 127\.0\.0\.1\/32 .* -j CNI-HOSTPORT-SETMARK$/,
  /^-A CNI-DN-\S+ -s \S+::\/64 -p .* -j CNI-HOSTPORT-SETMARK$/,
  /^-A CNI-DN-\S+ -d 192\S+\/32 -p .* -j DNAT/,
  /^-A CNI-DN-\S+ -d \S+::\S+\/128 -p .* -j DNAT/,
  /^-A CNI-DN-\S+ -p sctp .* -j DNAT/,
  /^-A CNI-HOSTPORT-MASQ /,
];
const PORTMAP_TABLE = [
  /^add rule ip cni_hostport output fib /,
  /^add rule ip6 cni_hostport prerouting fib /,
  /^add rule ip cni_hostport hostports ip daddr \S+ udp dport \d+ dnat to .* comment/,
  /^add rule ip6 cni_hostport hostports tcp dport \d+ ip6 saddr \S+::\/64 meta mark set/,
  /^add rule ip cni_hostport hostports .* ip saddr 127.0.0.1\/32 meta mark set/,
  /^add rule ip cni_hostport masquerading meta mark/,
];

class Quotes {
  /** kube-proxy's. */
  quoted = 0;
  readonly portmap = new Set<string>();
  readonly missing = new Set<string>();

  look(steps: readonly ExplainStep[], lines: ReadonlySet<string>, who: string): void {
    for (const step of steps) {
      if (step.rule === "") continue;
      const line = lineOf(step);
      if (PORTMAP.test(line)) this.portmap.add(line);
      else this.quoted++;
      if (!lines.has(line) && this.missing.size < 20) this.missing.add(`${who}: ${line}`);
    }
  }
}

interface Case {
  readonly name: string;
  readonly modes: readonly ProxyMode[];
  readonly nodeName: string;
  readonly localIPs: readonly string[];
  readonly clusterCIDR: string;
  readonly options: { readonly [option: string]: unknown };
  readonly objects: readonly object[];
  readonly flows: readonly {
    name: string;
    sourceIP: string;
    destIP: string;
    destPort: number;
    protocol: Flow["protocol"];
  }[];
}

const CASES = JSON.parse(readFileSync("src/testing/testdata/packetflow-sample.json", "utf8")) as Case[];

t.test("the published cases", async (t) => {
  const quotes = new Quotes();
  for (const c of CASES) {
    for (const mode of MODES) {
      const { masqueradeAll, masqueradeBit, localhostNodePorts, ...options } = c.options;
      const part = { masqueradeAll, masqueradeBit };
      const proxy = { ...options, mode, clusterCIDR: c.clusterCIDR, nftables: part };
      const problems = new FieldProblems();
      const config = readProxyConfig(
        { ...proxy, iptables: { ...part, localhostNodePorts } } as object,
        problems,
      );
      t.same(problems.list, []);
      const objects = c.objects.map((object) => manifestOf(object, "case").object);
      const explainer = new Explainer(offlineConfig(c.nodeName, config, config.clusterCidrs), objects, {
        localIps: c.localIPs.map(ip),
      });
      const lines = linesOf({ objects, config, localIps: c.localIPs, nodeName: c.nodeName }, explainer);
      for (const flow of c.flows) {
        const [from, to, port] = [flow.sourceIP, flow.destIP, flow.destPort];
        const { steps } = explainer.explain({ from, to, port, protocol: flow.protocol });
        quotes.look(steps, lines, `${c.name}, ${flow.name}, ${mode}`);
      }
    }
  }
  t.same([...quotes.missing], []);
  t.ok(quotes.quoted > 100, `${quotes.quoted} rules were quoted`);
  t.comment(`${quotes.quoted} rules quoted in ${CASES.length} cases`);
});

/** A judged packet as a question. */
function question({ from, to, port, protocol, entry }: JudgedFlow): Flow {
  const via = entry === "node" ? "host" : entry;
  return { from, to, port: port === 0 ? 1 : port, protocol, via };
}

for (const mode of MODES) {
  const clusters = CLUSTERS[mode];
  t.test(`${clusters} random clusters, ${mode}`, async (t) => {
    const quotes = new Quotes();
    for (let seed = 1; seed <= clusters; seed++) {
      const drawn = scenario(seed, mode === "nftables" ? "nftables" : "iptables", seed % 4 === 0 ? V6 : V4);
      const judged = agentConfigOf({ ...drawn, proxy: { ...drawn.proxy, mode } });
      const explainer = new Explainer(judged, drawn.objects, { complete: true });
      const [config, nodeName] = [judged.proxy, judged.nodeName];
      const localIps = [drawn.world.gateway];
      const lines = linesOf({ objects: drawn.objects, config, localIps, nodeName }, explainer);
      const flows = flowsOf(drawn).filter(({ flags }) => flags === undefined);
      for (const [i, flow] of flows.entries()) {
        if (i % EACH !== seed % EACH) continue;
        quotes.look(
          explainer.explain(question(flow)).steps,
          lines,
          `seed ${seed}, ${flow.from} → ${flow.to}:${flow.port}`,
        );
      }
    }
    t.same([...quotes.missing], []);
    if (mode === "userspace") t.equal(quotes.quoted, 0, "told in words");
    else t.ok(quotes.quoted > 500, `${quotes.quoted} rules were quoted`);
    const portmap = [...quotes.portmap];
    const kinds = mode === "nftables" ? PORTMAP_TABLE : PORTMAP_CHAINS;
    for (const kind of kinds)
      t.ok(
        portmap.some((line) => kind.test(line)),
        `quoted: ${kind}`,
      );
    t.comment(`${quotes.quoted} rules quoted in ${clusters} clusters, ${portmap.length} of portmap's`);
  });
}
