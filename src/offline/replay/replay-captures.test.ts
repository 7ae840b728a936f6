// Captures as people take them, by hand: at a pod, at the uplink, merged. In each a healthy connection, and then a packet
// that does not belong there.
import t from "tap";
import { arpFrame, tcpFrame, udpFrame, vxlanFrame } from "../../testing/frames/frame-builder.ts";
import {
  CLIENT,
  NODE1,
  NODE2,
  offlineNode as nodeOf,
  podText,
  replay,
  SERVICE,
  serviceText,
  WEB,
  words,
} from "../../testing/world/offline-replay.ts";

const many = { selector: { many: "yes" }, ports: [{ port: 80, targetPort: 8080, nodePort: 30080 }] };
const MORE = [
  podText("web-b", "node2", { many: "yes" }),
  podText("web-c", "node1", { many: "yes" }),
  serviceText("many", { type: "NodePort", clusterIP: "10.96.0.90", ...many }),
];
const offlineNode = () => nodeOf({ more: MORE });

const POD_MAC = "0a:58:0a:f4:01:02";
const GATEWAY_MAC = "0a:58:0a:f4:01:01";
const sent = { srcMac: POD_MAC, dstMac: GATEWAY_MAC };
const got = { srcMac: GATEWAY_MAC, dstMac: POD_MAC };
const there = { src: CLIENT, dst: SERVICE, srcPort: 41000, dstPort: 80 };
const back = { src: SERVICE, dst: CLIENT, srcPort: 80, dstPort: 41000 };

/** What a client in a pod sees. */
const AT_POD = [
  tcpFrame({ ...sent, ...there, flags: "S", seq: 100 }),
  tcpFrame({ ...got, ...back, flags: "S.", seq: 900, ack: 101 }),
  tcpFrame({ ...sent, ...there, flags: ".", seq: 101, ack: 901 }),
  tcpFrame({ ...sent, ...there, flags: "P.", seq: 101, ack: 901, payload: 18 }),
  tcpFrame({ ...got, ...back, flags: "P.", seq: 901, ack: 119, payload: 300 }),
];

t.test("at a pod: what it sent is put in, what it received is as captured", async (t) => {
  const replayed = await replay(offlineNode(), AT_POD);
  t.same(words(replayed), ["forward", "as captured", "forward", "forward", "as captured"]);
  t.same(new Set(replayed.map(({ port }) => port.info.pod)), new Set(["default/client"]));
  const cut = AT_POD.map((data, i) => ({
    data: data.subarray(0, 60),
    originalLength: data.length,
    timestampNs: BigInt(i),
  }));
  const [, , , push] = await replay(offlineNode(), cut);
  t.match(push, { input: { verdict: "forward" }, notes: [/^cut in the capture \(60 of 72 bytes\)$/] });
});

t.test("a sender's unfinished checksum is no fault", async (t) => {
  const offloaded = AT_POD.map((frame) => {
    const copy = frame.slice();
    const view = new DataView(copy.buffer);
    let sum = 6 + copy.length - 34;
    for (let at = 26; at < 34; at += 2) sum += view.getUint16(at);
    view.setUint16(50, (sum & 0xffff) + (sum >>> 16));
    return copy;
  });
  t.same(words(await replay(offlineNode(), offloaded)), words(await replay(offlineNode(), AT_POD)));
});

const PLANTED: readonly { name: string; frame: Uint8Array; want: RegExp }[] = [
  {
    name: "a SYN-ACK that nobody asked for",
    frame: tcpFrame({ ...got, ...back, src: "10.96.0.90", flags: "S.", seq: 5, ack: 6 }),
    want: /^the plane (drops|sends|does not)/,
  },
  {
    name: "a reply that comes untranslated",
    frame: tcpFrame({
      ...got,
      ...back,
      src: WEB,
      srcPort: 8080,
      flags: "P.",
      seq: 1201,
      ack: 119,
      payload: 9,
    }),
    want: /^source 10\.244\.2\.2:8080, the plane sends 10\.96\.0\.80:80$/,
  },
  {
    name: "a wrong port",
    frame: tcpFrame({ ...got, ...back, dstPort: 41001, flags: "S.", seq: 900, ack: 101 }),
    want: /^the plane/,
  },
  {
    name: "its own address as source",
    frame: udpFrame({ ...got, src: CLIENT, dst: CLIENT, srcPort: 1, dstPort: 2 }),
    want: /^the plane does not send it/,
  },
];

