// kube-proxy's rules in iptables mode, for one family, as input of iptables-restore: in kube-proxy's order
// and words (reference: pkg/proxy/iptables, Kubernetes 1.33 to 1.35), with the jumps from the built-in chains
// in the order they end up in, since kube-proxy inserts each at the head.
//
//   nat     PREROUTING, OUTPUT ─▶ KUBE-SERVICES ─┬─ ClusterIP ─────────────────▶ KUBE-SVC, KUBE-SVL ─▶ KUBE-SEP
//                                                ├─ external, VIP ─▶ [KUBE-FW] ─▶ KUBE-EXT ─▶ SVC, SVL   (DNAT)
//                                                └─ LOCAL ─▶ KUBE-NODEPORTS ─▶ KUBE-EXT
//           POSTROUTING ─▶ KUBE-POSTROUTING (masquerade what KUBE-MARK-MASQ marked)
//           behind them portmap's chains, where a pod has host ports (host-ports.ts)
//   filter  refusals of new packets: KUBE-SERVICES, KUBE-EXTERNAL-SERVICES, KUBE-PROXY-FIREWALL
//   mangle  the canary alone
//
// Not here: KUBELET-… chains, ipsets of ipvs mode, and the removal of chains of earlier syncs.

import { formatIp } from "../base/ip.ts";
import { portmapChains } from "./host-ports.ts";
import { IptablesService } from "./iptables-service.ts";
import { type ProxyView, proxyView, type RulesInput } from "./proxy-view.ts";
import { comment, RestoreTable } from "./restore-table.ts";

const CANARY = "KUBE-PROXY-CANARY";
const LARGE_CLUSTER_ENDPOINTS = 1000; // above, comments of endpoint rules are left out
const NEW = "-m conntrack --ctstate NEW";
const LAST_RULE = comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain");

export function iptablesRules(input: RulesInput): string {
  const view = proxyView(input);
  const nat = new RestoreTable("nat", ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]);
  const filter = new RestoreTable("filter", ["INPUT", "FORWARD", "OUTPUT"]);
  const mangle = new RestoreTable("mangle", ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]);
  mangle.chain(CANARY);
  natHead(nat, view);
  filterHead(filter, view);
  const total = view.ports.reduce((sum, port) => sum + port.endpointCount, 0);
  for (const port of view.ports) {
    new IptablesService(view, port, {
      nat,
      filter,
      endpointComments: total <= LARGE_CLUSTER_ENDPOINTS,
    }).write();
  }
  nodePortJumps(nat, view);
  portmapChains(nat, view.hostPorts, view.family);
  forwardChain(filter, view);
  return `${[...mangle.lines(), ...nat.lines(), ...filter.lines()].join("\n")}\n`;
}

function natHead(nat: RestoreTable, { config }: ProxyView): void {
  const mark = markOf(config.masqueradeBit);
  nat.chain("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", CANARY);
  for (const hook of ["PREROUTING", "OUTPUT"]) {
    nat.rule(hook, comment("kubernetes service portals"), "-j KUBE-SERVICES");
  }
  nat.rule("POSTROUTING", comment("kubernetes postrouting rules"), "-j KUBE-POSTROUTING");
  nat.rule("KUBE-POSTROUTING", `-m mark ! --mark ${mark}/${mark}`, "-j RETURN");
  // The mark goes, or the packet that carries this one through a tunnel would be masqueraded for it once
  // more.
  nat.rule("KUBE-POSTROUTING", `-j MARK --xor-mark ${mark}`);
  nat.rule(
    "KUBE-POSTROUTING",
    comment("kubernetes service traffic requiring SNAT"),
    "-j MASQUERADE --random-fully",
  );
  nat.rule("KUBE-MARK-MASQ", `-j MARK --or-mark ${mark}`);
}

function filterHead(filter: RestoreTable, { config, family }: ProxyView): void {
  const firewall = comment("kubernetes load balancer firewall");
  const external = comment("kubernetes externally-visible service portals");
  const portals = comment("kubernetes service portals");
  filter.chain("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS");
  filter.chain("KUBE-PROXY-FIREWALL", "KUBE-FIREWALL", CANARY);
  filter.rule("INPUT", "-j KUBE-FIREWALL");
  filter.rule("INPUT", NEW, firewall, "-j KUBE-PROXY-FIREWALL");
  filter.rule("INPUT", comment("kubernetes health check service ports"), "-j KUBE-NODEPORTS");
  filter.rule("INPUT", NEW, external, "-j KUBE-EXTERNAL-SERVICES");
  filter.rule("FORWARD", NEW, firewall, "-j KUBE-PROXY-FIREWALL");
  filter.rule("FORWARD", comment("kubernetes forwarding rules"), "-j KUBE-FORWARD");
  filter.rule("FORWARD", NEW, portals, "-j KUBE-SERVICES");
  filter.rule("FORWARD", NEW, external, "-j KUBE-EXTERNAL-SERVICES");
  filter.rule("OUTPUT", "-j KUBE-FIREWALL");
  filter.rule("OUTPUT", NEW, firewall, "-j KUBE-PROXY-FIREWALL");
  filter.rule("OUTPUT", NEW, portals, "-j KUBE-SERVICES");
  if (family === 4 && config.localhostNodePorts) {
    // route_localnet, which node ports on loopback need, would let the network at 127.0.0.1 too
    // (CVE-2020-8558).
    filter.rule(
      "KUBE-FIREWALL",
      comment("block incoming localnet connections"),
      "-d 127.0.0.0/8 ! -s 127.0.0.0/8",
      "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
    );
  }
}

/** Node ports come after every address of a Service. */
function nodePortJumps(nat: RestoreTable, { config, family, nodePortIps }: ProxyView): void {
  if (nodePortIps !== "all") {
    for (const address of nodePortIps) {
      nat.rule("KUBE-SERVICES", LAST_RULE, `-d ${formatIp(address)}`, "-j KUBE-NODEPORTS");
    }
    return;
  }
  const loopback = family === 6 ? "! -d ::1/128" : config.localhostNodePorts ? "" : "! -d 127.0.0.0/8";
  nat.rule("KUBE-SERVICES", LAST_RULE, "-m addrtype --dst-type LOCAL", loopback, "-j KUBE-NODEPORTS");
}

function forwardChain(filter: RestoreTable, { config, nfacct }: ProxyView): void {
  const mark = markOf(config.masqueradeBit);
  if (!config.conntrack.tcpBeLiberal) {
    const counter = nfacct ? "-m nfacct --nfacct-name ct_state_invalid_dropped_pkts" : "";
    filter.rule("KUBE-FORWARD", "-m conntrack --ctstate INVALID", counter, "-j DROP");
  }
  const text = comment("kubernetes forwarding rules");
  filter.rule("KUBE-FORWARD", text, `-m mark --mark ${mark}/${mark}`, "-j ACCEPT");
  filter.rule(
    "KUBE-FORWARD",
    comment("kubernetes forwarding conntrack rule"),
    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  );
}

/** 14 → 0x4000. Bit 31 makes no negative number. */
function markOf(bit: number): string {
  return `0x${(2 ** bit).toString(16)}`;
}
