import t from "tap";
import { ip } from "../../base/ip.ts";
import { DropReason } from "../../dataplane/drop-reason.ts";
import { IcmpRequest } from "../../dataplane/packet/icmp-request.ts";
import { CtState, Masquerade } from "../../dataplane/packet/packet.ts";
import { Flag, TRACE_WORDS, TraceWord, Word } from "../../dataplane/trace/layout.ts";
import { RecordRing } from "../../dataplane/trace/record-ring.ts";
import { StageId } from "../../dataplane/trace/stage-id.ts";
import { Verdict } from "../../dataplane/verdict.ts";
import type { PlaneNames } from "../../observe/trace-record.ts";
import { readTraceRecord } from "./read-record.ts";
import { formatTrace, stepText } from "./trace-format.ts";

const names: PlaneNames = {
  mode: "iptables",
  port: (id) => ["default/web-1 eth0", "uplink eth0"][id] ?? `port ${id}`,
  service: (id) => ({ 5: "default/web:http", 6: "hostPort 8088/TCP of default/hp" })[id],
  route: (index) => (index === 3 ? "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink" : undefined),
};

interface Ends {
  src: string;
  dst: string;
  ports: number;
  proto?: number;
}

interface Record {
  stage: number;
  etherType?: number;
  verdict?: number;
  from: Ends;
  to?: Ends;
  reason?: number;
  ct?: number;
  reply?: number;
  masquerade?: number;
  service?: number;
  route?: number;
  outPort?: number;
  icmp?: number;
  bridged?: number;
  gsoSize?: number;
  attempt?: number;
  frontend?: number;
  source?: number;
  detail?: readonly number[];
}

/** A record as the plane writes it. */
function record(r: Record): Int32Array {
  const words = new Int32Array(TRACE_WORDS);
  const tuple = (ends: Ends, at: number): void => {
    const [src, dst] = [ip(ends.src), ip(ends.dst)];
    const proto = ends.proto ?? 6;
    words.set([src.w0, src.w1, src.w2, src.w3, dst.w0, dst.w1, dst.w2, dst.w3], at);
    words.set([ends.ports, (src.family << 8) | proto], at + 8);
  };
  const family = r.etherType === undefined ? ip(r.from.src).family : 0;
  words[Word.PACKET] = 12;
  words[Word.VERDICT] = r.verdict ?? 0;
  words[Word.REASON] = r.reason ?? 0;
  words[Word.FLAGS] =
    ((r.reply ?? 0) !== 0 ? Flag.REPLY : 0) |
    (r.to === undefined ? 0 : Flag.NAT) |
    ((r.bridged ?? 0) !== 0 ? Flag.BRIDGED : 0);
  words[Word.CT_STATE] = r.ct ?? 0;
  words[Word.MASQUERADE] = r.masquerade ?? 0;
  words[Word.OUT_PORT] = r.outPort ?? -1;
  words[Word.SERVICE] = r.service ?? -1;
  words[Word.LENGTH] = 60;
  words[Word.FAMILY] = family;
  words[Word.PROTOCOL] = family === 0 ? 0 : (r.from.proto ?? 6);
  words[TraceWord.STAGE] = r.stage;
  words[TraceWord.TIME_MS] = 1000;
  words[TraceWord.ETHER_TYPE] = r.etherType ?? (family === 4 ? 0x0800 : 0x86dd);
  words[TraceWord.TCP_FLAGS] = 2; // SYN
  words[TraceWord.GSO_SIZE] = r.gsoSize ?? 0;
  words[TraceWord.FRONTEND] = r.frontend ?? -1;
  words[TraceWord.SOURCE_CLASS] = r.source ?? 0;
  words[TraceWord.ROUTE] = r.route ?? -1;
  words[TraceWord.ICMP_REQUEST] = r.icmp ?? 0;
  words[TraceWord.ATTEMPT] = (r.attempt ?? 0) & 7;
  words[TraceWord.FAILURE] = (r.attempt ?? 0) >>> 3;
  words.set(r.detail ?? [], TraceWord.DETAIL);
  tuple(r.from, Word.KEY);
  tuple(r.to ?? r.from, Word.TO);
  return words;
}

