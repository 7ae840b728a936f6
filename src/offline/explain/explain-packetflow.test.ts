// The published packet-flow cases through explain: objects and options as a cluster would have them, a real packet for
// each flow. Each case names the modes that it holds for.
import { readFileSync } from "node:fs";
import t from "tap";
import { ip } from "../../base/ip.ts";
import type { ProbeProtocol } from "../../base/probe-protocols.ts";
import { readProxyConfig } from "../../config/proxy.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { manifestOf } from "../../kube/manifest/manifest.ts";
import { offlineConfig } from "../offline-config.ts";
import { Explainer } from "./explainer.ts";

interface Case {
  name: string;
  modes: string[];
  nodeName: string;
  localIPs: string[];
  clusterCIDR: string;
  options: {
    masqueradeAll: boolean;
    detectLocalMode: string;
    nodePortAddresses: string[] | null;
    localhostNodePorts: boolean;
    masqueradeBit: number;
  };
  objects: object[];
  flows: {
    name: string;
    sourceIP: string;
    destIP: string;
    destPort: number;
    protocol: ProbeProtocol;
    expect: { verdict: string; endpoints: string[]; masquerade: boolean };
  }[];
}

const FILE = "src/testing/testdata/packetflow-sample.json";

function explainer(c: Case, mode: string): Explainer {
  const { masqueradeAll, masqueradeBit, localhostNodePorts, detectLocalMode, nodePortAddresses } = c.options;
  const part = { masqueradeAll, masqueradeBit };
  const proxy = {
    mode,
    clusterCIDR: c.clusterCIDR,
    detectLocalMode,
    nodePortAddresses,
    iptables: { ...part, localhostNodePorts },
    nftables: part,
  };
  const problems = new FieldProblems();
  const config = readProxyConfig(proxy, problems);
  if (problems.any) throw new Error(JSON.stringify(problems.list));
  const objects = c.objects.map((object) => manifestOf(object, "case").object);
  return new Explainer(offlineConfig(c.nodeName, config, config.clusterCidrs), objects, {
    localIps: c.localIPs.map(ip),
  });
}

for (const c of JSON.parse(readFileSync(FILE, "utf8")) as Case[]) {
  for (const mode of c.modes) {
    t.test(`${mode}: ${c.name}`, async (t) => {
      const asked = explainer(c, mode);
      for (const { name, sourceIP, destIP, destPort, protocol, expect } of c.flows) {
        const flow = { from: sourceIP, to: destIP, port: destPort, protocol };
        const { verdict, endpoints, masquerade, steps } = asked.explain(flow);
        t.same({ verdict, endpoints, masquerade }, expect, name);
        t.same(asked.explain(flow).steps, steps, `${name}: the same again`);
      }
    });
  }
}
