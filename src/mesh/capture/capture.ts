// How connections of any address and port come to one listening socket: nftables marks TCP that comes by the pod's device
// and is not for the proxy itself, and gives what is new of it to that socket (tproxy), whose own address is then the
// one that the client asked for; what is marked is delivered here whatever its address (a rule and a table of routes).
// Marked, and not all that comes: the kernel would answer ARP for everybody. All of it is in the pod's network namespace
// and goes with it; it is made anew at each start.
import { spawnSync } from "node:child_process";
import { networkInterfaces } from "node:os";
import { PodwireError } from "../../base/errors.ts";
import { parseIp } from "../../base/ip.ts";

const TABLE = 15_001; // of routes
const PRIORITY = 15_001;
const MARK = 15_001;
const NFT_TABLE = "podwire_mesh";

export interface CaptureOptions {
  readonly device: string;
  /** Of the proxy itself, on that device. */
  readonly addresses: readonly string[];
  readonly port: number;
}

/** Addresses of the device, without those of the link. Throws where it has none. */
export function addressesOf(device: string): string[] {
  const found = (networkInterfaces()[device] ?? [])
    .map(({ address }) => address)
    .filter((address) => parseIp(address) !== null && !/^fe[89ab]/i.test(address));
  if (found.length > 0) return found;
  throw new PodwireError(`device: ${device} has no address here: name the pod's device`, {
    code: "MESH_CAPTURE",
  });
}

/** Throws a PodwireError of one line. */
export function capture(options: CaptureOptions): void {
  for (const family of families(options.addresses)) {
    const by = `-${family}`;
    const rule = ["rule", "add", "pref", String(PRIORITY), "fwmark", String(MARK), "lookup", String(TABLE)];
    run("ip", [by, "rule", "del", "pref", String(PRIORITY)], true);
    run("ip", [by, ...rule]);
    const all = family === 4 ? "0.0.0.0/0" : "::/0";
    run("ip", [by, "route", "replace", "local", all, "dev", "lo", "table", String(TABLE)]);
  }
  run("nft", ["-f", "-"], false, rulesText(options));
}

/** Takes it away again. */
export function release(): void {
  for (const by of ["-4", "-6"]) {
    run("ip", [by, "rule", "del", "pref", String(PRIORITY)], true);
    run("ip", [by, "route", "flush", "table", String(TABLE)], true);
  }
  run("nft", ["delete", "table", "inet", NFT_TABLE], true);
}

function rulesText({ device, addresses, port }: CaptureOptions): string {
  const lines = families(addresses).flatMap((family) => {
    const [what, name, icmp] =
      family === 4
        ? ["ipv4", "ip", "icmp type { destination-unreachable, time-exceeded }"]
        : ["ipv6", "ip6", "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded }"];
    const own = addresses.filter((each) => each.includes(":") === (family === 6)).join(", ");
    return [
      `    meta nfproto ${what} ${name} daddr { ${own} } accept`,
      `    meta nfproto ${what} meta l4proto tcp tproxy ${name} to :${port} meta mark set ${MARK} accept`,
      `    ${icmp} meta mark set ${MARK} accept`, // errors of connections that are made from clients' addresses
    ];
  });
  return [
    `table inet ${NFT_TABLE}`,
    `delete table inet ${NFT_TABLE}`,
    `table inet ${NFT_TABLE} {`,
    "  chain take {",
    "    type filter hook prerouting priority mangle; policy accept;",
    `    iifname != "${device}" accept`,
    ...lines,
    "  }",
    "}",
    "",
  ].join("\n");
}

function families(addresses: readonly string[]): (4 | 6)[] {
  return ([4, 6] as const).filter((family) =>
    addresses.some((each) => each.includes(":") === (family === 6)),
  );
}

function run(program: string, args: readonly string[], mayFail = false, input = ""): void {
  const { status, stderr, error } = spawnSync(program, args, { input, encoding: "utf8" });
  if (mayFail || (status === 0 && error === undefined)) return;
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  const why =
    code === "ENOENT"
      ? `${program} is not installed: it is needed to take connections (packages iproute2 and nftables)`
      : /permitted|denied/i.test(stderr)
        ? `${program} may not: the container needs NET_ADMIN`
        : `${program} ${args.join(" ")}: ${stderr.trim().split("\n", 1)[0] || error?.message || `status ${status}`}`;
  throw new PodwireError(`connections cannot be taken: ${why}`, { code: "MESH_CAPTURE" });
}
