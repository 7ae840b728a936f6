/** The steps of a traced packet as a story in the words of the field: one line a stage, packets grouped. */
import { endpointChain, serviceChain } from "./kube-chains.ts";
import { formatEnd, type PacketTuple, type TraceStep } from "./plane-record.ts";

const STAGE_WIDTH = 16; // of the longest name

/** Lines of one packet: who and where in front of the first, the others under it. */
export function formatTrace(steps: readonly TraceStep[]): string[] {
  const [first] = steps;
  if (first === undefined) return [];
  const where = [first.node, first.inPort].filter((word) => word !== undefined).join(" ");
  const head = `#${first.packet} ${where}`;
  return steps.map((step, i) => {
    const margin = i === 0 ? head : "".padEnd(head.length);
    return `${margin}  ${step.stage.padEnd(STAGE_WIDTH)} ${stepText(step, steps[i - 1])}`;
  });
}

/** What one stage did; `before` is the stage before it. */
export function stepText(step: TraceStep, before?: TraceStep): string {
  const text = [STAGE_TEXTS[step.stage]?.(step, before) ?? step.hook, ending(step)];
  return text.filter((part) => part !== "").join(": ");
}

/** The verdict, where it ends the packet's way. */
function ending(step: TraceStep): string {
  if (step.verdict === "drop") {
    const error = step.icmpError === undefined ? "" : `, the sender gets ICMP ${step.icmpError}`;
    return `DROP ${step.dropText ?? "without a reason"}${error}`;
  }
  if (step.verdict === "consumed" && step.stage !== "reassemble") return "taken by the plane";
  return "";
}

type StageText = (step: TraceStep, before: TraceStep | undefined) => string;

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
  "send-icmp-error": (step) => `${step.hook} ${step.to === undefined ? "" : ends(step.to)}`.trim(),
};

function packetText(step: TraceStep): string {
  if (step.from === undefined) return `EtherType 0x${step.etherType.toString(16).padStart(4, "0")}`;
  const size =
    step.gsoSize === undefined
      ? `${step.length} bytes`
      : `${step.length} bytes in segments of ${step.gsoSize}`;
  const flags = step.tcpFlags === undefined || step.tcpFlags === "" ? "" : ` ${step.tcpFlags}`;
  const tunnel = step.tunnel ? "out of the tunnel: " : "";
  const protocol = (step.protocol ?? "").toUpperCase();
  return `${tunnel}IPv${step.family} ${protocol} ${ends(step.from)}${icmpText(step.from)}${flags}, ${size}`;
}

function icmpText(tuple: PacketTuple): string {
  if (tuple.icmpType === undefined) return "";
  return ` type ${tuple.icmpType} code ${tuple.icmpCode} id ${tuple.icmpId}`;
}

function classifyText(step: TraceStep): string {
  if (step.verdict === "flood") return "bridge: for everybody, flooded";
  if (step.verdict === "drop") return "bridge";
  return step.bridged ? "bridge: for another station" : "for the router";
}

function trackText(step: TraceStep): string {
  const reply = step.direction === "reply" ? " reply" : "";
  const known = translations(step.from, step.to);
  const stored = known.length === 0 ? "" : `, known translation ${known.join(", ")}`;
  return `PREROUTING conntrack ${step.ctState ?? ""}${reply}${stored}`;
}

function backendText(step: TraceStep): string {
  if (step.service === undefined) return "nat KUBE-SERVICES: no service claims it";
  const protocol = step.protocol ?? "tcp";
  const chains = ["KUBE-SERVICES", serviceChain(step.service, protocol)];
  const done = translations(step.from, step.to);
  if (done.length === 0 || step.to === undefined) return `nat ${chains.join(" → ")} (${step.service})`;
  chains.push(endpointChain(step.service, protocol, formatEnd(step.to.dst, step.to.dport)));
  const mark = step.masquerade === undefined ? "" : ", KUBE-MARK-MASQ";
  return `nat ${chains.join(" → ")} ${done.join(", ")} (${step.service})${mark}`;
}

const MASQUERADE_TEXTS = {
  service: "KUBE-MARK-MASQ was set",
  hairpin: "the pod reaches itself",
  "pod-egress": "a pod leaves the cluster",
} as const;

function masqueradeText(step: TraceStep, before: TraceStep | undefined): string {
  const changed = translations(before?.to ?? step.from, step.to);
  if (changed.length === 0) return "nat POSTROUTING: source kept";
  if (step.masquerade === undefined)
    return `nat POSTROUTING ${changed.join(", ")} (the reply tuple was taken)`;
  const masqueraded = changed.map((each) => each.replace("SNAT", "MASQUERADE"));
  return `nat POSTROUTING ${masqueraded.join(", ")} (${MASQUERADE_TEXTS[step.masquerade]})`;
}

function outputText(step: TraceStep): string {
  if (step.verdict === "drop") return "";
  if (step.verdict === "flood") return "flooded to every port of the bridge";
  const as = step.to === undefined ? "" : ` as ${ends(step.to)}`;
  return `to ${step.outPort ?? "nowhere"}${as}`;
}

function ends(tuple: PacketTuple): string {
  return `${formatEnd(tuple.src, tuple.sport)} → ${formatEnd(tuple.dst, tuple.dport)}`;
}

/** "DNAT a → b", "SNAT a → b": what differs. */
export function translations(from: PacketTuple | undefined, to: PacketTuple | undefined): string[] {
  if (from === undefined || to === undefined) return [];
  const changes: string[] = [];
  if (from.dst !== to.dst || from.dport !== to.dport) {
    changes.push(`DNAT ${formatEnd(from.dst, from.dport)} → ${formatEnd(to.dst, to.dport)}`);
  }
  if (from.src !== to.src || from.sport !== to.sport || from.icmpId !== to.icmpId) {
    const [old, now] = from.icmpId === to.icmpId ? ["", ""] : [` id ${from.icmpId}`, ` id ${to.icmpId}`];
    changes.push(`SNAT ${formatEnd(from.src, from.sport)}${old} → ${formatEnd(to.src, to.sport)}${now}`);
  }
  return changes;
}
