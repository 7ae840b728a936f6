// What kube-proxy would have installed for the same objects, and portmap for host ports, in the words of the tool that
// installs it.
import type { ProxyConfig, ProxyMode } from "../config/proxy.ts";
import { iptablesRules } from "./iptables.ts";
import { ipvsRules } from "./ipvs.ts";
import { nftablesRules } from "./nftables.ts";
import type { RulesInput } from "./proxy-view.ts";

export const RULE_FORMATS = ["iptables-save", "nft", "ipvsadm"] as const;
export type RuleFormat = (typeof RULE_FORMATS)[number];

const MODE_OF: Readonly<Record<RuleFormat, ProxyMode>> = {
  "iptables-save": "iptables",
  nft: "nftables",
  ipvsadm: "ipvs",
};

/**
 * The format in which a mode's rules are written; undefined: userspace, whose rules name sockets of a
 * process.
 */
export function formatOf(mode: ProxyMode): RuleFormat | undefined {
  return RULE_FORMATS.find((format) => MODE_OF[format] === mode);
}

/**
 * The rules of one node and family, as if kube-proxy ran in the format's mode. Ends with a line feed, or is
 * empty.
 */
export function renderRules(format: RuleFormat, input: RulesInput): string {
  const asked = { ...input, config: inMode(input.config, MODE_OF[format]) };
  switch (format) {
    case "iptables-save":
      return iptablesRules(asked);
    case "nft":
      return nftablesRules(asked);
    case "ipvsadm":
      return ipvsRules(asked);
  }
}

/**
 * A configuration for another mode says nothing about localhost: kube-proxy's default of the asked mode
 * holds.
 */
function inMode(config: ProxyConfig, mode: ProxyMode): ProxyConfig {
  return config.mode === mode ? config : { ...config, mode, localhostNodePorts: mode === "iptables" };
}