/** Through a ring, as it comes from the plane: the body lies behind the record's own header. */
function step(r: Record, mode = "iptables") {
  const ring = new RecordRing(10);
  ring.words.set(record(r), 2);
  ring.float[1 + (Word.TIME_US >> 1)] = 1_700_000_000_123_456;
  return readTraceRecord(ring, 8, "node1", { ...names, mode });
}

const asSent: Ends = { src: "10.244.1.2", dst: "10.96.0.1", ports: (41000 << 16) | 80 };
const translated: Ends = { src: "10.244.1.2", dst: "10.244.2.2", ports: (41000 << 16) | 8080 };
const masked: Ends = { src: "10.244.1.0", dst: "10.244.2.2", ports: (50000 << 16) | 8080 };

t.test("a record becomes an object with names", async (t) => {
  const got = step({
    stage: StageId.CHOOSE_BACKEND,
    from: asSent,
    to: translated,
    ct: CtState.NEW,
    service: 5,
    masquerade: Masquerade.SERVICE,
  });
  t.same(got, {
    node: "node1",
    packet: 12,
    stage: "choose-backend",
    hook: "PREROUTING nat",
    mode: "iptables",
    timeUs: 1_700_000_000_123_456,
    timeMs: 1000,
    length: 60,
    tcpFlags: 2,
    gsoSize: 0,
    etherType: 0x0800,
    verdict: "next",
    ctState: "NEW",
    ctDirection: "original",
    masquerade: "service",
    bridged: false,
    fromTunnel: false,
    inPort: 0,
    outPort: -1,
    family: 4,
    protocol: 6,
    from: { src: "10.244.1.2", dst: "10.96.0.1", sport: 41000, dport: 80 },
    to: { src: "10.244.1.2", dst: "10.244.2.2", sport: 41000, dport: 8080 },
    translated: true,
    service: "default/web:http",
    endpoint: "10.244.2.2:8080",
    in: "default/web-1 eth0",
  });
});

t.test("the life of a packet is a story, one line a stage", async (t) => {
  const ct = CtState.NEW;
  const on = { to: translated, ct, service: 5 };
  const steps = [
    step({ stage: StageId.PARSE, from: asSent }),
    step({ stage: StageId.CLASSIFY, from: asSent }),
    step({ stage: StageId.TRACK_CONNECTION, from: asSent, ct }),
    step({ stage: StageId.CHOOSE_BACKEND, from: asSent, ...on, masquerade: Masquerade.SERVICE }),
    step({ stage: StageId.ROUTE, from: asSent, ...on, route: 3 }),
    step({ stage: StageId.ENFORCE_POLICY, from: asSent, ...on }),
    step({ stage: StageId.MASQUERADE, from: asSent, ...on, to: masked, masquerade: Masquerade.SERVICE }),
    step({ stage: StageId.ENTER_CONNECTION, from: asSent, ...on, to: masked }),
    step({ stage: StageId.OUTPUT, from: asSent, ...on, to: masked, verdict: Verdict.FORWARD, outPort: 1 }),
  ];
  const margin = " ".repeat("#12 node1 default/web-1 eth0".length);
  const lines = formatTrace(steps);
  t.same(
    lines.map((line) => line.replace(/KUBE-(SVC|SEP)-[A-Z2-7]{16}/g, "KUBE-$1-…")),
    [
      "#12 node1 default/web-1 eth0  parse            IPv4 TCP 10.244.1.2:41000 → 10.96.0.1:80 SYN, 60 bytes",
      `${margin}  classify         for the router`,
      `${margin}  track-connection PREROUTING conntrack NEW`,
      `${margin}  choose-backend   nat KUBE-SERVICES → KUBE-SVC-… → KUBE-SEP-… DNAT 10.96.0.1:80 → ` +
        "10.244.2.2:8080 (default/web:http), KUBE-MARK-MASQ",
      `${margin}  route            routing decision 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink`,
      `${margin}  enforce-policy   filter FORWARD accept`,
      `${margin}  masquerade       nat POSTROUTING MASQUERADE 10.244.1.2:41000 → 10.244.1.0:50000 ` +
        "(KUBE-MARK-MASQ was set)",
      `${margin}  enter-connection __nf_conntrack_confirm: entered, answers 10.244.2.2:8080 → 10.244.1.0:50000`,
      `${margin}  output           to uplink eth0 as 10.244.1.0:50000 → 10.244.2.2:8080`,
    ],
  );
});

