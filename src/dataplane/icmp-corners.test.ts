// ICMP errors that are rarely seen: options no router knows, datagrams that never became whole, superframes and path
// MTU, and what is exempt from rate limits. Every frame that leaves is checked.
import t from "tap";
import { fragmentsOf } from "../testing/frames/fragment-frames.ts";
import * as build from "../testing/frames/frame-builder.ts";
import { superframe } from "../testing/frames/virtio-frames.ts";
import {
  fragmentsOf6,
  gateway6,
  makeDualStack,
  pathTo6,
  pod6,
  podMac6,
} from "../testing/world/dual-stack.ts";
import { pathTo } from "../testing/world/test-fabric.ts";
import { TestNode } from "../testing/world/test-node.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const REMOTE = "10.244.2.2";
const POD2_6 = pod6(1, 2);
const REMOTE6 = pod6(2, 2);
const L3 = 14;
const HOP_BY_HOP = 0;

const fresh = (): TestNode => makeDualStack(new TestNode({ unchecked: true }));

/** A UDP datagram behind a hop-by-hop header with one option of 4 bytes. */
function withOption(n: TestNode, type: number, dst = REMOTE6): Uint8Array {
  const plain = build.udpFrame({ ...pathTo6(n, POD2_6, dst), payload: 8 });
  const frame = new Uint8Array(plain.length + 8);
  frame.set(plain.subarray(0, L3 + 40));
  frame.set([frame[L3 + 6], 0, type, 4, 0, 0, 0, 0], L3 + 40);
  frame.set(plain.subarray(L3 + 40), L3 + 48);
  frame[L3 + 6] = HOP_BY_HOP;
  frame[L3 + 5] += 8;
  return frame;
}

for (const [what, type, reason, tells] of [
  ["to be skipped", 0x3e, undefined, false],
  ["to be discarded", 0x7e, "IPV6_OPTION", false],
  ["to be reported", 0xbe, "IPV6_OPTION", true],
  ["to be reported unless for a group", 0xfe, "IPV6_OPTION", true],
  ["that every router knows", 0x05, undefined, false],
] as const) {
  t.test(`a hop-by-hop option ${what}`, async (t) => {
    const n = fresh();
    const sent = withOption(n, type);
    n.send("pod2", sent);
    n.run();
    t.same(n.drops(), reason === undefined ? {} : { [reason]: 1 });
    const [error] = n.received("pod2");
    t.equal(error !== undefined, tells);
    if (error === undefined) return;
    t.match(error.text, `${gateway6(1)} > ${POD2_6}`);
    t.same([...error.frame.subarray(L3 + 40, L3 + 42)], [4, 2], "parameter problem, unknown option");
    t.same([...error.frame.subarray(L3 + 44, L3 + 48)], [0, 0, 0, 42], "pointer");
    t.same(error.frame.subarray(L3 + 48), sent.subarray(L3), "quoted as it was sent");
  });
}

t.test("an option that runs past its header is malformed; between pods nobody looks", async (t) => {
  const n = fresh();
  const bad = withOption(n, 0x3e);
  bad[L3 + 43] = 9;
  n.send("pod2", bad);
  n.run();
  t.same(n.takeDrops(), { MALFORMED_IPV6: 1 });
  const bridged = withOption(n, 0xbe, pod6(1, 3));
  t.equal(n.through("pod2", bridged).port, "pod3");
});

t.test("who sent fragments that never became a datagram is told, if the first one came", async (t) => {
  const n = fresh();
  const v4 = fragmentsOf(
    build.udpFrame({ ...pathTo(n, POD2, REMOTE), payload: 2000, dontFragment: false }),
    800,
  );
  const v6 = fragmentsOf6(build.udpFrame({ ...pathTo6(n, POD2_6, REMOTE6), payload: 2000 }), 800, 77);
  n.send("pod2", v4[0]);
  n.send("pod2", v6[0]);
  n.run();
  n.advanceMs(70_000, 1000);
  const [first, second] = n.received("pod2").map((r) => r.frame);
  t.equal(n.takeDrops().FRAGMENT_TIMEOUT, 2);
  t.same([...first.subarray(L3 + 20, L3 + 22)], [11, 1], "time exceeded, reassembly");
  t.same(first.subarray(L3 + 28), v4[0].subarray(L3, L3 + 548), "quotes the first fragment");
  t.same([...second.subarray(L3 + 40, L3 + 42)], [3, 1]);
  t.same(second.subarray(L3 + 48), v6[0].subarray(L3, L3 + 1232));
  n.settle();
});

t.test("but not where the first one is missing, between pods, or about an ICMP error", async (t) => {
  const n = fresh();
  const udp = (dst: string) =>
    build.udpFrame({ ...pathTo(n, POD2, dst), payload: 2000, dontFragment: false });
  n.send("pod2", fragmentsOf(udp(REMOTE), 800)[1]);
  n.send("pod2", fragmentsOf(udp(POD3), 800)[0]);
  const about = build.udpFrame({ ...pathTo(n, REMOTE, POD2), payload: 1000 });
  const error = build.icmpErrorFrame({ ...pathTo(n, POD2, REMOTE), type: 3, code: 1, about, quote: 1028 });
  n.send("pod2", fragmentsOf(error, 800)[0]);
  n.run();
  n.advanceMs(70_000, 1000);
  t.same(n.everything(), []);
  t.equal(n.drops().FRAGMENT_TIMEOUT, 3);
  n.settle();
});

t.test("path MTU discovery is not limited, other errors are", async (t) => {
  const n = fresh();
  for (let i = 0; i < 40; i++) n.send("pod2", build.udpFrame({ ...pathTo(n, POD2, REMOTE), payload: 1450 }));
  for (let i = 0; i < 40; i++)
    n.send("pod2", build.udpFrame({ ...pathTo6(n, POD2_6, REMOTE6), payload: 1450 }));
  n.run();
  t.equal(n.received("pod2").length, 80);
  for (let i = 0; i < 40; i++) n.send("pod2", build.udpFrame(pathTo(n, POD2, "8.8.8.8")));
  n.run();
  t.equal(n.received("pod2").length, 6);
});

t.test(
  "a superframe of segments too long that may be cut leaves in shorter ones; with DF its sender is told",
  async (t) => {
    for (const dontFragment of [false, true]) {
      const n = new TestNode();
      const virtio = superframe(
        build.tcpFrame({ ...pathTo(n, POD2, REMOTE), flags: "S", payload: 20_000, dontFragment }),
        8948,
      );
      n.send("pod2", virtio.frame, virtio.virtio);
      n.run();
      const [error] = n.texts("pod2");
      if (dontFragment) t.match(error, "need to frag (mtu 1450)");
      else {
        t.equal(error, undefined);
        t.equal(n.events().GSO_SEGMENTS_OUT, Math.ceil(20_000 / 1410));
      }
    }
  },
);

t.test("a redirect is not answered with an error", async (t) => {
  const n = fresh();
  n.tables.config.guard.antiSpoofing = 0;
  const path = { ...pathTo6(n, POD2_6, "2001:db9::1"), srcMac: podMac6(1, 2), ttl: 255 };
  n.send("pod2", build.icmpFrame(path, 137, 0, 0, new Uint8Array(40)));
  n.run();
  t.same(n.everything(), []);
});
