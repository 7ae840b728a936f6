import t from "tap";
import { type ConntrackEntry, protocolNumber } from "./conntrack-entry.ts";
import { createConntrackFilter } from "./conntrack-filter.ts";
import { formatConntrackEntry, parseConntrackLine } from "./conntrack-format.ts";

const web: ConntrackEntry = {
  family: "ipv4",
  proto: 6,
  state: "ESTABLISHED",
  timeoutSec: 431999,
  orig: { src: "10.244.1.2", dst: "10.96.0.1", sport: 41000, dport: 80, packets: 3, bytes: 164 },
  reply: { src: "10.244.2.2", dst: "10.244.1.2", sport: 8080, dport: 41000, packets: 2, bytes: 113 },
  status: ["SEEN_REPLY", "ASSURED", "CONFIRMED", "DST_NAT"],
  mark: 0,
  id: 3803497121,
};
const dns: ConntrackEntry = {
  family: "ipv4",
  proto: 17,
  timeoutSec: 29,
  orig: { src: "10.244.1.2", dst: "10.96.0.10", sport: 5555, dport: 53 },
  reply: { src: "10.244.2.9", dst: "10.244.1.2", sport: 53, dport: 5555 },
  status: ["CONFIRMED", "DST_NAT"],
  mark: 5,
};
const ping: ConntrackEntry = {
  family: "ipv6",
  proto: 58,
  timeoutSec: 29,
  orig: { src: "fd00:9::1", dst: "fd00:9::2", icmpType: 128, icmpCode: 0, icmpId: 7 },
  reply: { src: "fd00:9::2", dst: "fd00:9::1", icmpType: 129, icmpCode: 0, icmpId: 7 },
  status: ["SEEN_REPLY", "CONFIRMED"],
  mark: 0,
};

t.test("lines are conntrack's", async (t) => {
  t.equal(
    formatConntrackEntry(web),
    "tcp      6 431999 ESTABLISHED src=10.244.1.2 dst=10.96.0.1 sport=41000 dport=80 packets=3 bytes=164 " +
      "src=10.244.2.2 dst=10.244.1.2 sport=8080 dport=41000 packets=2 bytes=113 [ASSURED] mark=0 use=1",
  );
  t.equal(
    formatConntrackEntry(dns),
    "udp      17 29 src=10.244.1.2 dst=10.96.0.10 sport=5555 dport=53 [UNREPLIED] " +
      "src=10.244.2.9 dst=10.244.1.2 sport=53 dport=5555 mark=5 use=1",
  );
  t.equal(
    formatConntrackEntry(ping, { extended: true }),
    "ipv6     10 icmpv6   58 29 src=fd00:9::1 dst=fd00:9::2 type=128 code=0 id=7 " +
      "src=fd00:9::2 dst=fd00:9::1 type=129 code=0 id=7 mark=0 use=1",
  );
  t.match(formatConntrackEntry(web, { id: true }), / use=1 id=3803497121$/);
  const generic: ConntrackEntry = {
    ...dns,
    proto: 50,
    orig: { src: "a", dst: "b" },
    reply: { src: "b", dst: "a" },
  };
  t.equal(formatConntrackEntry(generic), "unknown  50 29 src=a dst=b [UNREPLIED] src=b dst=a mark=5 use=1");
});

t.test("a start time is written as ctime(3) does", async (t) => {
  const startMs = new Date(2026, 10, 2, 9, 8, 7).getTime();
  t.match(
    formatConntrackEntry({ ...web, startMs, deltaTimeSec: 4 }, { ktimestamp: true }),
    / mark=0 delta-time=4 \[start=Mon Nov {2}2 09:08:07 2026\] use=1$/,
  );
});

t.test("parse ∘ format is the identity", async (t) => {
  const sctp: ConntrackEntry = {
    ...web,
    proto: 132,
    state: "COOKIE_WAIT",
    use: 2,
    startMs: 1_700_000_000_000,
  };
  for (const entry of [web, dns, ping, sctp]) {
    const line = formatConntrackEntry(entry, { extended: true, id: true, ktimestamp: true });
    t.same({ use: 1, ...entry }, parseConntrackLine(line));
  }
});

t.test("lines that are none are refused", async (t) => {
  const cases = [
    "",
    "conntrack v1.4.7 (conntrack-tools): 7 flow entries have been shown.",
    "tcp 6 10 src=1.2.3.4",
  ];
  for (const line of cases) t.equal(parseConntrackLine(line), undefined, line);
});

t.test("filters are conntrack's", async (t) => {
  const cases: { filter: [string, string][]; want: ConntrackEntry[] }[] = [
    { filter: [], want: [web, dns, ping] },
    { filter: [["proto", "tcp"]], want: [web] },
    { filter: [["proto", "17"]], want: [dns] },
    { filter: [["family", "ipv6"]], want: [ping] },
    { filter: [["src", "10.244.1.2"]], want: [web, dns] },
    { filter: [["dst", "10.96.0.0/28"]], want: [web, dns] },
    { filter: [["dst", "10.96.0.8/29"]], want: [dns] },
    { filter: [["src", "fd00:9::/64"]], want: [ping] },
    { filter: [["reply-src", "10.244.2.2"]], want: [web] },
    { filter: [["reply-dst", "10.244.1.2"]], want: [web, dns] },
    { filter: [["dport", "80"]], want: [web] },
    { filter: [["sport", "5555"]], want: [dns] },
    { filter: [["reply-port-src", "8080"]], want: [web] },
    { filter: [["state", "established"]], want: [web] },
    { filter: [["status", "ASSURED"]], want: [web] },
    { filter: [["status", "UNREPLIED"]], want: [dns] },
    { filter: [["status", "SEEN_REPLY,CONFIRMED"]], want: [web, ping] },
    { filter: [["dst-nat", ""]], want: [web, dns] },
    { filter: [["dst-nat", "10.244.2.9"]], want: [dns] },
    { filter: [["src-nat", ""]], want: [] },
    { filter: [["any-nat", ""]], want: [web, dns] },
    { filter: [["mark", "5"]], want: [dns] },
    { filter: [["mark", "0x1/0x1"]], want: [dns] },
    { filter: [["icmp-id", "7"]], want: [ping] },
    { filter: [["id", "3803497121"]], want: [web] },
    {
      filter: [
        ["src", "10.244.1.2"],
        ["proto", "udp"],
      ],
      want: [dns],
    },
  ];
  for (const c of cases)
    t.same([web, dns, ping].filter(createConntrackFilter(c.filter)), c.want, String(c.filter));
});

t.test("filters that make no sense are refused in one line", async (t) => {
  const cases: [string, string][] = [
    ["proto", "xx"],
    ["proto", "256"],
    ["family", "ipx"],
    ["src", "10.1"],
    ["src", "10.0.0.0/33"],
    ["src", "10.0.0.0/"],
    ["sport", "70000"],
    ["dport", "-1"],
    ["status", "NICE"],
    ["mark", "x"],
    ["colour", "red"],
  ];
  for (const pair of cases)
    t.throws(() => createConntrackFilter([pair]), { code: "CONNTRACK_FILTER" }, String(pair));
});

t.test("protocols go by name or number", async (t) => {
  t.equal(protocolNumber("TCP"), 6);
  t.equal(protocolNumber("ipv6-icmp"), 58);
  t.equal(protocolNumber("132"), 132);
});
