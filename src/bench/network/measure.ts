// The ways of measuring, each for one route of one subject.
import type { ChildProcess } from "node:child_process";
import type { Sample } from "../figures/sample.ts";
import { BenchError, run, start } from "../shell.ts";
import {
  DISCARD_PORT,
  IPERF_PORT,
  inNetns,
  ROUND_TRIP_PORT,
  type Route,
  SINK_PORT,
} from "../subject/subject.ts";

const UDP_PAYLOAD = 1370; // bytes; with headers it fits the pods' MTU of 1450

/** Starts iperf3's and the request/response server in a namespace; both end with the benchmark at the latest. */
export async function startServers(netns: string, roundTrip: string): Promise<ChildProcess[]> {
  const iperf = inNetns(netns, "iperf3", "-s", "-p", String(IPERF_PORT), "--forceflush");
  return [
    await start(iperf, "Server listening"),
    await start([roundTrip, netns, "server", String(ROUND_TRIP_PORT)], "ready"),
  ];
}

/** What one measurement gives: its figure, remarks, and how much was carried. */
export type Result = Partial<Sample> & {
  value: number;
  /** Packets, datagrams or requests, from the first to the last. */
  count?: number;
  bytes?: number;
};

export interface Stream {
  seconds: number;
  reverse: boolean;
  streams: number;
}

export async function tcpStream(route: Route, stream: Stream): Promise<Result> {
  const result = await iperf(route, stream, ["-i", "0.5", "-P", String(stream.streams)]);
  const mss: number = result.start.tcp_mss_default || 1398;
  const { bytes, bits_per_second } = result.end.sum_received;
  const intervals: { sum: { bytes: number; seconds: number } }[] = result.intervals;
  return {
    value: bits_per_second / 1e9,
    bytes,
    retransmitPercent: (100 * (result.end.sum_sent.retransmits ?? 0)) / Math.max(1, bytes / mss),
    // The last interval may be a sliver of a few milliseconds that truthfully holds nothing.
    stalls: intervals.filter((i) => i.sum.bytes === 0 && i.sum.seconds > 0.1).length,
  };
}

export async function udpStream(route: Route, stream: Stream, rate: string): Promise<Result> {
  const result = await iperf(route, stream, ["-u", "-b", rate, "-l", String(UDP_PAYLOAD)]);
  const { bits_per_second, lost_percent, packets, lost_packets } = result.end.sum;
  return {
    value: (bits_per_second * (1 - lost_percent / 100)) / 1e9,
    count: packets - lost_packets,
    bytes: (packets - lost_packets) * UDP_PAYLOAD,
    lossPercent: lost_percent,
  };
}

// biome-ignore lint/suspicious/noExplicitAny: iperf3's report is not ours to describe
async function iperf(route: Route, { seconds, reverse }: Stream, more: string[]): Promise<any> {
  const to = ["-c", route.address, "-p", String(IPERF_PORT), "--connect-timeout", "3000"];
  const command = ["iperf3", ...to, "-J", "-t", String(seconds), ...more, ...(reverse ? ["-R"] : [])];
  const text = await run(inNetns(route.clientNetns, ...command), {
    mayFail: true,
    timeoutMs: (seconds + 20) * 1000,
  });
  let result: { error?: string };
  try {
    result = JSON.parse(text);
  } catch (cause) {
    throw new BenchError(`iperf3 to ${route.address}: no report`, { cause });
  }
  if (result.error !== undefined) throw new BenchError(`iperf3 to ${route.address}: ${result.error}`);
  return result;
}

export interface Frames {
  flows: number;
  senders: number;
  seconds: number;
  /** Length without FCS, or seven of 64, four of 594 and one of 1464 bytes. */
  frame: 64 | "imix";
  /** Whose count is taken: the receiving device's, or that of a socket there, plain or with UDP_GRO. */
  read: "device" | "socket" | "gro";
  /** Frames a second by all senders together, and how many leave at once; 0: as fast as they can be sent. */
  rate: number;
  burst: number;
}

/** mac: the next hop's. */
export async function sendFrames(
  route: Route,
  mac: string,
  generator: string,
  frames: Frames,
): Promise<Result> {
  const text = await run([
    generator,
    `tx=${route.clientNetns},${route.clientDevice}`,
    `rx=${route.serverNetns},${route.serverDevice}`,
    `mac=${mac}`,
    `from=${route.clientAddress}`,
    `to=${route.address}:${frames.read === "device" ? DISCARD_PORT : SINK_PORT}`,
    ...Object.entries(frames).map(([name, value]) => `${name}=${value}`),
  ]);
  const { receivedPerSec, arrivedPerSec, receivedTotal, offeredTotal } = JSON.parse(text);
  return {
    value: receivedPerSec / 1000,
    count: receivedTotal,
    ...(frames.read === "device" ? {} : { deviceKpps: arrivedPerSec / 1000 }),
    // The device counts a few frames that nobody here sent: neighbours that are asked for.
    ...(frames.rate === 0 ? {} : { lossPercent: Math.max(0, 100 * (1 - receivedTotal / offeredTotal)) }),
  };
}

export async function roundTrips(
  route: Route,
  program: string,
  mode: "rr" | "crr",
  seconds: number,
): Promise<Result> {
  const port = String(ROUND_TRIP_PORT);
  const { perSec, p50Us, p99Us, errors } = JSON.parse(
    await run([program, route.clientNetns, mode, route.address, port, String(seconds)]),
  );
  if (errors > 0) throw new BenchError(`${errors} requests to ${route.address} were not answered`);
  return { value: perSec, p50Us, p99Us, count: perSec * seconds };
}

/** How late the machine wakes a thread, just now. */
export async function wakeUps(program: string): Promise<Pick<Sample, "wakeP50Us" | "wakeP99Us">> {
  const { p50Us, p99Us } = JSON.parse(await run([program, "0.3"]));
  return { wakeP50Us: p50Us, wakeP99Us: p99Us };
}
