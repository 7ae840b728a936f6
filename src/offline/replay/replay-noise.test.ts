// What stations say without being asked, and what is not this node's: in a capture it is no fault. Beside it, what is made
// wrong is named.
import t from "tap";
import { concat, fromHex } from "../../testing/frames/bytes.ts";
import {
  arpFrame,
  icmpErrorFrame,
  icmpFrame,
  neighborAdvertisementFrame,
  rawFrame,
  tcpFrame,
  udpFrame,
  vxlanFrame,
} from "../../testing/frames/frame-builder.ts";
import {
  CLIENT,
  NODE1,
  NODE2,
  offlineNode,
  replay,
  SERVICE,
  WEB,
  words,
} from "../../testing/world/offline-replay.ts";
import type { Replayed } from "./replay.ts";

const POD_MAC = "0a:58:0a:f4:01:02";
const GATEWAY_MAC = "0a:58:0a:f4:01:01";
const sent = { srcMac: POD_MAC, dstMac: GATEWAY_MAC };
const got = { srcMac: GATEWAY_MAC, dstMac: POD_MAC };
const there = { src: CLIENT, dst: SERVICE, srcPort: 41000, dstPort: 80 };
const back = { src: SERVICE, dst: CLIENT, srcPort: 80, dstPort: 41000 };
const AT_POD = [
  tcpFrame({ ...sent, ...there, flags: "S", seq: 100 }),
  tcpFrame({ ...got, ...back, flags: "S.", seq: 900, ack: 101, ttl: 62 }),
  tcpFrame({ ...sent, ...there, flags: "P.", seq: 101, ack: 901, payload: 18 }),
  tcpFrame({ ...got, ...back, flags: "P.", seq: 901, ack: 119, payload: 300, ttl: 62 }),
];

/** What reads as a fault, in words. */
const faultsIn = (list: readonly Replayed[]): string[] =>
  list.flatMap(({ judgement, input, differences }) => {
    if (judgement === "differs") return [differences.join()];
    return judgement === undefined && input?.verdict === "drop" ? [`${input.dropReason}`] : [];
  });

const LINK6 = "fe80::858:aff:fef4:102";
const mdns = { dst: "224.0.0.251", srcPort: 5353, dstPort: 5353 };
const dhcp = { src: "0.0.0.0", dst: "255.255.255.255", srcPort: 68, dstPort: 67 };
const lldp = concat(fromHex(`0180c200000e ${"020000000001"} 88cc 0207 0400`), new Uint8Array(30));
const stp = concat(fromHex(`0180c2000000 ${"020000000001"} 0026 424203 0000 00`), new Uint8Array(40));
const group = { src: CLIENT, dst: "224.0.0.22", ttl: 1, srcMac: POD_MAC, dstMac: "01:00:5e:00:00:16" };
const igmp = rawFrame({ ...group, ipOptions: fromHex("94040000"), proto: 2, payload: 16 });
const icmp6 = (type: number): Uint8Array =>
  icmpFrame({ src: LINK6, dst: "ff02::16", ttl: 255, srcMac: POD_MAC }, type, 0, 0, 16);

const NOISE: Record<string, Uint8Array> = {
  LLDP: lldp,
  "spanning tree": stp,
  IGMP: igmp,
  mDNS: udpFrame({ ...sent, src: CLIENT, ...mdns, dstMac: "01:00:5e:00:00:fb", ttl: 255 }),
  DHCP: udpFrame({ ...dhcp, srcMac: POD_MAC, dstMac: "ff:ff:ff:ff:ff:ff" }),
  "a router solicitation": withMac(icmp6(133), "33:33:00:00:00:02"),
  "a listener report": withMac(icmp6(143), "33:33:00:00:00:16"),
  "gratuitous ARP": arpFrame({
    senderIp: CLIENT,
    senderMac: POD_MAC,
    targetIp: CLIENT,
    ...sent,
    dstMac: "ff:ff:ff:ff:ff:ff",
  }),
};

function withMac(frame: Uint8Array, mac: string): Uint8Array {
  const copy = frame.slice();
  copy.set(fromHex(mac.replaceAll(":", "")), 0);
  return copy;
}

for (const [name, frame] of Object.entries(NOISE)) {
  t.test(`${name} is no fault at a pod, and at the uplink`, async (t) => {
    const atPod = await replay(offlineNode({ antiSpoofing: false }), [AT_POD[0], frame, ...AT_POD.slice(1)]);
    t.same(faultsIn(atPod), []);
    t.equal(words(atPod).filter((word) => word === "as captured").length, 2);
    const own = udpFrame({ src: NODE1, dst: "192.168.50.100", srcPort: 5, dstPort: 6 });
    t.same(faultsIn(await replay(offlineNode(), [own, own, own, withMac(frame, "ff:ff:ff:ff:ff:ff")])), []);
  });
}

