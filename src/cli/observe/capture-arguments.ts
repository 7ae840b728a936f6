// The words behind `podwire capture` and `trace`: some come from the habits of kubectl, others from those of tcpdump.
import { isIP } from "node:net";

/**
 * `-n NAMESPACE` is kubectl's. tcpdump's -n has no value: it is that one where nothing follows that could be a namespace
 * (an option, the beginning of a filter, the end), where it is doubled, and where another option hangs on it (-ni eth0).
 */
export function withoutNumeric(args: readonly string[]): string[] {
  const at = args.findIndex((word) => word === "capture" || word === "trace");
  const end = args.indexOf("--");
  const list: string[] = [];
  for (const [i, word] of args.entries()) {
    const isOwn = i > at && (end < 0 || i < end) && !VALUED.test(args[i - 1]);
    const bundle = /^-n+([ciswv]?)$/.exec(word);
    if (!isOwn || bundle === null || (word === "-n" && isNamespace(args[i + 1]))) list.push(word);
    else if (bundle[1] !== "") list.push(`-${bundle[1]}`);
  }
  return list;
}

/** Options whose value is the next word, whatever it looks like. */
const VALUED = /^-(?:n*[cisw]|-write|-interface|-count|-snaplen|-node)$/;

function isNamespace(next: string | undefined): boolean {
  return next !== undefined && !next.startsWith("-") && !startsFilter(next);
}

/** Words an expression can start with (pcap-filter(7)). */
const FILTER_WORDS = new Set(
  `ah arp broadcast carp clns decnet dst ether esp fddi gateway geneve greater host icmp icmp6 igmp
   igrp inbound ip ip6 ipx isis iso len less link llc moprc mopdl mpls multicast net not or outbound
   pim port portrange pppoed pppoes proto rarp sctp src stp tcp udp vlan vrrp wlan`.split(/\s+/),
);

export function startsFilter(word: string): boolean {
  if (word.includes(" ") || /^[!(]/.test(word) || isIP(word) !== 0) return true;
  const first = /^[a-z0-9]+(?=$|[[(:])/.exec(word)?.[0]; // "tcp", "tcp[13]", "ether[0]"
  return first !== undefined && FILTER_WORDS.has(first);
}
