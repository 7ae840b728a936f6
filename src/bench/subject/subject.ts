// A subject is something that carries packets between namespaces and is measured: podwire, the Linux kernel
// doing the same work, or a C program that only copies. All of them offer the same kinds of route, so one
// measuring program serves all and the figures can stand beside each other.
import { run } from "../shell.ts";

/**
 * `before` is podwire again, of another checkout; a `kernel-bridge` has a bridge between its nodes, as a lab has;
 * `c-spin` is the copy loop with podwire's way of waiting; `ovs` is Open vSwitch's user-space datapath, without its TSO
 * and with it.
 */
export const SUBJECTS = [
  "podwire",
  "before",
  "kernel",
  "kernel-bridge",
  "c-loop",
  "c-spin",
  "ovs",
  "ovs-tso",
] as const;
export type SubjectName = (typeof SUBJECTS)[number];
/** What is measured only where it is asked for: it may have to be fetched. */
export const PEERS = ["ovs"] as const;
export type Path = "same-node" | "overlay";
export type Target = "pod" | "service";

/** Ports of iperf3's and the request/response server, of packets that nobody reads, and of those that a socket reads. */
export const IPERF_PORT = 5201;
export const ROUND_TRIP_PORT = 5202;
export const DISCARD_PORT = 9;
export const SINK_PORT = 5203;
/** What a Service has to let through. */
export const TCP_PORTS = [IPERF_PORT, ROUND_TRIP_PORT] as const;
export const UDP_PORTS = [IPERF_PORT, DISCARD_PORT, SINK_PORT] as const;

export interface Route {
  path: Path;
  target: Target;
  clientNetns: string; // absolute path of a namespace file
  clientDevice: string;
  clientAddress: string;
  serverNetns: string;
  serverDevice: string;
  address: string; // what the client dials
}

export interface Subject {
  name: SubjectName;
  routes: Route[];
  /** Begins anew, as cold as it is after its start; where there is nothing that gets warm, it is not there. */
  renew?: () => Promise<void>;
  /** Ends it before the benchmark does, where somebody wants to see what it writes then. */
  remove?: () => Promise<void>;
}

export function inNetns(netns: string, ...command: string[]): string[] {
  return ["nsenter", `--net=${netns}`, ...command];
}

export async function ip(netns: string, commands: string[]): Promise<void> {
  await run(inNetns(netns, "ip", "-batch", "-"), { input: `${commands.join("\n")}\n` });
}

/** The link-layer address that a frame from the client to the route's address must carry. */
export async function nextHopMac(route: Route): Promise<string> {
  const [hop] = JSON.parse(await run(inNetns(route.clientNetns, "ip", "-j", "route", "get", route.address)));
  const address: string = hop.gateway ?? route.address;
  await run(inNetns(route.clientNetns, "ping", "-c1", "-W2", address), { mayFail: true });
  const known = JSON.parse(
    await run(inNetns(route.clientNetns, "ip", "-j", "neigh", "show", address, "dev", route.clientDevice)),
  );
  if (known[0]?.lladdr === undefined) throw new Error(`no neighbour entry for ${address}`);
  return known[0].lladdr;
}

/** Frames to the discard port end before the receiver's UDP: the path is measured, not the socket. */
export async function dropDiscardTraffic(subject: Subject): Promise<void> {
  for (const netns of new Set(subject.routes.map((r) => r.serverNetns))) {
    const rule = ["PREROUTING", "-p", "udp", "--dport", String(DISCARD_PORT), "-j", "DROP"];
    await run(inNetns(netns, "iptables", "-w", "-t", "raw", "-A", ...rule));
  }
}
