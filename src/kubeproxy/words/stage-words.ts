/** One line a stage: what it did to a traced packet. What kube-proxy has names for is told by proxy-words.ts. */
import { formatIp } from "../../base/ip.ts";
import { formatMac } from "../../base/mac.ts";
import {
  FtpDetail,
  FtpDid,
  HoldDetail,
  MeshDetail,
  MeshWay,
  MssDetail,
  NeighborDetail,
  TunnelDetail,
} from "../../dataplane/trace/layout.ts";
import { protocolName } from "../../observe/conntrack-entry.ts";
import type { Detail, TraceRecord, TraceTuple } from "../../observe/trace-record.ts";
import { formatEnd, policyText } from "./capture-comment.ts";
import { ends, translations } from "./packet-ends.ts";
import { proxyWords } from "./proxy-words.ts";

type Step = TraceRecord;
type Words = readonly number[];

/** No more to say than where in Linux it would be. */
export function hook(step: Step): string {
  return step.hook;
}

const ETHER_TYPES: Readonly<Record<number, string>> = {
  2054: "ARP",
  2048: "IPv4",
  34525: "IPv6",
  33024: "802.1Q tag",
  35020: "LLDP",
};

export function packetText(step: Step): string {
  const tunnel = step.fromTunnel ? "out of the tunnel: " : "";
  if (step.family === 0) {
    if (step.etherType === 0) return `${tunnel}Ethernet frame`;
    const type = `EtherType 0x${step.etherType.toString(16).padStart(4, "0")}`;
    return tunnel + (ETHER_TYPES[step.etherType] ?? type);
  }
  const size =
    step.gsoSize === 0 ? `${step.length} bytes` : `${step.length} bytes in segments of ${step.gsoSize}`;
  const flags = step.protocol !== 6 || step.tcpFlags === 0 ? "" : ` ${tcpFlagsText(step.tcpFlags)}`;
  const protocol = protocolName(step.protocol).toUpperCase();
  return `${tunnel}IPv${step.family} ${protocol} ${ends(step.from)}${icmpText(step.from)}${flags}, ${size}`;
}

const TCP_FLAG_NAMES = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

function tcpFlagsText(flags: number): string {
  return TCP_FLAG_NAMES.filter((_, bit) => ((flags >>> bit) & 1) === 1).join(",");
}

function icmpText(tuple: TraceTuple): string {
  if (tuple.icmpType === undefined) return "";
  return ` type ${tuple.icmpType} code ${tuple.icmpCode} id ${tuple.icmpId}`;
}

export function tunnelDetail(words: Words): Detail {
  return { frames: words[TunnelDetail.FRAMES] };
}

/** Its frames have told their own stories by the time the tunnel packet ends. */
export function tunnelText(step: Step): string {
  if (step.verdict === "next") return "VXLAN header taken off";
  if (step.verdict === "drop") return step.fromTunnel ? "out of the tunnel" : step.hook;
  const frames = step.detail?.frames ?? 1;
  return frames === 1 ? "" : `${frames} frames were in it`;
}

export function neighborDetail(words: Words): Detail {
  const [w0, w1, w2, w3] = words.slice(NeighborDetail.TARGET, NeighborDetail.TARGET + 4);
  const mac = formatMac(words[NeighborDetail.MAC_HI], words[NeighborDetail.MAC_LO]);
  return {
    isRequest: words[NeighborDetail.IS_REQUEST] === 1,
    target: formatIp({ w0, w1, w2, w3 }),
    ...(words[NeighborDetail.ANSWERED] === 1 && { answer: mac }),
  };
}

/** ARP and neighbour discovery. */
export function neighborText(step: Step): string {
  const { detail } = step;
  if (detail === undefined) return step.hook;
  const where = detail.isRequest === true ? `who has ${detail.target}?` : `somebody tells where he is`;
  if (detail.answer !== undefined) return `${step.hook}: ${where} answered: it is at ${detail.answer}`;
  switch (step.verdict) {
    case "next":
      return `${step.hook}: ${where} not ours to answer`;
    case "forward":
      return `${step.hook}: ${where} the node announces its own address: to the fabric`;
    case "drop":
      return `${step.hook}: ${where}`;
    default:
      return `${step.hook}: ${where} heard, no answer is due`;
  }
}

export function classifyText(step: Step): string {
  if (step.verdict === "flood") return "bridge: for everybody, flooded";
  if (step.verdict === "drop") return "bridge";
  if (step.verdict === "consumed") return "bridge: for everybody, and nobody else is there";
  return step.bridged ? "bridge: for another station" : "for the router";
}

export function reassembleText(step: Step): string {
  if (step.verdict === "drop") return "nf_defrag";
  return step.verdict === "consumed" ? "nf_defrag: fragment kept" : "nf_defrag: datagram complete";
}

export function trackText(step: Step): string {
  const reply = step.ctDirection === "reply" ? " reply" : "";
  const known = step.translated ? translations(step, step.from, step.to) : [];
  const stored = known.length === 0 ? "" : `, known translation ${known.join(", ")}`;
  const opener = step.fromProxy === true ? ", of the mesh proxy in its client's name" : "";
  return `${step.hook} ${step.ctState ?? "UNTRACKED"}${reply}${stored}${opener}`;
}

export function backendText(step: Step): string {
  if (step.ctState !== "NEW") return `nat not asked: conntrack ${step.ctState ?? "UNTRACKED"}`;
  return proxyWords(step.mode).backend(step);
}

export function routeText(step: Step): string {
  if (step.verdict === "next" && step.bridged) return "stays on the bridge";
  const back = step.returns === true ? " (its client came by that node)" : "";
  const proxy = step.toProxy === true ? " (to the node's mesh proxy)" : "";
  return `routing decision ${step.route ?? "none"}${back}${proxy}`;
}