t.test("frames for another station's MAC address are not the node's", async (t) => {
  const other = udpFrame({
    ...got,
    src: "192.168.50.100",
    dst: "10.244.1.99",
    srcPort: 1,
    dstPort: 2,
    dstMac: "0a:58:0a:f4:01:63",
  });
  const atPod = await replay(offlineNode(), [...AT_POD, other]);
  t.match(atPod.at(-1), { judgement: "not compared", notes: ["for another station's MAC address"] });
  const mac = "02:00:00:00:00:11";
  const own = udpFrame({ src: NODE1, dst: "192.168.50.100", srcPort: 5, dstPort: 6, srcMac: mac });
  const passing = udpFrame({
    src: "192.168.50.7",
    dst: "192.168.50.8",
    srcPort: 5,
    dstPort: 6,
    dstMac: "02:00:00:00:00:77",
  });
  const atUplink = await replay(offlineNode(), [own, own, own, passing]);
  t.match(atUplink.at(-1), { judgement: "not compared", notes: ["for another station's MAC address"] });
});

t.test("VLAN tags of the machine that has the node's interface are looked through", async (t) => {
  const vlans = [10];
  const inner = tcpFrame({
    src: CLIENT,
    dst: WEB,
    srcPort: 41000,
    dstPort: 8080,
    flags: "S",
    seq: 1,
    ttl: 63,
  });
  const frames = [
    vxlanFrame({ src: NODE1, dst: NODE2, dstPort: 8472, vni: 1, inner, vlans }),
    udpFrame({ src: "192.168.50.100", dst: NODE1, srcPort: 5, dstPort: 6, vlans }),
    arpFrame({ senderIp: NODE2, targetIp: NODE1, vlans }),
  ];
  const replayed = await replay(offlineNode(), frames);
  t.same(words(replayed), ["as captured", "forward", "consumed"]);
  const cut = frames.map((data, i) => ({
    data: data.subarray(0, 130),
    originalLength: data.length,
    timestampNs: BigInt(i),
  }));
  t.same(words(await replay(offlineNode(), cut)), ["as captured", "forward", "consumed"]);
  const tagged = tcpFrame({ ...sent, ...there, flags: "S", seq: 100, vlans });
  const [, , , , pod] = await replay(offlineNode(), [...AT_POD, tagged]);
  t.match(pod.input, { verdict: "drop", dropReason: "TAGGED_FRAME" }, "a pod's own tags are its own doing");
});

t.test(
  "ICMP errors find their packets' way back, in both directions, quoted as the sender sent it",
  async (t) => {
    const ask = { src: CLIENT, dst: SERVICE, srcPort: 5000, dstPort: 80 };
    const sentOut = tcpFrame({ ...sent, ...ask, flags: "S", seq: 7 });
    for (const [type, code, rest] of [
      [3, 3, 0],
      [3, 4, 1400],
      [11, 0, 0],
    ]) {
      const error = icmpErrorFrame({
        ...got,
        src: SERVICE, // a router's too: its address is translated with the packet's
        dst: CLIENT,
        type,
        code,
        rest,
        about: sentOut,
      });
      t.same(
        words(await replay(offlineNode(), [sentOut, error])),
        ["forward", "as captured"],
        `${type}/${code}`,
      );
      const lie = icmpErrorFrame({
        ...got,
        src: "10.244.2.1",
        dst: CLIENT,
        type,
        code,
        rest,
        about: tcpFrame({ ...ask, srcPort: 5001 }),
      });
      t.equal(
        (await replay(offlineNode(), [sentOut, lie]))[1].judgement,
        "differs",
        "about a packet that nobody sent",
      );
    }
  },
);

t.test("neighbour discovery is compared as ARP is", async (t) => {
  const two = { src: "fd00:10:244:1::2", dst: "fd00:10:244:1::1" };
  t.ok(two);
  const advertised = neighborAdvertisementFrame({ ...got, src: two.dst, dst: two.src, target: two.dst });
  const [one] = await replay(offlineNode(), [...AT_POD.slice(0, 1), advertised]);
  t.same(faultsIn([one]), []);
});

const faults: Record<string, [frame: Uint8Array, want: RegExp]> = {
  "a wrong TCP checksum": [damaged(AT_POD[3], 60), /^wrong TCP checksum$/],
  "a wrong IP checksum": [damaged(AT_POD[3], 24), /^wrong IP checksum$/],
  "another pod's MAC address": [
    withMac(AT_POD[3], "0a:58:0a:f4:01:63"),
    /^destination MAC 0a:58:0a:f4:01:63, the pod has /,
  ],
};

function damaged(frame: Uint8Array, at: number): Uint8Array {
  const copy = frame.slice();
  copy[at] ^= 0x11;
  return copy;
}

for (const [name, [frame, want]] of Object.entries(faults)) {
  t.test(`${name} is named, alone`, async (t) => {
    const replayed = await replay(offlineNode(), [...AT_POD.slice(0, 3), frame]);
    t.same(words(replayed), ["forward", "as captured", "forward", "differs"]);
    t.match(replayed[3].differences[0] ?? "", want);
  });
}
