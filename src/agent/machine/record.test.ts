import t from "tap";
import { recordOf, recordWith } from "./record.ts";
import { filtersToRestore } from "./sysctls.ts";

const NOTHING = { host: "", uplink: "", reserved: "", rpFilter: {}, local: { 4: 0, 6: 0 } };

t.test(
  "what one agent after another has changed is recorded, with what was before all of them",
  async (t) => {
    const changing = {
      uplink: "eth0",
      host: "host0",
      reserved: "50000-65535",
      rpFilter: { all: "1", eth0: "0" },
    };
    const first = recordWith(NOTHING, changing);
    t.same(first, { ...changing, local: { 4: 0, 6: 0 } });
    const again = { uplink: "eth0", host: "", reserved: "", rpFilter: {} };
    t.same(recordWith(first, again), first, "the same configuration");
    const others = { ...again, reserved: "40000-44999,49999", rpFilter: { all: "1", eth0: "1", eth1: "2" } };
    t.same(recordWith({ ...first, local: { 4: 49, 6: 100 } }, others), {
      ...{ uplink: "eth0", host: "host0", reserved: "40000-44999,49999-65535", local: { 4: 49, 6: 100 } },
      rpFilter: { all: "1", eth0: "0", eth1: "2" },
    });
  },
);

t.test("what is no record is none: nothing of it is written to the machine", async (t) => {
  const some = { host: "host0", uplink: "eth0.100", reserved: "1-2,7", rpFilter: { all: "1", "a'b": "0" } };
  const whole = { ...some, local: { 4: 100, 6: 0 } };
  t.same(recordOf(JSON.stringify(whole)), whole);
  t.same(recordOf("{}"), NOTHING);
  const odd: object[] = [
    ...[
      { host: 5 },
      { host: "a b" },
      { uplink: "../x" },
      { uplink: null },
      { reserved: 7 },
      { reserved: "x" },
    ],
    ...[
      { rpFilter: null },
      { rpFilter: { "../all": "1" } },
      { rpFilter: { all: "1; id" } },
      { rpFilter: "1" },
      { local: null },
      { local: { 4: 100 } },
      { local: { 4: 100, 6: "1; id" } },
      { local: { 4: 32767, 6: 0 } },
    ],
  ];
  for (const each of odd) t.equal(recordOf(JSON.stringify(each)), undefined, JSON.stringify(each));
  for (const text of ["", '{"host":"ho', "null", "[]", "7"]) t.equal(recordOf(text), undefined, text);
});

t.test("rp_filter goes back where nobody else has changed it", async (t) => {
  const before = { all: "1", default: "0", eth0: "0", eth1: "2", gone: "0" };
  const left = { all: "0", default: "1", eth0: "1", eth1: "2" };
  const restored = [
    ["all", "1"],
    ["default", "0"],
    ["eth0", "0"],
  ];
  t.same(filtersToRestore(before, left), restored);
  t.same(filtersToRestore(before, { ...left, all: "2", eth0: "2", eth1: "0" }), [["default", "0"]]);
  t.same(filtersToRestore(before, { ...before }), [], "nothing had been changed yet");
});