for (const { name, frame, want } of PLANTED) {
  t.test(`planted at a pod: ${name}`, async (t) => {
    const replayed = await replay(offlineNode(), [...AT_POD, frame]);
    const last = replayed.at(-1);
    t.equal(last?.way, "out");
    t.equal(last?.judgement, "differs");
    t.match(last?.differences[0] ?? "", want);
    t.same(
      words(replayed).slice(0, -1),
      words(await replay(offlineNode(), AT_POD)),
      "and nothing else differs",
    );
  });
}

t.test("planted at a pod: a source that is not its own is dropped", async (t) => {
  const lie = udpFrame({ ...sent, src: "10.244.1.77", dst: SERVICE, srcPort: 1, dstPort: 80 });
  const last = (await replay(offlineNode(), [...AT_POD, lie])).at(-1);
  t.match(last, { way: "in", input: { verdict: "drop", dropReason: "SPOOFED_SOURCE" } });
});

t.test("a capture that begins within a connection", async (t) => {
  const replayed = await replay(offlineNode(), [AT_POD[4], AT_POD[3]]);
  t.same(words(replayed), ["as captured", "forward"]);
  t.match(replayed[0].notes, ["begins before the capture"]);
});

t.test("a capture of one direction", async (t) => {
  t.same(words(await replay(offlineNode(), [AT_POD[0], AT_POD[2], AT_POD[3]])), [
    "forward",
    "forward",
    "forward",
  ]);
});

/** Ethernet, IP and UDP in front of VXLAN's header. */
const OUTER = 42;
const tunnel = (out: boolean, inner: Uint8Array) =>
  vxlanFrame({ src: out ? NODE1 : NODE2, dst: out ? NODE2 : NODE1, dstPort: 8472, vni: 1, inner });

t.test(
  "of frames that left together a cut capture has the first: what the others moved on is not compared",
  async (t) => {
    const macs = { srcMac: "0e:01:c0:a8:32:0c", dstMac: "0e:01:c0:a8:32:0b" };
    const [asks, serves] = [
      { src: CLIENT, dst: WEB, srcPort: 41000, dstPort: 8080 },
      { ...macs, src: WEB, dst: CLIENT, srcPort: 8080, dstPort: 41000 },
    ];
    const headed = (inner: Uint8Array): Uint8Array => tunnel(false, inner).subarray(OUTER);
    const bundle = (frames: readonly Uint8Array[]): Uint8Array =>
      tunnel(false, Buffer.concat([frames[0], ...frames.slice(1).map(headed)]));
    const small = [0, 1, 2].map((i) =>
      tcpFrame({ ...serves, flags: "P.", seq: 901 + 400 * i, ack: 101, payload: 400 }),
    );
    const opening = [
      tunnel(true, tcpFrame({ ...asks, flags: "S", seq: 100 })),
      tunnel(false, tcpFrame({ ...serves, flags: "S.", seq: 900, ack: 101 })),
      tunnel(true, tcpFrame({ ...asks, flags: ".", seq: 101, ack: 901 })),
    ];
    const thanks = tunnel(true, tcpFrame({ ...asks, flags: ".", seq: 101, ack: 901 + 3 * 400 }));
    const cutTo = (bytes: number, frames: readonly Uint8Array[]) =>
      frames.map((frame, i) => ({
        data: frame.subarray(0, bytes),
        originalLength: frame.length,
        timestampNs: BigInt(i) * 1_000_000n,
      }));
    const whole = await replay(offlineNode(), [...opening, bundle(small), thanks]);
    t.same(words(whole).slice(3), ["forward", "as captured"]);
    for (const bytes of [160, 700]) {
      const [, , , cut, after] = await replay(
        offlineNode(),
        cutTo(bytes, [...opening, bundle(small), thanks]),
      );
      t.match(cut.notes, [/^cut in the capture/, /^frames that left with it were cut off$/]);
      t.match(after, {
        judgement: "not compared",
        notes: [/^INVALID here, as it may be for want of frames/],
      });
    }
    const [, , , , denied] = await replay(
      offlineNode(),
      cutTo(160, [...opening, tunnel(false, small[0]), thanks]),
    );
    t.equal(denied.input?.dropReason, "CT_INVALID", "nothing else was cut off");
  },
);

