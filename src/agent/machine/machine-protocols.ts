/**
 * In which protocols without ports the machine itself may speak: those of its raw sockets, its tunnels and IPsec's
 * states. What comes in them is the machine's, whatever pods send.
 */
import { Protocol } from "../../base/protocols.ts";

const { ESP, GRE, IPIP, IPV6_IN_IP } = Protocol;
const AH = 51;
const L2TP = 115;
/** By what ip(8) calls a kind of tunnel. */
const TUNNELS: Readonly<Record<string, readonly number[]>> = {
  ...{ gre: [GRE], gretap: [GRE], erspan: [GRE] },
  ...{ ip6gre: [GRE], ip6gretap: [GRE], ip6erspan: [GRE] },
  ...{ ipip: [IPIP], sit: [IPIP, IPV6_IN_IP], ip6tnl: [IPIP, IPV6_IN_IP], l2tp: [L2TP] },
};

/** `read` runs a program in the machine's network and gives what it prints. */
export async function machineProtocols(
  read: (argv: readonly string[]) => Promise<string>,
): Promise<Set<number>> {
  const [raw, links, states] = await Promise.all([
    read(["cat", "/proc/self/net/raw", "/proc/self/net/raw6"]),
    read(["ip", "-d", "-j", "link", "show", "up"]),
    read(["ip", "xfrm", "state"]),
  ]);
  // A raw socket's port is its protocol.
  const sockets = [...raw.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) /gm)].map((match) =>
    Number.parseInt(match[1], 16),
  );
  const kinds = [...links.matchAll(/"info_kind":"(\w+)"/g)].flatMap((match) => TUNNELS[match[1]] ?? []);
  return new Set([...sockets, ...kinds, ...(states.trim() === "" ? [] : [ESP, AH])]);
}
