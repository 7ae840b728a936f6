// The published packet-flow cases, judged on compile's messages alone: which frontend claims the packet, what does it
// do with this class of source. Each case names the modes it holds for.
import { readFileSync } from "node:fs";
import t from "tap";
import { type Cidr, contains, formatIpPort, type Ip, ip, sameIp } from "../base/ip.ts";
import { readProxyConfig } from "../config/proxy.ts";
import { Action, type FrontendSpec, type ServicePortSpec, SourceClass } from "../dataplane/spec/services.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { manifestOf } from "../kube/manifest/manifest.ts";
import { ObjectGraph } from "../watch/desired-state.ts";
import { type ProxySettings, proxySettings } from "./proxy-settings.ts";
import { PROTOCOLS } from "./service-port.ts";
import { ServiceCompiler } from "./services.ts";

interface Flow {
  name: string;
  sourceIP: string;
  destIP: string;
  destPort: number;
  protocol: string;
  expect: { verdict: string; endpoints: string[]; masquerade: boolean };
}
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
  flows: Flow[];
}

const FILE = "src/testing/testdata/packetflow-sample.json";

function settingsOf(c: Case, mode: string, graph: ObjectGraph): ProxySettings {
  const { masqueradeAll, masqueradeBit, localhostNodePorts, detectLocalMode, nodePortAddresses } = c.options;
  const part = { masqueradeAll, masqueradeBit };
  const problems = new FieldProblems();
  const config = readProxyConfig(
    {
      mode,
      clusterCIDR: c.clusterCIDR,
      detectLocalMode,
      nodePortAddresses: nodePortAddresses ?? [],
      // IPVS has no options of its own for these two: kube-proxy reads those of iptables.
      iptables: { ...part, localhostNodePorts },
      nftables: part,
    },
    problems,
  );
  if (problems.any) throw new Error(JSON.stringify(problems.list));
  const node = graph.nodes.get(c.nodeName);
  return proxySettings({ config, nodeName: c.nodeName, node, localIps: c.localIPs.map(ip) });
}

function classOf(source: Ip, settings: ProxySettings): number {
  if (settings.podSources.some((range: Cidr) => contains(range, source))) return SourceClass.POD;
  return settings.localIps.some((own) => sameIp(own, source)) ? SourceClass.NODE : SourceClass.OUTSIDE;
}

function findFrontend(specs: ServicePortSpec[], flow: Flow, settings: ProxySettings) {
  const to = ip(flow.destIP);
  const found = (words: { w0: number; w1: number; w2: number; w3: number }) => {
    for (const spec of specs) {
      if (spec.protocol !== PROTOCOLS[flow.protocol]) continue;
      const frontend = spec.frontends.find(
        (f) => f.family === to.family && f.port === flow.destPort && sameIp(f, words),
      );
      if (frontend !== undefined) return { spec, frontend };
    }
    return undefined;
  };
  const isLocal = settings.localIps.some((own) => sameIp(own, to));
  return found(to) ?? (isLocal ? found({ w0: 0, w1: 0, w2: 0, w3: 0 }) : undefined);
}

function refusedByRange(frontend: FrontendSpec, source: Ip): boolean {
  return (
    frontend.sourceRanges !== null &&
    !frontend.sourceRanges.some((r) => contains({ ...r, family: 6 }, source))
  );
}

function decide(specs: ServicePortSpec[], flow: Flow, settings: ProxySettings): Flow["expect"] {
  const none = (verdict: string) => ({ verdict, endpoints: [], masquerade: false });
  const hit = findFrontend(specs, flow, settings);
  if (hit === undefined) return none("accept");
  const source = ip(flow.sourceIP);
  if (refusedByRange(hit.frontend, source)) return none("drop");
  const { action, set, masquerade } = hit.frontend.byClass[classOf(source, settings)];
  if (action === Action.DROP) return none("drop");
  if (action === Action.REJECT) return none("reject");
  if (action === Action.NONE) return none("accept");
  const endpoints = hit.spec.sets[set].map((i) => hit.spec.endpoints[i]);
  return { verdict: "dnat", endpoints: endpoints.map((e) => formatIpPort(e, e.port)), masquerade };
}

for (const c of JSON.parse(readFileSync(FILE, "utf8")) as Case[]) {
  for (const mode of c.modes) {
    t.test(`${mode}: ${c.name}`, async (t) => {
      const graph = new ObjectGraph();
      for (const value of c.objects)
        graph.onEvent({ type: "ADDED", object: manifestOf(value, "case").object });
      const settings = settingsOf(c, mode, graph);
      const { upsert } = new ServiceCompiler(settings).update(graph, graph.take().services);
      for (const flow of c.flows) t.same(decide(upsert, flow, settings), flow.expect, flow.name);
    });
  }
}
