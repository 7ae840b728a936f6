/** The steps of a traced packet as a story in the words of the field: one line a stage, packets grouped. */

import { formatEnd } from "./capture-comment.ts";
import { protocolName } from "./conntrack-entry.ts";
import { endpointChain, hostPortChain, hostPortOwner, serviceChain } from "./kube-chains.ts";
import { answerText, type TraceRecord, type TraceTuple } from "./trace-record.ts";

const STAGE_WIDTH = 16; // of the longest name

/** Lines of one packet: who and where in front of the first, the others under it. */
export function formatTrace(steps: readonly TraceRecord[]): string[] {
  const [first] = steps;
  if (first === undefined) return [];
  const where = [first.node, first.in].filter((word) => word !== undefined).join(" ");
  const head = `#${first.packet} ${where}`;
  return steps.map((step, i) => {
    const margin = i === 0 ? head : "".padEnd(head.length);
    return `${margin}  ${step.stage.padEnd(STAGE_WIDTH)} ${stepText(step, steps[i - 1])}`;
  });
}

/** What one stage did; `before` is the stage before it. */
export function stepText(step: TraceRecord, before?: TraceRecord): string {
  const text = [STAGE_TEXTS[step.stage]?.(step, before) ?? step.hook, ending(step)];
  return text.filter((part) => part !== "").join(": ");
}

/** The verdict, where it ends the packet's way. */
function ending(step: TraceRecord): string {
  if (step.verdict === "drop") {
    return `DROP ${step.dropText ?? "without a reason"}${answerText(step)}`;
  }
  if (step.verdict === "consumed" && step.stage !== "reassemble") return "taken by the plane";
  return "";
}

type StageText = (step: TraceRecord, before: TraceRecord | undefined) => string;

const STAGE_TEXTS: Readonly<Record<string, StageText>> = {
  parse: packetText,
  decapsulate: () => "VXLAN header taken off",
  classify: classifyText,
  reassemble: (step) =>
    step.verdict === "consumed" ? "nf_defrag: fragment kept" : "nf_defrag: datagram complete",
  "track-connection": trackText,
  "choose-backend": backendText,
  route: (step) => (step.bridged ? "stays on the bridge" : `routing decision ${step.route ?? "none"}`),
  "enforce-policy": (step) => (step.verdict === "drop" ? "filter FORWARD" : "filter FORWARD accept"),
  masquerade: masqueradeText,
  translate: (step) => translations(step.from, step.to).join(", "),
  output: outputText,
  "send-icmp-error": (step) => `${step.hook} ${ends(step.to)}`,
  "retry-connection": retryText,
  "send-tcp-reset": (step) => `${step.hook} ${ends(step.to)}`,
};

