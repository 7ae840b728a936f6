import t from "tap";
import type { CaptureRecord } from "../../observe/trace-record.ts";
import { captureComment, formatTranslation } from "./capture-comment.ts";

const record: CaptureRecord = {
  packet: 77,
  direction: "in",
  verdict: "forward",
  ctState: "NEW",
  ctDirection: "original",
  bridged: false,
  fromTunnel: false,
  inPort: 2,
  outPort: 3,
  family: 4,
  protocol: 17,
  from: { src: "10.244.1.2", dst: "10.96.0.10", sport: 5000, dport: 53 },
  to: { src: "10.244.1.2", dst: "10.244.2.9", sport: 5000, dport: 5353 },
  translated: true,
  timeUs: 0,
  length: 60,
  port: 2,
  csumPartial: false,
  gsoType: 0,
  gsoSize: 0,
  csumStart: 0,
  csumOffset: 0,
  serviceId: 5,
  data: new Uint8Array(60),
};

t.test("a host port is named as one", async (t) => {
  const comment = captureComment(record, "hostPort 8088/TCP of default/hp", "uplink eth0");
  t.match(comment, /; hostPort 8088\/TCP of default\/hp/);
  t.notMatch(comment, "service");
});

t.test("a comment says verdict, connection, translation and service", async (t) => {
  t.equal(
    captureComment(record, "default/dns:dns", "uplink eth0"),
    "packet 77: forward to uplink eth0; conntrack NEW; NAT destination 10.96.0.10:53 → 10.244.2.9:5353; " +
      "service default/dns:dns",
  );
});

t.test("what policies said: a rule allows, or none does after one passed it on", async (t) => {
  const told = (rule: string) =>
    captureComment({ ...record, egress: { action: "allow", rule, policies: [] } }, undefined, undefined);
  t.match(told("guard egress[1].to[0]"), /; egress allowed by guard egress\[1\]\.to\[0\]/);
  const passed = "no rule matches, passed on by guard egress[0].to[0]";
  t.ok(told(passed).includes(`; egress allowed: ${passed}`), told(passed));
});

t.test("a drop says its reason, by text and by name", async (t) => {
  const { ctState, ctDirection, ...untracked } = record;
  const dropped = { ...untracked, verdict: "drop", dropReason: "NO_ROUTE", dropText: "FIB lookup failed" };
  t.equal(
    captureComment({ ...dropped, translated: false }, undefined, undefined),
    "packet 77: dropped: FIB lookup failed (NO_ROUTE)",
  );
});

t.test("superframes, replies, tunnels and masquerading are told", async (t) => {
  const comment = captureComment(
    {
      ...record,
      ctState: "ESTABLISHED",
      ctDirection: "reply",
      fromTunnel: true,
      gsoSize: 1398,
      masquerade: "egress",
    },
    undefined,
    "uplink eth0",
  );
  t.match(
    comment,
    /from the tunnel; conntrack ESTABLISHED reply; NAT .*; masquerade \(egress\); superframe of 1398/,
  );
});

t.test("both ends and an ICMP id may be translated at once; IPv6 has brackets", async (t) => {
  t.equal(
    formatTranslation(
      { src: "fd00::1", dst: "fd00::2", sport: 1, dport: 2 },
      { src: "fd00::3", dst: "fd00::2", sport: 9, dport: 2 },
    ),
    "source [fd00::1]:1 → [fd00::3]:9",
  );
  t.equal(
    formatTranslation(
      { src: "10.0.0.1", dst: "10.0.0.2", icmpId: 7 },
      { src: "10.0.0.9", dst: "10.0.0.2", icmpId: 8 },
    ),
    "source 10.0.0.1 → 10.0.0.9, id 7 → 8",
  );
});