t.test("endings and special cases have their words", async (t) => {
  const cases: { name: string; record: Record; want: string | RegExp }[] = [
    {
      name: "a drop says why, and what the sender is told",
      record: {
        stage: StageId.CHOOSE_BACKEND,
        verdict: Verdict.DROP,
        from: asSent,
        reason: DropReason.SERVICE_NO_ENDPOINTS,
        icmp: IcmpRequest.PORT_UNREACHABLE,
        service: 5,
        ct: CtState.NEW,
      },
      want: /\(default\/web:http\): DROP Service backend not found, the sender gets ICMP port unreachable$/,
    },
    {
      name: "a host port is named as such, in portmap's chains",
      record: {
        stage: StageId.CHOOSE_BACKEND,
        from: asSent,
        to: translated,
        ct: CtState.NEW,
        service: 6,
        masquerade: Masquerade.HOST_PORT,
      },
      want: /^nat CNI-HOSTPORT-DNAT → CNI-DN-[0-9a-f]{21} DNAT .* \(hostPort 8088\/TCP of default\/hp\), CNI-HOSTPORT-SETMARK$/,
    },
    {
      name: "a full table enters nothing",
      record: {
        stage: StageId.ENTER_CONNECTION,
        verdict: Verdict.DROP,
        from: asSent,
        reason: DropReason.CT_TABLE_FULL,
        ct: CtState.NEW,
      },
      want: /^__nf_conntrack_confirm: DROP /,
    },
    {
      name: "what belongs to no connection is not entered",
      record: { stage: StageId.ENTER_CONNECTION, from: asSent, ct: CtState.INVALID },
      want: "",
    },
    {
      name: "a reply undoes the translation",
      record: {
        stage: StageId.TRACK_CONNECTION,
        from: { src: "10.244.2.2", dst: "10.244.1.2", ports: (8080 << 16) | 41000 },
        to: { src: "10.96.0.1", dst: "10.244.1.2", ports: (80 << 16) | 41000 },
        ct: CtState.ESTABLISHED,
        reply: 1,
      },
      want: "PREROUTING conntrack ESTABLISHED reply, known translation SNAT 10.244.2.2:8080 → 10.96.0.1:80",
    },
    {
      name: "not a new connection",
      record: { stage: StageId.CHOOSE_BACKEND, from: translated, ct: CtState.INVALID },
      want: "nat not asked: conntrack INVALID",
    },
    {
      name: "no service",
      record: { stage: StageId.CHOOSE_BACKEND, from: translated, ct: CtState.NEW },
      want: "nat KUBE-SERVICES: no service claims it",
    },
    {
      name: "bridged",
      record: { stage: StageId.CLASSIFY, from: asSent, bridged: 1 },
      want: "bridge: for another station",
    },
    {
      name: "flooded",
      record: { stage: StageId.CLASSIFY, from: asSent, verdict: Verdict.FLOOD },
      want: "bridge: for everybody, flooded",
    },
    {
      name: "a fragment waits",
      record: { stage: StageId.REASSEMBLE, from: asSent, verdict: Verdict.CONSUMED },
      want: "nf_defrag: fragment kept",
    },
    {
      name: "source kept",
      record: { stage: StageId.MASQUERADE, from: asSent },
      want: "nat POSTROUTING: source kept",
    },
    {
      name: "superframe",
      record: { stage: StageId.PARSE, from: asSent, gsoSize: 1398 },
      want: /SYN, 60 bytes in segments of 1398$/,
    },
    {
      name: "IPv6 ping",
      record: {
        stage: StageId.PARSE,
        from: { src: "fd00::1", dst: "fd00::2", ports: (7 << 16) | (128 << 8), proto: 58 },
      },
      want: "IPv6 ICMPV6 fd00::1 → fd00::2 type 128 code 0 id 7, 60 bytes",
    },
    {
      name: "no IP packet",
      record: { stage: StageId.PARSE, from: asSent, etherType: 0x0806 },
      want: "ARP",
    },
    {
      name: "a stage that this version does not know",
      record: { stage: 99, from: asSent },
      want: "",
    },
  ];
  for (const c of cases) {
    const text = stepText(step(c.record));
    if (typeof c.want === "string") t.equal(text, c.want, c.name);
    else t.match(text, c.want, c.name);
  }
});