t.test("at the uplink: the endpoint and source port that the capture shows are taken over", async (t) => {
  const outside = { src: "192.168.50.100", dst: NODE1, srcPort: 5000, dstPort: 30080 };
  for (const endpoint of ["10.244.2.2", "10.244.2.3"]) {
    const inside = { src: "10.244.1.0", dst: endpoint, srcPort: 23456, dstPort: 8080 };
    const answer = { src: endpoint, dst: "10.244.1.0", srcPort: 8080, dstPort: 23456 };
    const macs = { srcMac: "0e:01:c0:a8:32:0c", dstMac: "0e:01:c0:a8:32:0b" };
    const frames = [
      tcpFrame({ ...outside, flags: "S", seq: 7 }),
      tunnel(true, tcpFrame({ ...inside, flags: "S", seq: 7 })),
      tunnel(false, tcpFrame({ ...macs, ...answer, flags: "S.", seq: 70, ack: 8 })),
      tcpFrame({
        src: NODE1,
        dst: "192.168.50.100",
        srcPort: 30080,
        dstPort: 5000,
        ttl: 63,
        flags: "S.",
        seq: 70,
        ack: 8,
      }),
    ];
    const replayed = await replay(offlineNode(), frames);
    t.same(words(replayed), ["forward", "as captured", "forward", "as captured"], endpoint);
    const wrong = tcpFrame({
      src: NODE1,
      dst: "192.168.50.100",
      srcPort: 30081,
      dstPort: 5000,
      flags: "S.",
      seq: 70,
      ack: 8,
    });
    t.equal((await replay(offlineNode(), [...frames.slice(0, 3), wrong])).at(-1)?.judgement, "differs");
    const data = { flags: "P.", seq: 71, ack: 8, payload: 40 };
    const said = (srcPort: number) =>
      tcpFrame({ src: NODE1, dst: "192.168.50.100", srcPort, dstPort: 5000, ttl: 63, ...data });
    const saying = [...frames, tunnel(false, tcpFrame({ ...macs, ...answer, ...data }))];
    t.equal((await replay(offlineNode(), [...saying, said(30080)])).at(-1)?.judgement, "as captured");
    t.match(
      (await replay(offlineNode(), [...saying, said(30081)])).at(-1)?.differences,
      [/^source 192\.168\.50\.11:30081, the plane sends 192\.168\.50\.11:30080$/],
      "no stream of the node's own that began before the capture has these numbers and bytes",
    );
  }
});

t.test("ARP: the gateway's answer is compared", async (t) => {
  const ask = arpFrame({ ...sent, senderIp: CLIENT, senderMac: POD_MAC, targetIp: "10.244.1.1" });
  const answer = (senderIp: string) =>
    arpFrame({ ...got, op: 2, senderIp, senderMac: GATEWAY_MAC, targetIp: CLIENT, targetMac: POD_MAC });
  t.same(words(await replay(offlineNode(), [ask, answer("10.244.1.1"), ...AT_POD])).slice(0, 2), [
    "consumed",
    "as captured",
  ]);
});
