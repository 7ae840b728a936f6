// Reads a capture with tshark and checks every checksum in it. A capture taken on a receiving device holds
// frames whose TCP or UDP checksum the sender's kernel left to be finished (CHECKSUM_PARTIAL): their field
// holds the sum of the pseudo header, not inverted. tshark calls that bad, or good from 4.2 on; here it is recomputed,
// so that a wrong partial sum is found as well as a wrong full one. Inside a tunnel no partial sum is allowed: those
// bytes are on a wire.
import type { Test } from "tap";
import { run } from "../../src/testing/lab/process.ts";

/** For `ethtool -K`: the kernel does for this device whatever a frame needs before it is on the wire. */
export const NOTHING_LEFT_TO_IT: readonly string[] = [
  ...["tx", "off", "tx-udp-segmentation", "off"],
  ...["tx-udp_tnl-segmentation", "off", "tx-udp_tnl-csum-segmentation", "off"],
];

export interface CaptureCheck {
  frames: number;
  /** Frames with a complete and right TCP or UDP checksum. */
  complete: number;
  /** Frames with a right partial checksum. */
  partial: number;
  tunnelled: number;
  problems: string[];
  /** The first frames with problems: a line of tshark's, and their bytes. */
  evidence: string;
}

/** So many frames are shown, and so much of them. */
const SHOWN_MAX = 3;
const SHOWN_CHARACTERS = 20_000;

const FIELDS = [
  "frame.number",
  "ip.src",
  "ip.dst",
  "ip.len",
  "ip.hdr_len",
  "ip.proto",
  "ip.checksum.status",
  "tcp.checksum",
  "tcp.checksum.status",
  "tcp.checksum_calculated",
  "udp.checksum",
  "udp.checksum.status",
  "udp.checksum_calculated",
  "icmp.checksum.status",
  "icmpv6.checksum.status",
  "frame.protocols",
  "ipv6.src",
  "ipv6.dst",
  "ipv6.plen",
  "vxlan.vni",
  "_ws.malformed",
] as const;
type Field = (typeof FIELDS)[number];
/** Headers that are judged; what they carry is data. */
const KNOWN = /^(eth|ethertype|vlan|llc|arp|ip|ipv6|ipv6\..*|tcp|udp|sctp|icmp|icmpv6|igmp|vxlan|data)$/;
/**
 * Of TCP, where 0 should be: what Linux writes when it completes a partial checksum for a device, of whatever protocol,
 * one segment in 65,536. Both verify, but tshark calls it bad. podwire writes 0, so inside a tunnel it is none of Linux'.
 */
const ALL_ONES = 0xffff;
const BAD = "0";
const GOOD = "1";

export async function checkCapture(file: string, vxlanPort = 8472): Promise<CaptureCheck> {
  // What TCP and UDP carry is data: tshark would guess at it by the ports, of which a client's are random, call it
  // malformed, and put streams together for it, which with some protocols takes minutes.
  const data = [
    "tcp.port==1-65535,data",
    `udp.port==1-${vxlanPort - 1},data`,
    `udp.port==${vxlanPort + 1}-65535,data`,
  ];
  const decode = [...data, `udp.port==${vxlanPort},vxlan`].flatMap((as) => ["-d", as]);
  const options = ["ip", "tcp", "udp"].flatMap((p) => ["-o", `${p}.check_checksum:TRUE`]);
  const format = ["-T", "fields", "-E", "occurrence=a", "-E", "aggregator=;", "-E", "separator=/t"];
  const command = ["tshark", "-n", "-r", file, ...decode, ...options, ...format];
  const result = await run([...command, ...FIELDS.flatMap((f) => ["-e", f])], { timeoutMs: 120_000 });
  if (result.status !== 0) throw new Error(`tshark ${file}: ${result.stderr}`);
  const check: CaptureCheck = {
    ...{ frames: 0, complete: 0, partial: 0, tunnelled: 0 },
    problems: [],
    evidence: "",
  };
  for (const line of result.stdout.split("\n")) {
    if (line === "") continue;
    const cells = line.split("\t");
    const values = new Map<Field, string[]>();
    FIELDS.forEach((field, i) => void values.set(field, (cells[i] ?? "").split(";").filter(Boolean)));
    judge(values, check);
  }
  if (check.problems.length > 0) check.evidence = await shown(file, check.problems, [...decode, ...options]);
  return check;
}