t.test("userspace mode: a refusal that the client does not see, and the next attempts", async (t) => {
  const { RETRY_CONNECTION, SEND_TCP_RESET } = StageId;
  const [client, vip, endpoint] = ["10.244.1.2", "10.96.0.10", "10.244.2.3"];
  const from = { src: client, dst: vip, ports: (41000 << 16) | 80 };
  const to = { src: client, dst: endpoint, ports: (41000 << 16) | 8080 };
  const reset = { src: endpoint, dst: "10.244.1.1", ports: (8080 << 16) | 5000 };
  const refused = {
    stage: RETRY_CONNECTION,
    verdict: Verdict.CONSUMED,
    from: reset,
    ct: CtState.ESTABLISHED,
  };
  const text = "proxy dial failed, 10.244.2.3:8080 refused: the next endpoint is asked";
  t.equal(stepText(step(refused)), text);
  const router = { src: "192.168.50.1", dst: "10.244.1.1", ports: 0x0301, proto: 1 };
  t.match(
    stepText(step({ ...refused, from: router })),
    "proxy dial failed, ICMP from 192.168.50.1: the next",
  );
  const again = (attempt: number, why: number) =>
    step({ stage: RETRY_CONNECTION, from, to, attempt: attempt | (why << 3), ct: CtState.NEW });
  t.equal(stepText(again(2, 1)), "proxy dial: 10.244.2.3:8080 refused, attempt 2");
  t.equal(stepText(again(3, 2)), "proxy dial: 10.244.2.3:8080 did not answer in time, attempt 3");
  t.equal(stepText(again(4, 3)), "proxy dial: 10.244.2.3:8080 cannot be reached, attempt 4");
  t.match(again(4, 3), { attempt: 4, failure: "unreachable" });
  const last = { reason: DropReason.SERVICE_BACKENDS_FAILED, verdict: Verdict.DROP };
  const end = step({ stage: RETRY_CONNECTION, from, to, attempt: 4 | (2 << 3), ...last, icmp: 8 });
  const why = "DROP Service backends do not answer, the sender gets a TCP RST";
  t.equal(stepText(end), `proxy dial: 10.244.2.3:8080 did not answer in time at attempt 4, the last: ${why}`);
  t.match(end, { tcpReset: true, icmpError: undefined });
  const own = { src: vip, dst: client, ports: (80 << 16) | 41000 };
  t.equal(
    stepText(step({ stage: SEND_TCP_RESET, from: own })),
    `tcp_v4_send_reset ${vip}:80 → ${client}:41000`,
  );
});

