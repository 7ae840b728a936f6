// Throughput with real programs: not how fast (scripts/bench says that) but that nothing stalls and nothing
// is sent twice.
import type { Test } from "tap";
import type { TestLab } from "../../src/testing/lab/lab.ts";

const SECONDS = 3;
const RETRANSMIT_PERCENT_MAX = 0.1;

export function trafficScenario(t: Test, lab: () => TestLab): void {
  for (const [where, pod] of [
    ["on the same node", "web-1"],
    ["across the overlay", "web-2"],
  ]) {
    for (const direction of ["forward", "reverse"]) {
      t.test(`a TCP stream ${where}, ${direction}, never stalls`, async (t) => {
        const server = await lab().startIn(pod, ["iperf3", "-s", "-1", "--forceflush"], /listening/);
        const command = [
          "iperf3",
          "-c",
          await lab().podAddress(pod),
          "-J",
          "-t",
          String(SECONDS),
          "-i",
          "0.5",
        ];
        if (direction === "reverse") command.push("-R");
        const report = JSON.parse((await lab().exec("client-1", command)).stdout);
        await server.stop();
        t.equal(report.error, undefined);
        const received = report.end.sum_received;
        const segments = received.bytes / (report.start.tcp_mss_default || 1398);
        const retransmitted = (100 * report.end.sum_sent.retransmits) / segments;
        t.ok(retransmitted < RETRANSMIT_PERCENT_MAX, `${retransmitted.toFixed(4)} % retransmitted`);
        const silent = report.intervals.filter(
          (i: { sum: { bytes: number; seconds: number } }) => i.sum.bytes === 0 && i.sum.seconds > 0.1,
        );
        t.equal(silent.length, 0, `${(received.bits_per_second / 1e9).toFixed(2)} Gbit/s without a stall`);
      });
    }
  }
}