function packetText(step: TraceRecord): string {
  if (step.family === 0) return `EtherType 0x${step.etherType.toString(16).padStart(4, "0")}`;
  const size =
    step.gsoSize === 0 ? `${step.length} bytes` : `${step.length} bytes in segments of ${step.gsoSize}`;
  const flags = step.protocol !== 6 || step.tcpFlags === 0 ? "" : ` ${tcpFlagsText(step.tcpFlags)}`;
  const tunnel = step.fromTunnel ? "out of the tunnel: " : "";
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

function classifyText(step: TraceRecord): string {
  if (step.verdict === "flood") return "bridge: for everybody, flooded";
  if (step.verdict === "drop") return "bridge";
  return step.bridged ? "bridge: for another station" : "for the router";
}

function trackText(step: TraceRecord): string {
  const reply = step.ctDirection === "reply" ? " reply" : "";
  const known = step.translated ? translations(step.from, step.to) : [];
  const stored = known.length === 0 ? "" : `, known translation ${known.join(", ")}`;
  return `PREROUTING conntrack ${step.ctState ?? "UNTRACKED"}${reply}${stored}`;
}

function backendText(step: TraceRecord): string {
  if (step.ctState !== "NEW") return `nat not asked: conntrack ${step.ctState ?? "UNTRACKED"}`;
  if (step.service === undefined) return "nat KUBE-SERVICES: no service claims it";
  const protocol = protocolName(step.protocol);
  const done = translations(step.from, step.to);
  const owner = hostPortOwner(step.service);
  if (owner !== undefined) {
    const chain = hostPortChain(owner);
    const mark = step.masquerade === undefined ? "" : ", CNI-HOSTPORT-SETMARK";
    return `nat CNI-HOSTPORT-DNAT → ${chain} ${done.join(", ")} (${step.service})${mark}`;
  }
  const chains = ["KUBE-SERVICES", serviceChain(step.service, protocol)];
  if (done.length === 0) return `nat ${chains.join(" → ")} (${step.service})`;
  chains.push(endpointChain(step.service, protocol, formatEnd(step.to, "dst")));
  const mark = step.masquerade === undefined ? "" : ", KUBE-MARK-MASQ";
  return `nat ${chains.join(" → ")} ${done.join(", ")} (${step.service})${mark}`;
}

const MASQUERADE_TEXTS = {
  service: "KUBE-MARK-MASQ was set",
  hairpin: "the pod reaches itself",
  egress: "a pod leaves the cluster",
  hostPort: "CNI-HOSTPORT-SETMARK was set",
} as const;

function masqueradeText(step: TraceRecord, before: TraceRecord | undefined): string {
  const changed = translations(before?.to ?? step.from, step.to);
  if (changed.length === 0) return "nat POSTROUTING: source kept";
  if (step.masquerade === undefined)
    return `nat POSTROUTING ${changed.join(", ")} (the reply tuple was taken)`;
  const masqueraded = changed.map((each) => each.replace("SNAT", "MASQUERADE"));
  return `nat POSTROUTING ${masqueraded.join(", ")} (${MASQUERADE_TEXTS[step.masquerade]})`;
}

const FAILURE_TEXTS = {
  refused: "refused",
  silent: "did not answer in time",
  unreachable: "cannot be reached",
} as const;

/** Userspace mode: a refusal that is kept from the client, or what was held, before it is sent again. */
function retryText(step: TraceRecord): string {
  if (step.attempt === undefined) {
    const sender =
      step.protocol === 6 ? `${formatEnd(step.from, "src")} refused` : `ICMP from ${step.from.src}`;
    return `proxy dial failed, ${sender}: the next endpoint is asked`;
  }
  const failure = step.failure === undefined ? "" : ` ${FAILURE_TEXTS[step.failure]}`;
  const what = `${formatEnd(step.to, "dst")}${failure}`;
  if (step.verdict === "drop") return `proxy dial: ${what} at attempt ${step.attempt}, the last`;
  return `proxy dial: ${what}, attempt ${step.attempt}`;
}

function outputText(step: TraceRecord): string {
  if (step.verdict === "drop") return "";
  if (step.verdict === "flood") return "flooded to every port of the bridge";
  const as = step.family === 0 ? "" : ` as ${ends(step.to)}`;
  return `to ${step.out ?? "nowhere"}${as}`;
}

function ends(tuple: TraceTuple): string {
  return `${formatEnd(tuple, "src")} → ${formatEnd(tuple, "dst")}`;
}

/** "DNAT a → b", "SNAT a → b": what differs. */
function translations(from: TraceTuple, to: TraceTuple): string[] {
  const changes: string[] = [];
  if (formatEnd(from, "dst") !== formatEnd(to, "dst")) {
    changes.push(`DNAT ${formatEnd(from, "dst")} → ${formatEnd(to, "dst")}`);
  }
  const [old, now] = from.icmpId === to.icmpId ? ["", ""] : [` id ${from.icmpId}`, ` id ${to.icmpId}`];
  if (formatEnd(from, "src") !== formatEnd(to, "src") || old !== now) {
    changes.push(`SNAT ${formatEnd(from, "src")}${old} → ${formatEnd(to, "src")}${now}`);
  }
  return changes;
}
