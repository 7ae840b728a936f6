// Do the other nodes answer this one, and does all of what pods may send arrive there? An agent's answers in, checks out.
import type { Check } from "./agent-checks.ts";

/** What an agent says of the ways to other nodes. */
export interface PeersAnswer {
  /** UDP port of the tunnel; left out: there is none. */
  vxlanPort?: number;
  items: PeerReport[];
}

/** Of the way to one of them, in one family. */
export interface PeerReport {
  node: string;
  family: 4 | 6;
  address: string;
  target: string;
  answers: boolean;
  ms: number;
  mtu: number;
  fits: boolean;
  text?: string;
}

const OVERHEAD = { 4: 50, 6: 70 } as const; // outer Ethernet, IP, UDP, VXLAN

/**
 * Of the packet between the nodes in which one of so many bytes of this family travels. `four`: what goes to the same
 * place by IPv4, in the same tunnel or in the one beside it, and has the same room; undefined: nothing does.
 */
export function wholeSize(
  bytes: number,
  family: 4 | 6,
  vxlanPort: number | undefined,
  four: number | undefined,
): number {
  if (vxlanPort === undefined) return bytes;
  return four === undefined ? bytes + OVERHEAD[family] : four + OVERHEAD[4];
}

/** `uplink`: its interface, for advice; "" where nobody knows. */
export function peerChecks(of: string, { vxlanPort, items }: PeersAnswer, uplink: string): Check[] {
  if (items.length === 0)
    return [{ of, check: "peers", ok: true, detail: "there is no other node", advice: "" }];
  const silent = items.filter(({ answers }) => !answers);
  const narrow = items.filter(({ answers, fits }) => answers && !fits);
  const good = items.filter(({ answers }) => answers);
  const checks = silent.map((peer) => silentCheck(of, peer, vxlanPort));
  if (silent.length === 0) checks.push(answerCheck(of, good));
  if (good.length > 0 && narrow.length === 0) {
    const detail = `${good[0].mtu} bytes reach ${nodesOf(good)}`;
    checks.push({ of, check: "MTU", ok: true, detail, advice: "" });
  }
  return [...checks, ...narrow.map((peer) => narrowCheck(of, peer, wholeOf(peer, items, vxlanPort), uplink))];
}

function nodesOf(peers: readonly PeerReport[]): string {
  const names = new Set(peers.map(({ node }) => node));
  return names.size === 1 ? peers[0].node : `${names.size} nodes`;
}

function answerCheck(of: string, peers: readonly PeerReport[]): Check {
  const families = [...new Set(peers.map(({ family }) => `IPv${family}`))].sort().join(" and ");
  const slowest = Math.max(...peers.map(({ ms }) => ms));
  const names = nodesOf(peers);
  const verb = names === peers[0].node ? "answers" : "answer";
  const detail = `${names} ${verb} by ${families} within ${slowest.toFixed(1)} ms`;
  return { of, check: "peers", ok: true, detail, advice: "" };
}

function silentCheck(of: string, peer: PeerReport, vxlanPort: number | undefined): Check {
  const { node, address, target, text } = peer;
  const by = vxlanPort === undefined ? "" : ` through the tunnel at ${target}`;
  const why = text === undefined ? "" : ` (${text})`;
  const detail = `${node} (${address}) does not answer${by}${why}`;
  const passes =
    vxlanPort === undefined
      ? "does it route this node's pod range here"
      : `does UDP port ${vxlanPort} pass between the nodes`;
  const advice = `is its agent running (podwire status there), ${passes}`;
  return { of, check: "peers", ok: false, detail, advice };
}

function wholeOf(
  { node, family, mtu }: PeerReport,
  items: readonly PeerReport[],
  port: number | undefined,
): number {
  const four = items.find((each) => each.node === node && each.family === 4);
  return wholeSize(mtu, family, port, four?.mtu);
}

function narrowCheck(of: string, peer: PeerReport, whole: number, uplink: string): Check {
  const { node, mtu, text } = peer;
  const told = text === undefined ? "" : ` (${text})`;
  const detail = `${node}: packets of ${mtu} bytes are not answered, small ones are${told}`;
  const device = uplink === "" ? "the uplinks'" : `that of ${uplink}`;
  const advice = `the network between the nodes must carry ${whole} bytes: raise its MTU, or lower ${device} on all`;
  return { of, check: "MTU", ok: false, detail, advice };
}
