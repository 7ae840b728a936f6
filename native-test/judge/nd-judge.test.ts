// Neighbour advertisements of a kernel that is a router and a proxy (proxy_ndp, `ip neigh add proxy`), and ours: the same
// solicitations to both, on a pod's link, on the node's own and on the fabric. To whom it is said, of which target, with
// which flags (RFC 4861 §7.2.4, §7.2.8), hop limit and option.
//
// Not compared: where a pod probes for another pod's address, the MAC address that it is told, which is that pod's here.
import t from "tap";
import * as build from "../../src/testing/frames/frame-builder.ts";
import {
  CLIENT6,
  gateway6,
  HOST_HOP6,
  makeDualStack,
  node6,
  pod6,
  podMac6,
} from "../../src/testing/world/dual-stack.ts";
import { uplinkMacOf } from "../../src/testing/world/test-cluster.ts";
import { CLIENT_MAC } from "../../src/testing/world/test-fabric.ts";
import { TestNode } from "../../src/testing/world/test-node.ts";
import { Namespaces } from "../support/namespaces.ts";
import { TapNamespace } from "../support/tap-namespace.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";
const L3 = 14;
const ICMP = L3 + 40;
const ADVERTISEMENT = 136;
const [POD, OTHER_POD, FAR_POD, WORLD] = [pod6(1, 2), pod6(1, 3), pod6(2, 2), "2001:db8::1"];
const gatewayMac = new TestNode().gatewayMac;
const uplinkMac = uplinkMacOf(1);

interface Link {
  /** Port of the plane's. */
  readonly port: string;
  readonly asker: { readonly address: string; readonly mac: string };
  /** Of the router on this link. */
  readonly mac: string;
  readonly own: readonly string[];
  readonly proxied: readonly string[];
  /** Whether a probe for a proxied address is answered: on the node's own link it goes on to the fabric. */
  readonly probes: boolean;
}

const LINKS: readonly Link[] = [
  {
    port: "pod2",
    asker: { address: POD, mac: podMac6(1, 2) },
    ...{ mac: gatewayMac, own: [gateway6(1)], proxied: [OTHER_POD], probes: true },
  },
  {
    port: "host",
    asker: { address: node6(1), mac: uplinkMac },
    ...{ mac: gatewayMac, own: [HOST_HOP6], proxied: [CLIENT6, OTHER_POD, FAR_POD, WORLD], probes: false },
  },
  {
    port: "uplink",
    asker: { address: CLIENT6, mac: CLIENT_MAC },
    ...{ mac: uplinkMac, own: [node6(1)], proxied: [], probes: true },
  },
];

const WAYS = ["to the group", "to the address", "to the group, without an option", "a probe"] as const;
type Way = (typeof WAYS)[number];

function solicitation({ asker, mac }: Link, target: string, way: Way): Uint8Array {
  const last = build.ip6(target)[3] & 0xffffff;
  const text = (last >>> 16).toString(16).padStart(2, "0");
  const bytes = [
    text,
    ((last >>> 8) & 255).toString(16).padStart(2, "0"),
    (last & 255).toString(16).padStart(2, "0"),
  ];
  const group = {
    dst: `ff02::1:ff${text}:${(last & 0xffff).toString(16)}`,
    dstMac: `33:33:ff:${bytes.join(":")}`,
  };
  return build.neighborSolicitationFrame({
    src: way === "a probe" ? "::" : asker.address,
    srcMac: asker.mac,
    target,
    ...(way === "to the address" ? { dst: target, dstMac: mac } : group),
    ...(way === "a probe" || way.endsWith("option") ? {} : { mac: asker.mac }),
  });
}

const hex = (frame: Uint8Array, at: number, bytes: number): string =>
  Buffer.from(frame.subarray(at, at + bytes)).toString("hex");

/** An advertisement in words, the other frames left out. */
function told(frames: readonly Uint8Array[], isForAnother: boolean, isProbe: boolean): string[] {
  return frames
    .filter((frame) => frame[L3] >> 4 === 6 && frame[L3 + 6] === 58 && frame[ICMP] === ADVERTISEMENT)
    .map((frame) => {
      const bits = frame[ICMP + 4];
      const flags = `R=${bits >> 7} S=${(bits >> 6) & 1} O=${(bits >> 5) & 1}`;
      const to = `${hex(frame, 0, 6)} ${hex(frame, L3 + 24, 16)}`;
      const who = ` from ${hex(frame, L3 + 8, 16)} by ${hex(frame, 6, 6)}`;
      const option = frame.length > ICMP + 24 ? hex(frame, ICMP + 24, 2) : "none";
      const mac = isForAnother && isProbe ? "" : ` at ${hex(frame, ICMP + 26, 6)}`;
      return `${flags} to ${to}${who} of ${hex(frame, ICMP + 8, 16)} hops ${frame[L3 + 7]} option ${option}${mac}`;
    });
}

for (const link of LINKS) {
  t.test(`advertisements on ${link.port}: the kernel's and ours are the same`, { skip }, async (t) => {
    const namespaces = new Namespaces("pwt-nd");
    t.teardown(() => namespaces.remove());
    const kernel = new TapNamespace(namespaces, "router", { link0: link.mac });
    t.teardown(() => kernel.close());
    kernel.run("sysctl -qw net.ipv6.conf.all.proxy_ndp=1 net.ipv6.neigh.link0.proxy_delay=0");
    kernel.configure([
      "addr flush dev link0 scope link", // the one that its MAC makes: the kernel would have two to choose from
      ...link.own.map((address) => `addr add ${address}/64 dev link0 nodad`),
      ...(link.own.includes(HOST_HOP6) ? [] : [`addr add ${HOST_HOP6}/64 dev link0 nodad`]),
      // A route brings what is sent to the address itself as far as the proxy (ip6_forward).
      ...link.proxied.flatMap((address) => [
        `neigh add proxy ${address} dev link0`,
        `route add ${address}/128 dev link0`,
      ]),
    ]);
    for (const target of [...link.own, ...link.proxied]) {
      for (const way of WAYS) {
        const isForAnother = link.proxied.includes(target);
        const isProbe = way === "a probe";
        if (isProbe && isForAnother && !link.probes) continue;
        // Of a pod's question for a pod only the probe is ours to answer: the bridge carries the others.
        if (link.port === "pod2" && isForAnother && !isProbe) continue;
        const frame = solicitation(link, target, way);
        const node = makeDualStack(new TestNode());
        node.send(link.port, frame);
        node.run();
        const ours = told(
          node.received(link.port).map((got) => got.frame),
          isForAnother,
          isProbe,
        );
        const theirs = told(
          kernel.exchange("link0", frame).map((got) => got.frame),
          isForAnother,
          isProbe,
        );
        t.equal(theirs.length, 1, `${target}, ${way}: the kernel answers`);
        t.strictSame(ours, theirs, `${target}, ${way}: ${theirs[0]}`);
        const flags = `R=${isForAnother ? 0 : 1} S=${isProbe ? 0 : 1} O=${isForAnother || way === "to the address" ? 0 : 1}`;
        t.ok(theirs[0]?.startsWith(flags), `${target}, ${way}: ${flags}`);
      }
    }
  });
}
