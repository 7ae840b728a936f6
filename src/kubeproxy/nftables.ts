// kube-proxy's rules in nftables mode, for one family, as commands for `nft -f`: the tables `ip kube-proxy`
// and `ip6 kube-proxy` (reference: pkg/proxy/nftables, Kubernetes 1.33 to 1.35; from 1.36 on marking is
// inlined and hairpins are kept in a set, with the same result). A table that is there is replaced as a
// whole, in the one transaction that nft makes of a file.
//
//   prerouting, output −110   firewall-check ─▶ firewall-…                       source ranges, before DNAT
//   prerouting, output −100   services ─▶ service-ips, service-nodeports ─▶ external-… ─▶ service-… or local-…
//                             ─▶ endpoint-…                                      DNAT
//   input, forward, output 0  nodeport-endpoints-check, service-endpoints-check ─▶ no-endpoint-…
//   forward, output 0         cluster-ips-check                                  what nobody serves
//   postrouting 100           masquerading
//
// Where a pod has host ports, portmap's table comes behind it (host-ports.ts).
import { formatIp, isLoopback } from "../base/ip.ts";
import { portmapTable } from "./host-ports.ts";
import { NftTable } from "./nft-table.ts";
import { NftService } from "./nftables-service.ts";
import { type ProxyView, proxyView, type RulesInput } from "./proxy-view.ts";

const BASE_CHAINS: readonly (readonly [name: string, spec: string])[] = [
  ["filter-prerouting-pre-dnat", "type filter hook prerouting priority -110 ;"],
  ["filter-output-pre-dnat", "type filter hook output priority -110 ;"],
  ["filter-input", "type filter hook input priority 0 ;"],
  ["filter-forward", "type filter hook forward priority 0 ;"],
  ["filter-output", "type filter hook output priority 0 ;"],
  ["nat-prerouting", "type nat hook prerouting priority -100 ;"],
  ["nat-output", "type nat hook output priority -100 ;"],
  ["nat-postrouting", "type nat hook postrouting priority 100 ;"],
];

const JUMPS: readonly (readonly [from: string, rule: string])[] = [
  ["filter-input", "ct state new jump nodeport-endpoints-check"],
  ["filter-input", "ct state new jump service-endpoints-check"],
  ["filter-forward", "ct state new jump service-endpoints-check"],
  ["filter-output", "ct state new jump service-endpoints-check"],
  ["filter-prerouting-pre-dnat", "ct state new jump firewall-check"],
  ["filter-output-pre-dnat", "ct state new jump firewall-check"],
  ["nat-output", "jump services"],
  ["nat-prerouting", "jump services"],
  ["nat-postrouting", "jump masquerading"],
  ["filter-forward", "ct state new jump cluster-ips-check"],
  ["filter-output", "ct state new jump cluster-ips-check"],
];

export function nftablesRules(input: RulesInput): string {
  const view = proxyView({ ...input, config: { ...input.config, mode: "nftables" } });
  const table = new NftTable(view.family);
  declare(table, view);
  for (const [from, rule] of JUMPS) table.rule(from, rule);
  masquerading(table, view);
  checks(table, view);
  dispatch(table, view);
  for (const port of view.ports) new NftService(view, port, table).write();
  return table.text() + portmapTable(view.hostPorts, view.family);
}

function declare(table: NftTable, { nodePortIps }: ProxyView): void {
  const { addressType } = table;
  const service = `type ${addressType} . inet_proto . inet_service : verdict ;`;
  const nodePort = "type inet_proto . inet_service : verdict ;";
  table.set("cluster-ips", `type ${addressType} ; comment "Active ClusterIPs" ;`);
  if (nodePortIps !== "all") {
    table.set("nodeport-ips", `type ${addressType} ; comment "IPs that accept NodePort traffic" ;`);
  }
  const maps: readonly (readonly [string, string, string])[] = [
    ["firewall-ips", service, "destinations that are subject to LoadBalancerSourceRanges"],
    [
      "no-endpoint-nodeports",
      nodePort,
      "vmap to drop or reject packets to service nodeports with no endpoints",
    ],
    ["no-endpoint-services", service, "vmap to drop or reject packets to services with no endpoints"],
    ["service-ips", service, "ClusterIP, ExternalIP and LoadBalancer IP traffic"],
    ["service-nodeports", nodePort, "NodePort traffic"],
  ];
  for (const [name, type, text] of maps) table.map(name, `${type} comment "${text}" ;`);
  for (const [name, spec] of BASE_CHAINS) table.chain(name, spec);
  for (const name of ["services", "firewall-check", "nodeport-endpoints-check", "service-endpoints-check"]) {
    table.chain(name);
  }
  for (const name of ["cluster-ips-check", "mark-for-masquerade", "masquerading"]) table.chain(name);
  table.chain("reject-chain", 'comment "helper for @no-endpoint-services / @no-endpoint-nodeports" ;');
}

function masquerading(table: NftTable, { config }: ProxyView): void {
  const mark = `0x${(2 ** config.masqueradeBit).toString(16)}`;
  table.rule("mark-for-masquerade", `mark set mark or ${mark}`);
  table.rule("masquerading", `mark and ${mark} == 0 return`);
  table.rule("masquerading", `mark set mark xor ${mark}`);
  table.rule("masquerading", "masquerade fully-random");
}

/** What is refused: unknown ports and addresses of the service range, and what no-endpoint-… lists. */
function checks(table: NftTable, { nodePortIps, serviceCidrs }: ProxyView): void {
  const { ip, service } = table;
  const wrong = 'comment "Reject traffic to invalid ports of ClusterIPs"';
  table.rule("cluster-ips-check", `${ip} daddr @cluster-ips reject ${wrong}`);
  if (serviceCidrs.length > 0) {
    const nobodys = 'comment "Drop traffic to unallocated ClusterIPs"';
    table.rule("cluster-ips-check", `${ip} daddr { ${serviceCidrs.join(", ")} } drop ${nobodys}`);
  }
  table.rule("reject-chain", "reject");
  table.rule("service-endpoints-check", `${service} vmap @no-endpoint-services`);
  const at = nodePortIps === "all" ? table.notLoopback : `${ip} daddr @nodeport-ips`;
  table.rule("nodeport-endpoints-check", `${at} meta l4proto . th dport vmap @no-endpoint-nodeports`);
  table.rule("firewall-check", `${service} vmap @firewall-ips`);
}

function dispatch(table: NftTable, { nodePortIps }: ProxyView): void {
  const { ip, service } = table;
  table.rule("services", `${service} vmap @service-ips`);
  const at =
    nodePortIps === "all" ? `fib daddr type local ${table.notLoopback}` : `${ip} daddr @nodeport-ips`;
  table.rule("services", `${at} meta l4proto . th dport vmap @service-nodeports`);
  if (nodePortIps === "all") return;
  for (const address of nodePortIps) {
    if (!isLoopback(address)) table.element("nodeport-ips", formatIp(address));
  }
}
