import t from "tap";
import { internetChecksum } from "./icmp-prober.ts";
import { answerLine, formatRtt, rttStatistics, summaryText } from "./ping-report.ts";

t.test("round-trip times lose decimals as they grow, as in ping(8)", async (t) => {
  const cases: [number, string][] = [
    [0.0454, "0.045"],
    [1.236, "1.24"],
    [12.34, "12.3"],
    [123.4, "123"],
  ];
  for (const [ms, want] of cases) t.equal(formatRtt(ms), want);
});

t.test("answers are told in ping's words", async (t) => {
  const reply = { kind: "reply", sequence: 3, from: "10.244.1.2", bytes: 64, ttl: 63, rttMs: 0.4 } as const;
  t.equal(answerLine(reply), "64 bytes from 10.244.1.2: icmp_seq=3 ttl=63 time=0.400 ms");
  t.equal(answerLine(reply, true), "64 bytes from 10.244.1.2: icmp_seq=3 ttl=63 time=0.400 ms (DUP!)");
  const error = {
    kind: "error",
    sequence: 1,
    from: "10.244.1.1",
    text: "Destination Host Unreachable",
  } as const;
  t.equal(answerLine(error), "From 10.244.1.1 icmp_seq=1 Destination Host Unreachable");
  t.equal(
    answerLine({ kind: "too-big", sequence: 1, text: "local error: message too long" }),
    "ping: local error: message too long",
  );
  t.equal(answerLine({ kind: "timeout", sequence: 1 }), undefined);
});

t.test("the closing lines count replies, duplicates, errors and losses", async (t) => {
  const summary = { target: "web", transmitted: 3, received: 2, duplicates: 1, errors: 1, elapsedMs: 2003.4 };
  t.equal(
    summaryText({ ...summary, rttsMs: [1, 3] }),
    "--- web ping statistics ---\n" +
      "3 packets transmitted, 2 received, +1 duplicates, +1 errors, 33.3333% packet loss, time 2003ms\n" +
      "rtt min/avg/max/mdev = 1.000/2.000/3.000/1.000 ms",
  );
  t.match(summaryText({ ...summary, received: 0, rttsMs: [] }), /100% packet loss, time 2003ms\n$/);
  t.equal(rttStatistics([]), undefined);
});

t.test("the ICMP checksum is RFC 1071's, over an odd length too", async (t) => {
  t.equal(internetChecksum(Buffer.from("0001f203f4f5f6f7", "hex")), 0x220d);
  t.equal(internetChecksum(Buffer.from("08000000000100ff61", "hex")), 0x95ff);
});
