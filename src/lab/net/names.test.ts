import fc from "fast-check";
import t from "tap";
import * as names from "./names.ts";

t.test("lab names that would make a namespace's owner ambiguous, or are no names, are refused", async (t) => {
  const bad = [
    "",
    "A",
    "a_b",
    "a.b",
    "-a",
    "a-",
    "x".repeat(33),
    "a-n",
    "a-n-b",
    "a-p",
    "my-c-lab",
    "a-fabric",
    "../x",
  ];
  for (const name of bad)
    t.throws(() => names.checkLabName(name), { code: "LAB_BAD_NAME", exitCode: 2 }, name);
  for (const name of ["default", "t-1", "n", "p", "abc", "a-nn", "x".repeat(32)]) {
    t.doesNotThrow(() => names.checkLabName(name), name);
  }
});

t.test("a namespace's name tells lab and role", async (t) => {
  t.same(names.parseNetns("pw-demo-n-node1"), { lab: "demo", role: "node", rest: "node1" });
  t.same(names.parseNetns("pw-t-x-c-outside"), { lab: "t-x", role: "client", rest: "outside" });
  t.same(names.parseNetns("pw-demo-fabric"), { lab: "demo", role: "fabric", rest: "" });
  t.equal(names.podNetns("demo", "default", "web-1"), "pw-demo-p-default-web-1");
  for (const foreign of [
    "pw-",
    "pw-demo",
    "pw-demo-x-y",
    "cni-1234",
    "pwt-demo-n-a",
    "PW-demo-n-a",
    "pw-A-n-a",
  ]) {
    t.equal(names.parseNetns(foreign), undefined, foreign);
  }
});

const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,12}[a-z0-9])?$/);

t.test("property: every name the lab makes is parsed back to the same lab and role", async () => {
  fc.assert(
    fc.property(label, label, label, (lab, a, b) => {
      fc.pre(isLabName(lab));
      const made = [
        [names.nodeNetns(lab, a), "node"],
        [names.clientNetns(lab, a), "client"],
        [names.podNetns(lab, a, b), "pod"],
        [names.fabricNetns(lab), "fabric"],
      ];
      return made.every(([name, role]) => {
        const owner = names.parseNetns(name);
        return owner?.lab === lab && owner.role === role;
      });
    }),
  );
});

t.test("property: two pods have one namespace only if they are one pod", async () => {
  fc.assert(
    fc.property(label, label, label, label, (ns1, pod1, ns2, pod2) => {
      const same = ns1 === ns2 && pod1 === pod2;
      return same === (names.podNetns("l", ns1, pod1) === names.podNetns("l", ns2, pod2));
    }),
  );
});

t.test("interface names fit into 15 characters whatever the pod is called", async (t) => {
  const long = names.vethName("n".repeat(63), "p".repeat(253));
  t.ok(long.length <= 15, long);
  t.not(long, names.vethName("n".repeat(63), "q".repeat(253)));
  t.throws(() => names.vxlanInterface(16777215), { code: "LAB_BAD_NAME" });
  t.ok(names.podNetns("l", "n".repeat(63), "p".repeat(253)).length <= 200);
});

function isLabName(name: string): boolean {
  try {
    names.checkLabName(name);
    return true;
  } catch {
    return false;
  }
}
