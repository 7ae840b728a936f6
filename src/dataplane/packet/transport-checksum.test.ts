// Wrong checksums, as nf_conntrack_checksum=1 has them: the packet is INVALID, of no connection, is not translated and
// is dropped where kube-proxy's rule drops INVALID packets; partial ones, and those that the device has verified, are
// not looked at. All of it with frames as they come from the addon, with a sum, and as they come from other devices.
import t from "tap";
import { fragmentsOf } from "../../testing/frames/fragment-frames.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import type { IpOptions } from "../../testing/frames/frame-options.ts";
import * as chunk from "../../testing/frames/sctp-chunks.ts";
import { partialFrame } from "../../testing/frames/virtio-frames.ts";
import { makeDualStack, pathTo6, pod6 } from "../../testing/world/dual-stack.ts";
import { nodeAddress, uplinkMacOf, vtepMacOf } from "../../testing/world/test-cluster.ts";
import { CLIENT, pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { DATA_VALID } from "../../wire/link/virtio-net.ts";
import { H_CHECKSUM } from "../table/connection/conntrack.ts";

const [POD2, POD3, VIP, REMOTE] = ["10.244.1.2", "10.244.1.3", "10.96.0.10", "10.244.2.2"];
const VERIFIED = Uint8Array.from([DATA_VALID, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

function fresh(summed: boolean): TestNode {
  const node = makeDualStack(new TestNode({ unchecked: true, summed }));
  node.setService({ name: "web", clusterIp: VIP, nodePort: 30080, endpoints: [`${POD3}:8080`] });
  node.setService({ name: "dns", clusterIp: VIP, protocol: 17, port: 53, endpoints: [`${POD3}:5353`] });
  return node;
}

/** The same with its last byte damaged. */
function damaged(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  copy[copy.length - 1] ^= 0x41;
  return copy;
}

type Make = (path: IpOptions, payload: number) => Uint8Array;
const KINDS: readonly (readonly [name: string, reason: string, make: Make])[] = [
  ["TCP", "BAD_TCP_CHECKSUM", (path, payload) => build.tcpFrame({ ...path, flags: "S", payload })],
  ["UDP", "BAD_UDP_CHECKSUM", (path, payload) => build.udpFrame({ ...path, payload })],
  ["ICMP", "BAD_ICMP_CHECKSUM", (path, payload) => build.echoFrame({ ...path, payload })],
  ["UDP-Lite", "BAD_UDP_CHECKSUM", (path, payload) => build.udpLiteFrame({ ...path, payload })],
  ["SCTP", "BAD_SCTP_CHECKSUM", (path) => build.sctpFrame({ ...path, vtag: 0, chunks: [chunk.init(7)] })],
];

for (const summed of [false, true]) {
  const how = summed ? ", summed as it came" : "";
  for (const [name, reason, make] of KINDS) {
    for (const family of [4, 6]) {
      t.test(
        `${name} over IPv${family}: right passes, wrong does not, whatever the length${how}`,
        async (t) => {
          for (const payload of name === "SCTP" ? [0] : [1, 18, 19, 20, 33, 503, 504, 520, 1001, 1400]) {
            const node = fresh(summed);
            const path = family === 4 ? pathTo(node, POD2, POD3) : pathTo6(node, pod6(1, 2), pod6(1, 3));
            const frame = make(path, payload);
            t.equal(node.through("pod2", frame).port, "pod3", `${payload} bytes`);
            node.send("pod2", damaged(frame));
            node.run();
            t.same(node.everything(), []);
            t.same(node.drops(), { [reason]: 1 });
          }
        },
      );
    }
  }

  t.test(
    `a wrong checksum to a ClusterIP: dropped, no connection, and the sender hears nothing${how}`,
    async (t) => {
      const node = fresh(summed);
      node.send("pod2", damaged(build.tcpFrame({ ...pathTo(node, POD2, VIP), flags: "S", payload: 9 })));
      node.send("pod2", damaged(build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 9 })));
      node.run();
      t.same(node.everything(), []);
      t.same(node.connections(), []);
      t.same(node.drops(), { BAD_TCP_CHECKSUM: 1, BAD_UDP_CHECKSUM: 1 });
    },
  );

  t.test(`an INVALID packet to a ClusterIP is dropped, and the sender hears nothing${how}`, async (t) => {
    for (const flags of ["R", "SF", "SA"]) {
      const node = fresh(summed);
      if (flags === "SA") node.tables.config.proxy.dropInvalid = 0; // no rule, and yet there is no way to such an address
      node.send("pod2", build.tcpFrame({ ...pathTo(node, POD2, VIP), flags: flags === "SA" ? "S." : flags }));
      node.run();
      t.same(node.everything(), []);
      t.same(node.drops(), { CT_INVALID: 1 }, flags);
    }
  });

  t.test(`in an established connection nothing moves, and what comes next is translated${how}`, async (t) => {
    const node = fresh(summed);
    const says = (flags: string, over: object): Uint8Array =>
      build.tcpFrame({ ...pathTo(node, POD2, VIP), flags, ...over });
    node.through("pod2", says("S", {}));
    const back = { ...pathTo(node, POD3, POD2), srcPort: 8080, dstPort: 41000 };
    node.through("pod3", build.tcpFrame({ ...back, flags: "S.", ack: 1 }));
    node.through("pod2", says(".", { seq: 1, ack: 1 }));
    const before = node.connections();
    for (const dropInvalid of [1, 0]) {
      node.tables.config.proxy.dropInvalid = dropInvalid;
      for (const flags of ["R.", "F."]) {
        node.send("pod2", damaged(says(flags, { seq: 1, ack: 1, payload: 4 })));
        node.send("pod3", damaged(build.tcpFrame({ ...back, flags, seq: 1, ack: 1, payload: 4 })));
      }
      node.run();
      t.same(node.everything(), []);
      t.same(node.takeDrops(), { BAD_TCP_CHECKSUM: 4 }, "with the rule or without: it is translated");
    }
    t.same(node.connections(), before);
    t.match(node.through("pod2", says("P.", { seq: 1, ack: 1, payload: 4 })).text, `> ${POD3}.8080`);
  });

  t.test(`without kube-proxy's rule a damaged packet of no service goes on as it is${how}`, async (t) => {
    const node = fresh(summed);
    node.tables.config.proxy.dropInvalid = 0;
    const frame = damaged(build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 9 }));
    t.same(node.through("pod2", frame).frame, frame);
    t.same(node.connections(), []);
  });

  t.test(`nf_conntrack_checksum=0: translated, and as wrong as before${how}`, async (t) => {
    const node = fresh(summed);
    node.tables.conntrack.header[H_CHECKSUM] = 0;
    const out = node.through("pod2", damaged(build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 9 })));
    t.match(out.text, `> ${POD3}.5353`);
  });

  t.test(`what is for the node itself is left to its own stack, untranslated${how}`, async (t) => {
    const node = fresh(summed);
    const frame = damaged(
      build.tcpFrame({ ...pathTo(node, POD2, node.address), dstPort: 30080, payload: 4 }),
    );
    const out = node.through("pod2", frame);
    t.equal(out.port, "host");
    t.same(out.frame.subarray(14), frame.subarray(14));
  });

  t.test(`what the node itself sends is not verified: OUTPUT${how}`, async (t) => {
    const node = fresh(summed);
    const frame = damaged(build.udpFrame({ ...pathTo(node, node.address, VIP), payload: 9 }));
    t.equal(node.through("host", frame).port, "pod3");
  });

  t.test(`a partial checksum stays partial, one that the device vouches for is believed${how}`, async (t) => {
    const node = fresh(summed);
    const { frame, virtio } = partialFrame(build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 40 }));
    const passed = node.through("pod2", frame, virtio);
    t.same(passed.frame, frame);
    t.same(passed.virtio, virtio);
    const wrong = damaged(build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 40 }));
    t.equal(node.through("pod2", wrong, VERIFIED).port, "pod3");
    t.same(node.drops(), {});
  });

  t.test(`no UDP checksum is none that could be wrong; UDP-Lite's covers what it says${how}`, async (t) => {
    const node = fresh(summed);
    const path = pathTo(node, POD2, POD3);
    t.equal(
      node.through("pod2", damaged(build.udpFrame({ ...path, checksum: false, payload: 9 }))).port,
      "pod3",
    );
    const lite = build.udpLiteFrame({ ...path, payload: 40, coverage: 20 });
    t.equal(node.through("pod2", damaged(lite)).port, "pod3");
    lite[14 + 20 + 19] ^= 1;
    node.send("pod2", lite);
    node.run();
    t.same(node.drops(), { BAD_UDP_CHECKSUM: 1 });
  });

  t.test(`a datagram shorter than its packet needs a sum over all of it, as in Linux${how}`, async (t) => {
    const node = fresh(summed);
    const frame = build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 20, checksum: false });
    const short = build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 16 });
    frame.set(short.subarray(14 + 20, 14 + 28 + 16), 14 + 20); // 16 bytes of payload by its own word, 20 by IP's
    node.send("pod2", frame);
    node.run();
    t.same(node.drops(), { BAD_UDP_CHECKSUM: 1 });
  });

  t.test(`fragments are verified when they are a datagram again${how}`, async (t) => {
    for (const [wrong, pieces] of [
      [false, 2],
      [true, 0],
    ] as const) {
      const node = fresh(summed);
      const whole = build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 1600, dontFragment: false });
      for (const piece of fragmentsOf(wrong ? damaged(whole) : whole, 1000))
        node.send("pod2", piece, VERIFIED);
      node.run();
      t.equal(node.everything().length, pieces);
      t.same(node.drops(), wrong ? { BAD_UDP_CHECKSUM: 1 } : {});
    }
  });

  t.test(
    `what comes out of the tunnel is verified; that the outer packet was says nothing of it${how}`,
    async (t) => {
      const link = {
        srcMac: uplinkMacOf(1),
        dstMac: uplinkMacOf(2),
        src: nodeAddress(1),
        dst: nodeAddress(2),
      };
      const macs = { srcMac: vtepMacOf(1), dstMac: vtepMacOf(2) };
      const inner = build.udpFrame({ ...macs, src: POD2, dst: REMOTE, payload: 30 });
      const node = new TestNode({ index: 2, summed });
      t.equal(node.through("uplink", build.vxlanFrame({ ...link, inner })).port, "pod2");
      node.send("uplink", build.vxlanFrame({ ...link, inner: damaged(inner) }), VERIFIED);
      node.run();
      t.same(node.everything(), []);
      t.same(node.drops(), { BAD_UDP_CHECKSUM: 1 });
    },
  );

  t.test(`of an ICMP error its own checksum counts, not that of the packet it quotes${how}`, async (t) => {
    const node = fresh(summed);
    const about = node.through("pod2", build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 9 })).frame;
    const quotes = (frame: Uint8Array): Uint8Array =>
      build.icmpErrorFrame({ ...pathTo(node, POD3, POD2), type: 3, code: 3, about: frame });
    t.match(node.through("pod3", quotes(damaged(about))).text, /ICMP .* unreachable/);
    node.send("pod3", damaged(quotes(about)));
    node.run();
    t.same(node.drops(), { BAD_ICMP_CHECKSUM: 1 });
  });

  t.test(`a damaged frame from the fabric towards a pod is dropped${how}`, async (t) => {
    const node = fresh(summed);
    node.send("uplink", damaged(build.tcpFrame({ ...pathTo(node, CLIENT, POD2), flags: "S", payload: 3 })));
    node.run();
    t.same(node.drops(), { BAD_TCP_CHECKSUM: 1 });
  });
}
