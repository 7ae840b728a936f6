// ping(8)'s words: one line an answer, and the closing statistics. Numbers are rounded as iputils rounds
// them.
import type { EchoAnswer } from "./icmp-prober.ts";

/** "0.045", "1.23", "12.3", "123": fewer decimals the longer it took. */
export function formatRtt(ms: number): string {
  if (ms >= 100) return ms.toFixed(0);
  if (ms >= 10) return ms.toFixed(1);
  return ms.toFixed(ms >= 1 ? 2 : 3);
}

/** The line for an answer; undefined for a timeout, of which ping says nothing until the end. */
export function answerLine(answer: EchoAnswer, isDuplicate = false): string | undefined {
  const sequence = `icmp_seq=${answer.sequence}`;
  if (answer.kind === "reply") {
    const ttl = answer.ttl === undefined ? "" : ` ttl=${answer.ttl}`;
    const time = answer.rttMs === undefined ? "" : ` time=${formatRtt(answer.rttMs)} ms`;
    const mark = isDuplicate ? " (DUP!)" : "";
    return `${answer.bytes} bytes from ${answer.from}: ${sequence}${ttl}${time}${mark}`;
  }
  if (answer.kind === "timeout") return undefined;
  return answer.from === undefined
    ? `ping: ${answer.text}`
    : `From ${answer.from} ${sequence} ${answer.text}`;
}

export interface PingSummary {
  target: string;
  transmitted: number;
  received: number;
  duplicates: number;
  errors: number;
  elapsedMs: number;
  rttsMs: number[];
}

export interface RttStatistics {
  minMs: number;
  avgMs: number;
  maxMs: number;
  mdevMs: number;
}

/** mdev is the standard deviation, as in iputils. */
export function rttStatistics(rttsMs: readonly number[]): RttStatistics | undefined {
  if (rttsMs.length === 0) return undefined;
  const avgMs = rttsMs.reduce((sum, rtt) => sum + rtt, 0) / rttsMs.length;
  const squares = rttsMs.reduce((sum, rtt) => sum + (rtt - avgMs) ** 2, 0) / rttsMs.length;
  return { minMs: Math.min(...rttsMs), avgMs, maxMs: Math.max(...rttsMs), mdevMs: Math.sqrt(squares) };
}

export function lossPercent({ transmitted, received }: PingSummary): number {
  return transmitted === 0 ? 0 : ((transmitted - received) * 100) / transmitted;
}

/** The closing lines. */
export function summaryText(summary: PingSummary): string {
  const loss = Number(lossPercent(summary).toPrecision(6));
  const extra =
    (summary.duplicates > 0 ? `, +${summary.duplicates} duplicates` : "") +
    (summary.errors > 0 ? `, +${summary.errors} errors` : "");
  const lines = [
    `--- ${summary.target} ping statistics ---`,
    `${summary.transmitted} packets transmitted, ${summary.received} received${extra}, ` +
      `${loss}% packet loss, time ${Math.round(summary.elapsedMs)}ms`,
  ];
  const rtt = rttStatistics(summary.rttsMs);
  if (rtt !== undefined) {
    const values = [rtt.minMs, rtt.avgMs, rtt.maxMs, rtt.mdevMs].map((ms) => ms.toFixed(3)).join("/");
    lines.push(`rtt min/avg/max/mdev = ${values} ms`);
  } else lines.push("");
  return lines.join("\n");
}