/** Whoever reads the test's output has no more of the capture than this. */
async function shown(file: string, problems: string[], options: readonly string[]): Promise<string> {
  const numbers = new Set(problems.map((line) => line.split(" ")[1]));
  const filter = `frame.number in {${[...numbers].slice(0, SHOWN_MAX).join(", ")}}`;
  const { stdout } = await run(["tshark", "-n", "-r", file, ...options, "-P", "-x", "-Y", filter]);
  return stdout.slice(0, SHOWN_CHARACTERS);
}

export function nothingWrong(
  t: Pick<Test, "same" | "comment">,
  { problems, frames, evidence }: CaptureCheck,
  where = "",
): void {
  const what = `${where} ${problems.length} problems in ${frames} frames`.trim();
  t.same(problems.slice(0, 10), [], what);
  if (evidence !== "") t.comment(evidence);
}

function judge(values: Map<Field, string[]>, check: CaptureCheck): void {
  const all = (field: Field) => values.get(field) ?? [];
  const ends = (end: "src" | "dst") => [...all(`ip.${end}`), ...all(`ipv6.${end}`)].join("/");
  const problem = (what: string) =>
    void check.problems.push(`frame ${all("frame.number")[0]} ${ends("src")} > ${ends("dst")}: ${what}`);
  check.frames++;
  const inTunnel = all("vxlan.vni").length > 0;
  // An ICMP error quotes a packet as its sender's kernel had it, partial checksum included.
  const isIcmp = [...all("icmp.checksum.status"), ...all("icmpv6.checksum.status")].length > 0;
  const quoted = !inTunnel && isIcmp;
  if (inTunnel) check.tunnelled++;
  const protocols = (all("frame.protocols")[0] ?? "").split(":");
  if (all("_ws.malformed").length > 0 && protocols.every((p) => KNOWN.test(p)))
    problem(`malformed ${protocols.join(":")}`);
  if (all("ip.checksum.status").includes(BAD)) problem("bad IP checksum");
  if (all("icmp.checksum.status").includes(BAD)) problem("bad ICMP checksum");
  if (all("icmpv6.checksum.status").includes(BAD)) problem("bad ICMPv6 checksum");
  for (const l4 of ["tcp", "udp"] as const) {
    const found = all(`${l4}.checksum`);
    const calculated = all(`${l4}.checksum_calculated`).values(); // of those that are there: UDP's may be absent
    const calculatedOf: number[] = [];
    const isRight = all(`${l4}.checksum.status`).map((status, i) => {
      if (status !== GOOD && status !== BAD) return undefined;
      const sum = calculated.next().value;
      calculatedOf[i] = Number(sum);
      return status === GOOD && sum === found[i];
    });
    if (isRight.includes(true)) check.complete++;
    isRight.forEach((right, i) => {
      if (right !== false) return;
      // Under a tunnel the first UDP header is the outer one; everything else is tunnelled.
      const inner = inTunnel && (l4 === "tcp" || i > 0);
      const field = Number(found[i]);
      if (!inner && l4 === "tcp" && field === ALL_ONES && calculatedOf[i] === 0) {
        check.complete++;
        return;
      }
      const wanted = pseudoHeaderSum(values, quoted ? 1 : 0, l4 === "tcp" ? 6 : 17);
      if (!inner && field === wanted) check.partial++;
      else problem(`bad ${inner ? "tunnelled " : ""}${l4.toUpperCase()} checksum ${field.toString(16)}`);
    });
  }
}

/** The sum of the pseudo header (RFC 9293 §3.1), folded and not inverted. */
function pseudoHeaderSum(values: Map<Field, string[]>, layer: number, protocol: number): number {
  const word = (field: Field) => values.get(field)?.[layer] ?? "0";
  const isV6 = /:(ip|ipv6)\b/.exec(values.get("frame.protocols")?.[0] ?? "")?.[1] === "ipv6";
  if (isV6) {
    const length = Number(word("ipv6.plen"));
    return folded(sumV6(word("ipv6.src")) + sumV6(word("ipv6.dst")) + protocol + length);
  }
  const halves = (address: string) => {
    const [a, b, c, d] = address.split(".").map(Number);
    return ((a << 8) | b) + ((c << 8) | d);
  };
  const length = Number(word("ip.len")) - Number(word("ip.hdr_len"));
  return folded(halves(word("ip.src")) + halves(word("ip.dst")) + protocol + length);
}

/** Sum of an IPv6 address' eight 16-bit words; tshark prints no embedded IPv4 addresses for those of a lab. */
function sumV6(address: string): number {
  const [head, tail] = address.split("::").map((half) => half.split(":").filter(Boolean));
  return [...head, ...(tail ?? [])].reduce((sum, group) => sum + Number.parseInt(group, 16), 0);
}

function folded(total: number): number {
  let sum = total;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
