// One good frame of every kind the plane and the dissector know: seeds of the fuzzer and of the arbitraries.
import { fromHex } from "./bytes.ts";
import * as build from "./frame-builder.ts";
import { GOLDEN_FRAMES } from "./golden-frames.ts";

const v4 = { src: "10.244.1.2", dst: "10.244.2.3" };
const service = { src: "10.244.1.2", dst: "10.96.0.10" };
const v6 = { src: "fd00::2", dst: "fd00::3" };
const vteps = { src: "192.168.50.11", dst: "192.168.50.12" };
const syn = { flags: "S", mss: 1460, sackPermitted: true, timestamps: [1, 0], wscale: 7 } as const;

/** Fresh copies at every call: callers write into them. */
export function sampleFrames(): Uint8Array[] {
  const tcp = build.tcpFrame({ ...v4, ...syn });
  const udp = build.udpFrame({ ...service, payload: 30 });
  const udp6 = build.udpFrame({ ...v6, payload: 31 });
  return [
    tcp,
    udp,
    udp6,
    build.tcpFrame({ ...service, flags: "P.", payload: 100, timestamps: [2, 1] }),
    build.tcpFrame({ ...v6, ...syn }),
    build.tcpFrame({ ...v4, flags: "R.", vlans: [5] }),
    build.udpFrame({ ...v4, ipOptions: fromHex("94040000"), payload: 5, dontFragment: false }),
    build.udpFrame({ ...v4, payload: "vlan", vlans: [1, 2] }),
    build.echoFrame(v4),
    build.echoFrame({ ...v6, reply: true }),
    build.icmpErrorFrame({ ...v4, type: 3, code: 4, rest: 1450, about: tcp }),
    build.icmpErrorFrame({ ...v4, type: 11, code: 0, about: udp }),
    build.icmpErrorFrame({ ...v6, type: 2, code: 0, rest: 1280, about: udp6 }),
    build.icmpErrorFrame({ ...v6, type: 1, code: 4, about: udp6 }),
    build.arpFrame({ senderIp: "10.244.1.2", targetIp: "10.244.1.1" }),
    build.arpFrame({ op: 2, senderIp: "10.244.1.1", targetIp: "10.244.1.2", targetMac: "0a:58:0a:f4:01:02" }),
    build.neighborSolicitationFrame({ ...v6, target: "fd00::3", mac: "0a:58:00:00:00:01" }),
    build.neighborAdvertisementFrame({ ...v6, target: "fd00::2", mac: "0a:58:00:00:00:02" }),
    build.sctpFrame({ ...v4, chunks: [{ type: 1, value: 16 }] }),
    build.sctpFrame({
      ...v6,
      chunks: [
        { type: 10, value: 7 },
        { type: 0, value: 21 },
      ],
    }),
    build.vxlanFrame({ ...vteps, inner: tcp }),
    build.vxlanFrame({ ...vteps, inner: udp6, vni: 7, checksum: true }),
    build.vxlanFrame({ ...vteps, inner: build.arpFrame({ senderIp: "10.244.2.0", targetIp: "10.244.1.0" }) }),
    ...GOLDEN_FRAMES.map(({ hex }) => fromHex(hex)),
  ];
}