t.test("the words are those of the node's proxy mode", async (t) => {
  const on = { from: asSent, to: translated, ct: CtState.NEW, service: 5, frontend: 0 };
  const chosen = { ...on, stage: StageId.CHOOSE_BACKEND, masquerade: Masquerade.SERVICE };
  const masqueraded = { ...on, stage: StageId.MASQUERADE, to: masked, masquerade: Masquerade.SERVICE };
  const refused = {
    ...{ stage: StageId.CHOOSE_BACKEND, from: asSent, ct: CtState.NEW, service: 5, frontend: 3 },
    ...{ verdict: Verdict.DROP, reason: DropReason.SERVICE_NO_ENDPOINTS },
  };
  const texts = (mode: string): string[] =>
    [step(chosen, mode), step(masqueraded, mode), step(refused, mode)].map((each) =>
      stepText(each, step(chosen, mode))
        .replace(/\b[A-Z2-7]{16}\b/g, "…")
        .replace(/-[A-Z2-7]{8}-default/g, "-…-default"),
    );
  const dnat = "DNAT 10.96.0.1:80 → 10.244.2.2:8080 (default/web:http)";
  const snat = "10.244.1.2:41000 → 10.244.1.0:50000";
  const drop = "DROP Service backend not found";
  t.same(texts("iptables"), [
    `nat KUBE-SERVICES → KUBE-SVC-… → KUBE-SEP-… ${dnat}, KUBE-MARK-MASQ`,
    `nat POSTROUTING MASQUERADE ${snat} (KUBE-MARK-MASQ was set)`,
    `filter KUBE-EXTERNAL-SERVICES (default/web:http): ${drop}`,
  ]);
  t.same(texts("nftables"), [
    "services → service-…-default/web/tcp/http → " +
      `endpoint-…-default/web/tcp/http__10.244.2.2/8080 ${dnat}, mark-for-masquerade`,
    `nat-postrouting masquerade ${snat} (mark-for-masquerade was set)`,
    `nodeport-endpoints-check → reject-chain (default/web:http): ${drop}`,
  ]);
  t.same(texts("ipvs"), [
    "ip_vs TCP 10.96.0.1:80 → 10.244.2.2:8080 Masq (default/web:http), KUBE-MARK-MASQ",
    `nat POSTROUTING MASQUERADE ${snat} (KUBE-MARK-MASQ was set)`,
    `ip_vs TCP 10.96.0.1:80 (default/web:http): ${drop}`,
  ]);
  t.same(texts("userspace"), [
    "nat KUBE-PORTALS-CONTAINER → kube-proxy (default/web:http) dials 10.244.2.2:8080",
    `the connection is kube-proxy's own: ${snat}`,
    `nat KUBE-NODEPORT-CONTAINER → kube-proxy (default/web:http): ${drop}`,
  ]);
});

t.test("what stages say of themselves", async (t) => {
  const arp = { etherType: 0x0806, from: asSent, stage: StageId.ANSWER_ARP };
  const target = [0, 0, 0xffff, (10 << 24) | (244 << 16) | (1 << 8) | 1];
  const asked = { ...arp, verdict: Verdict.CONSUMED, detail: [1, 0x0a58, 0x0af40101, 1, ...target] };
  t.match(step(asked), { detail: { isRequest: true, target: "10.244.1.1", answer: "0a:58:0a:f4:01:01" } });
  t.equal(stepText(step(asked)), "arp_process: who has 10.244.1.1? answered: it is at 0a:58:0a:f4:01:01");
  t.equal(
    stepText(step({ ...arp, verdict: Verdict.DROP, reason: DropReason.MALFORMED_ARP })),
    "arp_process: DROP Malformed ARP message",
  );
  const clamped = { stage: StageId.CLAMP_MSS, from: asSent, detail: [8960, 1410] };
  t.equal(stepText(step(clamped)), "mangle FORWARD TCPMSS: MSS 8960 → 1410");
  const ftp = { stage: StageId.HELP_FTP, from: asSent, detail: [7, 1025] };
  t.equal(
    stepText(step(ftp)),
    "nf_conntrack_ftp: a data connection to port 1025 is expected, " +
      "the address in the payload rewritten, sequence numbers shifted",
  );
});
