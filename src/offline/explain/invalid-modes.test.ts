// INVALID packets and damaged ones in each of kube-proxy's modes, as their rules and the kernel would have them: whether a
// rule drops what is forwarded (KUBE-FORWARD, of iptables mode alone), where untranslated packets to service addresses go,
// and that nobody is told. The conntrack judge asks a kernel about iptables and nftables modes; IPVS and the userspace
// proxy are read from their sources.
import t from "tap";
import { dropReasonName } from "../../dataplane/drop-reason.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { PlaneSide } from "../../testing/judge/plane.ts";
import { endsOfFrame, talkScenario } from "../../testing/judge/talk-places.ts";
import { V4, V6, type World } from "../../testing/judge/world.ts";

const SERVICE_PORT = 80;
const NODE_PORT = 30_000;

class Asked {
  readonly #plane: PlaneSide;
  #id = 0;

  constructor(world: World, proxy: object) {
    const made = talkScenario(world);
    this.#plane = new PlaneSide({ ...made, proxy: { ...made.proxy, ...proxy } });
  }

  /** "uplink: 10.244.1.2:5000 > 10.96.0.10:80", or the reason of its drop. */
  send(where: string, path: { src: string; dst: string; dstPort: number }, over: object): string {
    const id = ++this.#id;
    const frame = build.tcpFrame({ srcPort: 5000, ...path, id, flowLabel: id, ...over });
    if ((over as { isDamaged?: boolean }).isDamaged) frame[frame.length - 1] ^= 0x41;
    const { counters } = this.#plane.node.engine.tables;
    const before = [...counters.drops];
    const { frames } = this.#plane.inject([{ where, frame }]);
    const out = [...frames.values()].map((seen) => {
      const ends = endsOfFrame(seen.frame);
      if (ends === undefined) return `${seen.where}: ?`;
      const [from, to] = [ends.from, ends.to].map(({ address, port }) => `${address}:${port}`);
      return `${seen.where}: ${from} > ${to}`;
    });
    const dropped = [...counters.drops].flatMap((n, reason) =>
      n > before[reason] ? dropReasonName(reason) : [],
    );
    return [...out, ...dropped].join(" and ");
  }
}

const KINDS = [
  { name: "a SYN-ACK of no connection", over: { flags: "S.", payload: 2 }, reason: "CT_INVALID" },
  { name: "a reset of no connection", over: { flags: "R", payload: 2 }, reason: "CT_INVALID" },
  { name: "SYN and FIN at once", over: { flags: "SF", payload: 2 }, reason: "CT_INVALID" },
  {
    name: "a damaged SYN",
    over: { flags: "S", payload: 2, isDamaged: true },
    reason: "BAD_TCP_CHECKSUM",
  },
];

/** `rule`: kube-proxy's, that drops what is forwarded. `bound`: service addresses are the node's (kube-ipvs0). */
const MODES = [
  { name: "iptables", proxy: { mode: "iptables" }, rule: true, bound: false },
  {
    name: "iptables, tcpBeLiberal",
    proxy: { mode: "iptables", conntrack: { tcpBeLiberal: true } },
    rule: false,
    bound: false,
  },
  { name: "nftables", proxy: { mode: "nftables" }, rule: false, bound: false },
  { name: "ipvs", proxy: { mode: "ipvs" }, rule: false, bound: true },
  { name: "userspace", proxy: { mode: "userspace" }, rule: false, bound: false },
];

for (const { name: mode, proxy, rule, bound } of MODES) {
  for (const world of [V4, V6]) {
    t.test(`INVALID packets, ${mode}, IPv${world.family}`, async (t) => {
      const asked = new Asked(world, proxy);
      const [src, , pod] = world.pods;
      const where = `pod ${src}`;
      for (const { name, over, reason } of KINDS) {
        const ask = (dst: string, dstPort: number): string => asked.send(where, { src, dst, dstPort }, over);
        const asItCame = (at: string, dst: string, port: number): string =>
          `${at}: ${src}:5000 > ${dst}:${port}`;
        const service = world.clusterIp(0);
        t.equal(
          ask(service, SERVICE_PORT),
          rule || bound ? reason : asItCame("uplink", service, SERVICE_PORT),
          `${name} to a ClusterIP: nothing of the node's answers it`,
        );
        t.equal(ask(pod, 9000), rule ? reason : asItCame(`pod ${pod}`, pod, 9000), `${name} to a pod`);
        const outside = world.outside(2);
        t.equal(ask(outside, 80), rule ? reason : asItCame("uplink", outside, 80), `${name} outside`);
        t.equal(
          ask(world.nodeIp, NODE_PORT),
          asItCame("host", world.nodeIp, NODE_PORT),
          `${name} to a node port: the node's own stack`,
        );
      }
    });

    t.test(`INVALID packets of a translated connection, ${mode}, IPv${world.family}`, async (t) => {
      const asked = new Asked(world, proxy);
      const [src] = world.pods;
      const where = `pod ${src}`;
      const path = { src, dst: world.clusterIp(0), dstPort: SERVICE_PORT };
      t.match(asked.send(where, path, { flags: "S" }), `pod ${world.pods[1]}: `);
      const far = { flags: ".", seq: 0x40000000, ack: 0x50000000, payload: 9 };
      const reason = rule ? "CT_INVALID" : "CT_INVALID_NAT";
      t.equal(asked.send(where, path, { ...far, flags: "" }), reason, "no flags at all");
      t.equal(asked.send(where, path, { ...far, isDamaged: true }), "BAD_TCP_CHECKSUM");
      t.match(asked.send(where, path, { flags: "S" }), `pod ${world.pods[1]}: `, "the connection stands");
    });
  }
}

t.test("ipvs: an INVALID packet to any port of a bound address, also from the node itself", async (t) => {
  const asked = new Asked(V4, { mode: "ipvs" });
  const dst = V4.clusterIp(0);
  t.equal(
    asked.send(`pod ${V4.pods[0]}`, { src: V4.pods[0], dst, dstPort: 9999 }, { flags: "R" }),
    "CT_INVALID",
  );
  t.equal(asked.send("host", { src: V4.nodeIp, dst, dstPort: SERVICE_PORT }, { flags: "R" }), "CT_INVALID");
});
