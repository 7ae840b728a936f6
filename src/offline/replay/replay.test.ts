import t from "tap";
import { arpFrame, echoFrame, tcpFrame, udpFrame, vxlanFrame } from "../../testing/frames/frame-builder.ts";
import {
  CLIENT,
  offlineNode as nodeOf,
  replay,
  serviceText,
  WEB,
} from "../../testing/world/offline-replay.ts";
import type { ReplayFrame, ReplayOptions } from "./replay.ts";

const EMPTY = serviceText("empty", {
  clusterIP: "10.96.0.99",
  selector: { app: "nobody" },
  ports: [{ port: 80 }],
});
const offlineNode = (seed = 1) => nodeOf({ more: [EMPTY], antiSpoofing: false, seed });

t.test("a packet to a service is translated and tunnelled; its answer finds the way back", async (t) => {
  const request = tcpFrame({ src: CLIENT, dst: "10.96.0.80", srcPort: 41000, dstPort: 80, flags: "S" });
  const answer = tcpFrame({ src: WEB, dst: CLIENT, srcPort: 8080, dstPort: 41000, flags: "S." });
  const tunnelled = vxlanFrame({
    src: "192.168.50.12",
    dst: "192.168.50.11",
    dstPort: 8472,
    vni: 1,
    inner: withMacs(answer, "0e:01:c0:a8:32:0b", "0e:01:c0:a8:32:0c"),
  });
  const [out, back] = await replay(offlineNode(), [request, tunnelled]);
  t.equal(out.port.info.pod, "default/client");
  t.match(out.input, { verdict: "forward", ctState: "NEW", to: { dst: WEB, dport: 8080 } });
  t.same(
    out.outputs.map((output) => output.port),
    [0],
    "to the uplink",
  );
  const stages = out.steps.map((step) => step.stage);
  t.same(stages.slice(0, 4), ["parse", "classify", "track-connection", "choose-backend"]);
  t.match(
    out.steps.find((step) => step.stage === "route")?.route,
    "10.244.2.0/24 by the tunnel to 192.168.50.12",
  );
  t.equal(back.port.info.kind, "uplink");
  const tracked = back.steps.find((step) => step.stage === "track-connection");
  t.match(tracked, {
    ctState: "ESTABLISHED",
    ctDirection: "reply",
    fromTunnel: true,
    to: { src: "10.96.0.80" },
  });
  t.equal(back.outputs[0]?.port, out.port.id, "to the pod that asked");
});

t.test("what is refused says why, and its sender is told", async (t) => {
  const frames = [
    tcpFrame({ src: CLIENT, dst: "10.96.0.99", srcPort: 1, dstPort: 80, flags: "S" }),
    tcpFrame({ src: CLIENT, dst: WEB, srcPort: 1, dstPort: 80, flags: "S", ttl: 1 }),
    new Uint8Array(10),
  ];
  const [empty, dying, runt] = await replay(offlineNode(), frames);
  t.match(empty.input, { verdict: "drop", dropReason: "SERVICE_NO_ENDPOINTS" });
  t.equal(empty.outputs[0]?.port, empty.port.id, "an ICMP error goes back");
  t.match(dying.input, { verdict: "drop", dropReason: "TTL_EXCEEDED" });
  t.match(runt.input, { verdict: "drop", dropReason: "MALFORMED_ETHERNET" });
});

t.test("frames come by the port of their source, of their interface, or the one wished for", async (t) => {
  const fromOutside = udpFrame({ src: "192.168.50.100", dst: CLIENT, srcPort: 9, dstPort: 9 });
  const fromNode = udpFrame({ src: "192.168.50.11", dst: CLIENT, srcPort: 9, dstPort: 9 });
  const fromPod = udpFrame({ src: CLIENT, dst: WEB, srcPort: 9, dstPort: 9 });
  const kinds = async (frames: (Uint8Array | ReplayFrame)[], options?: ReplayOptions) =>
    (await replay(offlineNode(), frames, options)).map(({ port }) => port.info.kind);
  t.same(await kinds([fromOutside, fromNode, fromPod]), ["uplink", "host", "pod"]);
  t.same(await kinds([fromOutside, fromPod], { via: "pod" }), ["pod", "pod"]);
  const named = { data: fromOutside, timestampNs: 0n, interfaceName: "node1 host0" };
  t.same(await kinds([named]), ["host"]);
  const uplink = { data: fromPod, timestampNs: 0n, interfaceName: "node1 uplink eth0" };
  t.same(await kinds([uplink]), ["uplink"]);
});

t.test("MAC addresses become this node's, unless they are to be kept", async (t) => {
  const frame = echoFrame({
    src: CLIENT,
    dst: WEB,
    srcMac: "02:00:00:00:00:01",
    dstMac: "02:00:00:00:00:02",
  });
  const [adopted] = await replay(offlineNode(), [frame]);
  t.equal(adopted.input?.verdict, "forward");
  const [kept] = await replay(offlineNode(), [frame], { keepMacs: true });
  t.equal(kept.input?.dropReason, "NO_OTHER_PORT", "an unknown station: to be flooded, not routed");
  t.same(kept.steps.map((step) => step.bridged).at(-1), true);
});

t.test("a superframe, longer than its link takes, goes through as one", async (t) => {
  const frame = tcpFrame({ src: CLIENT, dst: WEB, srcPort: 1, dstPort: 8080, flags: "S", payload: 20_000 });
  const [one] = await replay(offlineNode(), [frame]);
  t.match(one.input, { verdict: "forward", gsoType: 1, gsoSize: 1410, csumPartial: true });
  t.equal(one.outputs.length, 1, "one UDP superframe into the tunnel");
  t.equal(one.outputs[0]?.gsoType, 5);
  const big = udpFrame({ src: CLIENT, dst: "192.168.50.100", srcPort: 1, dstPort: 2, payload: 3000 });
  t.equal((await replay(offlineNode(), [big]))[0].input?.dropReason, "FRAGMENTATION_NEEDED");
});

t.test("ARP is answered", async (t) => {
  const [asked] = await replay(offlineNode(), [arpFrame({ senderIp: CLIENT, targetIp: "10.244.1.1" })]);
  t.equal(asked.port.info.pod, "default/client");
  t.equal(asked.input?.verdict, "consumed");
  t.equal(asked.outputs[0]?.port, asked.port.id);
});

t.test("the clock follows the capture, so that connections end in time", async (t) => {
  const request = udpFrame({ src: CLIENT, dst: "10.96.0.80", srcPort: 9, dstPort: 80 });
  const first = { data: request, timestampNs: 5_000_000_000n };
  const later = { data: request, timestampNs: 5_000_000_000n + 3_600_000_000_000n };
  const earlier = { data: request, timestampNs: 1n };
  const replayed = await replay(offlineNode(), [first, later, earlier]);
  t.same(
    replayed.map(({ steps }) => steps[0]?.timeMs),
    [0, 3_600_000, 3_600_000],
  );
});

t.test("the same seed makes the same choices", async (t) => {
  const frame = udpFrame({ src: CLIENT, dst: "192.168.50.100", srcPort: 41000, dstPort: 9 });
  const port = async (seed: number) => (await replay(offlineNode(seed), [frame]))[0].input?.to.sport;
  t.equal(await port(7), await port(7));
  t.not(await port(7), await port(8));
});

function withMacs(frame: Uint8Array, to: string, from: string): Uint8Array {
  const copy = frame.slice();
  copy.set(Buffer.from(to.replaceAll(":", ""), "hex"), 0);
  copy.set(Buffer.from(from.replaceAll(":", ""), "hex"), 6);
  return copy;
}