export function filterText(step: Step): string {
  const text = proxyWords(step.mode).filterText(step);
  const policies = policyText(step);
  if (policies !== "") return `${text}: ${policies}`;
  return step.verdict === "drop" ? text : `${text} accept`;
}

export function recheckText(step: Step): string {
  return `policies changed, the connection is asked about again: ${policyText(step)}`;
}

export function masqueradeText(step: Step, before: Step | undefined): string {
  const words = proxyWords(step.mode);
  const where = words.sourceText(step);
  if (step.verdict === "drop") return where;
  if (step.clientKept === true) return `${where}: ${CLIENT_KEPT}`;
  const changed = translations(step, before?.to ?? step.from, step.to);
  if (changed.length === 0) return `${where}: source kept`;
  if (step.masquerade === undefined) return `${where} ${changed.join(", ")} (the reply tuple was taken)`;
  return words.masquerade(changed.map((each) => each.replace(/^SNAT /, "")).join(", "), step.masquerade);
}

export function meshDetail(words: Words): Detail {
  return { way: words[MeshDetail.WAY] === MeshWay.OUTBOUND ? "outbound" : "inbound" };
}

/** A connection that is the mesh's. */
export function meshText(step: Step): string {
  if (step.verdict === "drop") return step.hook;
  const whose =
    step.detail?.way === "outbound" ? "a pod of the mesh asks a service of it" : "to a pod of the mesh";
  return `${step.hook}: ${whose}, given to the node's mesh proxy`;
}

const CLIENT_KEPT = "client address kept (keepClientAddress), the pod answers by this node";

/** A packet that begins none passes here, too: one that is not tracked, or belongs to no connection. */
export function enterText(step: Step): string {
  if (step.verdict === "drop") return step.hook;
  return step.ctState === "NEW" || step.ctState === "RELATED"
    ? `${step.hook}: entered, answers ${formatEnd(step.to, "dst")} → ${formatEnd(step.to, "src")}`
    : "";
}

export function translateText(step: Step): string {
  const written = translations(step, step.from, step.to).join(", ");
  return written === "" ? "what an ICMP error quotes, rewritten" : `written: ${written}`;
}

export function mssDetail(words: Words): Detail {
  return { offered: words[MssDetail.OFFERED], clamped: words[MssDetail.CLAMPED] };
}

export function mssText(step: Step): string {
  return `${step.hook}: MSS ${step.detail?.offered} → ${step.detail?.clamped}`;
}

export function ftpDetail(words: Words): Detail {
  const did = words[FtpDetail.DID];
  return {
    ...((did & FtpDid.EXPECTED) !== 0 && { expectedPort: words[FtpDetail.PORT] }),
    rewritten: (did & FtpDid.REWRITTEN) !== 0,
    renumbered: (did & FtpDid.RENUMBERED) !== 0,
  };
}

export function ftpText(step: Step): string {
  const { expectedPort, rewritten, renumbered } = step.detail ?? {};
  const did = [
    expectedPort === undefined ? "" : `a data connection to port ${expectedPort} is expected`,
    rewritten === true ? "the address in the payload rewritten" : "",
    renumbered === true ? "sequence numbers shifted" : "",
  ].filter((each) => each !== "");
  return [step.hook, did.join(", ")].filter((part) => part !== "").join(": ");
}

const FAILURE_TEXTS = {
  refused: "refused",
  silent: "did not answer in time",
  unreachable: "cannot be reached",
} as const;

/** Userspace mode: a refusal that is kept from the client, or what was held, before it is sent again. */
export function retryText(step: Step): string {
  if (step.attempt === undefined) {
    const sender =
      step.protocol === 6 ? `${formatEnd(step.from, "src")} refused` : `ICMP from ${step.from.src}`;
    return `proxy dial failed, ${sender}: the next endpoint is asked`;
  }
  const failure = step.failure === undefined ? "" : ` ${FAILURE_TEXTS[step.failure]}`;
  const what = `${formatEnd(step.to, "dst")}${failure}`;
  if (step.dropReason === "SERVICE_BACKENDS_FAILED")
    return `proxy dial: ${what} at attempt ${step.attempt}, the last`;
  if (step.verdict === "drop") return "proxy dial: what the client sent then";
  return `proxy dial: ${what}, attempt ${step.attempt}`;
}

export function holdDetail(words: Words): Detail {
  return { attempt: words[HoldDetail.ATTEMPT] };
}

export function holdText(step: Step): string {
  if (step.verdict === "consumed") return "proxy dial: kept, the next endpoint is asked at once";
  return `proxy dial: attempt ${step.detail?.attempt ?? 1}, kept until ${formatEnd(step.to, "dst")} answers`;
}

export function removedText(): string {
  return "the connection's endpoint was removed";
}

/** A packet that the plane made itself. */
export function ownText(step: Step): string {
  const way = step.verdict === "drop" || step.out === undefined ? "" : `, to ${step.out}`;
  return `${step.hook} ${ends(step.to)}${way}`;
}

export function outputText(step: Step): string {
  if (step.late === true) {
    if (step.verdict !== "drop") return `its neighbour has answered: sent to ${step.out ?? "nowhere"}`;
    return step.out === undefined ? "" : `to ${step.out}`;
  }
  if (step.verdict === "drop") return step.out === undefined ? "" : `to ${step.out}`;
  if (step.verdict === "flood") return "flooded to every port of the bridge";
  if (step.verdict === "consumed") return "for everybody, and nobody else is there";
  const as = step.family === 0 ? "" : ` as ${ends(step.to)}`;
  return `to ${step.out ?? "nowhere"}${as}${step.waits === true ? ", waits for its neighbour's address" : ""}`;
}
