import t from "tap";
import { linesToHave, linesToLeave, missing, placesOf, rulesShown } from "./rule-lines.ts";

const TCP = "from all iif lo ipproto tcp dport 30000-32767 lookup 30000";
const UDP = "from all iif lo ipproto udp dport 30000-32767 lookup 30000";
const LOCAL = "from all lookup local";
const PLAIN = [
  "0:\tfrom all lookup local",
  "32766:\tfrom all lookup main",
  "32767:\tfrom all lookup default",
];

const sorted = (lines: readonly string[]): string[] =>
  [...lines].sort((a, b) => Number(a.split(":")[0]) - Number(b.split(":")[0]));

/** What is there once ip(8) has had these lines; throws as ip does where one cannot be. */
function after(lines: readonly string[], changes: readonly string[]): string[] {
  let there = sorted(lines);
  for (const change of changes) {
    const [, verb, priority, selector] = /^rule (add|del) pref (\d+) (.*)$/.exec(change) ?? [];
    const line = `${priority}:\t${selector}`;
    if (there.includes(line) === (verb === "add")) throw new Error(`${change}: ${there.join("; ")}`);
    there = verb === "add" ? sorted(there.concat(line)) : there.filter((each) => each !== line);
  }
  return there;
}

function have(lines: readonly string[], rules: readonly string[], isPrepared = false, moved = 0): string[] {
  const shown = rulesShown(sorted(lines));
  const places = placesOf(shown, moved, isPrepared);
  return places === undefined ? ["no room"] : after(lines, linesToHave(shown, rules, places));
}
const leave = (lines: readonly string[], moved: number, isPrepared = false): string[] =>
  after(lines, linesToLeave(rulesShown(sorted(lines)), moved, isPrepared));

t.test("rules come and go, and the local table's is back at 0", async (t) => {
  const there = have(PLAIN, [TCP, UDP]);
  t.same(there.slice(0, 3), [`50:\t${TCP}`, `50:\t${UDP}`, `100:\t${LOCAL}`]);
  t.same(have(there, [TCP, UDP]), there, "an agent that was killed is followed by another");
  t.same(have(there, [UDP]).slice(0, 2), [`50:\t${UDP}`, `100:\t${LOCAL}`]);
  t.same(leave(there, 100), PLAIN);
  t.same(leave(PLAIN, 100), PLAIN, "a second time nothing is left");
});

t.test("rules of others stay behind the local table, and are left alone", async (t) => {
  for (const [first, own, local] of [
    [50, 48, 49],
    [100, 50, 99],
    [101, 50, 100],
    [2, 0, 1],
  ]) {
    const foreign = [...PLAIN, `${first}:\tfrom 10.9.0.0/16 lookup 200`];
    const there = have(foreign, [TCP]);
    t.same(there.slice(0, 3), [
      `${own}:\t${TCP}`,
      `${local}:\t${LOCAL}`,
      `${first}:\tfrom 10.9.0.0/16 lookup 200`,
    ]);
    t.same(have(there, [TCP]), there);
    t.same(leave(there, local), sorted(foreign));
  }
  t.same(have([...PLAIN, "1:\tfrom all fwmark 0x1 lookup 200"], [TCP]), ["no room"]);
});

t.test("who takes the priority or the table of ours meanwhile keeps it", async (t) => {
  const others = [
    "50:\tfrom 10.9.0.0/16 lookup 200",
    "50:\tfrom 10.9.0.7 lookup 30000",
    "60:\tfrom all lookup 30000",
  ];
  const there = sorted([...have(PLAIN, [TCP]), ...others]);
  t.same(leave(there, 100).sort(), [...PLAIN, ...others].sort());
  t.same(have(there, [UDP]).sort(), [...have(PLAIN, [UDP]), ...others].sort());
});

t.test(
  "where somebody else has moved the local table's rule, it stays, and ours come before it",
  async (t) => {
    const moved = ["10:\tfrom all lookup local", "20:\tfrom all lookup 200"];
    const there = have(moved, [TCP]);
    t.same(there, [`9:\t${TCP}`, ...moved]);
    t.same(leave(there, 0), moved);
  },
);

t.test(
  "on a machine that was prepared for an uplink of the agent's own its blackhole stays first",
  async (t) => {
    const blackhole = "10:\tfrom all iif eth1 blackhole";
    const there = have([...PLAIN, blackhole], [TCP], true);
    t.same(there.slice(0, 3), [blackhole, `50:\t${TCP}`, `100:\t${LOCAL}`]);
    t.same(leave(there, 0, true).slice(0, 2), [blackhole, `100:\t${LOCAL}`]);
    t.same(leave(have(PLAIN, [TCP], true), 0, true), PLAIN);
  },
);

t.test("what a flush took is told, and comes back", async (t) => {
  const whole = have(PLAIN, [TCP, UDP]);
  t.equal(missing(rulesShown(whole), [TCP, UDP]), 0);
  t.equal(missing(rulesShown(whole.slice(1)), [TCP, UDP]), 1);
  t.equal(missing([], [TCP, UDP]), 3, "and the local table's, which the agent had moved");
  t.equal(
    missing(rulesShown(sorted([`0:\t${LOCAL}`, ...whole.slice(0, 2)])), [TCP, UDP]),
    2,
    "behind the local table",
  );
  t.same(have([], [TCP, UDP], false, 49), [`48:\t${TCP}`, `48:\t${UDP}`, `49:\t${LOCAL}`]);
  t.same(leave([], 100), [`0:\t${LOCAL}`]);
});

t.test("a change that was cut off half way is finished", async (t) => {
  const half = [...PLAIN, `100:\t${LOCAL}`];
  t.same(have(half, [TCP]), have(PLAIN, [TCP]));
  t.same(leave(half, 100), PLAIN);
});
