// The kernel as judge of connection tracking: random conversations through a router with conntrack, kube-proxy's rules
// and NAT, and through podwire. What arrives, how it is translated, which connections are then listed, in which state
// and with which time-out, must be the same. scripts/conntrack-judge holds as many as one has time for.
import t from "tap";
import type { ConntrackSysctls } from "../../src/config/conntrack.ts";
import { ConntrackJudge, findingText, type JudgeOptions } from "../support/conntrack-judge.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";
const SEED = 77;

const CASES: readonly (JudgeOptions & { title: string; conversations: number })[] = [
  { title: "IPv4", family: 4, conversations: 300 },
  { title: "IPv6", family: 6, conversations: 150 },
  { title: "IPv4, nftables", family: 4, mode: "nftables", conversations: 150 },
  { title: "IPv6, nftables", family: 6, mode: "nftables", conversations: 100 },
  {
    title: "liberal, not loose",
    family: 4,
    conversations: 150,
    sysctls: { nf_conntrack_tcp_be_liberal: 1, nf_conntrack_tcp_loose: 0, nf_conntrack_tcp_max_retrans: 1 },
  },
];

for (const { title, conversations, ...options } of CASES) {
  t.test(`${conversations} conversations, ${title}: no difference`, { skip }, async (t) => {
    const judge = new ConntrackJudge(options);
    t.teardown(() => judge.close());
    const { findings, packets } = await judge.judge(SEED, 0, conversations);
    t.strictSame(findings.map(findingText), []);
    t.ok(packets > conversations);
  });
}

const PLANTED: Readonly<Record<string, ConntrackSysctls>> = {
  "windows that nobody looks at": { nf_conntrack_tcp_be_liberal: 1 },
  "connections that are not picked up in the middle": { nf_conntrack_tcp_loose: 0 },
  "resets that are always believed": { nf_conntrack_tcp_ignore_invalid_rst: 1 },
  "checksums that nobody looks at": { nf_conntrack_checksum: 0 },
  "a time-out of another state": { nf_conntrack_tcp_timeout_last_ack: 1600 },
};

t.test("planted errors are found", { skip }, async (t) => {
  const judge = new ConntrackJudge({ family: 4 });
  t.teardown(() => judge.close());
  t.equal((await judge.judge(SEED, 0, 200)).findings.length, 0);
  for (const [error, planted] of Object.entries(PLANTED)) {
    t.ok((await judge.judge(SEED, 0, 200, planted)).findings.length > 0, error);
  }
});
