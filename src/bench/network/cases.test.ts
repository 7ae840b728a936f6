import t from "tap";
import { CASES, caseName, casesOf, selectCases } from "./cases.ts";

const BOTH = ["same-node", "overlay"] as const;
const named = (words: string[], paths: readonly ("same-node" | "overlay")[] = BOTH) =>
  selectCases(words, paths).cases.map(caseName);

t.test("each case has a name of its own, and its whole name finds it alone", (t) => {
  const names = CASES.map(caseName);
  t.equal(new Set(names).size, names.length);
  for (const name of names) t.same(named([name]), [name]);
  t.end();
});

t.test("words of a name, in any order, find the cases that have all of them", (t) => {
  t.same(named(["1-flow/overlay"]), ["pps/overlay/service/1-flow"]);
  t.same(named(["udp-socket/gro-2-senders"]), [
    "udp-socket/same-node/service/gro-2-senders",
    "udp-socket/overlay/service/gro-2-senders",
  ]);
  t.same(named(["crr/pod", "rr/pod"], ["overlay"]), [
    "rr/overlay/pod/request",
    "crr/overlay/pod/connect+request",
  ]);
  t.same(named(["latency"]), named(["rr", "crr"]));
  t.end();
});

t.test("what is no case is named apart; no word at all is everything", (t) => {
  t.same(selectCases(["scale"], BOTH), { cases: [], alone: ["scale"] });
  t.same(selectCases(["pps"], BOTH).alone, []);
  const all = selectCases([], BOTH);
  t.same(all.alone, ["start", "scale", "policy"]);
  t.equal(all.cases.length, CASES.length);
  t.end();
});

t.test("a word of no case's name is told, and so are words that no case has together", (t) => {
  t.match(casesOf("pps/fast"), /no case is called "fast"/);
  t.match(casesOf("tcp/1-flow"), /no case has all of "tcp\/1-flow"/);
  t.match(casesOf(""), /no case is called ""/);
  t.end();
});

t.test(
  "small frames are sent by one and by two, to be counted by the device and read by both kinds of socket",
  (t) => {
    const loads = CASES.filter((c) => c.path === "overlay" && c.flows !== undefined);
    for (const read of ["device", "socket", "gro"])
      t.same(
        loads.filter((c) => c.read === read).map((c) => [c.flows, c.senders]),
        [
          [1, 1],
          [1000, 1],
          [1, 2],
        ],
      );
    t.end();
  },
);
