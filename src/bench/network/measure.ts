// The ways of measuring, each for one route of one subject.
import { BenchError, run, start } from "../shell.ts";
import {
  DISCARD_PORT,
  IPERF_PORT,
  inNetns,
  nextHopMac,
  ROUND_TRIP_PORT,
  type Route,
  SINK_PORT,
} from "../subject/subject.ts";

const UDP_PAYLOAD = 1370; // bytes; with headers it fits the pods' MTU of 1450

/** Starts iperf3's and the request/response server in a namespace; both end with the benchmark. */
export async function startServers(netns: string, roundTrip: string): Promise<void> {
  await start(inNetns(netns, "iperf3", "-s", "-p", String(IPERF_PORT), "--forceflush"), "Server listening");
  await start([roundTrip, netns, "server", String(ROUND_TRIP_PORT)], "ready");
}

export interface StreamResult {
  /** Gbit/s that arrived. */
  value: number;
  retransmitPercent?: number;
  stalls?: number;
  lossPercent?: number;
}

export async function tcpStream(route: Route, seconds: number, reverse: boolean): Promise<StreamResult> {
  const result = await iperf(route, seconds, reverse, ["-i", "0.5"]);
  const mss: number = result.start.tcp_mss_default || 1398;
  const segments = result.end.sum_received.bytes / mss;
  const intervals: { sum: { bytes: number; seconds: number } }[] = result.intervals;
  return {
    value: result.end.sum_received.bits_per_second / 1e9,
    retransmitPercent: (100 * (result.end.sum_sent.retransmits ?? 0)) / Math.max(1, segments),
    // The last interval may be a sliver of a few milliseconds that truthfully holds nothing.
    stalls: intervals.filter((i) => i.sum.bytes === 0 && i.sum.seconds > 0.1).length,
  };
}

export async function udpStream(
  route: Route,
  seconds: number,
  reverse: boolean,
  rate: string,
): Promise<StreamResult> {
  const result = await iperf(route, seconds, reverse, ["-u", "-b", rate, "-l", String(UDP_PAYLOAD)]);
  const sum = result.end.sum;
  return {
    value: (sum.bits_per_second * (1 - sum.lost_percent / 100)) / 1e9,
    lossPercent: sum.lost_percent,
  };
}

// biome-ignore lint/suspicious/noExplicitAny: iperf3's report is not ours to describe
async function iperf(route: Route, seconds: number, reverse: boolean, more: string[]): Promise<any> {
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

export interface SmallFrames {
  flows: number;
  senders: number;
  seconds: number;
  /** Whose count is taken: the receiving device's, or that of a socket there, plain or with UDP_GRO. */
  read: "device" | "socket" | "gro";
}

export interface FramesResult {
  /** Frames, or datagrams read, thousands a second. */
  value: number;
  deviceKpps?: number;
}

/** Frames of 64 bytes without FCS, as fast as they can be sent. */
export async function smallFrames(route: Route, generator: string, load: SmallFrames): Promise<FramesResult> {
  const { flows, senders, seconds, read } = load;
  const mac = await nextHopMac(route);
  const text = await run([
    generator,
    `tx=${route.clientNetns},${route.clientDevice}`,
    `rx=${route.serverNetns},${route.serverDevice}`,
    `mac=${mac}`,
    `from=${route.clientAddress}`,
    `to=${route.address}:${read === "device" ? DISCARD_PORT : SINK_PORT}`,
    ...Object.entries({ flows, senders, seconds, read }).map(([name, value]) => `${name}=${value}`),
  ]);
  const { receivedPerSec, arrivedPerSec } = JSON.parse(text);
  const value = receivedPerSec / 1000;
  return read === "device" ? { value } : { value, deviceKpps: arrivedPerSec / 1000 };
}

export interface RoundTripResult {
  /** Requests a second. */
  value: number;
  p50Us: number;
  p99Us: number;
}

export async function roundTrips(
  route: Route,
  program: string,
  mode: "rr" | "crr",
  seconds: number,
): Promise<RoundTripResult> {
  const port = String(ROUND_TRIP_PORT);
  const { perSec, p50Us, p99Us, errors } = JSON.parse(
    await run([program, route.clientNetns, mode, route.address, port, String(seconds)]),
  );
  if (errors > 0) throw new BenchError(`${errors} requests to ${route.address} were not answered`);
  return { value: perSec, p50Us, p99Us };
}
