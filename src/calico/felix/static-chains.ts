// What there is before the first pod: where Calico's chains are entered, and what becomes of packets from and to the
// node itself.
import type { IpFamily } from "../../base/ip.ts";
import type { IpSets } from "./ip-sets.ts";
import { MARK_ACCEPT, MARK_ALL } from "./marks.ts";
import {
  ACCEPT,
  type Chain,
  clearMark,
  DROP,
  hasMark,
  hasNoMark,
  icmpv6Type,
  inInterface,
  inSet,
  jump,
  localType,
  notDnat,
  outInterface,
  protocol,
  RETURN,
  type Rule,
  setMark,
  toPorts,
} from "./rule-text.ts";

const PODS = "cali+";
const UDP = "17";
const ICMPV6 = "58";
/** Queries and reports of multicast listeners, router solicitations, and how neighbours are found. */
const NEIGHBOR_TYPES = [130, 131, 132, 133, 135, 136];
/** Chains that stay empty without host endpoints and without a range of services to keep in. */
const EMPTY = ["cali-cidr-block", "cali-from-hep-forward", "cali-from-host-endpoint"];
const EMPTY_TOO = ["cali-to-hep-forward", "cali-to-host-endpoint"];

/** The first rules of iptables' own chains. */
export const ENTRIES: readonly Chain[] = ["INPUT", "FORWARD", "OUTPUT"].map((name) => ({
  name,
  rules: [{ action: jump(`cali-${name}`) }],
}));

/** The last rules of FORWARD. */
export const FORWARD_END: readonly Rule[] = [
  { matches: [hasMark(MARK_ACCEPT)], action: ACCEPT, comments: ["Policy explicitly accepted packet."] },
  { action: setMark(MARK_ACCEPT) },
];

export interface Tunnel {
  readonly port: number;
  /** Addresses of the other nodes. */
  readonly peers: readonly string[];
}

export function staticChains(family: IpFamily, tunnel: Tunnel | undefined, sets: IpSets): Chain[] {
  return [
    { name: "cali-FORWARD", rules: forwardRules() },
    { name: "cali-INPUT", rules: inputRules(family, tunnel, sets) },
    { name: "cali-OUTPUT", rules: outputRules(family, tunnel, sets) },
    { name: "cali-wl-to-host", rules: toHostRules(family) },
    ...[...EMPTY, ...EMPTY_TOO].map((name) => ({ name, rules: [] })),
  ];
}

function forwardRules(): Rule[] {
  return [
    { action: clearMark(MARK_ALL & ~MARK_ACCEPT) },
    { matches: [hasNoMark(MARK_ACCEPT)], action: jump("cali-from-hep-forward") },
    { matches: [inInterface(PODS)], action: jump("cali-from-wl-dispatch") },
    { matches: [outInterface(PODS)], action: jump("cali-to-wl-dispatch") },
    { action: jump("cali-to-hep-forward") },
    { action: jump("cali-cidr-block") },
  ];
}

function inputRules(family: IpFamily, tunnel: Tunnel | undefined, sets: IpSets): Rule[] {
  return [
    ...(tunnel === undefined ? [] : tunnelInput(family, tunnel, sets)),
    { matches: [inInterface(PODS)], action: { felix: "--goto cali-wl-to-host", save: "-g cali-wl-to-host" } },
    { matches: [hasMark(MARK_ACCEPT)], action: ACCEPT },
    { action: clearMark(MARK_ALL) },
    { action: jump("cali-from-host-endpoint") },
    { matches: [hasMark(MARK_ACCEPT)], action: ACCEPT, comments: ["Host endpoint policy accepted packet."] },
  ];
}

function tunnelInput(family: IpFamily, { port, peers }: Tunnel, sets: IpSets): Rule[] {
  const vxlan = [protocol(UDP), toPorts([{ first: port, last: port }])];
  const known = inSet(sets.ofAddresses("all-vxlan-net", peers), "src");
  return [
    {
      matches: [...vxlan, known, localType("dst")],
      action: ACCEPT,
      comments: [`Allow IPv${family} VXLAN packets from allowed hosts`],
    },
    {
      matches: [...vxlan, localType("dst")],
      action: DROP,
      comments: [`Drop IPv${family} VXLAN packets from non-allowed hosts`],
    },
  ];
}

function outputRules(family: IpFamily, tunnel: Tunnel | undefined, sets: IpSets): Rule[] {
  const toPeers: Rule[] =
    tunnel === undefined
      ? []
      : [
          {
            matches: [
              protocol(UDP),
              toPorts([{ first: tunnel.port, last: tunnel.port }]),
              localType("src"),
              inSet(sets.ofAddresses("all-vxlan-net", tunnel.peers), "dst"),
            ],
            action: ACCEPT,
            comments: [`Allow IPv${family} VXLAN packets to other allowed hosts`],
          },
        ];
  return [
    { matches: [hasMark(MARK_ACCEPT)], action: ACCEPT },
    { matches: [outInterface(PODS)], action: RETURN },
    ...toPeers,
    { action: clearMark(MARK_ALL) },
    { matches: [notDnat()], action: jump("cali-to-host-endpoint") },
    { matches: [hasMark(MARK_ACCEPT)], action: ACCEPT, comments: ["Host endpoint policy accepted packet."] },
  ];
}

/** From pods to their own node: their egress policies hold there too; what those let pass is accepted. */
function toHostRules(family: IpFamily): Rule[] {
  const neighbors: Rule[] = NEIGHBOR_TYPES.map((type) => ({
    matches: [protocol(ICMPV6), icmpv6Type(type)],
    action: ACCEPT,
  }));
  return [
    ...(family === 6 ? neighbors : []),
    { action: jump("cali-from-wl-dispatch") },
    { action: ACCEPT, comments: ["Configured DefaultEndpointToHostAction"] },
  ];
}
