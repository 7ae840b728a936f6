// The four ways of measuring, each for one route of one subject.
import { BenchError, run, start } from "./shell.ts";
import { DISCARD_PORT, IPERF_PORT, inNetns, nextHopMac, ROUND_TRIP_PORT, type Route } from "./subject.ts";

const UDP_PAYLOAD = 1370; // bytes; with headers it fits the pods' MTU of 1450
const FRAME_BYTES = 64;

/** Starts iperf3's and the request/response server in a namespace; both end with the benchmark. */
export async function startServers(netns: string, roundTrip: string): Promise<void> {
  await start(inNetns(netns, "iperf3", "-s", "-p", String(IPERF_PORT), "--forceflush"), "Server listening");
  await start([roundTrip, netns, "server", String(ROUND_TRIP_PORT)], "ready");
}

export interface StreamResult {
  gbitPerSec: number;
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
    gbitPerSec: result.end.sum_received.bits_per_second / 1e9,
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
    gbitPerSec: (sum.bits_per_second * (1 - sum.lost_percent / 100)) / 1e9,
    lossPercent: sum.lost_percent,
  };
}

// biome-ignore lint/suspicious/noExplicitAny: iperf3's report is not ours to describe
async function iperf(route: Route, seconds: number, reverse: boolean, more: string[]): Promise<any> {
  const command = [
    "iperf3",
    "-c",
    route.address,
    "-p",
    String(IPERF_PORT),
    "-J",
    "--connect-timeout",
    "3000",
  ];
  if (reverse) command.push("-R");
  const text = await run(inNetns(route.clientNetns, ...command, "-t", String(seconds), ...more), {
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

/** Frames of 64 bytes that arrive per second, in thousands. */
export async function smallFrames(
  route: Route,
  generator: string,
  flows: number,
  seconds: number,
  senders: number,
): Promise<number> {
  const mac = await nextHopMac(route);
  const text = await run([
    generator,
    route.clientNetns,
    route.clientDevice,
    mac,
    route.clientAddress,
    route.address,
    ...[DISCARD_PORT, FRAME_BYTES, flows, seconds, senders].map(String),
    route.serverNetns,
    route.serverDevice,
  ]);
  return JSON.parse(text).receivedPerSec / 1000;
}

export interface RoundTripResult {
  perSec: number;
  p50Us: number;
  p99Us: number;
  errors: number;
}

export async function roundTrips(
  route: Route,
  program: string,
  mode: "rr" | "crr",
  seconds: number,
): Promise<RoundTripResult> {
  const port = String(ROUND_TRIP_PORT);
  const result = JSON.parse(
    await run([program, route.clientNetns, mode, route.address, port, String(seconds)]),
  );
  if (result.errors > 0)
    throw new BenchError(`${result.errors} requests to ${route.address} were not answered`);
  return result;
}
